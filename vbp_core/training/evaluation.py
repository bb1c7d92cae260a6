"""How well a network steers a drive: overall, by speed, and by curvature."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.drives.labels import curvature
from vbp.scores import score

SPEED_EDGES = (0.0, 5.0, 10.0, 15.0, 20.0)  # m/s; the last bin is open
RADIUS_EDGES = (1000.0, 300.0, 100.0, 50.0)  # m, from nearly straight to a turn in a junction


def evaluate(
    actual_rad: NDArray[np.float64], predicted_rad: NDArray[np.float64], speed_mps: NDArray[np.float64]
) -> dict[str, Any]:
    """Scores of (N,) angles, and the same by speed and by the curvature of the driven path.

    Frames with a NaN in either angle are left out. `always_zero_rmse_rad` is what a network that never
    steers would score on the same frames. Every frame is in at most one bin; bins without frames are listed
    with 0 frames. NaN where there is nothing to measure.
    """
    bend = np.abs(curvature(actual_rad))
    edges = (0.0, *(1 / r for r in RADIUS_EDGES))
    return {
        **_scores(actual_rad, predicted_rad),
        "by_speed": [
            {"speed_mps_from": low, "speed_mps_to": high, **_scores(actual_rad[rows], predicted_rad[rows])}
            for low, high, rows in _bins(speed_mps, SPEED_EDGES)
        ],
        "by_curvature": [
            {"curvature_from": low, "curvature_to": high, **_scores(actual_rad[rows], predicted_rad[rows])}
            for low, high, rows in _bins(bend, edges)
        ],
    }


def _scores(actual_rad: NDArray[np.float64], predicted_rad: NDArray[np.float64]) -> dict[str, Any]:
    return {
        **asdict(score(actual_rad, predicted_rad)),
        "always_zero_rmse_rad": score(actual_rad, np.where(np.isfinite(predicted_rad), 0.0, np.nan)).rmse_rad,
    }


def _bins(
    values: NDArray[np.float64], edges: tuple[float, ...]
) -> list[tuple[float, float | None, NDArray[np.bool_]]]:
    """(low, high, which rows) for low <= value < high; the last bin has no end (None). NaN is in none."""
    out: list[tuple[float, float | None, NDArray[np.bool_]]] = []
    for n, low in enumerate(edges):
        high = edges[n + 1] if n + 1 < len(edges) else None
        with np.errstate(invalid="ignore"):
            rows = values >= low if high is None else (values >= low) & (values < high)
        out.append((low, high, rows))
    return out
