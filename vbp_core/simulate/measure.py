"""How much of a mask lies on what it should lie on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.overlay import Rect
from vbp.simulate.truth import Truth


def in_crop(classes: NDArray[np.uint8], rect: Rect, shape: tuple[int, int]) -> NDArray[np.intp]:
    """For each cell of a mask of `shape` (h, w) over the crop `rect`: index into classes.ravel() of its middle."""
    height, width = shape
    rows = rect.y + ((np.arange(height) + 0.5) * rect.height / height).astype(np.intp)
    columns = rect.x + ((np.arange(width) + 0.5) * rect.width / width).astype(np.intp)
    return np.asarray(rows[:, None] * classes.shape[1] + columns[None, :])


def energy_on(
    mask: NDArray[np.floating], classes: NDArray[np.uint8], rect: Rect, chosen: Collection[int]
) -> float:
    """How many times more of the mask lies on the chosen classes than their area alone would get.

    mask (h, w): >= 0, over the crop `rect` of the frame, at the network's input size. classes (H, W): of the
    whole frame. chosen: numbers of classes. 1 is what a constant mask scores; NaN where the mask is all zero
    or no pixel of them is in the crop.
    """
    here = np.isin(classes.ravel()[in_crop(classes, rect, (mask.shape[0], mask.shape[1]))], list(chosen))
    energy = np.clip(np.asarray(mask, dtype=np.float64), 0.0, None)
    total, area = float(energy.sum()), float(here.mean())
    if total <= 0 or area <= 0:
        return float("nan")
    return float(energy[here].sum()) / total / area


def peak_on(
    mask: NDArray[np.floating],
    classes: NDArray[np.uint8],
    rect: Rect,
    chosen: Collection[int],
    share: float = 0.01,
) -> float:
    """The share of the mask's strongest pixels (the top `share` of the crop) that lie on the chosen classes.

    NaN where the mask is all zero.
    """
    here = np.isin(classes.ravel()[in_crop(classes, rect, (mask.shape[0], mask.shape[1]))], list(chosen))
    flat = np.asarray(mask, dtype=np.float64).ravel()
    if flat.max() <= 0:
        return float("nan")
    count = max(1, round(share * flat.size))
    strongest = np.argpartition(flat, -count)[-count:]
    return float(here.ravel()[strongest].mean())


def numbers(names: Collection[str], chosen: Collection[str]) -> set[int]:
    """Numbers of the named classes."""
    order = list(names)
    return {order.index(name) for name in chosen}


@dataclass(frozen=True)
class Share:
    """How one kind of pixel fares, over the frames measured. Shares are of the crop, 0..1; NaN where undefined.

    area: its mean share of the crop. energy: its mean share of the mask. times: energy / area (1: as a constant
    mask). strongest: its share of each mask's strongest pixels (the top hundredth), of the mean frame.
    pointed: the share of frames whose strongest pixel is one of it (the pointing game of Zhang et al. 2016).
    """

    name: str
    area: float
    energy: float
    times: float
    strongest: float
    pointed: float


def shares(
    truth: Truth, masks: Iterable[tuple[int, NDArray[np.floating], Rect]], share: float = 0.01
) -> tuple[list[Share], int]:
    """What the masks (frame, (h, w), crop) lie on: "lane markings" first, then each class that is seen, "shadow" last.

    A signed mask counts by its positive part. Returns the shares and the number of frames that count: a mask
    that is zero everywhere points at nothing and is left out. Raises VbpError.
    """
    lanes = numbers(truth.names, truth.lane_markings)
    of_class = len(truth.names)
    sums = np.zeros((of_class + 2, 4))  # area, energy, strongest, pointed; then lane markings and shadow
    frames = 0
    for frame, mask, rect in masks:
        energy = np.clip(np.asarray(mask, dtype=np.float64), 0.0, None).ravel()
        if not energy.sum() > 0:
            continue
        classes = truth.classes(frame)
        where = in_crop(classes, rect, (mask.shape[0], mask.shape[1])).ravel()
        kinds = classes.ravel()[where]
        count = max(1, round(share * energy.size))
        top = np.argpartition(energy, -count)[-count:]
        columns = (
            np.full(energy.size, 1.0 / energy.size),
            energy / energy.sum(),
            np.bincount(top, minlength=energy.size) / len(top),
            np.bincount([int(energy.argmax())], minlength=energy.size).astype(np.float64),
        )
        shadow = truth.shadow(frame).ravel()[where]
        for k, weights in enumerate(columns):
            by_class = np.bincount(kinds, weights, minlength=of_class)[:of_class]
            sums[:of_class, k] += by_class
            sums[of_class, k] += by_class[list(lanes)].sum()
            sums[of_class + 1, k] += weights[shadow].sum()
        frames += 1
    means = sums / max(frames, 1)
    order = [of_class, *range(of_class), of_class + 1]
    titles = [*truth.names, "lane markings", "in shadow"]
    found = []
    for n in order:
        area, lit, strongest, pointed = (float(v) for v in means[n])
        if area > 0:
            found.append(Share(titles[n], area, lit, lit / area, strongest, pointed))
    return found, frames
