"""Files that are whole or not there, and never somebody else's."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vbp.errors import VbpError
from vbp.models.atomic import PART, atomic_write, hidden_name

NEW_S = 60  # a folder that is younger may not be held yet


def check_target(path: Path, is_ours: Callable[[Path], bool], source: Path | None, force: bool) -> Path:
    """Where a file called `path` is to be written: what a link leads to, in a folder that exists.

    A file that stands there is replaced only if `is_ours` says that vbp wrote it, or with `force`;
    the recording itself, or another file of its folder, never is. Raises VbpError.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.is_dir():
        raise VbpError(f"{folder} is no folder; make it first, or write {path.name} elsewhere")
    if target.is_dir():
        raise VbpError(f"{path} is a folder; give the name of a file to write")
    if target.exists():
        if not target.is_file():
            raise VbpError(f"{path} is a device or a pipe; give the name of a file to write")
        if source is not None and source.exists() and target.samefile(source):
            raise VbpError(f"{path} is the recording itself; write to another file")
        if not is_ours(target):
            if source is not None and source.is_dir() and target.is_relative_to(os.path.realpath(source)):
                raise VbpError(f"{path} is a file of the recording; choose another name")
            if not force:
                raise VbpError(
                    f"{path} exists and was not written by vbp; choose another name, or say --force"
                )
    return target


@contextmanager
def whole_file(
    path: Path, is_ours: Callable[[Path], bool], source: Path | None, force: bool
) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end, if nothing was raised.

    What may be replaced is as `check_target` says. A link stays, and what it leads to is written. Raises VbpError.
    """
    target = check_target(path, is_ours, source, force)
    try:
        with atomic_write(target) as temporary:
            yield temporary
    except OSError as error:
        raise VbpError(f"{path} cannot be written: {error.strerror or error}") from error


def cache_folder(name: str) -> Path:
    """A folder of the user's cache, made for this user alone: what is in it can be made again. Raises OSError."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "vbp" / name
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


@contextmanager
def lock_file(path: Path, busy: str) -> Iterator[None]:
    """Hold the file `path`, which is made, while in here. The system lets go of it also when the process is killed.

    Raises VbpError, which says `busy`, where somebody else holds it, OSError where it cannot be written. Where the file
    system knows no locks, it is not held.
    """
    with path.open("a+b") as file:
        try:
            lock(file.fileno())
            # Who held it until now may have moved it away.
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError) as error:
            raise VbpError(busy) from error
        except OSError:
            pass
        yield


@contextmanager
def hidden_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, held while in here, and removed at the end if it is still there by its name.

    What processes that were killed left of such folders of `target` is removed before. Raises OSError.
    """
    folder = hidden_name(target)
    if sys.platform == "win32":  # no folder can be held there, so that nothing proves that it was left
        folder.mkdir()
        handle = None
    else:
        with suppress(OSError):  # a folder that may be written to but not listed
            _sweep(target)
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # where the file system knows no locks
            lock(handle)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _sweep(target: Path) -> None:
    names = re.compile(re.escape(f".{target.name[:40]}.") + "[0-9a-f]{8}" + re.escape(PART))
    for left in [path for path in target.parent.iterdir() if names.fullmatch(path.name)]:
        try:
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            lock(handle)
            if time.time() - os.fstat(handle).st_mtime > NEW_S:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # it is held, or that cannot be known
            pass
        finally:
            os.close(handle)


def lock(descriptor: int) -> None:
    """Hold the file until it is closed. Raises BlockingIOError where somebody else has it, OSError where there are no locks."""
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
