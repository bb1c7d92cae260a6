"""Files that others made: read as far as a limit, unpacked as far as a limit, and damaged in any way whatever."""

from __future__ import annotations

import bz2
import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from vbp.errors import VbpError

LFS = b"version https://git-lfs.github.com/spec/"  # what a repository holds in the place of a large file
LFS_ADVICE = "is a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned"

_inside: ContextVar[tuple[str, ...]] = ContextVar("inside", default=())

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def inside(folder: str | Path, *named: str | Path) -> Iterator[None]:
    """What is read meanwhile, in this thread, lies in the folder, or is what the user named: a link in a stranger's folder
    that leads out of it is not followed, and reading it is an OSError."""
    token = _inside.set(tuple(_real(path) for path in (folder, *named)))
    try:
        yield
    finally:
        _inside.reset(token)


def _real(path: str | Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a name that no file can have
        return str(path)


def check_inside(path: str | Path) -> None:
    """For what is not read by `open_file`. Raises OSError, see `inside`."""
    places = _inside.get()
    if not places:
        return
    real = _real(path)
    if real not in places and not real.startswith(places[0].rstrip(os.sep) + os.sep):
        raise OSError(
            errno.EACCES, "it is a link that leads out of its folder and is not followed", str(path)
        )


def open_file(path: str | Path) -> BinaryIO:
    """A regular file, for reading. Raises OSError, also for a pipe (which could wait for ever), a device or a folder, and
    outside of what is `inside`."""
    check_inside(path)
    _check_regular(os.stat(path).st_mode, path)  # before it is opened, which may do something to a device
    handle = os.open(path, _FLAGS)
    try:
        _check_regular(os.fstat(handle).st_mode, path)  # another may have been put there meanwhile
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _check_regular(mode: int, path: str | Path) -> None:
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"
        raise OSError(errno.EINVAL, f"it is not a file but {what}", str(path))


def read_file(path: str | Path, most: int) -> bytes:
    """All of a regular file. Raises OSError, also for one of more than `most` bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(min(size, most) + 1)  # Python takes the memory for all that is asked for, at once
    if max(size, len(data)) > most:
        raise OSError(
            errno.EFBIG, f"it is larger than the {_size(most)} that are read of such a file", str(path)
        )
    return data


def read_head(path: str | Path, most: int) -> bytes:
    """The first bytes of a regular file, at most `most`. Raises OSError."""
    with open_file(path) as file:
        return file.read(most)


def has_magic(path: str | Path, magic: bytes) -> bool:
    """Whether a file starts with `magic`; False for anything that is no readable file."""
    try:
        return read_head(path, len(magic)) == magic
    except (OSError, ValueError):
        return False


def refuse_pointer(path: str | Path, kind: type[VbpError] = VbpError) -> None:
    """Raises `kind` where a Git LFS pointer lies in the place of the file."""
    if has_magic(path, LFS):
        raise kind(f"{path} {LFS_ADVICE}")


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB"


def unpack(compression: str, data: bytes, most: int) -> bytes:
    """The first `most` bytes of what "bz2", "lz4", "zlib" or "zstd" data hold, fewer where they end before; as far as it
    goes where their end is missing. Raises ValueError for damaged ones, and for another compression."""
    try:
        if compression == "bz2":
            return bz2.BZ2Decompressor().decompress(data, most)
        if compression == "zlib":
            return zlib.decompressobj().decompress(data, most) if most else b""  # to which 0 is no limit
        if compression == "lz4":
            import lz4.frame  # type: ignore[import-untyped]

            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, most))
        if compression == "zstd":
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(data) as stream:
                    return stream.read(most)
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from error
    except (OSError, EOFError, RuntimeError, MemoryError, zlib.error) as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"its compression {compression!r} is not known")


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of a zip archive. Raises ValueError for one of more than `most` bytes, KeyError where there is none."""
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{name[:60]} in it unpacks to more than {_size(most)}")
    return data


@contextmanager
def damaged(path: str | Path, kind: type[VbpError] = VbpError) -> Iterator[None]:
    """What a file that is not as it should be makes of its reader, whatever that is, is one sentence: a `kind`.

    What is no fault of the file passes: our own errors, OSError (which names what the system says), MemoryError.
    """
    try:
        yield
    except (VbpError, OSError, MemoryError):
        raise
    except Exception as error:
        name = type(error).__qualname__
        if type(error).__module__ != "builtins":
            name = f"{type(error).__module__}.{name}"  # struct.error and zlib.error are called "error"
        raise kind(f"{path} is damaged: it cannot be understood ({name})") from error
