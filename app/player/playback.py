"""The player: what the window asks of the threads, and what it hears from them."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vbp.app.player.behind_thread import BehindThread, Wish
from vbp.app.player.drive_thread import DriveThread
from vbp.app.player.live_player import LivePlayer
from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import (
    Choices,
    DriveFailed,
    DriveOpened,
    Explained,
    Frame,
    LayersMade,
    LiveMessage,
    NetworkFailed,
    NetworkReady,
    PlayEnded,
    Predicted,
    PredictEnded,
    Trouble,
)
from vbp.app.player.model_thread import ModelThread
from vbp.app.player.predict_thread import PredictThread
from vbp.app.player.schedule import Schedule, fast_enough, first_good
from vbp.app.player.threads import abandon
from vbp.app.state.crops import ChosenCrop
from vbp.drives.base import Drive, OpenOptions
from vbp.live.records import LiveRequest
from vbp.live.session import LiveSession
from vbp.results import MapRequest

if TYPE_CHECKING:
    from vbp.engine import Engine

log = logging.getLogger(__name__)
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
JOIN_S = 10.0  # an import of torch or the opening of a large bag can be under way


class Player(LivePlayer):
    """Lives in the window's thread; every method returns at once.

    Stale messages end here: those of an earlier drive or network, and frames asked for before a pause.
    """

    opening = Signal(str)
    opened = Signal(object)  # Drive
    open_failed = Signal(object)  # DriveFailed
    shown = Signal(object)  # Frame, to be painted now
    beside = Signal(object)  # Frame, fetched to compare with
    playing_changed = Signal(bool)
    pace_changed = Signal(float, bool)  # speed, real time
    choices = Signal(object)  # Choices
    network_loading = Signal(str)
    network_ready = Signal(object)  # NetworkReady
    network_failed = Signal(object)  # NetworkFailed
    explained = Signal(object)  # Explained
    layers_made = Signal(object)  # LayersMade
    predicted = Signal(object)  # Predicted
    predict_ended = Signal(object)  # PredictEnded
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
        self._behind = BehindThread(self._told.emit)
        self._drive_thread: DriveThread | None = None
        self._old_threads: list[DriveThread | PredictThread | LiveSession] = []
        self._init_live()
        self._predict: PredictThread | None = None
        self.drive: Drive | None = None
        self.options = OpenOptions()
        self.path: Path | None = None
        self.shown_frame: Frame | None = None
        self.target = 0  # the frame last asked for, or shown since
        self.playing = False
        self.realtime = True
        self.speed = 1.0
        self.loop: tuple[int, int] | None = None
        self.skipped = 0
        self.ready: NetworkReady | None = None
        self.loading = False
        self._schedule: Schedule | None = None
        self._generation = 0
        self._network_generation = 0
        self.network_name = ""
        self._version = 0
        self._seq = 0
        self._min_seq = 0
        self.first_frame = 0
        self._resume = False
        self._scrubbing = False
        self._closed = False
        self.min_speed = 0.0
        self._last_played: int | None = None
        self.frame_times: list[float] = []
        self._model.start()
        self._behind.start()

    # The recording.

    def open(
        self, path: Path, options: OpenOptions | None = None, frame: int = 0, min_speed: float = 0.0
    ) -> None:
        """Open a recording in a thread of its own; what was open, or is being opened, is let go."""
        self._drop_drive()
        self.path, self.options = path, options or OpenOptions()
        self.first_frame, self.min_speed = frame, min_speed
        self._generation += 1
        thread = DriveThread(
            self._generation,
            path,
            self.options,
            self._told.emit,
            self._deliver,
            self._has_room,
            min_speed,
        )
        thread.set_pace(self.speed, self.realtime)
        self._drive_thread = thread
        self.opening.emit(str(path))
        thread.start()

    def open_live(self, request: LiveRequest) -> None:
        """Show a camera; what was open is let go."""
        self._drop_drive()
        self.path = None
        self._generation += 1
        self._open_live(request)

    def _tell_from_thread(self, message: object) -> None:
        self._told.emit(message)

    def close_drive(self) -> None:
        self._drop_drive()

    def _drop_drive(self) -> None:
        self.stop_predicting()
        if self._drive_thread is not None:
            self._drive_thread.stop()
            self._old_threads.append(self._drive_thread)
            self._drive_thread = None
        if (live := self._forget_live()) is not None:
            self._old_threads.append(live)
        self._old_threads = [t for t in self._old_threads if t.is_alive()]
        self._screen.take()
        self._generation += 1
        self._version += 1
        self.drive = self._schedule = self.shown_frame = None
        self.loop = None
        self.skipped = 0
        self._last_played = None
        self._set_playing(False)

    # The network.

    def load_network(self, name: str, device: str = "auto") -> None:
        self.stop_predicting()
        self._network_generation += 1
        self._version += 1
        self.network_name = name
        self.loading = True
        self.network_loading.emit(name)
        self._model.load(self._network_generation, name, device)
        self._nudge()

    def set_crop(self, crop: ChosenCrop | None) -> None:
        """What the network sees from now on; None: by its own rule. The picture on the screen is seen anew."""
        if crop == self.crop:
            return
        self.stop_predicting()
        self.crop = self._model.crop = crop
        self._version += 1
        self._show_again()

    # Moving about.

    @property
    def engine(self) -> Engine | None:
        """What explains the frames; other threads may ask it, they only read a pass."""
        return self._model.engine

    @property
    def on_gap(self) -> bool:
        """Whether the frame on the screen has no picture."""
        return self.shown_frame is not None and self.shown_frame.image is None

    @property
    def frames(self) -> int:
        return len(self.drive) if self.drive is not None else 0

    def seek(self, index: int) -> None:
        """Show frame `index`. Playing, it goes on from there."""
        if self.drive is None or self._drive_thread is None:
            return
        self.target = min(max(index, 0), self.frames - 1)
        self._seq += 1
        self._last_played = None
        self._drive_thread.seek(self.target, self._seq, self.playing)

    def fetch_beside(self, index: int) -> None:
        """While paused: run one more frame, which comes by `beside` and moves nothing."""
        if not self.playing and self._drive_thread is not None and 0 <= index < self.frames:
            self._seq += 1
            self._drive_thread.fetch_beside(index, self._seq)

    def step(self, frames: int) -> None:
        self.pause()
        self.seek(self.target + frames)

    def play(self) -> None:
        thread = self._drive_thread
        if self.drive is None or thread is None or self.playing or self._schedule is None:
            return
        at = self.target
        outside = self.loop is not None and not self.loop[0] <= at < self.loop[1]
        jump_to = None
        if outside or self._schedule.after(at) is None:
            jump_to = self.target = self._first_of_loop()
        self.skipped = 0
        self._seq += 1
        self._last_played = at if jump_to is None else None
        self.frame_times.clear()
        thread.set_loop(self.loop)
        self._set_playing(True)
        # One order, not two: between a play and a seek the thread would find itself at the end.
        thread.play(at, self._seq, jump_to)

    def pause(self) -> None:
        """Stop at what is on the screen, to the frame: what is still on its way is not shown."""
        if not self.playing or self._drive_thread is None:
            return
        self._seq += 1
        self._min_seq = self._seq
        if self.shown_frame is not None and self._last_played is not None:
            self.target = self.shown_frame.index
        self._set_playing(False)
        self._drive_thread.pause(self.target, self._seq)
        if self._last_played is None:  # a seek was under way: its frame is wanted all the same
            self.seek(self.target)

    def toggle(self) -> None:
        if self.live is not None:
            self.set_frozen(not self.frozen)
        elif self.playing:
            self.pause()
        else:
            self.play()

    def scrub_started(self) -> None:
        if not self._scrubbing:
            self._scrubbing, self._resume = True, self.playing
            self.pause()

    def scrub_finished(self) -> None:
        self._scrubbing = False
        if self._resume:
            self._resume = False
            self.play()

    def set_pace(self, speed: float | None = None, realtime: bool | None = None) -> None:
        self.speed = self.speed if speed is None else min(max(speed, SPEEDS[0]), SPEEDS[-1])
        self.realtime = self.realtime if realtime is None else realtime
        if self._drive_thread is not None:
            self._drive_thread.set_pace(self.speed, self.realtime)
        self.pace_changed.emit(self.speed, self.realtime)

    def faster(self, steps: int) -> None:
        nearest = min(range(len(SPEEDS)), key=lambda k: abs(SPEEDS[k] - self.speed))
        self.set_pace(SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)])

    def set_loop(self, loop: tuple[int, int] | None) -> None:
        self.loop = loop
        if self._drive_thread is not None:
            self._drive_thread.set_loop(loop)

    def _first_of_loop(self) -> int:
        if self.loop is not None:
            return self.loop[0]
        return int(self._schedule.frames[0]) if self._schedule is not None else 0

    # Behind the playback.

    def explain(self, panels: dict[str, MapRequest], layers: bool) -> None:
        """Ask for maps of the frame on the screen, by the names of the panels that show them."""
        frame, engine = self.shown_frame, self._model.engine
        if frame is None or frame.shot is None or engine is None or not (panels or layers):
            return
        if frame.network != self._network_generation:
            return
        self._behind.wishes.put(Wish(self._version, frame, engine, panels, layers, self._driven(frame)))

    def _driven(self, frame: Frame) -> float:
        """The driven angle of a frame, NaN where it is not known."""
        if self.drive is not None and frame.index < len(self.drive):
            return float(self.drive.angle_rad[frame.index])
        measured = self.live.measured(frame.stamp_ns) if self.live is not None else None
        return measured.angle_rad if measured is not None else math.nan

    # Predictions of the whole drive.

    @property
    def predicting(self) -> bool:
        return self._predict is not None

    def predict(self, first: int = 0, last: int | None = None) -> None:
        """Predict frames first..last in the background (default: the whole drive)."""
        if self.drive is None or self.ready is None or self.path is None or self._predict is not None:
            return
        info = self.drive.info
        self._predict = PredictThread(
            self._generation,
            self._network_generation,
            self.path,
            self.options,
            self.network_name,
            self.ready.device,
            self._told.emit,
            busy=lambda: self.playing,
            first=first,
            last=self.frames - 1 if last is None else last,
            crop=self.crop.at(info.height, info.width) if self.crop is not None else None,
        )
        self._predict.start()

    def stop_predicting(self) -> None:
        if self._predict is not None:
            self._predict.stop()
            self._old_threads.append(self._predict)
            ended = PredictEnded(self._generation, self._network_generation, "stopped")
            self._predict = None
            self.predict_ended.emit(ended)

    # The end.

    def close(self) -> list[str]:
        """End every thread. Returns the names of those that did not end in time (none, one hopes)."""
        self._closed = True
        self.stop_predicting()
        live = self._forget_live()
        threads = [*self._old_threads, *(t for t in (self._drive_thread, live) if t is not None)]
        for thread in threads:
            thread.stop()
        self._screen.close()
        self._model.stop()
        self._behind.stop()
        deadline = time.monotonic() + JOIN_S
        for thread in threads:
            thread.join(1.0)
            if thread.is_alive() and not isinstance(thread, LiveSession):  # it may be ending a recording
                abandon(thread)
        everyone: list[threading.Thread] = [*threads, self._model, self._behind]
        for one in everyone:
            one.join(max(0.0, deadline - time.monotonic()))
        self._drive_thread = None
        self._old_threads = []
        self.drive = None
        return [t.name for t in everyone if t.is_alive()]

    # From the threads. _deliver, _has_room and _nudge run in theirs.

    def _deliver(self, frame: Frame) -> None:
        box = self._model.frames if self._model.ready else self._screen
        box.put(frame)

    def _has_room(self) -> bool:
        return self._screen.empty and (not self._model.ready or self._model.frames.empty)

    def _nudge(self) -> None:
        thread = self._drive_thread
        if thread is not None:
            thread.nudge()

    @Slot()
    def _take_frame(self) -> None:
        frame = self._screen.take()
        if frame is None or self._closed or frame.generation != self._generation:
            return
        if frame.shot is not None and frame.network != self._network_generation:
            return
        if self.live is not None:
            if self._wanted_live(frame):
                self.shown_frame = frame
                self.shown.emit(frame)
            return
        if frame.seq < self._min_seq:
            return
        if frame.beside:
            self.beside.emit(frame)
            return
        self.shown_frame = frame
        if self.playing and frame.seq == self._seq:
            self._count(frame.index)
            self.target = frame.index
        self.shown.emit(frame)

    def _count(self, index: int) -> None:
        last, self._last_played = self._last_played, index
        if self._schedule is not None and last is not None and index > last:
            self.skipped += self._schedule.between(last, index)
        now = time.monotonic()
        self.frame_times = [t for t in self.frame_times if t > now - 1.0]
        self.frame_times.append(now)

    @property
    def fps(self) -> float:
        """Frames shown per second, over the last one."""
        times = [t for t in self.frame_times if t > time.monotonic() - 1.2]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 2 and times[-1] > times[0] else 0.0

    @Slot(object)
    def _hear(self, message: object) -> None:
        if self._closed:
            return
        match message:
            case DriveOpened() if message.generation == self._generation:
                self._on_opened(message.drive)
            case DriveFailed() if message.generation == self._generation:
                self._drive_thread = None
                self.open_failed.emit(message)
            case PlayEnded() if message.generation == self._generation and message.seq == self._seq:
                self._set_playing(False)
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
            case Explained() if message.version == self._version:
                self.explained.emit(message)
            case LayersMade() if message.version == self._version:
                self.layers_made.emit(message)
            case Predicted() if self._of_now(message):
                self.predicted.emit(message)
            case PredictEnded() if self._of_now(message):
                if self._predict is not None:
                    self._old_threads.append(self._predict)
                    self._predict = None
                self.predict_ended.emit(message)
            case LiveMessage():
                self._hear_live(message)
            case Trouble():
                self.trouble.emit(message)
            case _:
                log.debug("stale: %s", type(message).__name__)

    def _show_again(self) -> None:
        if self.live is not None:
            self._run_frozen_again()
        elif not self.playing:
            self.seek(self.target)

    def _of_now(self, message: Predicted | PredictEnded) -> bool:
        return message.generation == self._generation and message.network == self._network_generation

    def _on_opened(self, drive: Drive) -> None:
        self.drive = drive
        self._schedule = Schedule(drive.timestamps_ns, fast_enough(drive.speed_mps, self.min_speed))
        self.opened.emit(drive)
        self.seek(self.first_frame or first_good(drive))

    def _set_playing(self, playing: bool) -> None:
        if playing != self.playing:
            self.playing = playing
            self.playing_changed.emit(playing)
