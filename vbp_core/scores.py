"""How well predicted angles fit the driven ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.readable import signed


@dataclass(frozen=True)
class Scores:
    """How well predictions fit the driven angle, over the frames that have both. NaN where undefined.

    error = actual - predicted (the paper's definition). bias_deg is its mean, mae_deg the mean of its size, and median_deg,
    p95_deg and largest_deg are quantiles of that: half of the frames, 95 of a hundred and all have at most this error.
    """

    frames: int
    rmse_rad: float
    mae_deg: float
    bias_deg: float
    corr: float
    median_deg: float = float("nan")
    p95_deg: float = float("nan")
    largest_deg: float = float("nan")


def score(actual_rad: NDArray[np.float64], predicted_rad: NDArray[np.float64]) -> Scores:
    """Scores of (N,) angles in radians; frames with a NaN in either are left out."""
    both = np.isfinite(actual_rad) & np.isfinite(predicted_rad)
    actual, predicted = actual_rad[both], predicted_rad[both]
    if not len(actual):
        return Scores(0, np.nan, np.nan, np.nan, np.nan)
    error = actual - predicted
    varied = bool(np.ptp(actual) > 0 and np.ptp(predicted) > 0)  # not std: equal values may have one of 1e-17
    median, p95, largest = np.degrees(np.percentile(np.abs(error), (50, 95, 100)))
    return Scores(
        frames=len(actual),
        rmse_rad=float(np.sqrt(np.mean(error**2))),
        mae_deg=float(np.degrees(np.abs(error).mean())),
        bias_deg=float(np.degrees(error.mean())),
        corr=float(np.corrcoef(actual, predicted)[0, 1]) if varied else float("nan"),
        median_deg=float(median),
        p95_deg=float(p95),
        largest_deg=float(largest),
    )


def score_words(scores: Scores) -> str:
    """In one line, of at least one frame."""
    known = (
        f"correlation {scores.corr:.3f}" if math.isfinite(scores.corr) else "no correlation (nothing varies)"
    )
    return (
        f"RMSE {math.degrees(scores.rmse_rad):.2f}° ({scores.rmse_rad:.4f} rad), "
        f"mean error {signed(scores.bias_deg, 2)}°, mean |error| {scores.mae_deg:.2f}°, "
        f"half under {scores.median_deg:.2f}°, 95 % under {scores.p95_deg:.2f}°, largest {scores.largest_deg:.2f}°, "
        f"{known} over {scores.frames} labelled frames"
    )


STEADY_DEG = 0.1  # a sensor's step: what neither a driver nor a plot would notice
STEADY_PART = 0.02  # of what the driver moves
STEADY_FRAMES = 20  # of fewer, one after another, nothing follows


def steady_text(
    predicted_rad: NDArray[np.float64],
    driven_rad: NDArray[np.float64] | None = None,
) -> str:
    """One sentence where the predicted angle, (N,) radians, hardly moves over the frames looked at; else "".

    That is less than 0.1 degrees, or 2 % of what the driven angle moves, where that is known and moves more.
    """
    known = np.isfinite(predicted_rad)
    if int(known.sum()) < STEADY_FRAMES:
        return ""
    predicted = np.degrees(predicted_rad[known])
    moves, driven = float(np.ptp(predicted)), np.nan
    if driven_rad is not None and np.isfinite(driven_rad[known]).any():
        driven = float(np.ptp(np.degrees(driven_rad[known & np.isfinite(driven_rad)])))
    if driven <= moves or moves >= max(STEADY_DEG, STEADY_PART * np.nan_to_num(driven)):
        return ""
    low, high = (f"{signed(v, 3)}°" for v in (predicted.min(), predicted.max()))
    beside = f", while the driven angle moves by {driven:.1f}°" if np.isfinite(driven) else ""
    return f"the output is nearly constant: {low} to {high} over {len(predicted)} frames{beside}"
