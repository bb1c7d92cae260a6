"""Behind the window: what the network says without the edits, and with the same shape erased at random places."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vbp.app.jobs.worker import Worker
from vbp.edits.baseline import Baseline, baseline
from vbp.edits.edit import NONE
from vbp.frames import run_frame
from vbp.results import FrameRequest, FrameResult

if TYPE_CHECKING:
    from vbp.drives.base import Image
    from vbp.engine import Engine
    from vbp.models.network import Network


@dataclass(frozen=True)
class BaselineRequest:
    """record: an edited frame with its result, by `network`. compare: with random places too."""

    record: FrameResult
    network: Network
    device: str
    compare: bool


@dataclass(frozen=True)
class Before:
    """Of the frame as it was recorded: what a plot shows of it (degrees, or per cent of a classifier)."""

    record: FrameResult
    plotted: float


@dataclass(frozen=True)
class Compared:
    """changes in the same unit."""

    record: FrameResult
    found: Baseline


class BaselineMaker:
    """It has an engine of its own: the playback's belongs to another thread."""

    def __init__(self) -> None:
        self._kept: tuple[Network, str, Engine] | None = None

    def __call__(self, request: BaselineRequest, worker: Worker[BaselineRequest]) -> None:
        engine = self._engine(request)
        record = request.record
        assert record.image is not None and record.recorded is not None and record.result is not None
        crop = record.result.crop
        asked = FrameRequest(maps=(), crop=crop)

        def respond(image: Image) -> float:
            worker.check()  # it ends here where another is asked for
            return run_frame(replace(record, image=image, edits=NONE, recorded=None), [engine], asked).plotted

        worker.tell(Before(record, respond(record.recorded)))
        if request.compare:
            area = (crop.x, crop.y, crop.width, crop.height)
            found = baseline(record.edits, record.recorded, area, respond)
            if math.isfinite(found.change):
                worker.tell(Compared(record, found))

    def _engine(self, request: BaselineRequest) -> Engine:
        from vbp.engine import Engine

        kept = self._kept
        if kept is not None and kept[0] is request.network and kept[1] == request.device:
            return kept[2]
        if kept is not None:
            kept[2].close()
        engine = Engine(request.network, request.device)
        self._kept = (request.network, request.device, engine)
        return engine
