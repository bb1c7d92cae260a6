"""Which frames of a drive are trained on, and which are kept out to test on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.drives.labels import speed_filter
from vbp.errors import VbpError
from vbp.frames.choosing import parse_frames
from vbp.readable import signed
from vbp.training.recipe import Recipe


@dataclass(frozen=True)
class Chosen:
    """Frames (indices of the drive, sorted, int64) to train and to test on, and what was said on the way."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def choose(drive: Drive, recipe: Recipe, test: str | None = None) -> Chosen:
    """Labelled frames faster than the recipe's speed; a block of them to test on, and a gap around it.

    test: frames "A:B" of the drive to test on ("" for none); without it, the last `test_fraction` of
    what can be used. No frame to train on lies within `test_gap_s` of a frame to test on: neighbours
    are nearly the same picture. Raises VbpError where nothing can be learnt.
    """
    name = drive.info.path
    notes = []
    usable = np.isfinite(drive.angle_rad)
    if not usable.any():
        raise VbpError(f"{name} has no measured steering angle, so nothing can be learnt from it")
    if np.isfinite(drive.speed_mps).any():
        usable &= speed_filter(drive.speed_mps, recipe.min_speed)
        if not usable.any():
            raise VbpError(
                f"no labelled frame of {name} is faster than {recipe.min_speed:g} m/s; lower --min-speed"
            )
    else:
        notes.append(f"{name} has no speed: all its labelled frames are used, slow ones included")
    indices = np.flatnonzero(usable).astype(np.int64)
    if len(indices) == 1:
        raise VbpError(f"{name} has one frame that can be learnt from; a network needs many")
    if np.ptp(drive.angle_rad[indices]) == 0:
        angle = np.degrees(drive.angle_rad[indices[0]])
        raise VbpError(
            f"the steering angle of {name} is {signed(angle, 2)}° on every frame: nothing to learn"
        )
    held = _test_frames(len(drive), indices, recipe.test_fraction, test)
    times = drive.timestamps_ns
    gap_ns = int(recipe.test_gap_s * 1e9)
    train = indices[far_from(times[indices], times[held], gap_ns) & ~np.isin(indices, held)]
    return Chosen(train, held, tuple(notes))


def _test_frames(
    length: int, indices: NDArray[np.int64], fraction: float, test: str | None
) -> NDArray[np.int64]:
    if test is None:
        count = round(len(indices) * fraction)
        return indices[len(indices) - count :]
    if test.strip() == "":
        return indices[:0]
    block = np.array(parse_frames(test, length), dtype=np.int64)
    held = indices[np.isin(indices, block)]
    if not len(held):
        raise VbpError(f"--test {test} holds no labelled frame that is fast enough")
    return held


def far_from(times_ns: NDArray[np.int64], others_ns: NDArray[np.int64], gap_ns: int) -> NDArray[np.bool_]:
    """Which of `times_ns` (N,) have no time of `others_ns` (M,) closer than `gap_ns`; both sorted."""
    if not len(others_ns):
        return np.ones(len(times_ns), dtype=np.bool_)
    right = np.searchsorted(others_ns, times_ns)
    to_right = np.abs(others_ns[np.minimum(right, len(others_ns) - 1)] - times_ns)
    to_left = np.abs(times_ns - others_ns[np.maximum(right - 1, 0)])
    return np.asarray(np.minimum(to_left, to_right) >= gap_ns)


def describe_frames(indices: NDArray[np.int64]) -> str:
    """ "0 to 2063 and 2400 to 2806": the blocks, however many frames the filters dropped inside (gaps over 100)."""
    if not len(indices):
        return "none"
    cuts = np.flatnonzero(np.diff(indices) > 100)
    starts = indices[np.concatenate([[0], cuts + 1])]
    ends = indices[np.concatenate([cuts, [len(indices) - 1]])]
    blocks = [f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    return " and ".join(blocks) if len(blocks) <= 4 else f"{starts[0]} to {ends[-1]} in {len(blocks)} blocks"
