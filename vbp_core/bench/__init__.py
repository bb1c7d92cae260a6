"""How fast it is, measured so that anyone can measure it again: `vbp bench`."""
