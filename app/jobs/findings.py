"""The findings of the open recording: of what was predicted so far, or of a pass over all frames with their masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.jobs.worker import Worker
from vbp.drives.base import Drive, OpenOptions
from vbp.drives.opening import open_drive
from vbp.findings.find import Findings, find
from vbp.findings.finding import Observed
from vbp.findings.observe import observe, observed_of, request_for
from vbp.frames import run_frames
from vbp.frames.table import FrameTable
from vbp.results import FrameResult

if TYPE_CHECKING:
    from vbp.models.network import Network
    from vbp.overlay import Rect

TELL_EVERY_S = 0.3


@dataclass(frozen=True)
class FindRequest:
    """drive: of which only the arrays are read. table: the window's, which is filled where `masks` are looked at.

    path, options, network, device, crop: for that, as `PredictRequest` has them. busy: what comes first. thresholds: by kind,
    instead of those that fit the drive. seen: what was observed before, which is looked at again.
    """

    drive: Drive
    table: FrameTable
    masks: bool
    path: Path
    options: OpenOptions
    network: Network
    device: str
    crop: Rect | None
    busy: Callable[[], bool]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    seen: Observed | None = None


@dataclass(frozen=True)
class Found:
    seen: Observed
    findings: Findings


@dataclass(frozen=True)
class Looked:
    """So many frames of the recording."""

    first: int
    last: int
    total: int


def find_moments(request: FindRequest, worker: Worker[FindRequest]) -> None:
    """Tells `Looked` meanwhile, and at the end `Found`. The recording is opened a second time, for its pictures."""
    if not request.masks:
        seen = request.seen if request.seen is not None else observed_of(request.drive, request.table)
        worker.tell(Found(seen, find(seen, thresholds=request.thresholds)))
        return
    from vbp.engine import Engine

    engine = Engine(request.network, device=request.device, crop=request.crop)
    try:
        with (
            open_drive(request.path, request.options) as drive,
            closing(run_frames(drive, [engine], request_for(masks=True))) as frames,
        ):
            seen = observe(drive, request.table, _told(frames, request, worker))
        worker.tell(Found(seen, find(seen, thresholds=request.thresholds)))
    finally:
        engine.close()


def _told(
    frames: Iterator[FrameResult], request: FindRequest, worker: Worker[FindRequest]
) -> Iterator[FrameResult]:
    first, last_told = 0, time.monotonic()
    total = len(request.drive)
    for frame in frames:
        worker.rest_while(request.busy)
        yield frame
        end = frame.index + 1
        if time.monotonic() - last_told > TELL_EVERY_S or end == total:
            worker.tell(Looked(first, end, total))
            first, last_told = end, time.monotonic()
