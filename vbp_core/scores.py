"""How well predicted angles fit the driven ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """How well predictions fit the driven angle, over the frames that have both. NaN where undefined.

    error = actual - predicted (the paper's definition). bias_deg is its mean.
    """

    frames: int
    rmse_rad: float
    mae_deg: float
    bias_deg: float
    corr: float


def score(actual_rad: NDArray[np.float64], predicted_rad: NDArray[np.float64]) -> Scores:
    """Scores of (N,) angles in radians; frames with a NaN in either are left out."""
    both = np.isfinite(actual_rad) & np.isfinite(predicted_rad)
    actual, predicted = actual_rad[both], predicted_rad[both]
    if not len(actual):
        return Scores(0, np.nan, np.nan, np.nan, np.nan)
    error = actual - predicted
    varied = bool(np.ptp(actual) > 0 and np.ptp(predicted) > 0)  # not std: equal values may have one of 1e-17
    return Scores(
        frames=len(actual),
        rmse_rad=float(np.sqrt(np.mean(error**2))),
        mae_deg=float(np.degrees(np.abs(error).mean())),
        bias_deg=float(np.degrees(error.mean())),
        corr=float(np.corrcoef(actual, predicted)[0, 1]) if varied else float("nan"),
    )
