"""vbp: what a steering network looks at."""
