"""A file that grows under another name until it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vbp.errors import VbpError
from vbp.files import lock
from vbp.models.atomic import PART, hidden_name, new_file, sync


class Growing:
    """A file in the folder of `target` that becomes `target` at the end.

    On Linux it has no name at first, so that nothing is left of it, whatever ends the process; elsewhere
    its name says what it is. `path` is where to write; other programs may open it by that too.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._name: Path | None = None
        self._handle = _open_unnamed(target.parent)
        if self._handle is None:
            self._name = new_file(target, f"{PART}{target.suffix}")
        else:
            with suppress(OSError):  # where the file system knows no locks
                lock(self._handle)
        self._shown: Path | None = None

    @property
    def path(self) -> str:
        return str(self._name) if self._handle is None else f"/proc/self/fd/{self._handle}"

    @property
    def size(self) -> int:
        return os.stat(self.path).st_size

    def show(self, name: Path) -> None:
        """From now on it has a name of its own, which replaces what has that name. Raises VbpError where that is written."""
        _check_free(name, self.target)
        if self._handle is None:
            assert self._name is not None
            try:
                self._name.replace(name)
            except PermissionError:
                return  # on Windows, while it is being written
        else:
            _link(self._handle, name)
        self._name = self._shown = name

    @property
    def shown(self) -> Path | None:
        """The name that it was given, where it was."""
        return self._shown

    def finish(self) -> None:
        """Take the place of `target`, with all that was written on the disk."""
        sync(self.path)
        if self._name is None:
            assert self._handle is not None
            self._name = hidden_name(self.target)
            _link(self._handle, self._name)
        self._name.replace(self.target)
        self._name = None
        self.close()

    def close(self, keep: bool = False) -> None:
        """Let go; without `keep` nothing is left of what was not finished."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._name is not None and not (keep and self._shown is not None):
            self._name.unlink(missing_ok=True)
        self._name = None


def _open_unnamed(folder: Path) -> int | None:
    """A file without a name in `folder`, or None where the system or the disk does not know such."""
    flag = getattr(os, "O_TMPFILE", 0)
    if not flag or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, flag | os.O_RDWR, 0o666)
    except OSError:
        return None  # if the folder cannot be written to at all, the next attempt says so


def _link(handle: int, name: Path) -> None:
    with suppress(FileNotFoundError):
        name.unlink()
    # Named from a folder's handle: only then does Python follow the link that /proc has for the file.
    folder = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        os.link(str(handle), name, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


@contextmanager
def growing(target: Path, shown_as: Path) -> Iterator[Growing]:
    """A file that becomes `target` by `finish()`; what is raised before leaves nothing, except for an interruption.

    An interruption (Ctrl-C) leaves the part that was shown. Raises VbpError for what the disk refuses; the
    message names `shown_as`, which is what the user wrote.
    """
    try:
        file = Growing(target)
    except OSError as error:
        raise VbpError(f"{target.parent} cannot be written to: {error.strerror or error}") from error
    keep = False
    try:
        yield file
    except (KeyboardInterrupt, SystemExit):
        keep = True
        raise
    except OSError as error:
        raise VbpError(f"{shown_as} cannot be written: {reason(error)}") from error
    finally:
        file.close(keep)


def reason(error: OSError) -> str:
    """Why, in the system's own words, whether Python or FFmpeg raised it."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def part_name(target: Path) -> Path:
    """clip.mp4 -> clip.part.mp4: what a stopped export leaves."""
    return target.with_name(f"{target.stem[:80]}.part{target.suffix}")


def keeps_part(format: str) -> bool:
    """Whether a stopped export of this format (of WRITERS, a file's suffix) leaves `part_name`."""
    return format.lower().lstrip(".") in ("mp4", "mov", "mkv", "pictures")


def check_part(target: Path, is_ours: Callable[[Path], bool]) -> Path:
    """`part_name`, if nothing stands there but a part of ours that nobody writes. Raises VbpError."""
    part = part_name(target)
    if part.exists() and not (part.is_file() and is_ours(part)):
        raise VbpError(f"{part} is in the way and was not written by vbp; move it, or choose another name")
    _check_free(part, target)
    return part


def busy(target: Path) -> str:
    return f"{target} is being written by another export; wait for it, or choose another name"


def _check_free(part: Path, target: Path) -> None:
    """Raises VbpError where another export holds `part`, of which `target` is to come."""
    try:
        handle = os.open(part, os.O_RDONLY)
    except OSError:
        return
    try:
        lock(handle)
    except BlockingIOError as error:
        raise VbpError(busy(target)) from error
    except OSError:
        pass  # a file system that knows no locks: nobody can tell
    finally:
        os.close(handle)
