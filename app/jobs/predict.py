"""Predictions of a whole drive, behind everything else, so that the plot and the error strip are complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.jobs.worker import Worker
from vbp.comparing.pair import PairTable
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.frames import run_frames
from vbp.frames.strengths import sample_of
from vbp.frames.table import FrameTable
from vbp.results import FrameRequest

if TYPE_CHECKING:
    from vbp.models.network import Network
    from vbp.overlay import Rect

TELL_EVERY_S = 0.3


@dataclass(frozen=True)
class PredictRequest:
    """Frames `first` to `last` of the recording at `path`, by the very networks that the window shows.

    table: where the first network's predictions go; pair: where those of both go, of two. Nobody takes any out, so they may be
    filled from two threads.
    crop: what the networks see, in the frame's pixels. busy: what comes first; meanwhile nothing is predicted.
    """

    path: Path
    options: OpenOptions
    networks: Sequence[Network]
    table: FrameTable
    pair: PairTable | None
    device: str
    crop: Rect | None
    first: int
    last: int
    busy: Callable[[], bool]
    sample: bool = False  # of these frames only those that stand for the drive


@dataclass(frozen=True)
class Predicted:
    """Frames first to last (not included) are in the table; `done` of `total` so far."""

    first: int
    last: int
    done: int
    total: int


def predict(request: PredictRequest, worker: Worker[PredictRequest]) -> None:
    """It opens the recording a second time, and engines of its own, so that it shares nothing with the playback."""
    from vbp.engine import Engine

    engines = [Engine(network, device=request.device, crop=request.crop) for network in request.networks]
    try:
        with open_drive(request.path, request.options) as drive:
            indices: Sequence[int] = range(request.first, min(request.last, len(drive) - 1) + 1)
            if request.sample:
                indices = sample_of(len(drive)).tolist()
            else:  # what is known already need not be said again
                known = (request.table if request.pair is None else request.pair.b).known
                indices = [i for i in indices if not known[i]]
            started, last_told = request.first, time.monotonic()
            with closing(run_frames(drive, engines, FrameRequest(), indices)) as frames:
                for done, frame in enumerate(frames, 1):
                    worker.rest_while(request.busy)
                    request.table.add(frame)
                    if request.pair is not None:
                        request.pair.add(frame)
                    end = frame.index + 1
                    if time.monotonic() - last_told > TELL_EVERY_S or done == len(indices):
                        worker.tell(Predicted(started, end, done, len(indices)))
                        started, last_told = end, time.monotonic()
    finally:
        for engine in engines:
            engine.close()
