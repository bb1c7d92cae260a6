"""The test of the maps of one frame, when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame

if TYPE_CHECKING:
    from vbp.engine import Engine
    from vbp.evidence.quick import Quick

TELL_S = 0.1  # between two words on the progress


@dataclass(frozen=True)
class EvidenceRequest:
    """A frame with its result, the engine that made it, and the methods to test. busy: what comes first."""

    frame: Frame
    engine: Engine
    methods: tuple[str, ...]
    busy: Callable[[], bool]


@dataclass(frozen=True)
class Progress:
    share: float


@dataclass(frozen=True)
class Tested:
    frame: Frame
    result: Quick


def examine_maps(request: EvidenceRequest, worker: Worker[EvidenceRequest]) -> None:
    """Rests while `busy()`. Raises VbpError where the frame cannot be tested."""
    from vbp.evidence.quick import quick

    frame = request.frame
    assert frame.result is not None and frame.image is not None
    last_told = 0.0

    def progress(share: float) -> None:
        nonlocal last_told
        worker.rest_while(request.busy)
        if time.monotonic() - last_told > TELL_S:
            last_told = time.monotonic()
            worker.tell(Progress(share))

    found = quick(request.engine, frame.image, frame.result.crop, request.methods, progress)
    worker.tell(Tested(frame, found))
