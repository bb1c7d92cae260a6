"""Medians of interleaved runs, so that a drift of the machine's speed affects all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call: the median, the quartiles, and over how many calls."""

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int


def interleaved(
    tasks: Mapping[str, Callable[[], object]],
    seconds: float,
    synchronize: Callable[[], None] = lambda: None,
    least: int = 5,
    clock: Callable[[], float] = time.perf_counter,
    before: Mapping[str, Callable[[], object]] | None = None,
    differences: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, Timing]:
    """Run every task in turn until `seconds` are over, `least` times at least; the order turns by one each round.

    before: what is run before a task without being timed, such as the pass that it explains. synchronize: waits until the device has finished, before each reading of the clock.
    differences: by name, the tasks (a, b) of which it is a less b, of the same round each.
    """
    names = list(tasks)
    for name in names:
        for _ in range(WARM_UP):
            tasks[name]()
    laps: dict[str, list[float]] = {name: [] for name in names}
    end = clock() + seconds
    turn = 0
    while clock() < end or turn < least:
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            if before and name in before:
                before[name]()
            synchronize()
            start = clock()
            tasks[name]()
            synchronize()
            laps[name].append((clock() - start) * 1e3)
        turn += 1
    for name, (more, less) in (differences or {}).items():
        laps[name] = [a - b for a, b in zip(laps[more], laps[less], strict=True)]
    return {name: summary(values) for name, values in laps.items()}


def summary(laps_ms: list[float]) -> Timing:
    low, median, high = (float(v) for v in np.percentile(laps_ms, (25, 50, 75)))
    return Timing(median, low, high, len(laps_ms))
