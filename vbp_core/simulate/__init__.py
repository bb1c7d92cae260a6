"""A drive whose truth is known: a road, a camera and a car, rendered with the class of every pixel."""

from vbp.simulate.measure import energy_on, peak_on
from vbp.simulate.truth import Truth, load_truth
from vbp.simulate.world import Settings
from vbp.simulate.write import simulate

__all__ = ["Settings", "Truth", "energy_on", "load_truth", "peak_on", "simulate"]
