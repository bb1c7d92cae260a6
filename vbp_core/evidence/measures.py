"""Similarity of two maps, and statistics of a few numbers: mean, interval, area."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EDGES = "edges of the image"  # the baseline, among maps by name
WINDOW, SIGMA = 11, 1.5  # of SSIM
C1, C2 = 0.01**2, 0.03**2


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation of all values; NaN where one of the two is constant."""
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (a, b))
    if x.min() == x.max() or y.min() == y.max():
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def ranks(values: ArrayLike) -> Floats:
    """The rank of each value, from 0; equal ones share the mean of their ranks."""
    _, place, count = np.unique(np.asarray(values).ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count + 1) / 2)[place.ravel()], dtype=np.float64)


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation of all values; NaN where one of the two is constant."""
    return pearson(ranks(a), ranks(b))


def ssim(a: ArrayLike, b: ArrayLike) -> float:
    """Structural similarity of two maps (h, w) in [0, 1] (Wang et al. 2004, Eq. 13), of the mean window.

    Gaussian windows of 11 x 11 with sigma 1.5 that lie wholly in the map, K1 = 0.01, K2 = 0.03. Maps smaller than
    a window are NaN.
    """
    x, y = (np.asarray(v, dtype=np.float64) for v in (a, b))
    if min(x.shape) < WINDOW:
        return float("nan")
    mx, my = _blur(x), _blur(y)
    vx, vy, cov = _blur(x * x) - mx * mx, _blur(y * y) - my * my, _blur(x * y) - mx * my
    each = ((2 * mx * my + C1) * (2 * cov + C2)) / ((mx * mx + my * my + C1) * (vx + vy + C2))
    return float(each.mean())


def _blur(x: Floats) -> Floats:
    half = WINDOW // 2
    out = cv2.GaussianBlur(x, (WINDOW, WINDOW), SIGMA)
    return np.asarray(out[half:-half, half:-half], dtype=np.float64)


def edges(image: ArrayLike) -> Floats:
    """The size of the grey gradient (3 x 3 Sobel) of an image (h, w) or (h, w, 3)."""
    grey = np.asarray(image, dtype=np.float64)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    return np.asarray(
        np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)), dtype=np.float64
    )


def mean(values: Sequence[float] | NDArray[np.floating]) -> float:
    """Of the finite ones; NaN where there is none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")


def area(x: Sequence[float] | NDArray[np.floating], y: Sequence[float] | NDArray[np.floating]) -> float:
    """The area under the straight lines through (x, y), divided by the length of x: the curve's mean height."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return float((np.diff(xs) * (ys[1:] + ys[:-1]) / 2).sum() / (xs[-1] - xs[0]))
