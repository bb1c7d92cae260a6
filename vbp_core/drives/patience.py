"""Work inside a library that cannot be interrupted, as libav's on a damaged file, which may take minutes or for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from vbp.errors import DriveError

T = TypeVar("T")

_LOOK_EVERY_S = 0.02
_WALL_PER_CPU = 5  # where a thread's own time is not known, others may have had that much of the processor

_given_up: ContextVar[Callable[[], bool]] = ContextVar("given_up", default=lambda: False)


@contextmanager
def unless(given_up: Callable[[], bool]) -> Iterator[None]:
    """What is opened or decoded meanwhile, in this thread, is given up with a DriveError as soon as `given_up()` is true."""
    token = _given_up.set(given_up)
    try:
        yield
    finally:
        _given_up.reset(token)


def check_wanted() -> None:
    """Between two steps of long work. Raises DriveError where it was given up, see `unless`."""
    if _given_up.get()():
        raise DriveError("it was given up")


def within(cpu_s: float, work: Callable[[], T], sentence: str) -> T:
    """What `work` returns or raises. It runs in a thread of its own; one that has had `cpu_s` seconds of a processor is
    left to itself, and DriveError says `sentence`. A slow disk takes no such time."""
    done = threading.Event()
    result: list[T] = []
    errors: list[BaseException] = []
    clocks: list[int] = []
    context = copy_context()

    def run() -> None:
        try:
            if hasattr(time, "pthread_getcpuclockid"):
                clocks.append(time.pthread_getcpuclockid(threading.get_ident()))
            result.append(context.run(work))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    begin = time.monotonic()
    threading.Thread(target=run, name="vbp reads", daemon=True).start()
    while not done.wait(_LOOK_EVERY_S):
        check_wanted()
        if _spent(clocks, begin) > cpu_s and not done.is_set():
            raise DriveError(sentence)
    if errors:
        raise errors[0]
    return result[0]


def _spent(clocks: list[int], begin: float) -> float:
    """Seconds of the processor that a thread had."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return (time.monotonic() - begin) / _WALL_PER_CPU
    try:
        return time.clock_gettime(clocks[0]) if clocks else 0.0
    except OSError:  # the thread has just ended
        return 0.0
