"""Training steering networks, and looking at how they became what they are."""

from vbp_core.training.folder import Run
from vbp_core.training.loop import train
from vbp_core.training.recipe import Recipe

__all__ = ["Recipe", "Run", "train"]
