"""A live session: camera, measured angles, networks and recording, put together; with a window and without."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vbp.errors import VbpError
from vbp.frames.strengths import RecentUsual, Usual
from vbp.live.angles import AngleSource, open_angles
from vbp.live.capture import Capture, OnFrame
from vbp.live.records import (
    CaptureState,
    LiveEvent,
    LiveFailure,
    LiveFrame,
    LiveRequest,
    RecordingState,
)
from vbp.live.waiting import WaitingFrames

if TYPE_CHECKING:
    from vbp.engine import Engine
    from vbp.live.recorder import Recorder
    from vbp.results import FrameRequest

log = logging.getLogger(__name__)

FPS_HINT = 20.0  # where neither the camera nor the request says
RECORDING_EVERY_S = 0.25  # between two events of a recording
JOIN_S = 2.0
END_S = 25.0
_POLL_S = 0.05

OnEvent = Callable[[LiveEvent], None]


@dataclass(frozen=True)
class SessionState:
    """results: frames that went through the networks; skipped: that did not, since the first that did. latency_ms: from
    a frame's arrival to its result, of the newest, the median and the 95th percentile of the last 200; NaN before
    the first."""

    results: int
    skipped: int
    latency_ms: tuple[float, float, float]
    newest: LiveFrame | None


class LiveSession(threading.Thread):
    """Owns capture, source of angles and recording, from `start` until `stop`. All methods may be called from any thread.

    Networks run in the caller's thread: either `run_newest` is called again and again, or frames come by `on_frame`,
    and `add_results` hears what came out, `add_unpredicted` that nothing will. on_frame is called for every frame, in
    the capture's thread, and must be quick. on_event hears of the camera, the recording and what fails, in other threads.
    angles: a source that is open; else `request.angles` is opened, and where that fails the session goes on without.
    """

    def __init__(
        self,
        request: LiveRequest,
        *,
        angles: AngleSource | None = None,
        on_frame: OnFrame | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        super().__init__(name="live session", daemon=True)
        self.request = request
        self.failure = ""  # why the session ended by itself
        self.last_arrived_ns = 0  # of the newest frame, `time.monotonic_ns`
        self._on_frame, self._on_event = on_frame, on_event
        self._angles = angles
        self._capture = Capture(request, on_frame=self._receive, on_state=on_event)
        self._changed = threading.Condition()
        self._stopped = False
        self._folder: Path | None = None  # to record into; None: nowhere
        self._current: Path | None = None  # the same, of the frames that wait; the session's thread's own
        self._make_parents = False
        self._waiting = WaitingFrames()
        self._recorder: Recorder | None = None
        self._recording: RecordingState | None = None
        self._results = self._skipped = self._last_index = 0
        self._latencies: deque[float] = deque(maxlen=200)
        self._newest: LiveFrame | None = None
        self._recent: dict[int, RecentUsual] = {}  # by the network's place

    # --- frames and networks ---------------------------------------------------------------------

    def run_newest(
        self, engines: Sequence[Engine], request: FrameRequest | None = None, timeout_s: float = 0.25
    ) -> LiveFrame | None:
        """Run the newest frame through the networks, if it is a new one; else wait for one, up to `timeout_s`.

        Raises VbpError (see `Engine.run`).
        """
        from vbp.frames.running import run_frame  # torch comes with it: a window has it in another thread

        frame = self._capture.take(self._last_index, timeout_s)
        return self.add_results(run_frame(self.with_angle(frame), engines, request)) if frame else None

    def add_results(self, frame: LiveFrame) -> LiveFrame:
        """What networks made of a frame of this session; it is returned with the angle measured at its time."""
        frame = self.with_angle(frame)
        latency_ms = (time.monotonic_ns() - frame.arrived_ns) / 1e6
        with self._changed:
            # Those before the first are of the time in which the network was made ready.
            if self._last_index:
                self._skipped += max(frame.index - self._last_index - 1, 0)
            self._last_index = max(self._last_index, frame.index)
            self._newest = frame
            self._results += 1
            self._latencies.append(latency_ms)
            for k, result in enumerate(frame.results if not frame.edits else ()):
                recent, of = self._recent.setdefault(k, RecentUsual()), (result.network, result.crop)
                recent.add(frame.timestamp_ns, result.strength, result.spread, of)
            if self._folder is not None:
                self._waiting.add_results(frame)
                self._changed.notify_all()
        return frame

    def add_unpredicted(self, frame: LiveFrame) -> None:
        """No network runs over this frame of the session: a recording is not to wait for its prediction."""
        with self._changed:
            if self._folder is not None:
                self._waiting.add_unpredicted(frame)
                self._changed.notify_all()

    def with_angle(self, frame: LiveFrame) -> LiveFrame:
        """The frame with the angle and the speed measured nearest to it, as far as they are known by now."""
        measured = self._angles.at(frame.timestamp_ns) if self._angles is not None else None
        if measured is None:
            return frame
        return replace(
            frame,
            driven_rad=measured.angle_rad,
            speed_mps=measured.speed_mps,
            measured_ns=measured.timestamp_ns,
        )

    # --- recording ---------------------------------------------------------------------------------

    def record(self, folder: Path | None, make_parents: bool = False) -> None:
        """Record into a new `folder` from the next frame on; None: stop, and make the recording whole. Returns at once.

        make_parents: the folders around it are made as well, where they are missing.
        """
        with self._changed:
            self._folder = folder.expanduser() if folder is not None else None
            if folder is not None:
                self._make_parents = make_parents
            self._changed.notify_all()

    @property
    def is_recording(self) -> bool:
        """Whether frames are recorded, or will be as soon as they come."""
        return self._folder is not None

    @property
    def recording(self) -> RecordingState | None:
        """Of the recording that is being made, or of the last one; None before its first frame."""
        with self._changed:
            return self._recording if self._recorder is None else self._recorder.state

    # --- how it is doing -----------------------------------------------------------------------------

    @property
    def camera(self) -> CaptureState:
        return self._capture.state

    @property
    def angles_text(self) -> str:
        """How the source of measured angles is doing, in a sentence; "" without one."""
        return self._angles.state if self._angles is not None else ""

    @property
    def state(self) -> SessionState:
        with self._changed:
            last = list(self._latencies) or [math.nan]
            latency = (last[-1], float(np.median(last)), float(np.percentile(last, 95)))
            return SessionState(self._results, self._skipped, latency, self._newest)

    def usual(self, network: int = 0) -> Usual | None:
        """What masks of a network are usual of late; None where too few frames were looked at. network: its place among the engines."""
        with self._changed:
            recent = self._recent.get(network)
            return recent.usual if recent is not None else None

    # --- the end -----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Returns at once; the thread ends when the recording is whole and the camera is free."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._capture.stop()

    def end(self, timeout_s: float = END_S) -> list[str]:
        """Stop, and wait for it; the names of threads that still run when time is up."""
        deadline = time.monotonic() + timeout_s
        self.stop()
        self.join(timeout_s)
        left = [self.name] if self.is_alive() else []
        return left + self._capture.join(max(deadline - time.monotonic(), 0))

    # --- the capture's thread ------------------------------------------------------------------------

    def _receive(self, frame: LiveFrame) -> None:
        self.last_arrived_ns = frame.arrived_ns
        with self._changed:
            if self._folder is not None:
                self._waiting.add(frame)
                self._changed.notify_all()
        if self._on_frame is not None:
            self._on_frame(frame)

    # --- the session's thread, which does what may take a moment ---------------------------------------

    def run(self) -> None:
        try:
            self._open_angles()
            self._capture.start()
            self._serve()
        except Exception as error:
            log.exception("live")
            self.failure = f"the camera cannot be used: {error}"
            self._tell(LiveFailure(self.failure, ended=True))
        finally:
            self._end_recording()
            self._capture.stop()
            self._capture.join(JOIN_S)  # a device is to be free for who opens it next
            if self._angles is not None:
                self._angles.stop()

    def _tell(self, event: LiveEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _open_angles(self) -> None:
        try:
            source = open_angles(self.request.angles) if self.request.angles and not self._angles else None
            source = source or self._angles
            if source is not None:
                source.start()
            self._angles = source
        except VbpError as error:  # the pictures are still worth seeing
            self._tell(LiveFailure(str(error)))

    def _serve(self) -> None:
        reported = 0.0
        while True:
            with self._changed:
                while not (self._stopped or self._folder is not None or self._current is not None):
                    self._changed.wait()
                self._current = self._current or self._folder
                if not self._stopped and self._folder == self._current and not self._waiting.ready:
                    self._changed.wait(_POLL_S)
                stopped, ending = self._stopped, self._folder != self._current
                frames = self._waiting.take(everything=stopped or ending)
            try:
                self._write(frames)
                if ending:
                    self._end_recording()
            except VbpError as error:
                self._give_up(str(error))
            except Exception as error:
                log.exception("recording")
                self._give_up(f"the recording stopped: {error}")
            if stopped:
                return
            if self._recorder is not None and time.monotonic() - reported > RECORDING_EVERY_S:
                reported = time.monotonic()
                self._tell(self._recorder.state)

    def _write(self, frames: list[LiveFrame]) -> None:
        for frame in frames:
            if self._recorder is None and self._current is not None:
                self._recorder = self._open_recorder(frame, self._current)
            if self._recorder is not None:
                self._recorder.put(self.with_angle(frame))
        if self._recorder is not None:
            with self._changed:
                lost, self._waiting.lost = self._waiting.lost, 0
            self._recorder.add_lost(lost)

    def _open_recorder(self, frame: LiveFrame, folder: Path) -> Recorder:
        from vbp.live.recorder import Recorder  # PyAV comes with it, and most sessions record nothing

        if self._make_parents:
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise VbpError(f"{folder.parent} cannot be made: {error.strerror or error}") from error
        assert frame.image is not None
        height, width = frame.image.shape[:2]
        fps = self.camera.fps or self.request.fps or FPS_HINT
        return Recorder(folder, size=(width, height), fps_hint=fps, camera=self.request.address.name)

    def _give_up(self, reason: str) -> None:
        with self._changed:
            if self._folder == self._current:
                self._folder = None
            self._waiting.clear()
        self._end_recording(reason)

    def _end_recording(self, failure: str = "") -> None:
        """Make the recording whole, and tell what became of it. failure: why it ends, if nobody asked for that."""
        recorder, self._current = self._recorder, None
        if recorder is None and not failure:
            return
        if recorder is not None:
            try:
                recorder.stop()
            except VbpError as error:
                failure = failure or str(error)
        with self._changed:
            state = RecordingState(None) if recorder is None else recorder.state
            state = replace(state, ended=True, failure=failure)
            self._recorder, self._recording = None, state
        self._tell(state)
