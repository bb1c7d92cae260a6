"""Ctrl-C and SIGTERM ask for an end at the next step, where the state is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """`requested` becomes True once somebody wants the end."""

    requested = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """While it lasts, the first signal sets `requested`; a second one ends at once, as without this."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers
        return
    # None: a handler that was not set from Python, and cannot be put back.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.requested = True
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
