"""The moments of a drive that are worth looking at: stretches of frames, each with its kind and its peak."""
