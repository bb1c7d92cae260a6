"""What Python's threads lack: a lower priority, an end from outside, and manners beside OpenMP's."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading

log = logging.getLogger(__name__)


class Abandoned(BaseException):
    """Raised inside a thread whose work nobody waits for any more."""


def lower_priority(niceness: int = 10) -> None:
    """Let the calling thread give way to the others, where the system can (Linux: a nice value per thread)."""
    if sys.platform.startswith("linux"):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        except OSError:
            log.debug("the system keeps the thread's priority")


def compute_alone() -> None:
    """Let torch use no other thread for what the calling thread computes.

    A second team of OpenMP threads on the same cores would spin while it waits, and the network's
    team with it. The setting is the calling thread's own.
    """
    import torch

    torch.set_num_threads(1)


def abandon(thread: threading.Thread) -> None:
    """Break off what a thread does in Python, wherever it is.

    Only for when the program ends: it may leave an import half done.
    """
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Abandoned))
