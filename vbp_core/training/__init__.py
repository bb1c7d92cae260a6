"""Training steering networks, and looking at how they became what they are."""

from vbp.training.folder import Run
from vbp.training.loop import train
from vbp.training.recipe import Recipe

__all__ = ["Recipe", "Run", "train"]
