"""Where frames come from: what a recording and a camera have in common, as the player asks for it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Frame
from vbp.app.player.model_thread import ModelThread
from vbp.results import FrameResult


class State(Enum):
    PAUSED = "paused"  # the picture stays
    PLAYING = "playing"  # a recording's frames, at their own pace
    FOLLOWING = "following"  # the newest frame of a camera


@dataclass(frozen=True)
class Place:
    """Where a frame is. of: how many there are, or whose it is; frames: 0 for a camera; seconds: since the first."""

    of: str
    frames: int
    seconds: float


class Source(Protocol):
    """What the player shows. It lives in the window's thread, beside a thread of its own.

    generation: all of its frames and messages carry it. skipped: frames that were not shown, as newer ones were due.
    fps: frames shown per second.
    """

    generation: int
    state: State
    skipped: int

    @property
    def fps(self) -> float: ...

    def start(self) -> None: ...

    def stop(self) -> threading.Thread:
        """The thread, which is ending."""

    def nudge(self) -> None:
        """There may be room for a frame again."""

    def toggle(self) -> None:
        """Go on, or pause."""

    def accept(self, frame: Frame) -> Frame | None:
        """The frame as it is to be shown, with all that is known of it by now; None: it is not wanted any more."""

    def place(self, record: FrameResult) -> Place: ...

    def show_again(self) -> None:
        """Another network, or another crop: what is on the screen is seen anew."""


class Route:
    """The way to the screen: through the network, once one is ready. For any thread."""

    def __init__(self, model: ModelThread, screen: Mailbox[Frame]) -> None:
        self._model, self._screen = model, screen

    @property
    def ready(self) -> bool:
        """Whether a frame goes through a network."""
        return self._model.ready

    @property
    def has_room(self) -> bool:
        """Whether a frame would be taken at once."""
        return self._screen.empty and (not self._model.ready or self._model.frames.empty)

    def send(self, frame: Frame) -> None:
        """It replaces one that waits."""
        (self._model.frames if self._model.ready else self._screen).put(frame)


class Rate:
    """How many times a second something happened, over the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: list[float] = []

    def clear(self) -> None:
        self._times.clear()

    def count(self) -> None:
        now = time.monotonic()
        self._times = [t for t in self._times if t > now - self._seconds]
        self._times.append(now)

    @property
    def per_second(self) -> float:
        times = [t for t in self._times if t > time.monotonic() - self._seconds]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 2 and times[-1] > times[0] else 0.0
