"""Processes of our own: Python that imports nothing from the folder in which it is started, and ends with us."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vbp.ends import SIGNALS

LOOK_EVERY_S = 0.5
M_ARENA_MAX = -8  # of glibc's malloc.h
_SAFE_PATH = "PYTHONSAFEPATH"


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours. A program packed with its Python is the module itself."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    return [sys.executable, "-P", "-m", module, *arguments]


@contextmanager
def starting() -> Iterator[None]:
    """What multiprocessing starts meanwhile imports nothing from the current folder, as `python_command`'s.

    And it does not hear the signals that ask the program to end, which go to all of a terminal's or a service's
    processes; it is to call `end_with_parent`.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    can_block = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if can_block else set()
    try:
        yield
    finally:
        if can_block:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def end_with_parent() -> None:
    """For a process that was started by us: end when the one that started it does, however that ends, and not before."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, name="vbp-parent", daemon=True).start()


def _wait_for_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    else:  # by `python_command`
        before = os.getppid()
        while os.getppid() == before:  # the system gives an orphan another parent; Windows does not
            time.sleep(LOOK_EVERY_S)
    os._exit(1)


def share_arenas() -> None:
    """All threads take memory from two places of the C library's, where glibc opens one for each thread, in which what a pass or a
    picture left lies unused: in the window that is some 80 MiB. To be called before there are threads."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library's
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def give_memory_back() -> None:
    """What was freed goes back to the system, where the C library keeps it otherwise (glibc: of each thread its own).

    After a pass over a drive these are some hundred MiB. It takes some milliseconds.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library's
            ctypes.CDLL(None).malloc_trim(0)
