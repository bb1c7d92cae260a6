"""The thread of one live session: it starts and stops the camera, and feeds what is recorded.

Frames come in the capture's own thread and go on at once; only what may take a moment is done here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vbp.app.player.messages import Frame, LiveFailed, LiveTold, RecordingTold
from vbp.app.player.threads import Abandoned
from vbp.errors import VbpError
from vbp.live.frame import NO_PREDICTION, Prediction

if TYPE_CHECKING:
    from vbp.live.address import Address
    from vbp.live.angles import AngleSource, Measured
    from vbp.live.capture import Capture
    from vbp.live.frame import CaptureState, LiveFrame
    from vbp.live.recorder import Recorder

log = logging.getLogger(__name__)
WAITING = 8  # frames that wait for their prediction before they are recorded; each may be of 24 MB
PATIENCE_S = 0.5  # and how long
TELL_EVERY_S = 0.25
JOIN_S = 2.0
FPS_HINT = 20.0
MOST_BYTES = 256 * 2**20  # of frames that wait while a recording is being opened


@dataclass(frozen=True)
class LiveRequest:
    """What a session is asked for. size (width, height), fps and exposure_ms: None leaves them to the camera."""

    address: Address
    size: tuple[int, int] | None = None
    fps: float | None = None
    exposure_ms: float | None = None
    angles: str = ""


class LiveThread(threading.Thread):
    """`tell` gets messages, `deliver` gets frames. All public methods return at once, from any thread."""

    def __init__(
        self,
        generation: int,
        request: LiveRequest,
        tell: Callable[[object], None],
        deliver: Callable[[Frame], None],
        predicting: Callable[[], bool],
    ) -> None:
        super().__init__(name=f"vbp-live-{generation}", daemon=True)
        self.generation = generation
        self.request = request
        self._tell = tell
        self._deliver = deliver
        self._predicting = predicting
        self._wake = threading.Condition()
        self._stopped = False
        self._record: Path | None = None  # where to; None: nowhere
        self._model = ""
        self._make_parents = False
        self._lost = 0  # frames that came while too many waited
        self._waiting: deque[LiveFrame] = deque()
        self._predicted: deque[tuple[int, Prediction]] = deque(maxlen=256)
        self._angles: AngleSource | None = None
        self._recorder: Recorder | None = None
        self._camera = ""
        self.state: CaptureState | None = None
        self.last_arrived_ns = 0  # of the newest frame, on the monotonic clock

    # Orders.

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    def nudge(self) -> None:
        """For its sisters, who wait for room; here the newest frame wins."""

    def record(self, folder: Path | None, model: str = "", make_parents: bool = False) -> None:
        """Record into a new `folder` from the next frame on; None: stop, and make the recording whole.

        make_parents: the folder around it is made as well, where it is missing.
        """
        with self._wake:
            self._record, self._model, self._make_parents = folder, model, make_parents
            self._wake.notify_all()

    def passed(self, frame: Frame) -> None:
        """The network ran over a frame (called in the network's thread)."""
        if frame.shot is None:
            return
        with self._wake:
            if self._record is not None:  # also while the recording is still being opened
                self._predicted.append((frame.index, Prediction.of(frame.shot)))
                self._wake.notify_all()

    # What is known, from any thread.

    @property
    def has_angles(self) -> bool:
        return self._angles is not None

    @property
    def angles_text(self) -> str:
        """How the source of measured angles is doing, in a sentence; "" without one."""
        return self._angles.state if self._angles is not None else ""

    def measured(self, timestamp_ns: int) -> Measured | None:
        return self._angles.at(timestamp_ns) if self._angles is not None else None

    # From the capture's thread.

    def _on_frame(self, live: LiveFrame) -> None:
        self.last_arrived_ns = live.arrived_ns
        with self._wake:
            if self._record is not None:
                if len(self._waiting) * live.image.nbytes < MOST_BYTES:
                    self._waiting.append(live)
                else:
                    self._lost += 1
                self._wake.notify_all()
        self._deliver(
            Frame(
                self.generation,
                0,
                live.seq,
                live.image,
                stamp_ns=live.timestamp_ns,
                arrived_ns=live.arrived_ns,
            )
        )

    def _on_state(self, state: CaptureState) -> None:
        self.state = state
        self._tell(LiveTold(self.generation, state))

    # The thread itself.

    def run(self) -> None:
        with suppress(Abandoned):
            capture = None
            try:
                self._open_angles()
                capture = self._open_camera()
                self._serve()
            except VbpError as error:
                self._tell(LiveFailed(self.generation, str(error), camera=True))
            except Exception as error:
                log.exception("live")
                self._tell(LiveFailed(self.generation, f"The camera cannot be used: {error}", camera=True))
            finally:
                self._end_recording("")
                if capture is not None:
                    capture.stop()
                    capture.join(JOIN_S)  # a device is to be free for who opens it next
                if self._angles is not None:
                    self._angles.stop()

    def _open_angles(self) -> None:
        if not self.request.angles:
            return
        from vbp.live.angles import open_angles

        try:
            source = open_angles(self.request.angles)
            source.start()
            self._angles = source
        except VbpError as error:  # the pictures are still worth seeing
            self._tell(LiveFailed(self.generation, str(error)))

    def _open_camera(self) -> Capture | None:
        from vbp.live.capture import Capture

        if self._stopped:
            return None
        r = self.request
        self._camera = r.address.name
        capture = Capture(
            r.address,
            size=r.size,
            fps=r.fps,
            exposure_ms=r.exposure_ms,
            on_frame=self._on_frame,
            on_state=self._on_state,
        )
        capture.start()
        return capture

    def _serve(self) -> None:
        told = 0.0
        while True:
            with self._wake:
                while not self._stopped and self._record is None and self._recorder is None:
                    self._wake.wait()
                if self._stopped:
                    return
                if self._record is not None and not self._waiting:
                    self._wake.wait(0.1)
                elif self._waiting and not self._ready(self._waiting[0]):
                    self._wake.wait(0.05)
                folder, model = self._record, self._model
                frames = self._take_ready(everything=folder is None)
            try:
                self._feed(frames, folder, model)
            except VbpError as error:
                self._give_up(str(error))
            except Exception as error:
                log.exception("recording")
                self._give_up(f"The recording stopped: {error}")
            if self._recorder is not None and time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                self._tell_recording()

    # Called with the lock held.

    def _ready(self, frame: LiveFrame) -> bool:
        """Whether all that will be known of a frame is known: its prediction, or that it was skipped."""
        late = len(self._waiting) > WAITING or time.monotonic_ns() - frame.arrived_ns > PATIENCE_S * 1e9
        known = bool(self._predicted) and self._predicted[-1][0] >= frame.seq
        return known or late or not self._predicting()

    def _take_ready(self, everything: bool) -> list[tuple[LiveFrame, Prediction]]:
        predicted = dict(self._predicted)
        out = []
        while self._waiting and (everything or self._ready(self._waiting[0])):
            frame = self._waiting.popleft()
            out.append((frame, predicted.get(frame.seq, NO_PREDICTION)))
        return out

    # Without it.

    def _feed(self, frames: list[tuple[LiveFrame, Prediction]], folder: Path | None, model: str) -> None:
        for frame, predicted in frames:
            if self._recorder is None and folder is not None:
                self._recorder = self._open_recorder(frame, folder, model)
            if self._recorder is not None:
                self._recorder.put(frame, self.measured(frame.timestamp_ns), predicted)
        if folder is None and self._recorder is not None:
            self._end_recording("")

    def _open_recorder(self, frame: LiveFrame, folder: Path, model: str) -> Recorder:
        from vbp.live.recorder import Recorder

        if self._make_parents:
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise VbpError(f"{folder.parent} cannot be made: {error.strerror or error}") from error
        height, width = frame.image.shape[:2]
        fps = self.state.fps if self.state is not None and self.state.fps > 0 else FPS_HINT
        return Recorder(folder, size=(width, height), fps_hint=fps, camera=self._camera, model=model)

    def _give_up(self, text: str) -> None:
        with self._wake:
            self._record = None
            self._waiting.clear()
        if self._recorder is not None:
            self._end_recording(text)
        else:
            self._tell(RecordingTold(self.generation, None, ended=True, text=text))

    def _end_recording(self, text: str) -> None:
        recorder, self._recorder = self._recorder, None
        self._predicted.clear()
        if recorder is None:
            return
        try:
            recorder.stop()
        except VbpError as error:
            text = text or str(error)
        except Exception as error:
            log.exception("ending the recording")
            text = text or f"The recording could not be ended well: {error}"
        self._tell(self._told(recorder, ended=True, text=text))
        self._lost = 0

    def _tell_recording(self) -> None:
        if self._recorder is not None:
            self._tell(self._told(self._recorder))

    def _told(self, recorder: Recorder, ended: bool = False, text: str = "") -> RecordingTold:
        state = recorder.state
        return RecordingTold(
            self.generation,
            recorder.folder,
            state.seconds,
            state.bytes,
            state.frames,
            state.dropped + self._lost,
            ended,
            text,
        )
