"""Figures 5 and 14: what a network looked at, on the same frame, from its first steps to its last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp_core.drives.base import Drive, Image
from vbp_core.engine import Engine
from vbp_core.errors import FrameError, VbpError
from vbp_core.overlay import blend, grey_to_rgb
from vbp_core.training.folder import Checkpoint
from vbp_core.training.lettering import write

METHOD = "visualbackprop"
PAPER, INK, QUIET = (255, 255, 255), (25, 25, 25), (105, 105, 105)
MARGIN, LINE, TEXT = 12, 26, 17
LARGEST_SIDE = 8192


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
    pictures = []
    for n in frames:
        if not 0 <= n < len(drive):
            raise VbpError(
                f"there is no frame {n}: {drive.info.path} has {len(drive)} (0 to {len(drive) - 1})"
            )
        try:
            pictures.append(drive.frame(n))
        except FrameError as error:
            raise VbpError(f"frame {n} cannot be shown: {error}") from error
    moments: list[list[Moment]] = [[] for _ in frames]
    inputs: list[NDArray[np.uint8]] = []
    for checkpoint in checkpoints:
        # One network at a time: all of a run's together may not fit.
        engine = Engine(checkpoint.load(), device)
        passes = [engine.run(picture, (METHOD,)) for picture in pictures]
        inputs = [done.input for done in passes]
        for found, done in zip(moments, passes, strict=True):
            found.append(Moment(checkpoint.epoch, done.maps[METHOD], done.angle_rad))
    return [
        Row(n, float(drive.angle_rad[n]), seen, tuple(found))
        for n, seen, found in zip(frames, inputs, moments, strict=True)
    ]


def draw(rows: Sequence[Row], title: str) -> Image:
    """The figure: for each frame the input, the masks by age, and the last one laid over the input in red."""
    height, width = rows[0].input.shape[:2]
    columns = _columns(len(rows[0].moments) + 2, height, width)
    blocks = [_block(row, columns, height, width) for row in rows]
    inner = columns * width + (columns + 1) * MARGIN
    total = LINE + MARGIN + sum(b.shape[0] for b in blocks)
    if max(total, inner) > LARGEST_SIDE:
        raise VbpError(f"a figure of {inner}x{total} pixels is too large; give fewer frames")
    canvas: Image = np.full((total, inner, 3), PAPER, dtype=np.uint8)
    write(canvas, title, MARGIN, MARGIN + TEXT, TEXT, INK)
    y = LINE + MARGIN
    for block in blocks:
        canvas[y : y + block.shape[0]] = block
        y += block.shape[0]
    return canvas


def _columns(tiles: int, height: int, width: int) -> int:
    """As in the paper two rows of four, but for wide crops four rows of two, which keep their size on a page."""
    lines = -(-tiles // (2 if width > 3.6 * height else 4))
    return -(-tiles // lines)


def _block(row: Row, columns: int, height: int, width: int) -> Image:
    picture = grey_to_rgb(row.input)
    tiles: list[tuple[str, Image]] = [(f"frame {row.frame}{_angle(', driven', row.driven_rad)}", picture)]
    for moment in row.moments:
        grey = np.asarray(np.clip(moment.mask, 0, 1) * 255 + 0.5, dtype=np.uint8)
        tiles.append((_epochs(moment), grey_to_rgb(grey)))
    last = row.moments[-1]
    error = row.driven_rad - last.angle_rad
    tiles.append((f"the last mask over the input{_angle(', error', error)}", blend(picture, last.mask)))
    lines = -(-len(tiles) // columns)
    step_y, step_x = height + LINE + MARGIN, width + MARGIN
    canvas: Image = np.full((lines * step_y + MARGIN, columns * step_x + MARGIN, 3), PAPER, dtype=np.uint8)
    for n, (label, tile) in enumerate(tiles):
        y, x = (n // columns) * step_y, (n % columns) * step_x + MARGIN
        write(canvas, label, x, y + LINE - 7, TEXT - 2, QUIET)
        canvas[y + LINE : y + LINE + height, x : x + width] = tile
    return canvas


def _epochs(moment: Moment) -> str:
    plural = "" if moment.epoch == 1 else "s"
    return f"{moment.epoch:g} epoch{plural}{_angle(', predicted', moment.angle_rad)}"


def _angle(words: str, angle_rad: float) -> str:
    return f"{words} {np.degrees(angle_rad):+.1f}°".replace("-", "−") if np.isfinite(angle_rad) else ""
