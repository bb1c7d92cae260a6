"""A long series cut down to what a plot some hundred pixels wide can show."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LIMITS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 270, 360, 540, 720)


def visible_curve(
    x: Floats,
    y: Floats,
    x0: float,
    x1: float,
    columns: int,
    bridge: int = 1,
    parts: NDArray[np.int64] | None = None,
) -> tuple[Floats, Floats]:
    """The curve (x sorted; y with NaN where unknown) between x0 and x1, at most ~4 points per column.

    Where many samples fall on a column, its smallest and largest stay: no peak is lost. Up to `bridge`
    steps between known samples are drawn through (frames that playing skipped); a longer gap becomes
    a NaN, which breaks the line, as does the step from one part to another (`parts`: the number of each sample's). A
    sample alone becomes a short dash, for a line of one point is none.
    """
    columns = max(1, columns)
    first = max(0, int(np.searchsorted(x, x0, "left")) - bridge)
    last = min(len(x), int(np.searchsorted(x, x1, "right")) + bridge)
    if last <= first:
        return np.zeros(0), np.zeros(0)
    per_bin = -(-(last - first) // columns)
    if per_bin > 1:
        # bins begin at multiples of their size, so that the curve does not shimmer while it scrolls
        first -= first % per_bin
        starts = np.arange(0, last - first, per_bin)
        part = y[first:last]
        low, high = np.fmin.reduceat(part, starts), np.fmax.reduceat(part, starts)
        step = np.repeat(np.arange(len(starts)), 2)
        xs = np.repeat(x[first:last][starts], 2)
        ys = np.stack((low, high), axis=1).ravel()
        of = None if parts is None else np.repeat(parts[first:last][starts], 2)
        bridge = -(-bridge // per_bin)
    else:
        step, xs, ys = np.arange(last - first), x[first:last], y[first:last]
        of = None if parts is None else parts[first:last]
    known = np.isfinite(ys)
    if not known.all():
        step, xs, ys = step[known], xs[known], ys[known]
        of = None if of is None else of[known]
    parted = np.diff(step) > bridge
    if of is not None:
        parted |= np.diff(of) != 0
    return _break(step, xs, ys, parted, dash=(x1 - x0) / columns * 2)


def _break(
    step: NDArray[np.int64], xs: Floats, ys: Floats, parted: NDArray[np.bool_], dash: float
) -> tuple[Floats, Floats]:
    """Break the line after each point that is `parted` from the next; lengthen what is one step short."""
    if not len(xs):
        return np.zeros(0), np.zeros(0)
    last = np.append(parted, True)  # of its stretch
    first = np.concatenate(([True], last[:-1]))
    begun = step[first][np.cumsum(first) - 1]  # the step with which each point's stretch begins
    alone = last & (begun == step)
    copies = 1 + last.astype(np.int64) + alone
    at = np.cumsum(copies) - copies
    xs, ys = np.repeat(xs, copies), np.repeat(ys, copies)
    xs[at[alone] + 1] += dash
    ys[(at + copies - 1)[last]] = np.nan
    return xs, ys


def nice_limit(peak: float) -> float:
    """The half height of a degree axis that holds `peak`: it changes in steps, seldom."""
    if not np.isfinite(peak):
        return float(_LIMITS[0])
    return float(next((n for n in _LIMITS if peak <= n * 0.96), _LIMITS[-1]))


def nearest(times: Floats, x: float) -> int:
    """The index of the time that is nearest to x; 0 where there is none."""
    n = len(times)
    if n == 0 or not math.isfinite(x):
        return 0
    right = int(np.searchsorted(times, x))
    if right == 0 or right >= n:
        return min(right, n - 1)
    return right - 1 if x - times[right - 1] <= times[right] - x else right


def peak(values: Floats) -> float:
    """The largest magnitude that is known; 0 where none is."""
    known = values[np.isfinite(values)]
    return float(np.abs(known).max()) if len(known) else 0.0
