"""What is measured of the angles of a drive, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vbp.findings.stretches import Floats, RangeExtremes, Times, usual_step_ns

LONGEST_STEP_S = 0.25  # between frames farther apart, a driver may turn the wheel by any angle
AROUND = 3  # frames before and after one, from which its step is to stand out
WINDOW_S = 1.0  # over which an output has to move
FEWEST = 5  # frames in that time


def jumps(times_ns: Times, values: Floats) -> Floats:
    """(N,) by how much each value differs from the one before it, beyond what is usual around it; signed, NaN where not known.

    So a wheel that is turned fast has no jumps, and one wrong value has two.
    """
    steps = np.full(len(values), np.nan)
    steps[1:] = np.diff(values)
    steps[1:][np.diff(times_ns) > LONGEST_STEP_S * 1e9] = np.nan
    known = np.pad(np.nan_to_num(steps), AROUND)
    return steps - np.median(sliding_window_view(known, 2 * AROUND + 1), axis=1) if len(values) else steps


def nearby(values: Floats) -> Floats:
    """(N,) the largest |value| within AROUND frames; what is not known counts as 0."""
    known = np.pad(np.abs(np.nan_to_num(values)), AROUND)
    return sliding_window_view(known, 2 * AROUND + 1).max(1) if len(values) else values


def movement(times_ns: Times, values: Floats) -> Floats:
    """(N,) by how much the values move in the stillest WINDOW_S around each; NaN where that is not known."""
    count = len(values)
    out = np.full(count, np.nan)
    if not count:
        return out
    rows = np.arange(count)
    last = np.searchsorted(times_ns, times_ns + round(WINDOW_S * 1e9), side="right") - 1
    seconds = (times_ns[last] - times_ns) / 1e9
    whole = (seconds >= WINDOW_S - 1.5 * usual_step_ns(times_ns) / 1e9) & (last - rows >= FEWEST - 1)
    extremes = RangeExtremes(values)
    moved = extremes.largest(rows, last) - extremes.smallest(rows, last)
    moved[~whole | np.isnan(moved)] = np.inf
    first = np.searchsorted(last, rows, side="left")  # the first window that reaches to the row
    out = RangeExtremes(moved).smallest(first, rows)
    out[np.isinf(out) | np.isnan(values)] = np.nan
    return out
