"""A program of ATen operations, as torch.export writes them, read into a graph: `reader.read_program`."""
