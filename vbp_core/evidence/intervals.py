"""How sure a number over frames is: Student's t over blocks of neighbouring frames, and a correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbp.evidence.outcome import figure

Floats = NDArray[np.float64]

BLOCKS = 10  # of neighbouring frames, at most: those of one drive are alike, and no observations of their own
ENOUGH = 4  # blocks, below which nothing is concluded
LEVEL = 0.95
SIGNIFICANT = 1 - LEVEL


@dataclass(frozen=True)
class Estimate:
    """A number, its 95 % interval, and p of a two-sided test against what it would be by chance; NaN where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan

    def words(self, decimals: int = 2) -> str:
        """The value, with its interval in brackets where it has one."""
        value = figure(self.value, decimals)
        if not math.isfinite(self.low):
            return value
        return f"{value} [{figure(self.low, decimals)}, {figure(self.high, decimals)}]"


def _mean(rows: Floats) -> float:
    return float(rows.mean())


def estimate(
    values: ArrayLike, statistic: Callable[[Floats], float] = _mean, by_chance: float = 0.0
) -> Estimate:
    """A statistic of values (N,) or (N, K), a row for each frame, in their order; its interval by leaving out blocks of frames.

    Rows with a number that is not finite are left out. Up to 10 blocks of neighbouring rows; the jackknife's spread of
    the statistic without one of them, and Student's t of one degree less than there are blocks (Efron and Tibshirani 1993,
    chapter 11). Of a mean of blocks of the same size that is the t interval of their means. No interval of fewer than two rows.
    """
    rows = np.asarray(values, dtype=np.float64)
    rows = rows[np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))]
    if not len(rows):
        return Estimate(math.nan)
    value = statistic(rows)
    blocks = [b for b in np.array_split(np.arange(len(rows)), BLOCKS) if len(b)]
    if len(blocks) < 2:
        return Estimate(value)
    without = np.array([statistic(np.delete(rows, block, axis=0)) for block in blocks])
    count = len(blocks)
    spread = math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    if not math.isfinite(spread):
        return Estimate(value)
    half = t_quantile(count - 1) * spread
    distance = abs(value - by_chance)
    p = two_sided(distance / spread, count - 1) if spread > 0 else float(distance == 0)
    return Estimate(value, value - half, value + half, p)


def two_sided(t: float, freedom: int) -> float:
    """The probability of |T| > t >= 0, of Student's t (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    term, total = (math.cos(angle), math.cos(angle)) if freedom % 2 else (1.0, 1.0)
    for k in range(3 if freedom % 2 else 2, freedom - 1, 2):
        term *= (k - 1) / k * math.cos(angle) ** 2
        total += term
    if freedom == 1:
        total = 0.0
    inside = math.sin(angle) * total
    if freedom % 2:
        inside = 2 / math.pi * (angle + inside)
    return max(0.0, 1.0 - inside)


def t_quantile(freedom: int) -> float:
    """The t that LEVEL of the draws are within."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > SIGNIFICANT else (low, middle)
    return high


def holm(p: Sequence[float]) -> list[float]:
    """Each p as it counts among all of them (Holm 1979); NaN stays, and is no test."""
    found = [math.nan] * len(p)
    order = sorted((k for k in range(len(p)) if math.isfinite(p[k])), key=lambda k: p[k])
    largest = 0.0
    for place, k in enumerate(order):
        largest = max(largest, min(1.0, p[k] * (len(order) - place)))
        found[k] = largest
    return found
