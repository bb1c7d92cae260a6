"""Files that are whole or not there. It stands with the networks, which are the lowest that write."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"


def hidden_name(target: Path, suffix: str = PART) -> Path:
    """A path beside `target` that nothing has yet."""
    # Of a long name only the start, so that the hidden one is not too long.
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}{suffix}")


def new_file(target: Path, suffix: str = PART) -> Path:
    """An empty file of a `hidden_name`, with the rights that any new file gets. Raises OSError."""
    path = hidden_name(target, suffix)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return path


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """`new_file`, removed at the end if it is still there by its name. Raises OSError."""
    temporary = new_file(target)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(target: Path, on_disk: bool = False) -> Iterator[Path]:
    """A temporary path beside `target` that takes its place at the end, if nothing was raised.

    on_disk: wait until the contents would survive a power failure. Raises OSError.
    """
    with temporary_file(target) as temporary:
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors puts a file of its own there, for its owner alone
        if on_disk:
            sync(temporary)
        os.replace(temporary, target)


def sync(path: str | Path) -> None:
    """Wait until the file's contents are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
