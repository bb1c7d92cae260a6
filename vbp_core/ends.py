"""Ctrl-C, SIGTERM and SIGHUP are one wish: that the program ends and leaves nothing broken."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Not all systems have all: Windows has SIGBREAK, of a console that is closed, for SIGHUP.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if name in signal.Signals.__members__
)
# A second one so soon is the same wish: of a hasty finger, a terminal that goes, a program that sends a signal to all
# of a group and then to each.
PATIENCE_S = 1.0

_number, _at = int(signal.SIGINT), -math.inf  # the signal that was answered last, and when


class EndedError(KeyboardInterrupt):
    """A KeyboardInterrupt of our own.

    Where Python's own passes through code that a library in C runs, as they do while they load, Python takes it for one
    that nobody answers, and at the end of the process ends itself by SIGINT, whatever the exit status is.
    """


def status() -> int:
    """The exit status of a program that was asked to end, as shells count: 130 for Ctrl-C, 143 SIGTERM, 129 SIGHUP."""
    return 128 + _number


def run(program: Callable[[], int]) -> int:
    """The exit status of `program`, in which each of SIGNALS raises KeyboardInterrupt; `status` if that comes out."""
    global _number
    _number = int(signal.SIGINT)  # a KeyboardInterrupt that comes without a signal
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        raise EndedError

    with answered_by(interrupt):
        try:
            return program()
        except KeyboardInterrupt:
            pass
        except (ImportError, SystemError):  # what a library in C makes of it while it loads
            if not interrupted:
                raise
        _say_stopped()
        return status()


def leave() -> None:
    """End at once: for a program that has not begun anything yet."""
    _say_stopped()
    os._exit(status())


def _say_stopped() -> None:
    try:
        sys.stderr.write("vbp: stopped\n")
        sys.stderr.flush()
    except OSError:
        sys.stderr = None  # the terminal is gone: no second error at the end of the process


@contextmanager
def held() -> Iterator[Callable[[], bool]]:
    """A signal only makes the callable true that this gives; one more after PATIENCE_S raises KeyboardInterrupt."""
    asked = False

    def ask() -> None:
        nonlocal asked
        if asked:
            raise EndedError
        asked = True

    with answered_by(ask):
        yield lambda: asked


@contextmanager
def answered_by(answer: Callable[[], object]) -> Iterator[None]:
    """While it lasts, each of SIGNALS calls `answer`, in the main thread, which alone may ask for that.

    Those that are ignored (`nohup`, what a script puts in the background) stay so.
    """
    global _at
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        global _number, _at
        now = time.monotonic()
        if now - _at > PATIENCE_S:
            _number, _at = number, now
            answer()

    # None: a handler that was not set from Python, and cannot be put back.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    _at = -math.inf
    try:
        for number in before:
            signal.signal(number, on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
