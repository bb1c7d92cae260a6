"""Interleaved runs, so that a drift of the machine's speed affects all alike, and how sure a number is that comes of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WARM_UP = 3
LEAST = 6  # rounds: the median of fewer has no interval of 95 %
BLOCKS = 12  # of neighbouring rounds, which are alike: what disturbs the machine lasts longer than one
OUTSIDE = 0.05


@dataclass(frozen=True)
class Estimate:
    """A number and the interval in which it lies in 95 of 100 cases, NaN at an end that is not known; runs: how often it was measured."""

    value: float
    low: float = math.nan
    high: float = math.nan
    runs: int = 1

    @property
    def measured(self) -> bool:
        """Whether it says more than that it could be anything: its interval is no wider than itself."""
        return self.high - self.low <= abs(self.value)


def estimate_of(plain: Mapping[str, Any]) -> Estimate:
    """From plain data, where JSON has null for NaN."""
    value, low, high = (math.nan if plain[k] is None else float(plain[k]) for k in ("value", "low", "high"))
    return Estimate(value, low, high, int(plain["runs"]))


def quantile(samples: Sequence[float] | Floats, share: float = 0.5) -> Estimate:
    """The quantile of samples that do not depend on each other, and the two of them that lie on either side of the true one.

    Whatever their distribution is (David and Nagaraja 2003, Order Statistics, section 7.1): of n samples as many lie below
    it as of n throws with the probability `share` hit.
    """
    ordered, n = np.sort(np.asarray(samples, np.float64)), len(samples)
    hits = np.cumsum([math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)])
    below = int(np.searchsorted(hits, OUTSIDE / 2, side="right"))  # hits[below - 1] <= 2.5 %
    above = int(np.searchsorted(hits, 1 - OUTSIDE / 2)) + 1  # 1 - hits[above - 1] <= 2.5 %
    low = ordered[below - 1] if below >= 1 else math.nan
    high = ordered[above - 1] if above <= n else math.nan
    return Estimate(float(np.quantile(ordered, share)), float(low), float(high), n)


def blocks_of(samples: Sequence[float] | Floats) -> Floats:
    """The medians of BLOCKS stretches of samples, in their order; of fewer samples, themselves."""
    whole = np.asarray(samples, np.float64)
    return np.array([np.median(part) for part in np.array_split(whole, min(BLOCKS, len(whole)))])


def typical(samples: Sequence[float] | Floats) -> Estimate:
    """The median of samples that were measured one after the other, by the medians of blocks."""
    return replace(quantile(blocks_of(samples)), runs=len(samples))


@dataclass(frozen=True)
class Rounds:
    """laps_ms: of each task the milliseconds of every round; those of one round belong together."""

    laps_ms: Mapping[str, Sequence[float]]

    def estimate(self, name: str) -> Estimate:
        return typical(self.laps_ms[name])

    def ratio(self, above: str, below: str) -> Estimate:
        """Of the medians of each block."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = blocks_of(self.laps_ms[above]) / blocks_of(self.laps_ms[below])
        if not np.isfinite(ratios).all():
            return Estimate(math.nan, runs=len(self.laps_ms[above]))
        return replace(quantile(ratios), runs=len(self.laps_ms[above]))


def interleaved(
    tasks: Mapping[str, Callable[[], object]],
    seconds: float,
    synchronize: Callable[[], None] = lambda: None,
    least: int = LEAST,
    clock: Callable[[], float] = time.perf_counter,
    before: Mapping[str, Callable[[], object]] | None = None,
    differences: Mapping[str, tuple[str, str]] | None = None,
) -> Rounds:
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
    return Rounds(laps)
