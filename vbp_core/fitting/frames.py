"""Labelled frames of a drive, to compare a network's output with: spread over the drive, half of them in curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, Image
from vbp.drives.labels import unit_scale
from vbp.errors import DriveError, VbpError
from vbp.frames.reading import read_frame

FEWEST = 20
CURVES = 0.25  # of the drive's frames, those that are turned furthest, count as curves
FAR_S = 0.5  # a measured angle farther than this from a frame says nothing about it


@dataclass(frozen=True)
class LabelledFrames:
    """N frames in the order of time. indices: (N,) of the drive. times_s: (N,) seconds. angle_deg: (N,) measured, left positive.

    images: N uint8 RGB pictures (H, W, 3). labels: of all labelled frames of the drive, seconds and degrees, for
    angles at other times. unit_deg: what 1 is in the recording's own unit, in degrees; NaN where it has none.
    """

    indices: NDArray[np.int64]
    times_s: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    images: list[Image]
    labels: tuple[NDArray[np.float64], NDArray[np.float64]]
    unit_deg: float = float("nan")

    def __len__(self) -> int:
        return len(self.indices)

    def later(self, delay_s: float) -> NDArray[np.float64]:
        """(N,) the angles measured `delay_s` after each frame, degrees; NaN where none was measured near that time."""
        times, angles = self.labels
        at = self.times_s + delay_s
        found = np.interp(at, times, angles, left=np.nan, right=np.nan)
        after = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
        far = np.maximum(at - times[after - 1], times[after] - at) > FAR_S
        return np.where(far, np.nan, found)


def choose_labelled(
    drive: Drive, count: int = 50, keep_on: Callable[[], bool] = lambda: True
) -> LabelledFrames:
    """`count` labelled frames (or all, where there are fewer) with their pictures; a frame that cannot be shown is left out.

    keep_on: asked before every picture is read; where it says False, what was read so far is taken. Raises VbpError for a
    drive without angles, with the same angle everywhere, or with fewer than FEWEST frames that have both.
    """
    angles = np.degrees(drive.angle_rad)
    usable = np.isfinite(angles)
    path = drive.info.path
    if not usable.any():
        raise VbpError(
            f"{path} has no measured steering angles to compare with; give a recording that has them (vbp info)"
        )
    labels = (_seconds(drive)[usable], angles[usable])
    for gap in drive.info.gaps:
        usable[gap.first : gap.last + 1] = False
    images: dict[int, Image] = {}
    wanted = _spread(np.flatnonzero(usable), np.abs(angles), count)
    for i in wanted:
        if not keep_on():
            break
        if (image := read_frame(drive, int(i)).image) is not None:
            images[int(i)] = image
    if len(images) < FEWEST:
        raise VbpError(
            f"{path} has {len(images)} frames with a picture and a measured angle, and at least {FEWEST} are needed to compare "
            "with; give a longer recording"
        )
    at = np.array(sorted(images), dtype=np.int64)
    if np.ptp(angles[at]) == 0:
        raise VbpError(
            f"{path} has the same angle ({angles[at[0]]:.3g}°) at every frame, so nothing can be compared with it; give a recording "
            "with curves"
        )
    unit = drive.info.angle_unit
    return LabelledFrames(
        at, _seconds(drive)[at], angles[at], [images[int(i)] for i in at], labels, _unit_deg(unit)
    )


def _seconds(drive: Drive) -> NDArray[np.float64]:
    times = drive.timestamps_ns
    return np.asarray((times - times[0]) / 1e9, dtype=np.float64)


def _unit_deg(unit: str) -> float:
    try:
        return math.degrees(unit_scale(unit))
    except DriveError:
        return math.nan


def _spread(usable: NDArray[np.int64], turned: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Half of `count` evenly over the frames, the rest evenly over those in curves; without double ones, in order."""
    if len(usable) <= count:
        return usable
    furthest = np.argsort(-turned[usable], kind="stable")[: max(1, int(CURVES * len(usable)))]
    curves = usable[np.sort(furthest)]
    chosen = set(_evenly(usable, count - count // 2).tolist())
    chosen |= set(_evenly(curves, count // 2).tolist())
    rest = np.array([i for i in usable.tolist() if i not in chosen], dtype=np.int64)
    chosen |= set(_evenly(rest, count - len(chosen)).tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def _evenly(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(values) <= count:
        return values
    return values[np.linspace(0, len(values) - 1, count).round().astype(np.int64)] if count else values[:0]
