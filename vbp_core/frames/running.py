"""Frames through networks: one, or many of a recording, decoded and run ahead of whoever reads them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.edits.follow import Follower
from vbp.errors import ExplainError
from vbp.frames.ahead import ahead
from vbp.frames.editing import edited
from vbp.frames.reading import read_frame
from vbp.results import FrameRequest, FrameResult, NetworkResult

if TYPE_CHECKING:  # it brings torch, which takes seconds, and the window's player reads frames before
    from vbp.engine import Engine, Prepared

BATCH = 4  # on a processor, larger ones fall out of its caches
BATCH_ON_CARD = 32
BATCH_BYTES = 32 * 2**20  # of pictures in one batch; three of them are on their way at a time
CACHE_BYTES = 32 * 2**20  # of decoded pictures, for who goes through a drive once

WAITING = 1  # batches between two threads

Frame = TypeVar("Frame", bound=FrameResult)  # of a camera, it stays one
_Ready = list[tuple[FrameResult, "list[Prepared]"]]  # frames, and each network's input


def run_frame(
    frame: Frame,
    engines: Sequence[Engine],
    request: FrameRequest | None = None,
    follower: Follower | None = None,
) -> Frame:
    """The frame with what each network makes of it; a gap as it is. Raises VbpError (see `Engine.run`).

    follower: that of the frames before, for edits that follow the picture.
    """
    wanted = request or FrameRequest()
    frame = edited(frame, wanted.edits, follower)
    if frame.image is None:
        return frame
    results = [e.run_prepared([e.prepare(frame.image, wanted.crop)], wanted, [frame])[0] for e in engines]
    return replace(frame, results=tuple(results))


def complete_frame(frame: FrameResult, engine: Engine, request: FrameRequest) -> FrameResult:
    """A frame that the engine ran alone, with what the request asks for: what it lacks is made of the same pass.

    Why a map cannot be is in `missing`. Another thread than the engine's may call it. A gap stays as it is.
    """
    from vbp.explain.registry import unavailable_reason

    if (result := frame.result) is None:
        return frame
    maps, strengths, spreads, missing = {}, {}, {}, {}
    for wanted in request.maps:
        try:
            if wanted in result.maps:
                of = result.maps[wanted], result.strengths[wanted], result.spreads[wanted]
            else:
                of = engine.explain_measured(result, wanted, frame.driven_rad)
            maps[wanted], strengths[wanted], spreads[wanted] = of
        except ExplainError as error:
            missing[wanted] = unavailable_reason(wanted.method, error)
    layers = engine.layers(result) if request.layers else ()
    done = replace(result, maps=maps, strengths=strengths, spreads=spreads, missing=missing, layers=layers)
    return replace(frame, results=(done,))


def run_frames(
    drive: Drive,
    engines: Sequence[Engine],
    request: FrameRequest | None = None,
    indices: Sequence[int] | NDArray[np.int64] | None = None,
) -> Generator[FrameResult, None, None]:
    """Those frames of `drive` (default: all), in that order, through every network, a batch at a time; gaps as gaps.

    An engine that is given twice runs once.
    Decoding, the networks and the reader run at the same time, with a bounded number of frames between them. Until it
    is read to its end or closed, the drive belongs to the decoding thread and the engines to the other one.
    Raises VbpError (see `Engine.run`).
    """
    wanted = request or FrameRequest()
    chosen = range(len(drive)) if indices is None else indices
    size = max(1, drive.info.width * drive.info.height * 3)
    most = BATCH if all(e.device == "cpu" for e in engines) else BATCH_ON_CARD
    step = max(1, min(most, BATCH_BYTES // size))
    return ahead(_run(drive, engines, wanted, chosen, step), 2 * step, "vbp-network")


def _run(
    drive: Drive,
    engines: Sequence[Engine],
    request: FrameRequest,
    indices: Sequence[int] | NDArray[np.int64],
    step: int,
) -> Generator[FrameResult, None, None]:
    with closing(ahead(_read(drive, engines, request, indices, step), WAITING, "vbp-decode")) as batches:
        for batch in batches:
            yield from _run_batch(batch, engines, request)


def _read(
    drive: Drive,
    engines: Sequence[Engine],
    request: FrameRequest,
    indices: Sequence[int] | NDArray[np.int64],
    step: int,
) -> Generator[_Ready, None, None]:
    follower = Follower()
    for start in range(0, len(indices), step):
        batch: _Ready = []
        for i in indices[start : start + step]:
            frame = edited(read_frame(drive, int(i), request.encoded), request.edits, follower)
            seen = frame.image
            inputs = [] if seen is None else [e.prepare(seen, request.crop) for e in engines]
            batch.append((frame, inputs))
        yield batch


def _run_batch(batch: _Ready, engines: Sequence[Engine], request: FrameRequest) -> Iterator[FrameResult]:
    good = [(frame, inputs) for frame, inputs in batch if frame.image is not None]
    of_network: dict[Engine, list[NetworkResult]] = {}
    for k, engine in enumerate(engines):
        if engine not in of_network:
            prepared = [inputs[k] for _, inputs in good]
            of_network[engine] = engine.run_prepared(prepared, request, [frame for frame, _ in good])
    results = iter(zip(*(of_network[engine] for engine in engines), strict=True))
    for frame, _ in batch:
        yield frame if frame.image is None or not engines else replace(frame, results=next(results))
