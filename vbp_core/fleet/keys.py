"""What a recording and a network are, in some letters: by what is in them, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vbp.drives.base import Drive
from vbp.errors import DriveError
from vbp.frames.kept import inside
from vbp.session.fingerprint import Fingerprint, fingerprint

if TYPE_CHECKING:
    from vbp.models.network import Network

LETTERS = 20  # of a digest: 80 bits
LABELS = (".csv", ".txt", ".json", ".npy")  # what may lie beside a video and belong to it


def print_of(path: Path) -> Fingerprint:
    """Raises DriveError where it cannot be read."""
    found = fingerprint(path)
    if found is None:
        why = "does not exist" if not path.exists() else "cannot be read"
        raise DriveError(f"{path} {why}; give the path of a recording")
    return found


def drive_key(drive: Drive, found: Fingerprint) -> str:
    """Of an opened recording: its fingerprint, its files' sizes, and what was read of times, angles and speeds."""
    digest = hashlib.sha256(f"{found.size} {found.sha256} {drive.info.kind} {drive.info.camera}".encode())
    for values in (drive.timestamps_ns, drive.angle_rad, drive.speed_mps):
        digest.update(np.ascontiguousarray(values).tobytes())
    if drive.info.path.is_dir():  # of which the fingerprint knows the names alone
        sizes = [
            _size(os.path.join(place, name))
            for place, _, names in os.walk(drive.info.path)
            for name in names
            if name[0] != "."
        ]
        digest.update(repr(sorted(sizes)).encode())
    return digest.hexdigest()[:LETTERS]


def looks(path: Path) -> str:
    """Of a recording's files, without opening it: names, sizes and times of those in it, or beside a file what may be its labels."""
    if path.is_dir():
        files = [os.path.join(place, name) for place, _, names in os.walk(path) for name in names]
    else:
        files = [str(path)]
        with suppress(OSError), os.scandir(path.parent) as entries:
            files += [e.path for e in entries if os.path.splitext(e.name)[1].lower() in LABELS]
    digest = hashlib.sha256()
    for file in sorted(set(files)):
        with suppress(OSError):
            stat = os.stat(file)
            digest.update(os.fsencode(f"{os.path.relpath(file, path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
    return digest.hexdigest()[:LETTERS]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def path_key(path: str | Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:LETTERS]


def network_key(network: Network, source: str) -> str:
    """Of its specification and all its weights; of code of the user's own, which cannot be seen, also what it is called."""
    digest = hashlib.sha256(repr(network.spec).encode("utf-8", "backslashreplace"))
    seen = inside(network)
    if seen is None:
        digest.update(source.encode("utf-8", "backslashreplace"))
        for name, tensor in sorted(network.module.state_dict().items()):
            digest.update(name.encode("utf-8", "backslashreplace"))
            digest.update(tensor.detach().cpu().double().numpy().tobytes())
    else:
        for data in seen:
            digest.update(data)
    return digest.hexdigest()[:LETTERS]
