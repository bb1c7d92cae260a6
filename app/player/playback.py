"""The player: what the window asks of a source of frames and of a network, and what it hears from their threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vbp.app.player.camera_source import CameraSource
from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import (
    Choices,
    DriveFailed,
    DriveOpened,
    Frame,
    LiveMessage,
    NetworkFailed,
    NetworkReady,
    PlayEnded,
    Second,
    Trouble,
)
from vbp.app.player.model_thread import ModelThread
from vbp.app.player.recorded_source import RecordedSource
from vbp.app.player.source import Route, State
from vbp.app.player.threads import abandon
from vbp.drives.base import Drive, OpenOptions
from vbp.edits.edit import Edits
from vbp.live.records import CaptureState, LiveEvent, LiveFailure, LiveRequest, RecordingState
from vbp.live.session import LiveSession
from vbp.results import NetworkResult
from vbp.session.crops import ChosenCrop

if TYPE_CHECKING:
    from vbp.engine import Engine

log = logging.getLogger(__name__)
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
JOIN_S = 10.0  # an import of torch or the opening of a large bag can be under way


class Player(QObject):
    """Lives in the window's thread; every method returns at once. What is asked of a source that is not open is ignored.

    Stale messages end here: those of an earlier source or network.
    """

    opening = Signal(str)
    opened = Signal(object)  # Drive
    open_failed = Signal(object)  # DriveFailed
    live_opening = Signal(object)  # LiveRequest
    live_closed = Signal()
    camera_changed = Signal(object)  # CaptureState
    live_failed = Signal(object)  # LiveFailure
    recording_changed = Signal(object, bool)  # RecordingState, and whether it is of the session that is shown
    shown = Signal(object)  # Frame, to be painted now
    beside = Signal(object)  # Frame, fetched to compare with
    state_changed = Signal()  # paused, playing or following
    pace_changed = Signal(float, bool)  # speed, real time
    choices = Signal(object)  # Choices
    network_loading = Signal(str)
    network_ready = Signal(object)  # NetworkReady
    network_failed = Signal(object)  # NetworkFailed
    second_changed = Signal()  # `second`
    superseded = Signal()  # what was asked about earlier passes: another source, network or crop
    trouble = Signal(object)  # Trouble

    _frame_waits = Signal()
    _told = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        queued = Qt.ConnectionType.QueuedConnection
        self._frame_waits.connect(self._take_frame, queued)
        self._told.connect(self._hear, queued)
        self._screen: Mailbox[Frame] = Mailbox(on_put=self._frame_waits.emit, on_taken=self._nudge)
        self._model = ModelThread(self._told.emit, self._screen, self._nudge)
        self._route = Route(self._model, self._screen)
        self._old_threads: list[threading.Thread] = []
        self.source: RecordedSource | CameraSource | None = None
        # Of the recording that was opened last.
        self.path: Path | None = None
        self.options = OpenOptions()
        self.first_frame = 0
        self.min_speed = 0.0
        self.shown_frame: Frame | None = None
        self.crop: ChosenCrop | None = None
        self.realtime = True
        self.speed = 1.0
        self.ready: NetworkReady | None = None
        self.second: Second | None = None  # a network beside it
        self.loading = False
        self.network_name = ""
        self._generation = 0  # of the newest source
        self._network_generation = 0
        self._closed = False
        self._model.start()

    # The source.

    def open(
        self, path: Path, options: OpenOptions | None = None, frame: int = 0, min_speed: float = 0.0
    ) -> None:
        """Open a recording in a thread of its own; what was open, or is being opened, is let go."""
        self.close_source()
        self.path, self.options = path, options or OpenOptions()
        self.first_frame, self.min_speed = frame, min_speed
        self._generation += 1
        self.source = source = RecordedSource(
            self._generation,
            path,
            self.options,
            frame,
            min_speed,
            self._route,
            self._told.emit,
            self.state_changed.emit,
        )
        source.set_pace(self.speed, self.realtime)
        self.opening.emit(str(path))
        source.start()

    def open_live(self, request: LiveRequest) -> None:
        """Show a camera; what was open is let go."""
        self.close_source()
        self.path = None
        self._generation += 1
        self.source = source = CameraSource(
            self._generation, request, self._route, self._told.emit, self.state_changed.emit
        )
        self._model.on_pass = source.keep_result
        self.live_opening.emit(request)
        source.start()

    def close_source(self) -> None:
        """Let go what is open."""
        source, self.source = self.source, None
        self._model.on_pass = None
        if source is not None:
            self._old_threads.append(source.stop())
        self._old_threads = [t for t in self._old_threads if t.is_alive()]
        self._screen.take()
        self.shown_frame = None
        self.superseded.emit()
        if source is not None and source.state is not State.PAUSED:
            self.state_changed.emit()
        if isinstance(source, CameraSource):
            self.live_closed.emit()

    @property
    def recorded(self) -> RecordedSource | None:
        return self.source if isinstance(self.source, RecordedSource) else None

    @property
    def camera(self) -> CameraSource | None:
        return self.source if isinstance(self.source, CameraSource) else None

    @property
    def drive(self) -> Drive | None:
        """The recording, once it is open."""
        return self.recorded.drive if self.recorded is not None else None

    @property
    def live(self) -> LiveSession | None:
        return self.camera.session if self.camera is not None else None

    @property
    def state(self) -> State:
        return self.source.state if self.source is not None else State.PAUSED

    @property
    def playing(self) -> bool:
        return self.state is State.PLAYING

    @property
    def frozen(self) -> bool:
        """Whether there is a camera, and its picture stays."""
        return self.camera is not None and self.state is State.PAUSED

    @property
    def frames(self) -> int:
        return len(self.drive) if self.drive is not None else 0

    @property
    def target(self) -> int:
        """The frame of the recording that was last asked for, or shown since."""
        return self.recorded.target if self.recorded is not None else 0

    @property
    def skipped(self) -> int:
        """Frames that were not shown, as newer ones were due."""
        return self.source.skipped if self.source is not None else 0

    @property
    def fps(self) -> float:
        """Frames shown per second."""
        return self.source.fps if self.source is not None else 0.0

    # The network.

    def load_network(self, name: str, device: str = "auto") -> None:
        self._network_generation += 1
        self.superseded.emit()
        self.network_name = name
        self.loading = True
        self.network_loading.emit(name)
        self._model.load(self._network_generation, name, device)
        self._nudge()

    def set_second(self, second: Second | None) -> None:
        """Run another network beside the first over every frame, or stop that."""
        self.second = second
        self._model.set_second(second)
        self.second_changed.emit()
        self._show_again()

    def of_second(self, frame: Frame) -> NetworkResult | None:
        """What the second network in use made of a frame."""
        second = self.second
        return frame.record.results[1] if second is not None and frame.second == second.generation else None

    def set_crop(self, crop: ChosenCrop | None) -> None:
        """What the network sees from now on; None: by its own rule. The picture on the screen is seen anew."""
        if crop == self.crop:
            return
        self.crop = self._model.crop = crop
        self.superseded.emit()
        self._show_again()

    def set_edits(self, edits: Edits) -> None:
        """Made in every picture before a network sees it; the one on the screen is not decoded again for it."""
        self._model.edits = edits
        if self.recorded is not None:
            self.recorded.run_again(self.shown_frame)

    @property
    def engine(self) -> Engine | None:
        """What explains the frames; other threads may ask it, they only read a pass."""
        return self._model.engine

    def is_current(self, frame: Frame) -> bool:
        """Whether the network in use made the frame's result; not while another is being loaded."""
        return frame.network == self._network_generation

    @property
    def on_gap(self) -> bool:
        """Whether the frame on the screen has no picture."""
        return self.shown_frame is not None and self.shown_frame.image is None

    # Moving about.

    def seek(self, index: int, play_from: int | None = None, then: Sequence[int] = ()) -> None:
        """See `RecordedSource.seek`."""
        if self.recorded is not None:
            self.recorded.seek(index, play_from, then)

    def fetch_beside(self, index: int) -> None:
        """While paused: run one more frame, which comes by `beside` and moves nothing."""
        if self.recorded is not None:
            self.recorded.fetch_beside(index)

    def step(self, frames: int) -> None:
        self.pause()
        self.seek(self.target + frames)

    def play(self) -> None:
        if self.recorded is not None:
            self.recorded.play()

    def pause(self) -> None:
        """Stop at what is on the screen, to the frame."""
        if self.recorded is not None:
            self.recorded.pause()

    def toggle(self) -> None:
        if self.source is not None:
            self.source.toggle()

    def begin_scrub(self) -> None:
        if self.recorded is not None:
            self.recorded.begin_scrub()

    def end_scrub(self) -> None:
        if self.recorded is not None:
            self.recorded.end_scrub()

    def set_pace(self, speed: float | None = None, realtime: bool | None = None) -> None:
        self.speed = self.speed if speed is None else min(max(speed, SPEEDS[0]), SPEEDS[-1])
        self.realtime = self.realtime if realtime is None else realtime
        if self.recorded is not None:
            self.recorded.set_pace(self.speed, self.realtime)
        self.pace_changed.emit(self.speed, self.realtime)

    def faster(self, steps: int) -> None:
        nearest = min(range(len(SPEEDS)), key=lambda k: abs(SPEEDS[k] - self.speed))
        self.set_pace(SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)])

    def set_loop(self, loop: tuple[int, int] | None) -> None:
        if self.recorded is not None:
            self.recorded.set_loop(loop)

    # The end.

    def close(self) -> list[str]:
        """End every thread. Returns the names of those that did not end in time (none, one hopes)."""
        self._closed = True
        source, self.source = self.source, None
        threads = [*self._old_threads, *([source.stop()] if source is not None else [])]
        self._screen.close()
        self._model.stop()
        deadline = time.monotonic() + JOIN_S
        for thread in threads:
            thread.join(1.0)
            if thread.is_alive() and not isinstance(thread, LiveSession):  # it may be ending a recording
                abandon(thread)
        everyone, self._old_threads = [*threads, self._model], []
        for one in everyone:
            one.join(max(0.0, deadline - time.monotonic()))
        return [t.name for t in everyone if t.is_alive()]

    # From the threads. _nudge runs in theirs.

    def _nudge(self) -> None:
        source = self.source
        if source is not None:
            source.nudge()

    @Slot()
    def _take_frame(self) -> None:
        frame, source = self._screen.take(), self.source
        if frame is None or self._closed or source is None or frame.generation != source.generation:
            return
        if frame.result is not None and not self.is_current(frame):
            return
        wanted = source.accept(frame)
        if wanted is None:
            return
        if wanted.beside:
            self.beside.emit(wanted)
        else:
            self.shown_frame = wanted
            self.shown.emit(wanted)

    @Slot(object)
    def _hear(self, message: object) -> None:
        if self._closed:
            return
        generation = self.source.generation if self.source is not None else None
        match message:
            case DriveOpened() if message.generation == generation:
                self._on_opened(message.drive)
            case DriveFailed() if message.generation == generation:
                self.open_failed.emit(message)
            case PlayEnded() if message.generation == generation and self.recorded is not None:
                self.recorded.end(message.seq)
            case Choices():
                self.choices.emit(message)
            case NetworkReady() if message.generation == self._network_generation:
                self.ready, self.loading = message, False
                self.network_ready.emit(message)
                self._show_again()
            case NetworkFailed() if message.generation == self._network_generation:
                self._network_generation = self._model.generation  # the one before stays in use
                if self.ready is not None:
                    self.network_name = self.ready.name
                self.loading = False
                self.network_failed.emit(message)
                self._show_again()
            case LiveMessage():
                self._hear_live(message.event, message.generation == generation)
            case Trouble():
                self.trouble.emit(message)
            case _:
                log.debug("stale: %s", type(message).__name__)

    def _hear_live(self, event: LiveEvent, of_now: bool) -> None:
        """of_now: it is of the session that is shown."""
        match event:
            case RecordingState():  # also of a session that is over: its recording is whole only now
                self.recording_changed.emit(event, of_now)
            case CaptureState() if of_now:
                self.camera_changed.emit(event)
            case LiveFailure() if of_now:
                self.live_failed.emit(event)

    def _show_again(self) -> None:
        if self.source is not None:
            self.source.show_again()

    def _on_opened(self, drive: Drive) -> None:
        if self.recorded is not None:
            self.recorded.set_drive(drive)
            self.opened.emit(drive)
        if self.recorded is not None:  # whoever heard of it may have closed it
            self.recorded.show_first()
