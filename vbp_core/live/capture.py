"""A camera that is watched: the newest frame wins, silence is reported, a lost camera is opened again."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from vbp.drives.base import Image
from vbp.live.reader import Reader
from vbp.live.records import CaptureState, LiveFrame, LiveRequest, Phase

log = logging.getLogger(__name__)

STALE_S = 0.5  # a newest frame older than this is marked
SILENT_S = 2.0  # a camera silent for this long is given up and opened again; slow ones get four frames' time
OPENING_S = 12.0  # some drivers take long; a stream's own limit is shorter
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0  # between tries
MOST_BLOCKED = 3  # readers that hang in a library before no further one is started
TRYING = "; trying again"
_TICK_S = 0.1
_RATE_S = 2.0

OnFrame = Callable[[LiveFrame], None]
OnState = Callable[[CaptureState], None]


class Capture:
    """Frames of one camera from threads of its own.

    `on_frame` is called for every fresh frame, in the reading thread: it must be quick, or frames are late.
    `on_state` is called in the watching thread when the phase or the text changes. Neither is called after
    `stop` has returned, but for a call that is under way.
    What the request asks for, a device may give or not; what it gives is in `state`.
    """

    def __init__(
        self,
        request: LiveRequest,
        on_frame: OnFrame | None = None,
        on_state: OnState | None = None,
    ) -> None:
        self.address, self._request = request.address, request
        self._on_frame, self._on_state = on_frame, on_state
        self._changed = threading.Condition()
        self._stopped = False
        self._watch: threading.Thread | None = None
        self._reader: Reader | None = None  # the one whose frames count
        self._readers: list[Reader] = []  # with those that were given up and still hang
        self._newest: LiveFrame | None = None
        self._arrivals: deque[int] = deque(maxlen=512)
        self._received = self._reconnects = 0
        self._last_stamp = 0
        self._exposure_ms: float | None = None
        self._phase: Phase = "connecting"
        self._text = f"Connecting to {self.address.name}"

    # --- what others call --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; returns at once. A capture starts once."""
        with self._changed:
            if self._watch is not None or self._stopped:
                return
            self._watch = threading.Thread(target=self._run, name="camera watch", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Returns at once, whatever the camera does; the threads end by themselves."""
        with self._changed:
            self._stopped = True
            for reader in self._readers:
                reader.give_up()
            self._changed.notify_all()

    def join(self, timeout_s: float) -> list[str]:
        """Wait after `stop`; the names of threads that are still inside a library when time is up."""
        end = time.monotonic() + timeout_s
        with self._changed:
            threads = [t for t in (self._watch, *self._readers) if t is not None]
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(end - time.monotonic(), 0))
        return [t.name for t in threads if t.is_alive()]

    def take(self, after: int = 0, timeout_s: float = 0.0) -> LiveFrame | None:
        """The newest frame if its `index` is above `after`; else wait for one, up to `timeout_s`."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not self._stopped and (self._newest is None or self._newest.index <= after):
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            if self._stopped or self._newest is None:
                return None
            return self._newest

    @property
    def state(self) -> CaptureState:
        with self._changed:
            return self._state()

    def _state(self) -> CaptureState:
        image = self._newest.image if self._newest is not None else None
        size = image.shape[1::-1] if image is not None else (0, 0)
        return CaptureState(
            self._phase,
            self._text,
            (size[0], size[1]),
            self._fps(),
            self._received,
            self._reconnects,
            self._exposure_ms,
        )

    def _fps(self) -> float:
        now = time.monotonic_ns()
        recent = [t for t in self._arrivals if now - t <= _RATE_S * 1e9]
        return (len(recent) - 1) * 1e9 / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    # --- called by readers ---------------------------------------------------------------------

    def opened(self, reader: Reader, exposure_ms: float | None) -> None:
        with self._changed:
            if reader is self._reader:
                self._exposure_ms = exposure_ms
                self._changed.notify_all()

    def deliver(self, reader: Reader, image: Image, timestamp_ns: int, arrived_ns: int) -> bool:
        """A fresh frame; False when this reader's frames no longer count."""
        with self._changed:
            if self._stopped or reader is not self._reader:
                return False
            if self._newest is not None and timestamp_ns <= self._last_stamp:
                # The clock was set back: go on from where it was.
                timestamp_ns = self._last_stamp + max(arrived_ns - self._newest.arrived_ns, 1)
            self._last_stamp = timestamp_ns
            self._received += 1
            frame = LiveFrame(self._received, timestamp_ns, image, arrived_ns=arrived_ns)
            self._newest = frame
            self._arrivals.append(arrived_ns)
            self._changed.notify_all()
        if self._on_frame is not None:
            try:
                self._on_frame(frame)
            except Exception:
                log.exception("with a frame of the camera")
        return True

    def ended(self, reader: Reader) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- the watch -----------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopped:
            before = self._received
            reader = self._new_reader()
            if reader is not None:
                self._tell_lost(self._follow(reader), reader)
            pause = FIRST_PAUSE_S if self._received > before else min(pause * 2, LONGEST_PAUSE_S)
            with self._changed:
                if not self._stopped:
                    self._changed.wait_for(lambda: self._stopped, pause)

    def _new_reader(self) -> Reader | None:
        """A new reader at work; None while too many hang. A device can be opened only once at a time."""
        with self._changed:
            self._readers = [r for r in self._readers if r.is_alive()]
            most = 1 if self.address.kind == "device" else MOST_BLOCKED
            if self._stopped or len(self._readers) >= most:
                return None
            self._reader = Reader(self, self._request)
            self._readers.append(self._reader)
        self._reader.start()
        return self._reader

    def _follow(self, reader: Reader) -> str:
        """Watch one reader until it ends or is given up; why, as a sentence without its end."""
        first = self._received
        opened_at = time.monotonic_ns()
        fresh = False
        while True:
            with self._changed:
                # A frame after a silence is news; the many others are not worth waking up for.
                if fresh:
                    self._changed.wait_for(lambda: self._stopped or reader.over, _TICK_S)
                else:
                    self._changed.wait(_TICK_S)
                if self._stopped:
                    return ""
                came = self._received > first
                newest_ns = self._newest.arrived_ns if came and self._newest is not None else opened_at
            age_s = (time.monotonic_ns() - newest_ns) / 1e9
            if reader.over:
                return reader.reason
            if self._is_unplugged():
                reader.give_up()
                return f"{self.address.name} is unplugged"
            if came and age_s <= STALE_S:
                if not fresh:
                    self._tell_live(reader)
                    fresh = True
                continue
            if came:
                fresh = False
                again = " (it gives the same picture again and again)" if reader.repeats else ""
                self._tell("stale", f"{self.address.name} has sent no new frame for {age_s:.1f} s{again}")
            limit = self._patience_s() if came else OPENING_S
            if age_s > limit:
                reader.give_up()
                if came:
                    return f"{self.address.name} is silent: no new frame for {age_s:.0f} s"
                return f"{self.address.name} does not answer"

    def _is_unplugged(self) -> bool:
        path = self.address.device_file
        return path is not None and self._received > 0 and not os.path.exists(path)

    def _patience_s(self) -> float:
        """Longer for a camera that is slow by nature."""
        with self._changed:
            if len(self._arrivals) < 2:
                return SILENT_S
            return max(SILENT_S, 4 * (self._arrivals[-1] - self._arrivals[-2]) / 1e9)

    def _tell_live(self, reader: Reader) -> None:
        with self._changed:
            back = self._phase == "lost"
            self._reconnects += back
            state = self._state()
        words = f"{self.address.name}: {state.size[0]}×{state.size[1]}"
        asked = self._request.size
        if asked is not None and state.size != asked:
            words += f", as the camera gives no {asked[0]}×{asked[1]}"
        self._tell("live", words)

    def _tell_lost(self, reason: str, reader: Reader) -> None:
        if reason:
            with self._changed:
                first = self._received == 0
            self._tell("connecting" if first else "lost", reason + TRYING)

    def _tell(self, phase: Phase, text: str) -> None:
        """State that changed goes to `on_state`; of a stale one only the age does, which is not worth a call."""
        with self._changed:
            if self._stopped:
                return
            same = (phase, text) == (self._phase, self._text)
            quiet = same or (phase == self._phase == "stale")
            self._phase, self._text = phase, text
            state = self._state()
        if quiet or self._on_state is None:
            return
        try:
            self._on_state(state)
        except Exception:
            log.exception("with the camera's state")
