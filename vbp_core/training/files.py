"""Files that are whole or not there, and disks that fill up said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from vbp.errors import VbpError
from vbp.models.atomic import PART, atomic_write


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def clear_parts(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for left in folder.rglob(f"*{PART}"):
        left.unlink(missing_ok=True)


@contextmanager
def reporting_disk_errors(folder: Path) -> Iterator[None]:
    """Turns an error of the disk into one sentence. Raises VbpError."""
    try:
        yield
    except OSError as error:
        raise VbpError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    except SafetensorError as error:
        # The library says an error of the disk in its own words; there is no other that writing can raise.
        words = str(error).split("I/O error: ")[-1].split(" (os error")[0]
        raise VbpError(f"{folder} cannot be written: {words}") from error
