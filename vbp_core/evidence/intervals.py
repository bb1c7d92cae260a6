"""How sure a number over frames is: Student's t over blocks of neighbouring frames, and a correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbp.evidence.outcome import figure

Floats = NDArray[np.float64]
K = TypeVar("K")

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


def tested(estimates: Mapping[K, Estimate]) -> dict[K, dict[str, float]]:
    """As plain data, each with "p_corrected", of all of them together."""
    corrected = holm([e.p for e in estimates.values()])
    return {
        name: {**asdict(e), "p_corrected": p}
        for (name, e), p in zip(estimates.items(), corrected, strict=True)
    }


def words(numbers: Mapping[str, float], decimals: int = 2) -> str:
    """Of an Estimate as plain data."""
    return Estimate(*(numbers[key] for key in ("value", "low", "high"))).words(decimals)


def low_of(numbers: Mapping[str, float]) -> float:
    """The interval's lower end; the value where it has none."""
    return numbers["low"] if math.isfinite(numbers["low"]) else numbers["value"]


def high_of(numbers: Mapping[str, float]) -> float:
    """The interval's upper end; the value where it has none."""
    return numbers["high"] if math.isfinite(numbers["high"]) else numbers["value"]


def is_sure(numbers: Mapping[str, float]) -> bool:
    """Of what `tested` gave: whether it is significant among all of its tests."""
    return bool(numbers["p_corrected"] < SIGNIFICANT)


def the_best(rows: Mapping[str, ArrayLike], statistic: Callable[[Floats], float] = _mean) -> dict[str, Any]:
    """The name with the largest statistic of its rows (N,) or (N, K), and for each other the test of the difference, frame by frame.

    {"name": ..., "less": {name: as `tested` has it}}; {} for fewer than two that are known.
    """
    of = {name: np.asarray(r, dtype=np.float64) for name, r in rows.items()}
    of = {name: r.reshape(len(r), -1) for name, r in of.items()}
    values = {name: estimate(r, statistic).value for name, r in of.items()}
    known = [name for name, value in values.items() if math.isfinite(value)]
    if len(known) < 2:
        return {}
    best = max(known, key=lambda name: values[name])
    width = of[best].shape[1]

    def less(pair: Floats) -> float:
        return statistic(pair[:, :width]) - statistic(pair[:, width:])

    others = {name: estimate(np.hstack((of[best], of[name])), less) for name in known if name != best}
    return {"name": best, "less": tested(others)}


def best_words(best: Mapping[str, Any], what: str, title: Callable[[str], str]) -> list[str]:
    """One sentence on `the_best`; none where that is {}."""
    if not best:
        return []
    alike = [title(name) for name, one in best["less"].items() if not is_sure(one)]
    said = (
        f"not significantly larger than that of: {', '.join(alike)}"
        if alike
        else "significantly larger than every other's"
    )
    return [f"The largest {what} is that of {title(best['name'])}, and {said}."]
