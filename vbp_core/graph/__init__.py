"""A network as a graph of operations: what is run, what a pass keeps, and the same operations backwards."""
