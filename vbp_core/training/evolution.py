"""Figures 5 and 14: what a network looked at, on the same frame, from its first steps to its last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vbp.drives.base import Drive, Image
from vbp.engine import Engine
from vbp.figure import Tile, angle_words, class_words, error_words, frame_of, sheet
from vbp.frames import run_frame
from vbp.frames.sampling import drive_usual
from vbp.frames.strengths import Usual, weights
from vbp.overlay import PAPER, grey_to_rgb, lay
from vbp.results import FrameRequest, FrameResult, Map, NetworkResult
from vbp.training.folder import Checkpoint


def evolve(
    checkpoints: Sequence[Checkpoint], drive: Drive, frames: Sequence[int], device: str = "auto"
) -> tuple[list[FrameResult], Usual | None]:
    """`frames` of the drive with a result, and VisualBackProp's mask, of each checkpoint; and what masks are usual for the last one.

    Raises VbpError, naming the frame.
    """
    usual = None
    found = [frame_of(drive, n) for n in frames]
    request = FrameRequest(strict=True)
    for checkpoint in checkpoints:
        # One network at a time: all of a run's together may not fit.
        engine = Engine(checkpoint.load(), device)
        for k, frame in enumerate(found):
            (result,) = run_frame(frame, [engine], request).results
            found[k] = replace(frame, results=(*frame.results, replace(result, trace=None)))
        if checkpoint is checkpoints[-1]:
            usual = drive_usual(drive, engine)
    return found, usual


def draw(
    frames: Sequence[FrameResult], epochs: Sequence[float], title: str, usual: Usual | None = None
) -> Image:
    """The figure: for each frame the input, the masks by age, and the last one laid over the input in red.

    epochs: after which the network made each of a frame's results. usual: of the last one's masks; those weak by that fade.
    """
    height, width = frames[0].results[0].input.shape[:2]
    columns = _columns(len(epochs) + 2, height, width)
    return sheet(title, [_block(frame, epochs, columns, usual) for frame in frames])


def _columns(tiles: int, height: int, width: int) -> int:
    """As in the paper two rows of four, but for wide crops four rows of two, which keep their size on a page."""
    lines = -(-tiles // (2 if width > 3.6 * height else 4))
    return -(-tiles // lines)


def _block(
    frame: FrameResult, epochs: Sequence[float], columns: int, usual: Usual | None
) -> list[list[Tile]]:
    last = frame.results[-1]
    picture = grey_to_rgb(last.input)
    truth = angle_words(", driven", frame.driven_rad)
    if last.classes is not None:
        truth = f", {last.classes.label_name}" if last.classes.label_name else ""
    tiles = [Tile(f"frame {frame.index}{truth}", picture)]
    for epoch, result in zip(epochs, frame.results, strict=True):  # alone, as in the paper: no overlay
        grey = np.asarray(np.clip(_mask(result), 0, 1) * 255 + 0.5, dtype=np.uint8)
        tiles.append(Tile(_words(epoch, result), grey_to_rgb(grey)))
    error = error_words(", error", frame.driven_rad, last.angle_rad)
    doubt = usual.short(last.strength, last.spread) if usual is not None else ""
    words = "; ".join(filter(None, (doubt, f"the last mask over the input{error}")))
    weighed = weights(last.strength, usual, PAPER)
    tiles.append(Tile(words, lay(picture, _mask(last), None, PAPER, *weighed)))
    return [tiles[n : n + columns] for n in range(0, len(tiles), columns)]


def _mask(result: NetworkResult) -> Map:
    (mask,) = result.maps.values()
    return mask


def _words(epoch: float, result: NetworkResult) -> str:
    found = angle_words(", predicted", result.angle_rad)
    if result.classes is not None:
        found = f", {class_words(result.classes)}"
    return f"{epoch:g} epoch{'' if epoch == 1 else 's'}{found}"
