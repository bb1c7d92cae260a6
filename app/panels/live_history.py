"""The last minute of a live session as numbers: what the plot scrolls through, whatever the session's length."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class History:
    """Times in seconds, predicted and driven angle in degrees, NaN where unknown; the oldest give way.

    The arrays are twice as long as what is kept, so that the kept part always lies in one piece.
    """

    def __init__(self, capacity: int = 8192) -> None:
        self._capacity = capacity
        self._values = np.full((3, 2 * capacity), np.nan)
        self._first = self._last = 0

    def __len__(self) -> int:
        return self._last - self._first

    def add(self, seconds: float, predicted_deg: float, driven_deg: float = math.nan) -> None:
        """A further frame. One that is not later than the last is left out: curves run from left to right."""
        if len(self) and seconds <= self._values[0, self._last - 1]:
            return
        if self._last == self._values.shape[1]:
            kept = self._values[:, self._first : self._last].copy()
            self._values[:, : kept.shape[1]] = kept
            self._first, self._last = 0, kept.shape[1]
        self._values[:, self._last] = seconds, predicted_deg, driven_deg
        self._last += 1
        self._first = max(self._first, self._last - self._capacity)

    def clear(self) -> None:
        self._first = self._last = 0

    def forget_predicted(self) -> None:
        """Another network: its predecessor's angles say nothing about it."""
        self._values[1] = math.nan

    @property
    def times(self) -> Floats:
        return self._values[0, self._first : self._last]

    @property
    def predicted_deg(self) -> Floats:
        return self._values[1, self._first : self._last]

    @property
    def driven_deg(self) -> Floats:
        return self._values[2, self._first : self._last]

    @property
    def bytes(self) -> int:
        return self._values.nbytes
