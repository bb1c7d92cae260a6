"""The thread that looks into a training run: what is new in it, and the frame on the screen through its checkpoints."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vbp.app.player.messages import Frame, Trouble
from vbp.app.player.threads import compute_alone, step_back
from vbp.errors import VbpError

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

    generation: int
    path: Path
    config: Config
    checkpoints: tuple[Checkpoint, ...]
    rows: tuple[Row, ...]
    finished: bool
    quiet_since: float | None = None


@dataclass(frozen=True)
class RunFailed:
    """opened: the run was open and cannot be read any more; what was read of it can still be shown."""

    generation: int
    text: str
    opened: bool = False


@dataclass(frozen=True)
class Seen:
    """A frame seen by one checkpoint: the input (h, w) or (h, w, 3) uint8, the mask (h, w) float32, radians.

    class_text: of a classifier, the most probable class and its probability, in words. warning: why the mask would
    mislead. trouble: why there is none; then input and mask are None.
    """

    checkpoint: Checkpoint
    input: NDArray[np.uint8] | None = None
    mask: NDArray[np.float32] | None = None
    angle_rad: float = math.nan
    warning: str = ""
    class_text: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class SeenBy:
    """`whole`: with this one, all checkpoints have seen the frame."""

    generation: int
    frame: Frame
    seen: Seen
    whole: bool


@dataclass(frozen=True)
class Wish:
    """A frame to be seen through all checkpoints. crop: set by hand instead of the network's own rule."""

    frame: Frame
    device: str
    crop: Rect | None = None

    @property
    def key(self) -> tuple[object, ...]:
        return self.frame.generation, self.frame.index, self.device, self.crop


class RunThread(threading.Thread):
    """Follows one run at a time. The newest frame wins, and each is finished, so that none waits for ever."""

    def __init__(self, tell: Callable[[object], None]) -> None:
        super().__init__(name="vbp-run", daemon=True)
        self._tell = tell
        self._wake = threading.Condition()
        self._stopped = self._following = False
        self._order: tuple[int, Path] | None = None
        self._wish: Wish | None = None
        # From here on the thread's own.
        self._generation = 0
        self._path = Path()
        self._run: Run | None = None
        self._keys: dict[Key, Checkpoint] = {}
        self._looked = 0.0
        self._told: tuple[object, ...] = ()
        self._current: Wish | None = None
        self._done: set[Key] = set()  # the checkpoints that have fulfilled it
        self._engines: dict[Key, tuple[Any, int]] = {}
        self._broken: dict[Key, str] = {}
        self._device = ""
        self._last_trouble = ""

    # From the window's thread.

    def open(self, generation: int, path: Path) -> None:
        with self._wake:
            self._order, self._wish = (generation, path), None
            self._wake.notify_all()

    def show(self, wish: Wish) -> None:
        """The newest wins: one that still waits is forgotten."""
        with self._wake:
            self._wish = wish
            self._wake.notify_all()

    def follow(self, on: bool) -> None:
        """Look for what is new; when nobody sees it, there is no need to."""
        with self._wake:
            self._following = on
            self._wake.notify_all()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    # The thread.

    def run(self) -> None:
        step_back()
        while self._wait():
            try:
                self._work()
                self._last_trouble = ""
            except Exception as error:
                text = f"Following the training run met an error: {error}"
                if text != self._last_trouble:
                    self._last_trouble = text
                    log.exception("following a run")
                    self._tell(Trouble(text))

    def _wait(self) -> bool:
        with self._wake:
            while not self._stopped and self._order is None and self._wish is None:
                follows = self._following and self._run is not None
                wait = max(0.0, self._looked + POLL_S - time.monotonic()) if follows else None
                if wait == 0.0:
                    break
                self._wake.wait(wait)
            return not self._stopped

    def _work(self) -> None:
        with self._wake:
            order, self._order = self._order, None
            wish, self._wish = self._wish, None
        if order is not None:
            self._open(*order)
        elif self._run is not None and time.monotonic() >= self._looked + POLL_S:
            self._look()
        if wish is not None:
            before, self._current = self._current, wish
            if before is None or before.key != wish.key:
                self._done.clear()
        if self._run is not None and self._current is not None:
            self._see(self._current)

    def _open(self, generation: int, path: Path) -> None:
        from vbp.training.folder import Run  # torch comes with it, which takes seconds

        compute_alone()
        self._generation, self._path, self._run = generation, path, None
        self._told = ()
        for kept in (self._keys, self._engines, self._broken, self._done):
            kept.clear()
        self._looked = time.monotonic()
        try:
            self._run = Run(path)
            self._read(self._run)
        except VbpError as error:
            self._run = None
            self._tell(RunFailed(generation, str(error)))

    def _look(self) -> None:
        from vbp.training.folder import Run

        self._looked = time.monotonic()
        assert self._run is not None
        new = self._run.changed()
        if new:
            try:
                self._run = Run(self._path)  # all of it: a run may have been started anew in its folder
            except VbpError as error:
                self._fail(error)
                return
        try:
            self._read(self._run, new)
        except VbpError as error:
            self._fail(error)

    def _fail(self, error: VbpError) -> None:
        text = str(error)
        if self._told != (text,):
            self._told = (text,)
            self._tell(RunFailed(self._generation, text, opened=True))

    def _read(self, run: Run, new: bool = True) -> None:
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
        if facts != self._told:
            self._told = facts
            checkpoints = tuple(self._keys.values())
            self._tell(RunState(self._generation, self._path, run.config, checkpoints, rows, finished, quiet))

    # The frame.

    def _see(self, wish: Wish) -> None:
        if wish.device != self._device:
            self._device = wish.device
            self._engines.clear()
        missing = [key for key in self._keys if key not in self._done]
        for n, key in enumerate(missing, 1):
            with self._wake:
                if self._stopped or self._order is not None:
                    return
            seen = self._seen(key, wish)
            self._done.add(key)
            self._tell(SeenBy(self._generation, wish.frame, seen, whole=n == len(missing)))

    def _seen(self, key: Key, wish: Wish) -> Seen:
        checkpoint = self._keys[key]
        if key in self._broken:
            return Seen(checkpoint, trouble=self._broken[key])
        try:
            engine = self._engine(key, checkpoint)
            assert wish.frame.image is not None
            result = engine.run(wish.frame.image, crop=wish.crop)
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
        return Seen(checkpoint, result.input, result.map(), result.angle_rad, result.warning, words)

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
