"""A recording as the player's source: where its playback is, and what is asked of the thread that reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vbp.app.player.drive_thread import DriveThread
from vbp.app.player.messages import Frame
from vbp.app.player.schedule import Schedule, fast_enough, first_good
from vbp.app.player.source import Place, Rate, Route, State
from vbp.drives.base import Drive, OpenOptions
from vbp.results import FrameResult

RATE_S = 1.0


class RecordedSource:
    """tell hears the thread's messages; on_state, in the window's thread, of another state."""

    def __init__(
        self,
        generation: int,
        path: Path,
        options: OpenOptions,
        first_frame: int,
        min_speed: float,
        route: Route,
        tell: Callable[[object], None],
        on_state: Callable[[], None],
    ) -> None:
        self.generation = generation
        self.state = State.PAUSED
        self.skipped = 0
        self.drive: Drive | None = None
        self.target = 0  # the frame last asked for, or shown since
        self.loop: tuple[int, int] | None = None
        self._thread = DriveThread(generation, path, options, tell, route, min_speed)
        self._first_frame, self._min_speed, self._on_state = first_frame, min_speed, on_state
        self._schedule = Schedule(np.zeros(0, dtype=np.int64))
        self._rate, self._route = Rate(RATE_S), route
        self._seq = 0  # of the newest request
        self._min_seq = 0  # frames of earlier ones are not shown
        self._shown: int | None = None
        self._last_played: int | None = None
        self._scrubbing = self._resume = False
        self._play_from: int | None = None

    @property
    def fps(self) -> float:
        return self._rate.per_second if self.state is State.PLAYING else 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> DriveThread:
        self._thread.stop()
        return self._thread

    def nudge(self) -> None:
        self._thread.nudge()

    def set_drive(self, drive: Drive) -> None:
        """It is open now."""
        self.drive = drive
        self._schedule = Schedule(drive.timestamps_ns, fast_enough(drive.speed_mps, self._min_speed))

    def show_first(self) -> None:
        if self.drive is not None:
            self.seek(self._first_frame or first_good(self.drive))

    # Moving about.

    def seek(self, index: int, play_from: int | None = None, then: Sequence[int] = ()) -> None:
        """Show frame `index`. Playing, it goes on from there.

        play_from: where playing begins, if it is not there, as long as nothing else is asked for. then: frames that may be
        asked for next, which are read meanwhile.
        """
        self._play_from = play_from
        self._show(index, then)

    def _show(self, index: int, then: Sequence[int] = ()) -> None:
        if self.drive is None:
            return
        self.target = min(max(index, 0), len(self.drive) - 1)
        self._seq += 1
        self._last_played = None
        self._thread.seek(self.target, self._seq, self.state is State.PLAYING, then)

    def fetch_beside(self, index: int) -> None:
        """While paused: run one more frame, to compare with; it moves nothing."""
        if self.state is State.PAUSED and self.drive is not None and 0 <= index < len(self.drive):
            self._seq += 1
            self._thread.fetch_beside(index, self._seq)

    def play(self) -> None:
        if self.drive is None or self.state is State.PLAYING:
            return
        at, self._play_from = self.target if self._play_from is None else self._play_from, None
        outside = self.loop is not None and not self.loop[0] <= at < self.loop[1]
        jump_to = None if at == self.target else at
        if outside or self._schedule.after(at) is None:
            jump_to = self.loop[0] if self.loop is not None else int(self._schedule.frames[0])
        self.skipped = 0
        self._seq += 1
        self.target = at if jump_to is None else jump_to
        self._last_played = at if jump_to is None else None
        self._rate.clear()
        self._thread.set_loop(self.loop)
        self._set_state(State.PLAYING)
        # One order, not two: between a play and a seek the thread would find itself at the end.
        self._thread.play(at, self._seq, jump_to)

    def pause(self) -> None:
        """Stop at what is on the screen, to the frame: what is still on its way is not shown."""
        if self.state is not State.PLAYING:
            return
        self._seq += 1
        self._min_seq = self._seq
        if self._shown is not None and self._last_played is not None:
            self.target = self._shown
        self._set_state(State.PAUSED)
        self._thread.pause(self.target, self._seq)
        if self._last_played is None:  # a seek was under way: its frame is wanted all the same
            self._show(self.target)

    def toggle(self) -> None:
        if self.state is State.PLAYING:
            self.pause()
        else:
            self.play()

    def end(self, seq: int) -> None:
        """The last frame of request `seq` was shown."""
        if seq == self._seq:
            self._set_state(State.PAUSED)

    def begin_scrub(self) -> None:
        if not self._scrubbing:
            self._scrubbing, self._resume = True, self.state is State.PLAYING
            self.pause()

    def end_scrub(self) -> None:
        self._scrubbing = False
        if self._resume:
            self._resume = False
            self.play()

    def set_pace(self, speed: float, realtime: bool) -> None:
        self._thread.set_pace(speed, realtime)

    def set_loop(self, loop: tuple[int, int] | None) -> None:
        self.loop = loop
        self._thread.set_loop(loop)

    # Frames.

    def accept(self, frame: Frame) -> Frame | None:
        if frame.seq < self._min_seq:
            return None
        if not frame.beside:
            self._shown = frame.index
            if self.state is State.PLAYING and frame.seq == self._seq:
                self._count(frame.index)
                self.target = frame.index
        return frame

    def place(self, record: FrameResult) -> Place:
        assert self.drive is not None
        start = int(self.drive.timestamps_ns[0])
        return Place(str(len(self.drive)), len(self.drive), (record.timestamp_ns - start) / 1e9)

    def show_again(self) -> None:
        if self.state is State.PAUSED:
            self._show(self.target)

    def run_again(self, frame: Frame | None) -> None:
        """Paused, the frame on the screen goes through the network once more, as it was decoded."""
        if self.state is State.PAUSED and frame is not None and self._route.ready:
            if frame.index == self.target:
                again = replace(frame.record, results=())
                self._route.send(replace(frame, seq=self._seq, record=again, lossless=False))
            else:  # another is on its way, which this must not overtake
                self._show(self.target)

    def _count(self, index: int) -> None:
        last, self._last_played = self._last_played, index
        if last is not None and index > last:
            self.skipped += self._schedule.between(last, index)
        self._rate.count()

    def _set_state(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._on_state()
