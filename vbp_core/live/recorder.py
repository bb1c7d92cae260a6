"""Record what a camera gives into a new folder that opens as a drive, even if it is cut off at any moment."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from vbp.errors import VbpError
from vbp.live.angles import Measured
from vbp.live.frame import NO_PREDICTION, LiveFrame, Prediction
from vbp.live.recording_files import RecordingFiles

log = logging.getLogger(__name__)

MOST_FRAMES = 128  # that wait to be written; some seconds for a disk that hesitates
MOST_BYTES = 256 * 2**20
IDLE_S = 0.5
ENDING_S = 20.0  # for what waits, when the recording is stopped


@dataclass(frozen=True)
class RecorderState:
    """frames: written. dropped: not recorded, as disk or encoder were too slow. resized: came in another size
    than the first and were fitted in. seconds: from the first to the last frame. bytes: on disk. failure: why
    the recording ended by itself, "" while all is well. text: one sentence for the user."""

    frames: int
    dropped: int
    resized: int
    seconds: float
    bytes: int
    failure: str
    text: str


class Recorder:
    """Writes frames in a thread of its own into `folder`, which is made and must not hold anything.

    size: (width, height) of the camera. fps_hint: its rate, roughly. camera, model: names to be kept with it.
    Raises VbpError where the folder cannot be made.
    """

    def __init__(
        self, folder: str | Path, *, size: tuple[int, int], fps_hint: float, camera: str, model: str
    ) -> None:
        self.folder = Path(folder).expanduser()
        self._files = RecordingFiles(self.folder, size, fps_hint, camera, model)
        self._wake = threading.Condition()
        self._queue: deque[tuple[LiveFrame, Measured | None, Prediction]] = deque()
        self._queued_bytes = 0
        self._ending = False
        self._dropped = 0
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(
        self, frame: LiveFrame, measured: Measured | None = None, predicted: Prediction = NO_PREDICTION
    ) -> bool:
        """Hand over a frame; never waits. False when it had to be dropped, as too many wait already.

        Raises VbpError once the recording has ended, with the reason if it ended by itself.
        """
        with self._wake:
            if self._failure or self._ending:
                raise VbpError(self._failure or f"the recording {self.folder} has ended")
            size = frame.image.nbytes
            full = len(self._queue) >= MOST_FRAMES or self._queued_bytes + size > MOST_BYTES
            if full and self._queue:
                self._dropped += 1
                return False
            self._queue.append((frame, measured, predicted))
            self._queued_bytes += size
            self._wake.notify_all()
            return True

    def stop(self) -> RecorderState:
        """Write what waits and make the files whole; waits for that. Safe to call twice.

        Raises VbpError where the recording ended too early, or the disk does not take what waits.
        """
        with self._wake:
            self._ending = True
            self._wake.notify_all()
        self._thread.join(ENDING_S)
        if self._thread.is_alive():
            raise VbpError(
                f"{self.folder} is not whole yet: the disk does not take what is still to be written"
            )
        if self._failure:
            raise VbpError(self._failure)
        return self.state

    @property
    def state(self) -> RecorderState:
        with self._wake:
            files = self._files
            text = self._failure or f"{files.frames} frames in {self.folder}"
            if self._dropped and not self._failure:
                text += f"; {self._dropped} frames were not recorded, as the disk or the encoder is too slow"
            return RecorderState(
                files.frames, self._dropped, files.resized, files.seconds, files.bytes, self._failure, text
            )

    def _run(self) -> None:
        failure = ""
        try:
            while (item := self._next()) is not None:
                self._files.write(*item)
        except Exception as error:
            failure = self._say(error)
        try:
            self._files.close(self._dropped, failure)
        except Exception as error:
            failure = failure or self._say(error)
        with self._wake:
            self._failure = failure
            self._ending = True
            self._queue.clear()

    def _next(self) -> tuple[LiveFrame, Measured | None, Prediction] | None:
        """The next frame to write; None at the end."""
        while True:
            with self._wake:
                if not self._queue and not self._ending:
                    self._wake.wait(IDLE_S)
                if self._queue:
                    item = self._queue.popleft()
                    self._queued_bytes -= item[0].image.nbytes
                    return item
                if self._ending:
                    return None
            self._files.flush()  # while no frames come, too

    def _say(self, error: Exception) -> str:
        if not isinstance(error, OSError | VbpError):
            log.exception("recording")
        reason = getattr(error, "strerror", None) or str(error)
        time_text = time.strftime("%H:%M:%S")
        return (
            f"the recording {self.folder} ended at {time_text} ({reason}); what was written before is kept: "
            "make room, or record elsewhere"
        )
