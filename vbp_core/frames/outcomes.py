"""What the frames that went by sum up to."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vbp.classes import UNKNOWN
from vbp.results import FrameResult


class Outcomes:
    """What the first network said of frames, in their order. gaps: frames that cannot be decoded. broken: on which
    the network puts out no number."""

    def __init__(self) -> None:
        self.gaps = self.broken = 0
        self._rows: list[tuple[float, int, int, float, float]] = []

    def add(self, frame: FrameResult) -> None:
        result = frame.result
        number = label = UNKNOWN
        if result is None:
            self.gaps += 1
        elif result.probabilities is None:
            self.broken += not math.isfinite(result.angle_rad)
        elif result.classes is None:
            self.broken += 1
        else:
            number, label = result.classes.number, result.classes.label
        self._rows.append((frame.predicted_rad, number, label, frame.strength, frame.spread))

    @property
    def predicted_rad(self) -> NDArray[np.float64]:
        """(N,) radians, NaN of a gap and of a classifier."""
        return np.array([row[0] for row in self._rows], dtype=np.float64)

    @property
    def strength(self) -> NDArray[np.float64]:
        """(N,) of the VisualBackProp masks, see `FrameResult.strength`; NaN where none was asked for."""
        return np.array([row[3] for row in self._rows], dtype=np.float64)

    @property
    def spread(self) -> NDArray[np.float64]:
        """(N,) of the same masks, see `FrameResult.spread`; NaN where none was asked for, and where it is all zero."""
        return np.array([row[4] for row in self._rows], dtype=np.float64)

    @property
    def classes(self) -> NDArray[np.int64]:
        """(N,) the predicted class; UNKNOWN of a gap and of a steering network."""
        return np.array([row[1] for row in self._rows], dtype=np.int64)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) the true class, UNKNOWN where it is not known."""
        return np.array([row[2] for row in self._rows], dtype=np.int64)
