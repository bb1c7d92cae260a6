"""vbp: what a steering network looks at. The engine and library; knows nothing of Qt."""
