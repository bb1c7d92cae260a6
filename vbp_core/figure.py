"""Figures as the paper prints them: pictures in rows, a line of words over each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.classes import UNKNOWN, class_name, labels_for
from vbp.drives.base import Drive, Image
from vbp.engine import Engine, Pass
from vbp.errors import FrameError, VbpError
from vbp.explain import METHODS, Target
from vbp.lettering import write
from vbp.overlay import blend, grey_to_rgb

PAPER, INK, QUIET = (255, 255, 255), (25, 25, 25), (105, 105, 105)
MARGIN, LINE, TEXT = 12, 26, 17
LARGEST_SIDE = 8192
SMALL, ENLARGED, WIDE = 160, 2, 1600  # an input up to so many pixels wide is drawn larger


@dataclass(frozen=True)
class Tile:
    """A picture (H, W, 3) uint8 RGB and the words over it."""

    label: str
    picture: Image


def sheet(title: str, blocks: Sequence[Sequence[Sequence[Tile]]]) -> Image:
    """Blocks of rows of tiles under a title, (H, W, 3) uint8. The tiles are of one size.

    Raises VbpError for more than can be drawn.
    """
    tiles = [tile for block in blocks for row in block for tile in row]
    height = max(tile.picture.shape[0] for tile in tiles)
    width = max(tile.picture.shape[1] for tile in tiles)
    columns = max(len(row) for block in blocks for row in block)
    step_y, step_x = height + LINE + MARGIN, width + MARGIN
    inner = columns * step_x + MARGIN
    total = LINE + MARGIN + sum(len(block) * step_y + MARGIN for block in blocks)
    if max(total, inner) > LARGEST_SIDE:
        raise VbpError(f"a figure of {inner}x{total} pixels is too large; give fewer frames")
    canvas: Image = np.full((total, inner, 3), PAPER, dtype=np.uint8)
    write(canvas, title, MARGIN, MARGIN + TEXT, TEXT, INK)
    y = LINE + MARGIN
    for block in blocks:
        for row in block:
            for n, tile in enumerate(row):
                x = n * step_x + MARGIN
                write(canvas, _elided(tile.label, width), x, y + LINE - 7, TEXT - 2, QUIET)
                high, wide = tile.picture.shape[:2]
                canvas[y + LINE : y + LINE + high, x : x + wide] = tile.picture
            y += step_y
        y += MARGIN
    return canvas


def angle_words(words: str, angle_rad: float) -> str:
    """ "words +1.2°", or nothing where the angle is not known."""
    return f"{words} {np.degrees(angle_rad):+.1f}°".replace("-", "−") if np.isfinite(angle_rad) else ""


def picture_of(drive: Drive, frame: int) -> Image:
    """Frame number `frame`. Raises VbpError, naming it, where there is none."""
    if not 0 <= frame < len(drive):
        raise VbpError(
            f"there is no frame {frame}: {drive.info.path} has {len(drive)} (0 to {len(drive) - 1})"
        )
    try:
        return drive.frame(frame)
    except FrameError as error:
        raise VbpError(f"frame {frame} cannot be shown: {error}") from error


def side_by_side(
    drive: Drive,
    engines: Sequence[Engine],
    frames: Sequence[int],
    methods: Sequence[str],
    style: str,
    target: Target | str = "output",
    parameters: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[Image, list[tuple[int, Engine, Pass]]]:
    """Figures 6 to 9 and 15 to 19: for each frame and network the input, and each method's map laid over it.

    target: what is explained (`Engine.target`). parameters: of the methods, by their names.
    A method that cannot explain a network has the picture alone; the pass says why. Returns the figure, and (frame,
    engine, pass) of each row. Raises VbpError, also where there is no map at all.
    """
    passes: list[tuple[int, Engine, Pass]] = []
    for frame in frames:
        picture = picture_of(drive, frame)
        driven = float(drive.angle_rad[frame])
        for engine in engines:
            what = engine.target(target, driven)
            shot = engine.run(picture, methods, target=what, parameters=parameters, strict=False)
            passes.append((frame, engine, shot))
    if not any(shot.maps for _, _, shot in passes):
        raise VbpError(next(iter(passes[0][2].missing.values())))
    size = max(p.input.shape[0] for _, _, p in passes), max(p.input.shape[1] for _, _, p in passes)
    rows = [_row(drive, *one, methods, style, size) for one in passes]
    per_block = len(engines)
    if size[1] <= SMALL and all(
        engine.spec.is_classifier for engine in engines
    ):  # readable, and several frames beside each other as in Figures 10 and 20
        rows = [[replace(tile, picture=_enlarged(tile.picture)) for tile in row] for row in rows]
        beside = max(1, WIDE // sum(tile.picture.shape[1] + MARGIN for tile in rows[0]))
        rows = [list(chain(*rows[n : n + beside])) for n in range(0, len(rows), beside)]
        per_block = len(rows)
    blocks = [rows[n : n + per_block] for n in range(0, len(rows), per_block)]
    names = ", ".join(dict.fromkeys(engine.spec.name for engine in engines))
    return sheet(f"{names}: {', '.join(METHODS[m].title for m in methods)}", blocks), passes


def _row(
    drive: Drive,
    frame: int,
    engine: Engine,
    done: Pass,
    methods: Sequence[str],
    style: str,
    size: tuple[int, int],
) -> list[Tile]:
    seen = grey_to_rgb(done.input)
    driven = float(drive.angle_rad[frame])
    title = f"frame {frame}"
    known, found = angle_words(", driven", driven), angle_words(", error", driven - done.angle_rad)
    if done.probabilities is not None:
        title, known, found = _class_words(drive, frame, engine, done.probabilities), "", ""
    row = [Tile(f"{title}{known}", _framed(seen, size))]
    for k, method in enumerate(methods):
        label = METHODS[method].title
        if k == 0:
            label += f", {engine.spec.name}{found}"
        if method in done.missing:
            row.append(Tile(f"{label}: no map", _framed(seen, size)))
        else:
            row.append(Tile(label, _framed(blend(seen, done.maps[method], style=style), size)))
    return row


def _class_words(drive: Drive, frame: int, engine: Engine, probabilities: NDArray[np.float64]) -> str:
    """What the picture shows, and for what it is taken where that is something else."""
    best, truth = int(probabilities.argmax()), int(labels_for(drive, engine.spec)[frame])
    told = f"{class_name(engine.spec, best)}, {100 * probabilities[best]:.0f} %"
    if truth in (best, UNKNOWN):
        return told
    return f"{class_name(engine.spec, truth)} → {told}"


def _enlarged(picture: Image) -> Image:
    height, width = picture.shape[:2]
    size = (width * ENLARGED, height * ENLARGED)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _elided(text: str, width: int) -> str:
    """As much of a label as stands over a picture of this width."""
    most = int(width / (0.5 * TEXT))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _framed(picture: Image, size: tuple[int, int]) -> Image:
    """In the middle of a white tile, where networks of several sizes stand in one figure."""
    if picture.shape[:2] == size:
        return picture
    tile: Image = np.full((*size, 3), PAPER, dtype=np.uint8)
    height, width = picture.shape[:2]
    tile[:height, :width] = picture
    return tile
