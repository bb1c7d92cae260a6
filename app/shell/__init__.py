"""The window itself: it builds what stands in it and owns it."""
