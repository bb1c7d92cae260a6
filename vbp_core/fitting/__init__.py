"""Which specification a network was trained with, found from a drive whose angles are known."""
