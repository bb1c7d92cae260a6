"""Figures as the paper prints them: pictures in rows, a line of words over each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.classes import UNKNOWN
from vbp.drives.base import Drive, Image
from vbp.errors import VbpError
from vbp.explain import METHODS
from vbp.frames import read_frame, run_frame
from vbp.frames.sampling import Sample, sample
from vbp.frames.strengths import Usual, weights
from vbp.lettering import write
from vbp.overlay import PAPER, Overlay, grey_to_rgb, lay
from vbp.readable import shown_error, signed
from vbp.results import (
    VBP,
    ClassPrediction,
    FrameRequest,
    FrameResult,
    MapRequest,
    NetworkResult,
    map_requests,
)

if TYPE_CHECKING:
    from vbp.engine import Engine

log = logging.getLogger(__name__)
WHITE, INK, QUIET = (255, 255, 255), (25, 25, 25), (105, 105, 105)
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
        raise VbpError(
            f"a figure of {inner}x{total} pixels is too large; give fewer --frame, --method or --model"
        )
    canvas: Image = np.full((total, inner, 3), WHITE, dtype=np.uint8)
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
    return f"{words} {signed(float(np.degrees(angle_rad)))}°" if np.isfinite(angle_rad) else ""


def error_words(words: str, driven_rad: float, predicted_rad: float) -> str:
    """The same of driven − predicted, as the two are shown."""
    return angle_words(words, np.radians(shown_error(np.degrees(driven_rad), np.degrees(predicted_rad))))


def frame_of(drive: Drive, frame: int) -> FrameResult:
    """Frame number `frame`. Raises VbpError, naming it, where there is none."""
    if not 0 <= frame < len(drive):
        raise VbpError(
            f"there is no frame {frame}: {drive.info.path} has {len(drive)} (0 to {len(drive) - 1})"
        )
    found = read_frame(drive, frame)
    if found.gap:
        raise VbpError(found.gap)  # a sentence that names the frame
    return found


def side_by_side(
    drive: Drive,
    engines: Sequence[Engine],
    frames: Sequence[int],
    methods: Sequence[str],
    overlay: Overlay = PAPER,
    target: str = "",
    parameters: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[Image, list[FrameResult]]:
    """Figures 6 to 9 and 15 to 19: for each frame and network the input, and each method's map laid over it.

    overlay: how the maps are laid over it; to fade, or for a fixed scale, some frames of the drive are looked at, too.
    target: which output is explained (`parse_target`). parameters: of the methods, by their names.
    A method that cannot explain a network has the picture alone; `missing` says why. Returns the figure, and what each
    network made of each frame. Raises VbpError, also where there is no map at all.
    """
    request = FrameRequest(map_requests(methods, parameters, target))
    seen = [run_frame(frame_of(drive, frame), engines, request) for frame in frames]
    results = [result for frame in seen for result in frame.results]
    if not any(result.maps for result in results):
        raise VbpError(next(iter(results[0].missing.values())))
    size = max(r.input.shape[0] for r in results), max(r.input.shape[1] for r in results)
    wanted = overlay.fade or overlay.fixed
    looked = [sample(drive, engine) if wanted else Sample(None, "") for engine in engines]
    for engine, found in zip(engines, looked, strict=True):
        if found.steady:
            log.warning("%s: %s", engine.name, found.steady)
    rows = [
        _row(frame, result, request.maps, overlay, looked[k].usual, size)
        for frame in seen
        for k, result in enumerate(frame.results)
    ]
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
    return sheet(f"{names}: {', '.join(METHODS[m].title for m in methods)}", blocks), seen


def averaged_maps(
    drive: Drive, engines: Sequence[Engine], frames: Sequence[int]
) -> tuple[Image, list[FrameResult]]:
    """Figure 2b of frames and networks: left the averaged feature map of every layer, from the input down, right the intermediate masks.

    The first row is the input and the final mask. All are drawn at the input's size, white is the largest value.
    Returns the figure, and what each network made of each frame. Raises VbpError where VisualBackProp cannot explain a network.
    """
    request = FrameRequest((MapRequest(VBP),))
    seen = [run_frame(frame_of(drive, frame), engines, request) for frame in frames]
    blocks = []
    for frame in seen:
        for engine, result in zip(engines, frame.results, strict=True):
            if result.missing:
                raise VbpError(next(iter(result.missing.values())))
            height, width = result.input.shape[:2]

            def tile(
                label: str, values: NDArray[np.floating], size: tuple[int, int] = (width, height)
            ) -> Tile:
                grey = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
                grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
                return Tile(label, grey_to_rgb(grey))

            rows = [
                [
                    Tile(f"frame {frame.index}, input of {result.network}", grey_to_rgb(result.input)),
                    tile("the mask", result.maps[request.maps[0]]),
                ]
            ]
            for layer in engine.layers(result):
                high, wide = layer.feature_map.shape
                label = f"{layer.name}: {layer.channels} maps of {wide}×{high}, averaged"
                rows.append([tile(label, layer.feature_map), tile("intermediate mask", layer.mask)])
            blocks.append(rows)
    names = ", ".join(dict.fromkeys(engine.spec.name for engine in engines))
    return sheet(f"{names}: averaged feature maps, from the input to the output", blocks), seen


def _row(
    frame: FrameResult,
    result: NetworkResult,
    maps: Sequence[MapRequest],
    overlay: Overlay,
    usual: Usual | None,
    size: tuple[int, int],
) -> list[Tile]:
    seen = grey_to_rgb(result.input)
    title = f"frame {frame.index}"
    known = angle_words(", driven", frame.driven_rad)
    found = error_words(", error", frame.driven_rad, result.angle_rad)
    if result.classes is not None:
        title, known, found = class_words(result.classes), "", ""
    row = [Tile(f"{title}{known}", _framed(seen, size))]
    for k, wanted in enumerate(maps):
        label = METHODS[wanted.method].title
        if k == 0:
            label += f", {result.network}{found}"
        if wanted in result.missing:
            row.append(Tile(f"{label}: no map", _framed(seen, size)))
        else:
            own = wanted.method == VBP
            doubt = usual.short(result.strength, result.spread) if own and usual is not None else ""
            label = "; ".join(filter(None, (doubt, label)))
            weighed = weights(result.strength, usual, overlay, own)
            row.append(Tile(label, _framed(lay(seen, result.maps[wanted], None, overlay, *weighed), size)))
    return row


def class_words(classes: ClassPrediction) -> str:
    """What the picture shows, and for what it is taken where that is something else."""
    predicted = f"{classes.name}, {100 * classes.probability:.0f} %"
    if classes.label in (classes.number, UNKNOWN):
        return predicted
    return f"{classes.label_name} → {predicted}"


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
    tile: Image = np.full((*size, 3), WHITE, dtype=np.uint8)
    height, width = picture.shape[:2]
    tile[:height, :width] = picture
    return tile
