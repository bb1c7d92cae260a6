"""Holes in a recording's time, as sessions put together and a clock that was set make them: played, they are jumped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHORTEST_S = 1.0  # nothing shorter is a hole
LONGEST_S = 60.0  # and everything longer is one, however seldom the frames come
USUAL_STEPS = 10  # between the two: a step so many times as long as is usual
Times = NDArray[np.int64]


def find_holes(timestamps_ns: Times) -> list[tuple[int, float]]:
    """(the frame before it, how many seconds it is long) of each hole in these times, (N,) sorted nanoseconds."""
    steps, hole = _steps(timestamps_ns)
    return [(int(i), float(steps[i]) / 1e9) for i in np.flatnonzero(hole)]


def played_ns(timestamps_ns: Times) -> Times:
    """(N,) int64 nanoseconds from 0, when each of these frames is shown: at its own pace, but for the holes.

    A hole lasts as long as the usual step, at most a second, as does every step of a recording of nothing but holes.
    """
    steps, hole = _steps(timestamps_ns)
    usual = min(_usual(steps[~hole]) or int(SHORTEST_S * 1e9), int(SHORTEST_S * 1e9))
    played = np.zeros(len(timestamps_ns), dtype=np.int64)
    np.cumsum(np.where(hole, usual, np.maximum(steps, 0)), out=played[1:])
    return played


def _steps(timestamps_ns: Times) -> tuple[Times, NDArray[np.bool_]]:
    """(N - 1,) nanoseconds from each frame to the next, and whether that is a hole."""
    steps = timestamps_ns[1:] - timestamps_ns[:-1]
    limit = min(max(USUAL_STEPS * _usual(steps), int(SHORTEST_S * 1e9)), int(LONGEST_S * 1e9))
    return steps, steps > limit


def _usual(steps: Times) -> int:
    """The median of the steps that lead on, of two the shorter; 0 where there is none."""
    forward = steps[steps > 0]
    middle = (len(forward) - 1) // 2
    return int(np.partition(forward, middle)[middle]) if len(forward) else 0
