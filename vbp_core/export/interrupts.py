"""Ctrl-C between two frames, never between a packet that was encoded and the file that it goes into."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE_S = 1.0


@contextmanager
def held_interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C only makes the callable true that this gives; pressed again after PATIENCE_S, it interrupts as ever.

    One soon after the first is the same wish: of a hasty finger, or of a program that sends a signal and closes the pipe.
    Threads other than the main one, and programs that ignore Ctrl-C, are left as they are.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False
        return
    asked: list[float] = []

    def hold(number: int, frame: FrameType | None) -> None:
        asked.append(time.monotonic())
        if asked[-1] - asked[0] > PATIENCE_S:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
