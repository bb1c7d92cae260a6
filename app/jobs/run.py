"""Looks into a training run: what is new in it, and the frame on the screen through its checkpoints."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vbp.app.jobs.run_usual import RunUsual
from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame
from vbp.drives.base import OpenOptions
from vbp.errors import VbpError
from vbp.frames import run_frame
from vbp.frames.strengths import Usual
from vbp.results import FrameRequest

if TYPE_CHECKING:
    from vbp.overlay import Rect
    from vbp.training.folder import Checkpoint, Config, Row, Run

log = logging.getLogger(__name__)
VBP = "visualbackprop"
POLL_S = 1.0
QUIET_S = 300.0  # a run saves its state every two minutes at least
KEPT_BYTES = 512 * 2**20  # of checkpoints that stay loaded; those beyond are read again for every frame
Key = tuple[str, int, int]  # a file's name, time and size: a checkpoint that is replaced is another one


@dataclass(frozen=True)
class RunState:
    """What a run's folder holds now. quiet_since: Unix time of the last sign of life of one that seems stopped."""

    path: Path
    config: Config
    checkpoints: tuple[Checkpoint, ...]
    rows: tuple[Row, ...]
    finished: bool
    quiet_since: float | None = None


@dataclass(frozen=True)
class RunFailed:
    """opened: the run was open and cannot be read any more; what was read of it can still be shown."""

    text: str
    opened: bool = False


@dataclass(frozen=True)
class Seen:
    """A frame seen by one checkpoint: the input (h, w) or (h, w, 3) uint8, the mask (h, w) float32, radians.

    class_text: of a classifier, the most probable class and its probability, in words. strength, spread: of the mask. usual: what
    masks of the checkpoint are usual in the recording; None before that is known. warning: why the mask would mislead.
    trouble: why there is none; then input and mask are None.
    """

    checkpoint: Checkpoint
    input: NDArray[np.uint8] | None = None
    mask: NDArray[np.float32] | None = None
    angle_rad: float = math.nan
    warning: str = ""
    class_text: str = ""
    trouble: str = ""
    strength: float = math.nan
    spread: float = math.nan
    usual: Usual | None = None


@dataclass(frozen=True)
class SeenBy:
    """`whole`: with this one, all checkpoints have seen the frame; also where more is known of one that they have seen."""

    frame: Frame
    seen: Seen
    whole: bool


@dataclass(frozen=True)
class RunRequest:
    """The run to look into. opening: another number for each time that it is opened.

    follow: look for what is new, every second. frame: to be seen through all checkpoints, with the edits made in it; crop: set by
    hand instead of the network's own rule. drive: the recording that it is of, which is opened once more; None of a camera. busy: what
    comes first; meanwhile no more of the recording is looked at.
    """

    path: Path
    opening: int
    follow: bool
    frame: Frame | None = None
    device: str = ""
    crop: Rect | None = None
    drive: tuple[Path, OpenOptions] | None = None
    busy: Callable[[], bool] = lambda: False

    @property
    def key(self) -> tuple[object, ...]:
        frame = self.frame
        return frame and (frame.generation, frame.index, frame.record.edits), self.device, self.crop


