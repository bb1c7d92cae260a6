"""What the window asks of a live session: the half of the player that needs no recording."""

from __future__ import annotations

import time
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Frame, LiveMessage, NetworkReady
from vbp.app.player.model_thread import ModelThread
from vbp.app.state.crops import ChosenCrop
from vbp.live.records import CaptureState, LiveEvent, LiveFailure, LiveFrame, LiveRequest, RecordingState
from vbp.live.session import LiveSession

RATE_S = 3.0


class LivePlayer(QObject):
    """The newest frame wins, from the camera to the screen. Frozen, the picture stays, and the camera goes on."""

    live_opening = Signal(object)  # LiveRequest
    live_closed = Signal()
    camera_changed = Signal(object)  # CaptureState
    live_failed = Signal(object)  # LiveFailure
    recording_changed = Signal(object, bool)  # RecordingState, and whether it is of the session that is shown
    frozen_changed = Signal(bool)

    # Of the whole player.
    _model: ModelThread
    _screen: Mailbox[Frame]
    _generation: int
    ready: NetworkReady | None
    skipped: int
    frame_times: list[float]
    shown_frame: Frame | None

    def _init_live(self) -> None:
        self.live: LiveSession | None = None
        self.frozen = False
        self.crop: ChosenCrop | None = None
        self._again: Frame | None = None  # the frozen frame, on its way through another network or crop
        self._last_live = 0

    def _open_live(self, request: LiveRequest) -> None:
        """What was open is let go before; `_generation` is a new one."""
        generation = self._generation

        def on_frame(frame: LiveFrame) -> None:
            self._deliver_live(
                Frame(
                    generation,
                    0,
                    frame.index,
                    frame.image,
                    stamp_ns=frame.timestamp_ns,
                    arrived_ns=frame.arrived_ns,
                )
            )

        def on_event(event: LiveEvent) -> None:
            self._tell_from_thread(LiveMessage(generation, event))

        def on_pass(frame: Frame) -> None:
            if frame.generation == generation and frame.shot is not None:
                session.add_results(
                    LiveFrame(
                        frame.index,
                        frame.stamp_ns,
                        frame.image,
                        results=(frame.shot,),
                        arrived_ns=frame.arrived_ns,
                    )
                )

        self.live = session = LiveSession(request, on_frame=on_frame, on_event=on_event)
        self._model.on_pass = on_pass
        self.live_opening.emit(request)
        session.start()

    def _tell_from_thread(self, message: object) -> None:
        raise NotImplementedError

    def _forget_live(self) -> LiveSession | None:
        """The session is over; its thread may still be ending."""
        session, self.live = self.live, None
        if session is not None:
            self._model.on_pass = None
            session.stop()
        self._again = None
        self._last_live = 0
        self.frozen = False
        if session is not None:
            self.live_closed.emit()
        return session

    def set_frozen(self, frozen: bool) -> None:
        if self.live is None or frozen == self.frozen or (frozen and self.shown_frame is None):
            return
        self.frozen = frozen
        self._again = None
        self._last_live = 0  # what came meanwhile was not skipped, but not looked at
        self.frame_times.clear()
        self.frozen_changed.emit(frozen)

    # In the capture's thread.

    def _deliver_live(self, frame: Frame) -> None:
        if self._again is not None:  # it must not be overtaken
            return
        if not self._model.ready:
            self._screen.put(frame)
        elif not self.frozen or (self.live is not None and self.live.is_recording):
            # A recording wants its predictions, whatever is on the screen.
            self._model.frames.put(frame)

    # In the window's.

    def _hear_live(self, message: LiveMessage) -> None:
        event, of_now = message.event, message.generation == self._generation
        if isinstance(
            event, RecordingState
        ):  # also of a session that is over: its recording is whole only now
            self.recording_changed.emit(event, of_now)
        elif of_now and isinstance(event, CaptureState):
            self.camera_changed.emit(event)
        elif of_now and isinstance(event, LiveFailure):
            self.live_failed.emit(event)

    def _run_frozen_again(self) -> None:
        """Another network, or another crop: the frozen picture is seen through it."""
        if self.frozen and self.shown_frame is not None and self._model.ready:
            self._again = replace(self.shown_frame, shot=None)
            self._model.frames.put(self._again)

    def _wanted_live(self, frame: Frame) -> bool:
        """Whether a live frame is to be shown; counts those that were left out."""
        if self.frozen:
            again = self._again
            if again is not None and frame.index == again.index:
                self._again = None
                return True
            if again is not None:  # it was overtaken, by one that was on its way when it set out
                self._model.frames.put(again)
            return False
        last, self._last_live = self._last_live, frame.index
        if last:
            self.skipped += max(0, frame.index - last - 1)
        now = time.monotonic()
        self.frame_times = [t for t in self.frame_times if t > now - RATE_S]
        self.frame_times.append(now)
        return True

    @property
    def live_fps(self) -> float:
        """Frames shown per second, over the last three."""
        times = [t for t in self.frame_times if t > time.monotonic() - RATE_S]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0
