"""Figures 5 and 14: what a network looked at, on the same frame, from its first steps to its last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, Image
from vbp.engine import Engine
from vbp.figure import Tile, angle_words, frame_of, sheet
from vbp.frames import run_frame
from vbp.overlay import blend, grey_to_rgb
from vbp.results import FrameRequest
from vbp.training.folder import Checkpoint


@dataclass(frozen=True)
class Moment:
    """A frame seen by one checkpoint: its mask (h, w) in [0, 1] and the angle it wanted, radians, left positive."""

    epoch: float
    mask: NDArray[np.float32]
    angle_rad: float


@dataclass(frozen=True)
class Row:
    """One frame through all checkpoints. input: what the network saw, (h, w) or (h, w, 3) uint8."""

    frame: int
    driven_rad: float
    input: NDArray[np.uint8]
    moments: tuple[Moment, ...]


def evolve(
    checkpoints: Sequence[Checkpoint], drive: Drive, frames: Sequence[int], device: str = "auto"
) -> list[Row]:
    """The masks of `frames` through each checkpoint, oldest first. Raises VbpError, naming the frame."""
    pictures = [frame_of(drive, n) for n in frames]
    request = FrameRequest(strict=True)
    moments: list[list[Moment]] = [[] for _ in frames]
    inputs: list[NDArray[np.uint8]] = []
    for checkpoint in checkpoints:
        # One network at a time: all of a run's together may not fit.
        engine = Engine(checkpoint.load(), device)
        results = [run_frame(frame, [engine], request).results[0] for frame in pictures]
        inputs = [result.input for result in results]
        for found, result in zip(moments, results, strict=True):
            found.append(Moment(checkpoint.epoch, result.maps[request.maps[0]], result.angle_rad))
    return [
        Row(n, float(drive.angle_rad[n]), seen, tuple(found))
        for n, seen, found in zip(frames, inputs, moments, strict=True)
    ]


def draw(rows: Sequence[Row], title: str) -> Image:
    """The figure: for each frame the input, the masks by age, and the last one laid over the input in red."""
    height, width = rows[0].input.shape[:2]
    columns = _columns(len(rows[0].moments) + 2, height, width)
    return sheet(title, [_block(row, columns) for row in rows])


def _columns(tiles: int, height: int, width: int) -> int:
    """As in the paper two rows of four, but for wide crops four rows of two, which keep their size on a page."""
    lines = -(-tiles // (2 if width > 3.6 * height else 4))
    return -(-tiles // lines)


def _block(row: Row, columns: int) -> list[list[Tile]]:
    picture = grey_to_rgb(row.input)
    tiles = [Tile(f"frame {row.frame}{angle_words(', driven', row.driven_rad)}", picture)]
    for moment in row.moments:
        grey = np.asarray(np.clip(moment.mask, 0, 1) * 255 + 0.5, dtype=np.uint8)
        tiles.append(Tile(_epochs(moment), grey_to_rgb(grey)))
    last = row.moments[-1]
    error = row.driven_rad - last.angle_rad
    label = f"the last mask over the input{angle_words(', error', error)}"
    tiles.append(Tile(label, blend(picture, last.mask)))
    return [tiles[n : n + columns] for n in range(0, len(tiles), columns)]


def _epochs(moment: Moment) -> str:
    plural = "" if moment.epoch == 1 else "s"
    return f"{moment.epoch:g} epoch{plural}{angle_words(', predicted', moment.angle_rad)}"
