"""Record what a camera gives into a new folder that opens as a drive, even if it is cut off at any moment."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from pathlib import Path

from vbp.errors import VbpError
from vbp.live.recording_files import RecordingFiles
from vbp.live.records import LiveFrame, RecordingState

log = logging.getLogger(__name__)

MOST_FRAMES = 128  # that wait to be written; some seconds for a disk that hesitates
MOST_BYTES = 256 * 2**20
IDLE_S = 0.5
ENDING_S = 20.0  # for what waits, when the recording is stopped


class Recorder:
    """Writes frames in a thread of its own into `folder`, which is made and must not hold anything.

    size: (width, height) of the camera. fps_hint: its rate, roughly. camera: its name, to be kept with it.
    Raises VbpError where the folder cannot be made.
    """

    def __init__(self, folder: str | Path, *, size: tuple[int, int], fps_hint: float, camera: str) -> None:
        self.folder = Path(folder).expanduser()
        self._files = RecordingFiles(self.folder, size, fps_hint, camera)
        self._wake = threading.Condition()
        self._queue: deque[LiveFrame] = deque()
        self._queued_bytes = 0
        self._ending = self._ended = False
        self._dropped = 0
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, frame: LiveFrame) -> bool:
        """Hand over a frame with what is known of it; never waits. False when it had to be dropped, as too many wait already.

        Raises VbpError once the recording has ended, with the reason if it ended by itself.
        """
        with self._wake:
            if self._failure or self._ending:
                raise VbpError(self._failure or f"the recording {self.folder} has ended")
            size = frame.bytes
            full = len(self._queue) >= MOST_FRAMES or self._queued_bytes + size > MOST_BYTES
            if full and self._queue:
                self._dropped += 1
                return False
            self._queue.append(frame)
            self._queued_bytes += size
            self._wake.notify_all()
            return True

    def add_lost(self, frames: int) -> None:
        """Count frames that found no room before they came here."""
        with self._wake:
            self._dropped += frames

    def stop(self) -> RecordingState:
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
    def state(self) -> RecordingState:
        with self._wake:
            files = self._files
            return RecordingState(
                self.folder,
                files.frames,
                self._dropped,
                files.resized,
                files.seconds,
                files.bytes,
                self._ended,
                self._failure,
            )

    def _run(self) -> None:
        failure = ""
        try:
            while (frame := self._next()) is not None:
                self._files.write(frame)
        except Exception as error:
            failure = self._say(error)
        try:
            self._files.close(self._dropped, failure)
        except Exception as error:
            failure = failure or self._say(error)
        with self._wake:
            self._failure = failure
            self._ending = self._ended = True
            self._queue.clear()

    def _next(self) -> LiveFrame | None:
        """The next frame to write; None at the end."""
        while True:
            with self._wake:
                if not self._queue and not self._ending:
                    self._wake.wait(IDLE_S)
                if self._queue:
                    frame = self._queue.popleft()
                    self._queued_bytes -= frame.bytes
                    return frame
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
