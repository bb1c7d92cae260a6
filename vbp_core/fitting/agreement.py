"""How well outputs agree with measured angles, and how sure that is when neighbouring frames are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK_S = 5.0  # frames nearer than this to each other count as one observation
FEWEST_BLOCKS = 8
DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Agreement:
    """Of the angles that a specification makes of a network's outputs, with the measured ones.

    frames: how many had both. correlation: of both, NaN where one is constant; interval: its 95 % interval, from
    a bootstrap over blocks of time. rmse_deg: root mean square of driven - predicted, degrees of the steering wheel.
    """

    frames: int
    correlation: float
    interval: tuple[float, float]
    rmse_deg: float


def blocks_of(times_s: Floats) -> NDArray[np.int64]:
    """(N,) the number of the block of time that each frame lies in: of BLOCK_S, or shorter where a drive has too few of them."""
    length = max(min(BLOCK_S, float(np.ptp(times_s)) / FEWEST_BLOCKS), 1e-9)
    numbers = np.floor((times_s - times_s[0]) / length).astype(np.int64)
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def drawn(blocks: NDArray[np.int64], seed: int = 0) -> Floats:
    """(DRAWS, blocks): how often each block is drawn, the blocks drawn with replacement."""
    count = int(blocks.max()) + 1
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)


def correlation(outputs: Floats, angles: Floats) -> Floats:
    """outputs (K, N), angles (N,) -> (K,), 0 where a row of outputs is constant or not finite."""
    return _of_sums(_sums(outputs, angles, np.zeros(outputs.shape[1], dtype=np.int64)))[:, 0]


def resampled(outputs: Floats, angles: Floats, blocks: NDArray[np.int64], draws: Floats) -> Floats:
    """(K, DRAWS) correlations of outputs (K, N) with angles (N,) in the draws; the same draws for all, so that they compare."""
    return _of_sums(_sums(outputs, angles, blocks) @ draws.T)


def _sums(outputs: Floats, angles: Floats, blocks: NDArray[np.int64]) -> Floats:
    """(6, K, blocks): of each block its frames, and the sums and products of outputs and angles."""
    finite = np.isfinite(outputs).all(1, keepdims=True)
    rows = np.where(finite, outputs, 0.0)
    rows = rows - rows.mean(1, keepdims=True)
    largest = np.abs(rows).max(1, keepdims=True)
    rows = np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)
    y = angles - angles.mean()
    one_hot = np.equal(blocks[:, None], np.arange(int(blocks.max()) + 1)).astype(np.float64)
    ones = np.ones_like(rows)
    parts = (ones, rows, y * ones, rows * rows, y * y * ones, rows * y)
    return np.stack([part @ one_hot for part in parts])


def _of_sums(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = sums
    n = np.maximum(n, 1.0)
    spread = np.maximum(xx - x * x / n, 0.0) * np.maximum(yy - y * y / n, 0.0)
    good = spread > 1e-24
    found = np.divide(xy - x * y / n, np.sqrt(spread, where=good, out=np.ones_like(spread)))
    return np.where(good, np.clip(found, -1.0, 1.0), 0.0)


def larger_means(rows: Floats, blocks: NDArray[np.int64], draws: Floats) -> list[bool]:
    """Of rows (K, N): whose mean is larger than the first row's in all but 2.5 % of the draws."""
    one_hot = np.equal(blocks[:, None], np.arange(int(blocks.max()) + 1)).astype(np.float64)
    totals = ((rows - rows[0]) @ one_hot) @ draws.T
    return [bool(low > 0) for low in np.quantile(totals, (1 - LEVEL) / 2, axis=1)]


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of values, a number or two."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def agree(predicted_deg: Floats, angle_deg: Floats, times_s: Floats) -> Agreement:
    """(N,) each, of which those that are not finite are left out."""
    both = np.isfinite(predicted_deg) & np.isfinite(angle_deg)
    predicted, angle, times = predicted_deg[both], angle_deg[both], times_s[both]
    nan = float("nan")
    if not len(angle):
        return Agreement(0, nan, (nan, nan), nan)
    rmse = float(np.sqrt(np.mean((angle - predicted) ** 2)))
    if len(angle) < 3 or np.ptp(predicted) == 0 or np.ptp(angle) == 0:
        return Agreement(len(angle), nan, (nan, nan), rmse)
    blocks = blocks_of(times)
    around = interval(resampled(predicted[None], angle, blocks, drawn(blocks))[0])
    return Agreement(len(angle), float(correlation(predicted[None], angle)[0]), around, rmse)
