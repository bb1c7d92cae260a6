"""How much of one network's mask lies where the other's does, though they see different parts of the picture at different sizes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.overlay import Rect
from vbp.results import Map, NetworkResult

CELLS = (
    64  # along the picture's longer side: what lies in the same cell, 10 pixels of 640, is at the same place
)
Floats = NDArray[np.float64]


def masks_differ(a: NetworkResult, b: NetworkResult, width: int, height: int) -> float:
    """The share, 0 to 1, of one mask that is not where the other one is, in a picture of `width` x `height` pixels.

    Of VisualBackProp's masks, each with a sum of 1 over the picture: half the sum of |a - b|, so that neither their
    strength counts nor a threshold; a place that only one network sees is one where only one can look. Masks that are
    the same differ by exactly 0, two that are all zero, too; one that is, and one that is not, by 1. NaN where one is not known.
    """
    mask_a, mask_b = a.map(), b.map()
    if mask_a is None or mask_b is None or math.isnan(a.strength) or math.isnan(b.strength):
        return math.nan
    one = _shares(in_picture(mask_a, a.crop, width, height))
    other = _shares(in_picture(mask_b, b.crop, width, height))
    if one is None or other is None:
        return 0.0 if one is other else 1.0
    return min(0.5 * float(np.abs(one - other).sum()), 1.0)


def in_picture(mask: Map, crop: Rect, width: int, height: int) -> Floats:
    """|mask| (h, w), which covers `crop` of a picture, summed over cells of the whole picture; 0 outside of the crop.

    Each number of the mask is spread evenly over the pixels that it stands for: the sum stays the same.
    """
    # By sums up to each corner, and not as a product of matrices, whose threads would wait for each other on busy cores.
    sums = np.asarray(cv2.integral(np.abs(mask), sdepth=cv2.CV_64F), dtype=np.float64)
    cell = max(width, height) / CELLS
    rows = _at_edges(sums, crop.y, crop.height, height, cell)
    corners = _at_edges(rows.T, crop.x, crop.width, width, cell).T
    return np.maximum(np.diff(np.diff(corners, axis=0), axis=1), 0.0)


def _at_edges(sums: Floats, first: int, length: int, whole: int, cell: float) -> Floats:
    """(edges of the cells of [0, whole), k): sums (n + 1, k) up to each of n equal pieces of [first, first + length), up to each edge."""
    count = len(sums) - 1
    edges = np.arange(max(1, math.ceil(whole / cell - 1e-9)) + 1) * cell
    at = np.clip((edges - first) * (count / length), 0, count)
    below = np.minimum(at.astype(np.int64), count - 1)
    return np.asarray(sums[below] + (at - below)[:, None] * (sums[below + 1] - sums[below]), dtype=np.float64)


def _shares(cells: Floats) -> Floats | None:
    """With a sum of 1; None of an empty mask."""
    total = float(cells.sum())
    return cells / total if total > 0 else None
