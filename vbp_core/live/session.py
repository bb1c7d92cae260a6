"""A live session without a window: camera, network, measured angles and recording, put together."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vbp.errors import VbpError
from vbp.live.angles import AngleSource, Measured
from vbp.live.capture import Capture
from vbp.live.frame import NO_PREDICTION, LiveFrame, Prediction
from vbp.live.recorder import Recorder

if TYPE_CHECKING:
    from vbp.engine import Engine
    from vbp.results import NetworkResult

log = logging.getLogger(__name__)

WAITING = 16  # frames that wait for their prediction before they are recorded
PATIENCE_S = 0.5  # and how long

OnResult = Callable[["LiveResult"], None]
MakeRecorder = Callable[[LiveFrame], Recorder]


@dataclass(frozen=True)
class LiveResult:
    """A frame and what the network said of it.

    measured: the driver's angle at that time, None where unknown. latency_ms: from the frame's arrival until this
    result. skipped: frames of the camera that the network has not seen, in all.
    """

    frame: LiveFrame
    shot: NetworkResult
    measured: Measured | None
    latency_ms: float
    skipped: int

    @property
    def error_rad(self) -> float:
        """Driven - predicted, radians; NaN without a measured angle."""
        return self.measured.angle_rad - self.shot.angle_rad if self.measured is not None else math.nan


@dataclass(frozen=True)
class SessionState:
    """results: frames that went through the network. latency_ms: median and 95th percentile of the last 200,
    NaN before the first. fps: results per second. failure: why the session ended by itself, "" if it did not.
    recording: why there is no recording any more, "" while all is well.
    """

    results: int
    skipped: int
    latency_ms: tuple[float, float]
    fps: float
    failure: str
    recording: str
    newest: LiveResult | None


class LiveSession:
    """Runs the newest frame through the network, again and again, in a thread of its own.

    The session starts and stops `capture` and `angles`, and ends the recording. `make_recorder` is called with
    the first frame, whose size it needs. `on_result` is called in the session's thread. A recording that fails
    ends; the session goes on.
    """

    def __init__(
        self,
        capture: Capture,
        engine: Engine,
        *,
        angles: AngleSource | None = None,
        make_recorder: MakeRecorder | None = None,
        methods: Sequence[str] = ("visualbackprop",),
        on_result: OnResult | None = None,
    ) -> None:
        self._capture, self.engine, self._angles = capture, engine, angles
        self._make_recorder = make_recorder
        self._methods, self._on_result = methods, on_result
        self.recorder: Recorder | None = None
        self._lock = threading.Lock()
        self._tape_lock = threading.Lock()  # frames are recorded in order, whichever thread does it
        self._waiting: deque[LiveFrame] = deque()
        self._stopped = threading.Event()
        self._results = self._skipped = 0
        self._latencies: deque[float] = deque(maxlen=200)
        self._times: deque[float] = deque(maxlen=200)
        self._newest: LiveResult | None = None
        self._failure = self._recording = ""
        self._thread = threading.Thread(target=self._run, name="live session", daemon=True)

    def start(self) -> None:
        if self._angles is not None:
            self._angles.start()
        if self._make_recorder is not None:
            self._capture.listen(on_frame=self._keep)
        self._capture.start()
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; `join` waits for what is under way, and for the recording to be whole."""
        self._stopped.set()
        self._capture.stop()

    def join(self, timeout_s: float = 5.0) -> list[str]:
        """After `stop`: make the recording whole; the names of threads that still run when time is up."""
        end = time.monotonic() + timeout_s
        self._thread.join(timeout_s)
        left = [self._thread.name] if self._thread.is_alive() else []
        left += self._capture.join(max(end - time.monotonic(), 0))
        if self._angles is not None:
            self._angles.stop()
        self._record(everything=True)
        if self.recorder is not None:
            try:
                self.recorder.stop()
            except VbpError as error:
                self._recording = self._recording or str(error)
        return left

    @property
    def angles_text(self) -> str:
        """How the source of measured angles is doing, in a sentence; "" without one."""
        return self._angles.state if self._angles is not None else ""

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def state(self) -> SessionState:
        with self._lock:
            last = list(self._latencies)
            latency = (
                (float(np.median(last)), float(np.percentile(last, 95))) if last else (math.nan, math.nan)
            )
            recent = [t for t in self._times if time.monotonic() - t <= 2.0]
            fps = (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0
            return SessionState(
                self._results, self._skipped, latency, fps, self._failure, self._recording, self._newest
            )

    def _run(self) -> None:
        try:
            after = 0
            while not self._stopped.is_set():
                frame = self._capture.take(after, 0.25)
                if frame is not None:
                    self._one(frame, after)
                    after = frame.seq
        except VbpError as error:
            self._failure = str(error)
        except Exception as error:
            log.exception("live")
            self._failure = f"the network could not be run: {error}"
        finally:
            self._capture.stop()

    def _one(self, frame: LiveFrame, after: int) -> None:
        shot = self.engine.run(frame.image, maps=self._methods, strict=False)
        done = time.monotonic_ns()
        measured = self._measured(frame)
        with self._lock:
            # Those before the first are of the time in which the network was made ready.
            self._skipped += frame.seq - after - 1 if after else 0
            latency_ms = (done - frame.arrived_ns) / 1e6
            result = LiveResult(frame, shot, measured, latency_ms, self._skipped)
            self._newest = result
            self._results += 1
            self._latencies.append(latency_ms)
            self._times.append(done / 1e9)
        self._record(seq=frame.seq, predicted=Prediction.of(shot))
        if self._on_result is not None:
            self._on_result(result)

    def _measured(self, frame: LiveFrame) -> Measured | None:
        return self._angles.at(frame.timestamp_ns) if self._angles is not None else None

    # --- recording ---------------------------------------------------------------------------------

    def _keep(self, frame: LiveFrame) -> None:
        """In the capture's thread, with every frame: it waits for its prediction, or to be skipped."""
        self._waiting.append(frame)
        late_ns = time.monotonic_ns() - round(PATIENCE_S * 1e9)
        if len(self._waiting) > WAITING or self._waiting[0].arrived_ns < late_ns:
            self._record(oldest=True)

    def _record(
        self,
        seq: int = 0,
        predicted: Prediction = NO_PREDICTION,
        oldest: bool = False,
        everything: bool = False,
    ) -> None:
        """Put what is decided to the recorder, in order: frames up to `seq`, the oldest one, or all."""
        if self._make_recorder is None:
            return
        with self._tape_lock:
            while self._waiting and (everything or oldest or self._waiting[0].seq <= seq):
                frame = self._waiting.popleft()
                oldest = False
                try:
                    if self._recording:
                        continue
                    if self.recorder is None:
                        self.recorder = self._make_recorder(frame)
                    said = predicted if frame.seq == seq else NO_PREDICTION
                    self.recorder.put(frame, self._measured(frame), said)
                except VbpError as error:
                    self._recording = str(error)
