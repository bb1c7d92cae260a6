"""What a pixel can be: the classes of the truth, their numbers and their colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# In the order of their numbers. New ones go to the end: files hold the numbers.
NAMES: tuple[str, ...] = (
    "sky",
    "road",
    "ground",
    "vegetation",
    "structure",
    "car",
    "white solid",
    "white dashed",
    "yellow solid",
    "yellow dashed",
    "yellow double",
    "horizontal marking",
    "planted cue",
)
ID: dict[str, int] = {name: i for i, name in enumerate(NAMES)}

LANE_MARKINGS: tuple[str, ...] = (
    "white solid",
    "white dashed",
    "yellow solid",
    "yellow dashed",
    "yellow double",
)

# A shadow lies ON something, so it is a bit of its own beside the class, not a class.
SHADOW_BIT = 0x80
CLASS_BITS = 0x7F

_COLOURS = (
    (135, 190, 235),
    (110, 110, 115),
    (165, 140, 105),
    (70, 120, 60),
    (150, 95, 70),
    (200, 60, 160),
    (255, 255, 255),
    (205, 230, 255),
    (255, 190, 0),
    (255, 225, 120),
    (255, 150, 0),
    (90, 255, 255),
    (255, 0, 0),
)


def palette() -> NDArray[np.uint8]:
    """(256, 3) RGB: the classes' colours, and the same ones darker for pixels in shadow."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(_COLOURS)] = _COLOURS
    table[SHADOW_BIT : SHADOW_BIT + len(_COLOURS)] = np.asarray(_COLOURS) * 55 // 100
    return table
