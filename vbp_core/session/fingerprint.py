"""Whether a recording that is found is the one that was meant: its size, and a hash of a part of it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from vbp.reading import open_file

PART = 2**18  # bytes at the beginning and at the end of a file
MOST = 200_000  # names of a folder


@dataclass(frozen=True)
class Fingerprint:
    """size: bytes of a file, or files of a folder. sha256: of a file's beginning and end, or of the names in a folder."""

    size: int
    sha256: str


def fingerprint(path: Path) -> Fingerprint | None:
    """Of a file or a folder; None where it cannot be read. Sessions that lie in a folder, and hidden files, do not count."""
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except OSError:
        return None


def _of_file(path: Path) -> Fingerprint:
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        found = hashlib.sha256(file.read(PART))
        file.seek(max(0, size - PART))
        found.update(file.read(PART))
    return Fingerprint(size, found.hexdigest())


def _of_folder(path: Path) -> Fingerprint:
    names: list[str] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = os.path.relpath(folder, path).replace(os.sep, "/")
        names += [f"{within}/{name}" for name in sorted(files) if _counts(name)]
        if len(names) > MOST:
            break
    names = names[:MOST]
    return Fingerprint(len(names), hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest())


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith((".vbp", ".vbp.json"))
