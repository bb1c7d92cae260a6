"""What masks are usual for each checkpoint of a run, in the recording that is open: found a few frames at a time, behind all else."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from vbp.app.jobs.worker import Worker
from vbp.drives.opening import open_drive
from vbp.errors import VbpError
from vbp.frames import run_frames
from vbp.frames.strengths import RecentUsual, Usual, sample_of, usual_of
from vbp.results import FrameRequest, FrameResult

if TYPE_CHECKING:
    from vbp.app.jobs.run import RunRequest
    from vbp.engine import Engine


class RunUsual:
    """Of one recording, or camera, and one crop; of another it begins anew. Keys are those of checkpoints."""

    def __init__(self) -> None:
        self._subject: object = None
        self._usual: dict[Hashable, Usual | None] = {}
        self._worth: dict[
            Hashable, list[tuple[float, float]]
        ] = {}  # strengths and spreads of the sample, so far
        self._recent: dict[Hashable, RecentUsual] = {}

    def of(self, key: Hashable, request: RunRequest) -> Usual | None:
        """None where it is not known (yet)."""
        self._begin(request)
        return self._recent[key].usual if key in self._recent else self._usual.get(key)

    def is_known(self, key: Hashable, request: RunRequest) -> bool:
        """Whether there is nothing to look for: it was found, or that it cannot be; of a camera, it comes by itself."""
        self._begin(request)
        return request.drive is None or key in self._usual

    def add(self, key: Hashable, frame: FrameResult, request: RunRequest) -> None:
        """Of a camera: what was seen so far says what is usual."""
        self._begin(request)
        if not frame.edits:
            recent = self._recent.setdefault(key, RecentUsual())
            recent.add(frame.timestamp_ns, frame.strength, frame.spread)

    def look(self, key: Hashable, engine: Engine, request: RunRequest, worker: Worker[RunRequest]) -> bool:
        """At the frames that stand for the drive, as far as nothing else is wanted; whether all are done."""
        assert request.drive is not None
        worth = self._worth.setdefault(key, [])
        try:
            with open_drive(*request.drive) as drive:
                sample = sample_of(len(drive))
                wanted = FrameRequest(crop=request.crop)
                with closing(run_frames(drive, [engine], wanted, sample[len(worth) :])) as frames:
                    while len(worth) < len(sample):
                        if worker.superseded or request.busy():
                            return False
                        frame = next(frames)
                        worth.append((frame.strength, frame.spread))
        except VbpError:  # the recording is gone, or has no such frames: nothing is said of any mask
            worth.clear()
        self._usual[key] = usual_of(*np.array(worth, dtype=np.float64).reshape(-1, 2).T)
        return True

    def _begin(self, request: RunRequest) -> None:
        subject = request.drive, request.crop, request.device
        if subject != self._subject:
            self._subject = subject
            for kept in (self._usual, self._worth, self._recent):
                kept.clear()
