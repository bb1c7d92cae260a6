"""How much of a mask lies on what it should lie on."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from vbp_core.overlay import Rect


def in_crop(classes: NDArray[np.uint8], rect: Rect, shape: tuple[int, int]) -> NDArray[np.intp]:
    """For each cell of a mask of `shape` (h, w) over the crop `rect`: index into classes.ravel() of its middle."""
    height, width = shape
    rows = rect.y + ((np.arange(height) + 0.5) * rect.height / height).astype(np.intp)
    columns = rect.x + ((np.arange(width) + 0.5) * rect.width / width).astype(np.intp)
    return np.asarray(rows[:, None] * classes.shape[1] + columns[None, :])


def energy_on(
    mask: NDArray[np.floating], classes: NDArray[np.uint8], rect: Rect, wanted: Collection[int]
) -> float:
    """How many times more of the mask lies on the wanted classes than their area alone would get.

    mask (h, w): >= 0, over the crop `rect` of the frame, at the network's input size. classes (H, W): of the
    whole frame. wanted: numbers of classes. 1 is what a constant mask scores; NaN where the mask is all zero
    or no wanted pixel is in the crop.
    """
    here = np.isin(classes.ravel()[in_crop(classes, rect, (mask.shape[0], mask.shape[1]))], list(wanted))
    energy = np.clip(np.asarray(mask, dtype=np.float64), 0.0, None)
    total, area = float(energy.sum()), float(here.mean())
    if total <= 0 or area <= 0:
        return float("nan")
    return float(energy[here].sum()) / total / area


def peak_on(
    mask: NDArray[np.floating],
    classes: NDArray[np.uint8],
    rect: Rect,
    wanted: Collection[int],
    share: float = 0.01,
) -> float:
    """The share of the mask's strongest pixels (the top `share` of the crop) that lie on the wanted classes.

    NaN where the mask is all zero.
    """
    here = np.isin(classes.ravel()[in_crop(classes, rect, (mask.shape[0], mask.shape[1]))], list(wanted))
    flat = np.asarray(mask, dtype=np.float64).ravel()
    if flat.max() <= 0:
        return float("nan")
    count = max(1, round(share * flat.size))
    strongest = np.argpartition(flat, -count)[-count:]
    return float(here.ravel()[strongest].mean())


def numbers(names: Collection[str], wanted: Collection[str]) -> set[int]:
    """Numbers of the wanted class names."""
    order = list(names)
    return {order.index(name) for name in wanted}
