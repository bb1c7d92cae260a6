"""From a number per frame to stretches of frames: begun at one level, left at a lower one, joined over short breaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vbp.drives.holes import find_holes

MERGE_S = 1.0  # what is not farther apart is one stretch

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Stretch = tuple[int, int]  # rows first to last, both included


def stretches(
    times_ns: Times, values: Floats, enter: float, leave: float, merge_s: float = MERGE_S
) -> list[Stretch]:
    """Where (N,) values reach `enter`, and around that as long as they reach `leave`, which is not above it.

    times_ns: (N,) sorted nanoseconds. A stretch ends at a hole in time and at a NaN, which is not known; those at most
    `merge_s` apart, by the time stamps, with no hole between them, are one.
    """
    if not len(values):
        return []
    with np.errstate(invalid="ignore"):
        inside, begun = values >= leave, values >= enter
    breaks = np.zeros(len(values), dtype=np.bool_)  # whether a hole lies before the row
    for last_row, _ in find_holes(times_ns):
        breaks[last_row + 1] = True
    starts = inside & (breaks | ~np.concatenate([[False], inside[:-1]]))
    firsts = np.flatnonzero(starts)
    number = np.cumsum(starts) - 1
    ends = np.flatnonzero(inside & np.concatenate([starts[1:] | ~inside[1:], [True]]))
    hit = np.zeros(len(firsts), dtype=np.bool_)
    hit[number[inside & begun]] = True
    part = np.cumsum(breaks)
    found: list[Stretch] = []
    for first, last in zip(firsts[hit].tolist(), ends[hit].tolist(), strict=True):
        before = found[-1] if found else None
        if (
            before is not None
            and part[before[1]] == part[first]
            and near(times_ns, before[1], first, merge_s)
        ):
            found[-1] = (before[0], last)
        else:
            found.append((first, last))
    return found


def near(times_ns: Times, before: int, after: int, merge_s: float = MERGE_S) -> bool:
    """Whether row `after` comes at most `merge_s` after row `before`."""
    return int(times_ns[after]) - int(times_ns[before]) <= round(merge_s * 1e9)


def usual_step_ns(times_ns: Times) -> int:
    """The median of the steps between frames, nanoseconds; 0 where there is none."""
    steps = np.diff(times_ns)
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) else 0


class RangeExtremes:
    """The smallest and largest of any rows first..last of (N,) values; NaN where one of them is."""

    def __init__(self, values: Floats) -> None:
        self._low, self._high = [values], [values]
        span = 1
        while 2 * span <= len(values):
            for rows, best in ((self._low, np.minimum), (self._high, np.maximum)):
                rows.append(best(rows[-1][:-span], rows[-1][span:]))
            span *= 2

    def smallest(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
        return self._ask(self._low, np.minimum, first, last)

    def largest(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
        return self._ask(self._high, np.maximum, first, last)

    @staticmethod
    def _ask(
        levels: list[Floats], best: np.ufunc, first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> Floats:
        out = np.empty(len(first))
        level = np.log2(last - first + 1).astype(np.int64)
        for k in np.unique(level):
            rows = level == k
            out[rows] = best(levels[k][first[rows]], levels[k][last[rows] - 2**k + 1])
        return out