class RunFollower:
    """Follows one run at a time. Each frame that is begun is finished, so that none waits for ever."""

    def __init__(self) -> None:
        self._opening = 0
        self._path = Path()
        self._run: Run | None = None
        self._keys: dict[Key, Checkpoint] = {}
        self._looked = 0.0
        self._last_told: tuple[object, ...] = ()
        self._frame_key: tuple[object, ...] = ()
        self._done: set[Key] = set()  # the checkpoints that have seen that frame
        self._engines: dict[Key, tuple[Any, int]] = {}
        self._broken: dict[Key, str] = {}
        self._device = ""
        self._seen_last: dict[Key, Seen] = {}  # of that frame
        self._usual = RunUsual()

    def __call__(self, request: RunRequest, worker: Worker[RunRequest]) -> float | None:
        rested = request.opening == self._opening and request.key == self._frame_key
        if request.opening != self._opening:
            self._open(request, worker)
        elif request.follow and self._run is not None and time.monotonic() >= self._looked + POLL_S:
            self._look(worker)
        if request.frame is not None and request.key != self._frame_key:
            self._frame_key = request.key
            self._done.clear()
            self._seen_last.clear()
        if self._run is not None and request.frame is not None:
            self._see(request, request.frame, worker)
            if rested:
                self._measure(request, request.frame, worker)
        if not request.follow or self._run is None:
            return None
        return max(0.0, self._looked + POLL_S - time.monotonic())

    def _open(self, request: RunRequest, worker: Worker[RunRequest]) -> None:
        from vbp.training.folder import Run  # torch comes with it, which takes seconds

        self._opening, self._path, self._run = request.opening, request.path, None
        self._last_told = ()
        self._usual = RunUsual()
        for kept in (self._keys, self._engines, self._broken, self._done, self._seen_last):
            kept.clear()
        self._looked = time.monotonic()
        try:
            self._run = Run(self._path)
            self._read(self._run, worker)
        except VbpError as error:
            self._run = None
            worker.tell(RunFailed(str(error)))

    def _look(self, worker: Worker[RunRequest]) -> None:
        from vbp.training.folder import Run

        self._looked = time.monotonic()
        assert self._run is not None
        new = self._run.changed()
        if new:
            try:
                self._run = Run(self._path)  # all of it: a run may have been started anew in its folder
            except VbpError as error:
                self._fail(error, worker)
                return
        try:
            self._read(self._run, worker, new)
        except VbpError as error:
            self._fail(error, worker)

    def _fail(self, error: VbpError, worker: Worker[RunRequest]) -> None:
        text = str(error)
        if self._last_told != (text,):
            self._last_told = (text,)
            worker.tell(RunFailed(text, opened=True))

    def _read(self, run: Run, worker: Worker[RunRequest], new: bool = True) -> None:
        """Tell what there is, where that is something new."""
        if new:
            self._keys = {_key(c.path): c for c in run.checkpoints()}
            for kept in (self._engines, self._broken):
                for key in [k for k in kept if k not in self._keys]:
                    del kept[key]  # type: ignore[attr-defined]
        rows = tuple(run.metrics())
        finished = bool(rows) and rows[-1].epoch >= run.config.recipe.epochs
        quiet = None if finished else _quiet_since(self._path)
        facts = (tuple(self._keys), rows, finished, quiet)
        if facts != self._last_told:
            self._last_told = facts
            checkpoints = tuple(self._keys.values())
            worker.tell(RunState(self._path, run.config, checkpoints, rows, finished, quiet))

    # The frame.

    def _see(self, request: RunRequest, frame: Frame, worker: Worker[RunRequest]) -> None:
        if request.device != self._device:
            self._device = request.device
            self._engines.clear()
        missing = [key for key in self._keys if key not in self._done]
        for n, key in enumerate(missing, 1):
            if worker.cancelled:
                return
            seen = self._seen_last[key] = self._seen(key, frame, request)
            self._done.add(key)
            worker.tell(SeenBy(frame, seen, whole=n == len(missing)))

    def _measure(self, request: RunRequest, frame: Frame, worker: Worker[RunRequest]) -> None:
        """While one looks at a frame: what masks of the checkpoints are usual in its recording, so that weak ones are told."""
        for key in reversed(self._seen_last):
            seen = self._seen_last[key]
            if seen.trouble or self._usual.is_known(key, request):
                continue
            if not self._usual.look(key, self._engine(key, seen.checkpoint), request, worker):
                return
            seen = self._seen_last[key] = replace(seen, usual=self._usual.of(key, request))
            worker.tell(SeenBy(frame, seen, whole=True))

    def _seen(self, key: Key, frame: Frame, request: RunRequest) -> Seen:
        checkpoint = self._keys[key]
        if key in self._broken:
            return Seen(checkpoint, trouble=self._broken[key])
        try:
            engine = self._engine(key, checkpoint)
            wanted = FrameRequest(crop=request.crop, strict=True, edits=frame.record.edits)
            record = run_frame(frame.record, [engine], wanted)
            result = record.results[0]
        except Exception as error:
            if isinstance(error, VbpError):
                text = str(error)
            else:
                log.exception("running %s", checkpoint.path)
                text = f"{checkpoint.path} could not be run: {error}"
            self._broken[key] = text
            return Seen(checkpoint, trouble=text)
        classes = result.classes
        words = f"{classes.name} {100 * classes.probability:.0f} %" if classes is not None else ""
        if request.drive is None:
            self._usual.add(key, record, request)
        return Seen(
            checkpoint,
            result.input,
            result.map(),
            result.angle_rad,
            result.warning,
            words,
            strength=result.strength,
            spread=result.spread,
            usual=self._usual.of(key, request),
        )

    def _engine(self, key: Key, checkpoint: Checkpoint) -> Any:
        from vbp.engine import Engine

        if key in self._engines:
            return self._engines[key][0]
        network = checkpoint.load()
        # The weights, and the copy that is laid out for the kernels.
        size = 2 * 4 * sum(p.numel() for p in network.module.parameters())
        engine = Engine(network, self._device)
        if sum(kept for _, kept in self._engines.values()) + size <= KEPT_BYTES:
            self._engines[key] = (engine, size)
        return engine


def _key(path: Path) -> Key:
    try:
        stat = path.stat()
    except OSError:
        return path.name, 0, 0  # gone since; loading it says so
    return path.name, stat.st_mtime_ns, stat.st_size


def _quiet_since(path: Path) -> float | None:
    """When an unfinished run gave its last sign of life, if that is long ago."""
    newest = 0.0
    for folder in (path, path / "state", path / "frames"):
        try:
            for file in (folder, *folder.iterdir()):
                newest = max(newest, file.stat().st_mtime)
        except OSError:
            continue  # not there, or being replaced at this moment
    return newest if newest and time.time() - newest > QUIET_S else None
