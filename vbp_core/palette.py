"""The colours of the dark scheme, which the window and exported pictures share.

Orange, blue and reddish purple stay apart under all common kinds of colour blindness; the driven grey
differs from each of them in saturation, and in lightness from its ground. Red belongs to the mask alone.
"""

from __future__ import annotations

WINDOW = "#17191c"  # behind the docks and around the picture
PANEL = "#1f2226"  # lists, plots, pictures' ground
RAISED = "#2a2e33"
BORDER = "#363b42"
TEXT = "#e3e6ea"
MUTED = "#929aa4"  # labels, units, axes
ACCENT = "#4f9cf0"
DRIVEN = "#a9bacb"  # the driver's angle, everywhere
PREDICTED = "#f79a3a"  # the network's angle, everywhere
ERROR = "#d88abf"  # driven - predicted
SECOND = "#7b7bff"  # the angle of a second network, and what its mask alone marks
BOTH_MASKS = "#ffffff"  # what the masks of both networks mark
WARNING = "#e2c15c"
MASK = "#ff3b30"
GAP = "#5a6068"  # frames that are missing

Rgb = tuple[int, int, int]


def rgb(colour: str) -> Rgb:
    """ "#a9bacb" as three numbers 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
