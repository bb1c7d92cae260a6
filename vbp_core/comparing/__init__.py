"""Two networks on the same frames: how they differ, where, and how sure that is."""
