"""Kernels in C, compiled for several instruction sets when vbp is built, where there is a compiler; everything works without them."""
