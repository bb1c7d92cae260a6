"""A camera as the player's source. Paused, the picture stays, and the camera goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vbp.app.player.messages import Frame, LiveMessage
from vbp.app.player.source import Place, Rate, Route, State
from vbp.live.records import LiveFrame, LiveRequest
from vbp.live.session import LiveSession
from vbp.results import FrameResult

RATE_S = 3.0


class CameraSource:
    """The newest frame wins, from the camera to the screen."""

    def __init__(
        self,
        generation: int,
        request: LiveRequest,
        route: Route,
        tell: Callable[[object], None],
        on_state: Callable[[], None],
    ) -> None:
        self.generation = generation
        self.state = State.FOLLOWING
        self.skipped = 0
        self.session = LiveSession(
            request,
            on_frame=self._receive,
            on_event=lambda event: tell(LiveMessage(generation, event)),
        )
        self._route, self._on_state = route, on_state
        self._rate = Rate(RATE_S)
        self._first_ns = 0
        self._shown: Frame | None = None
        self._last_index = 0  # of the frame that was shown last; 0: what came since was not skipped
        self._again: Frame | None = None  # the paused frame, on its way through another network or crop

    @property
    def fps(self) -> float:
        return self._rate.per_second

    def start(self) -> None:
        self.session.start()

    def stop(self) -> LiveSession:
        self.session.stop()
        return self.session

    def nudge(self) -> None:
        """Here nothing waits for room: the newest frame wins."""

    def toggle(self) -> None:
        if self.state is State.FOLLOWING and self._shown is None:
            return
        self.state = State.PAUSED if self.state is State.FOLLOWING else State.FOLLOWING
        self._again = None
        self._last_index = 0  # what came meanwhile was not skipped, but not looked at
        self._rate.clear()
        self._on_state()

    def _receive(self, frame: LiveFrame) -> None:
        """In the capture's thread."""
        if not self._route.ready:
            self.session.add_unpredicted(frame)
        if self._again is not None:  # it must not be overtaken
            return
        if self.state is State.FOLLOWING or self.session.is_recording or not self._route.ready:
            # A recording wants its predictions, whatever is on the screen.
            self._route.send(Frame(self.generation, 0, frame))

    def keep_result(self, frame: Frame) -> None:
        """The network ran over a frame; in its thread."""
        record = frame.record
        if frame.generation == self.generation and isinstance(record, LiveFrame):
            (self.session.add_results if record.results else self.session.add_unpredicted)(record)

    def accept(self, frame: Frame) -> Frame | None:
        if self.state is State.PAUSED:
            again = self._again
            if again is None:
                return None
            if frame.index != again.index:  # it was overtaken, by one that was on its way when it set out
                self._route.send(again)
                return None
            self._again = None
        else:
            last, self._last_index = self._last_index, frame.index
            self.skipped += max(0, frame.index - last - 1) if last else 0
            self._rate.count()
        if isinstance(frame.record, LiveFrame):
            frame = replace(frame, record=self.session.with_angle(frame.record))
        self._shown = frame
        return frame

    def place(self, record: FrameResult) -> Place:
        self._first_ns = self._first_ns or record.timestamp_ns
        return Place(self.session.request.address.name, 0, (record.timestamp_ns - self._first_ns) / 1e9)

    def show_again(self) -> None:
        if self.state is State.PAUSED and self._shown is not None and self._route.ready:
            self._again = replace(self._shown, record=replace(self._shown.record, results=()))
            self._route.send(self._again)
