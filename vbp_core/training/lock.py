"""One process trains a run: two at once would write over each other's state."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbp.errors import VbpError

NAME = "lock"


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the run in `folder` while in here. The system lets go of it also when the process is killed.

    Raises VbpError where another process holds it, OSError where the folder cannot be written. Where the file system
    knows no locks, it is not held, and training goes on.
    """
    with (folder / NAME).open("a+b") as file:
        try:
            _lock(file.fileno())
        except BlockingIOError as error:
            raise VbpError(
                f"{folder} is being trained by another process; wait for it, or train into another folder"
            ) from error
        except OSError:
            pass
        yield


def _lock(descriptor: int) -> None:
    """Raises BlockingIOError where somebody else has it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
