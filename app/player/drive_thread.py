"""The thread that owns one recording: opens it, then decodes its frames at the pace asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vbp.app.player.messages import DriveFailed, DriveOpened, Frame, PlayEnded, Trouble
from vbp.app.player.schedule import Schedule, fast_enough
from vbp.app.player.source import Route
from vbp.app.player.threads import Abandoned
from vbp.drives.base import Drive, OpenOptions
from vbp.drives.opening import open_drive
from vbp.drives.patience import unless
from vbp.errors import NeedsAngleUnitError, VbpError
from vbp.frames import read_frame
from vbp.results import FrameResult

log = logging.getLogger(__name__)
MIN_HOLD_S = 0.02
READ_AHEAD = 4  # frames; they wait in the drive's own cache


@dataclass(frozen=True)
class Order:
    """One frame to read. show: send it on; otherwise it is only read ahead."""

    index: int
    seq: int
    show: bool = True
    lossless: bool = False
    beside: bool = False


class DriveThread(threading.Thread):
    """`tell` gets messages, `route` frames. All of the public methods may be called from any thread and return at once."""

    def __init__(
        self,
        generation: int,
        path: Path,
        options: OpenOptions,
        tell: Callable[[object], None],
        route: Route,
        min_speed: float = 0.0,
    ) -> None:
        super().__init__(name=f"vbp-drive-{generation}", daemon=True)
        self.generation = generation
        self.path = path
        self._options = options
        self._tell = tell
        self._route = route
        self._min_speed = min_speed
        self._wake = threading.Condition()
        self._stopped = False
        self._schedule: Schedule | None = None
        # What is wanted. Guarded by _wake.
        self._seek: int | None = None
        self._beside: int | None = None
        self._then: list[int] = []
        self._seq = 0
        self._playing = False
        self._realtime = True
        self._speed = 1.0
        self._loop: tuple[int, int] | None = None
        # Where it is.
        self._at = -1  # the last frame sent
        self._ahead = -1  # the last frame read ahead
        self._sent = 0.0  # and when
        self._next_due = 0.0  # every-frame mode: when the next one may go
        self._costs: dict[int, float] = {}  # milliseconds that reading ahead took, by frame
        self._complained = False

    # Orders, from the window's thread.

    def seek(self, index: int, seq: int, playing: bool, then: Sequence[int] = ()) -> None:
        """playing: go on from there, also if the end was just met. then: frames to read ahead after it, while paused."""
        with self._wake:
            self._seek, self._seq, self._playing, self._then = index, seq, playing, list(then)
            self._wake.notify_all()

    def fetch_beside(self, index: int, seq: int) -> None:
        """One more frame, to compare with; it moves nothing and gives way to everything."""
        with self._wake:
            self._beside, self._seq = index, seq
            self._wake.notify_all()

    def play(self, at: int, seq: int, jump_to: int | None = None) -> None:
        """Go on after frame `at`, which is on the screen; or from `jump_to`, which is shown first."""
        with self._wake:
            self._seq = seq
            self._seek = self._seek if jump_to is None else jump_to
            self._playing = True
            self._place(at, time.monotonic())
            self._wake.notify_all()

    def pause(self, at: int, seq: int) -> None:
        with self._wake:
            self._seq = seq
            self._playing = False
            self._at = self._ahead = at
            self._wake.notify_all()

    def set_pace(self, speed: float, realtime: bool) -> None:
        with self._wake:
            if self._schedule:
                now = time.monotonic()
                if realtime and not self._realtime:
                    self._schedule.start(max(self._at, 0), now)
                self._schedule.set_speed(speed, now)
            self._speed, self._realtime = speed, realtime
            self._wake.notify_all()

    def set_loop(self, loop: tuple[int, int] | None) -> None:
        with self._wake:
            self._loop = loop
            self._wake.notify_all()

    def nudge(self) -> None:
        """There may be room for a frame again."""
        with self._wake:
            self._wake.notify_all()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    # The thread itself.

    def run(self) -> None:
        with suppress(Abandoned), unless(lambda: self._stopped):
            self._open_and_serve()

    def _open_and_serve(self) -> None:
        try:
            drive = open_drive(self.path, self._options)
        except NeedsAngleUnitError as error:
            self._tell(DriveFailed(self.generation, self.path, str(error), needs_unit=True))
        except VbpError as error:
            self._tell(DriveFailed(self.generation, self.path, str(error)))
        except Exception as error:
            log.exception("opening %s", self.path)
            self._tell(DriveFailed(self.generation, self.path, f"{self.path} could not be opened: {error}"))
        else:
            try:
                self._serve(drive)
            except Exception as error:
                log.exception("playing %s", self.path)
                self._tell(Trouble(f"Playback of {self.path.name} stopped: {error}"))
            finally:
                drive.close()

    def _serve(self, drive: Drive) -> None:
        if self._stopped:
            return
        if not len(drive):
            self._tell(DriveFailed(self.generation, self.path, f"{self.path} holds no frame"))
            return
        with self._wake:
            self._schedule = Schedule(drive.timestamps_ns, fast_enough(drive.speed_mps, self._min_speed))
            self._schedule.speed = self._speed
        self._tell(DriveOpened(self.generation, drive))
        while (order := self._next_order(self._schedule)) is not None:
            frame = self._read(drive, order)
            if order.show:
                self._route.send(frame)
            else:
                self._costs[order.index] = frame.record.decode_ms

    def _read(self, drive: Drive, order: Order) -> Frame:
        index = order.index
        began = time.perf_counter()
        try:
            record = read_frame(drive, index)
        except Exception as error:  # a reader's bug or a disk that went away: a gap, not the end
            gap = f"Frame {index} cannot be read: {error}"
            log.exception("frame %d of %s", index, self.path)
            if not self._complained:
                self._complained = True
                self._tell(Trouble(gap))
            ms = (time.perf_counter() - began) * 1e3
            stamp, angle, speed = (v[index] for v in (drive.timestamps_ns, drive.angle_rad, drive.speed_mps))
            record = FrameResult(index, int(stamp), None, gap, float(angle), float(speed), decode_ms=ms)
        if order.show and index in self._costs:
            # What it took when it was read ahead: now it was at hand.
            record = replace(record, decode_ms=self._costs.pop(index))
        if order.show and len(self._costs) > 4 * READ_AHEAD:
            self._costs.clear()
        return Frame(self.generation, order.seq, record, order.lossless, order.beside)

    def _next_order(self, schedule: Schedule) -> Order | None:
        """What to read next, when its time has come; None when stopped."""
        with self._wake:
            while not self._stopped:
                now = time.monotonic()
                if self._seek is not None:
                    index, self._seek = self._seek, None
                    self._place(index, now)
                    return Order(index, self._seq)
                patience = None
                if self._playing:
                    index_due, patience = self._due(schedule, now)
                    if index_due is not None:
                        self._at = index_due
                        self._ahead = max(self._ahead, index_due)
                        self._sent = now
                        return Order(index_due, self._seq, lossless=not self._realtime)
                    ahead = self._read_ahead(schedule)
                    if ahead is not None:
                        self._ahead = ahead
                        return Order(ahead, self._seq, show=False)
                elif self._beside is not None:
                    index, self._beside = self._beside, None
                    return Order(index, self._seq, beside=True)
                elif self._then:
                    return Order(self._then.pop(0), self._seq, show=False)
                self._wake.wait(patience)
        return None

    def _place(self, index: int, now: float) -> None:
        """The playback goes on from frame `index`. Called with the lock held."""
        self._at = self._ahead = index
        self._sent = now
        if self._schedule:
            self._schedule.start(index, now)
            following = self._schedule.after(index)
            self._next_due = now + (self._schedule.step(following) if following is not None else 0.0)

    def _due(self, schedule: Schedule, now: float) -> tuple[int | None, float | None]:
        """The frame to send now, or None and how long to wait (None: until something changes)."""
        last = self._loop[1] if self._loop and self._at <= self._loop[1] else int(schedule.frames[-1])
        following = schedule.after(self._at)
        if following is None or following > last:
            return self._wrap_or_end(schedule, now)
        if self._realtime:
            wait = schedule.wait(following, now)
            if wait > 0:
                return None, wait
            if not self._route.has_room:
                return None, None
            return min(max(schedule.due(now), following), last), None
        if now < self._next_due:
            return None, self._next_due - now
        if not self._route.has_room:
            return None, None
        beyond = schedule.after(following)
        # Keep the drive's own pace where possible; where not, just be slower: no frame is hurried after.
        self._next_due = max(self._next_due + (schedule.step(beyond) if beyond is not None else 0.0), now)
        return following, None

    def _wrap_or_end(self, schedule: Schedule, now: float) -> tuple[int | None, float | None]:
        if self._loop:
            hold = self._sent + max(schedule.step(self._at), MIN_HOLD_S) - now
            if hold > 0:  # the last frame is seen as long as any other
                return None, hold
            if not self._route.has_room:
                return None, None
            first = self._loop[0]
            self._place(first, now)
            return first, None
        self._playing = False
        self._tell(PlayEnded(self.generation, self._seq))
        return None, None

    def _read_ahead(self, schedule: Schedule) -> int | None:
        ahead = schedule.after(max(self._ahead, self._at))
        if ahead is None or schedule.between(self._at, ahead) >= READ_AHEAD:
            return None
        return None if self._loop and ahead > self._loop[1] else ahead
