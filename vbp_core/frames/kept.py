"""What networks said of drives, kept in the user's cache folder: whole files, as many as fit, never of what has changed.

A file is named by all that it depends on: the recording's files, how they are read, the network, its crop, and the
version of the program. It holds a line of JSON, the arrays, and a digest of both; a damaged one counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, OpenOptions
from vbp.files import cache_folder
from vbp.frames.table import FrameTable
from vbp.models.atomic import PART, atomic_write
from vbp.overlay import Rect
from vbp.version import made_by

if TYPE_CHECKING:
    from vbp.models.network import Network

FORMAT = "vbp predictions 2"  # 2: with the masks' spreads
SUFFIX = ".predictions"
MOST_BYTES = 128 * 2**20  # of all files; a drive of an hour takes 2 MB
MOST_FILES = 500_000  # of one recording; of more nothing is kept
DIGEST = 32  # bytes at a file's end
LEFT_S = 3600.0  # what an interrupted writing left is that old


@dataclass(frozen=True)
class Kept:
    """Of N frames, as `FrameTable` has them. made: when, in seconds since 1970."""

    predicted: NDArray[np.float64]
    strength: NDArray[np.float64]
    spread: NDArray[np.float64]
    classes: NDArray[np.int64]
    gaps: dict[int, str] = field(default_factory=dict)
    made: float = 0.0

    def fill(self, table: FrameTable) -> int:
        """What the table does not know yet. How many frames are known by this."""
        new = np.isnan(table.predicted) & np.isfinite(self.predicted)
        for name in ("predicted", "strength", "spread", "classes"):
            getattr(table, name)[new] = getattr(self, name)[new]
        for frame, why in self.gaps.items():
            table.gaps.setdefault(frame, why)
        return int(np.isfinite(self.predicted).sum()) + len(self.gaps)


def folder() -> Path:
    """Raises OSError."""
    return cache_folder("predictions")


def key_of(drive: Drive, options: OpenOptions, network: Network, crop: Rect | None) -> str:
    """The name under which that is kept; "" where it cannot be known whether it is still the same.

    That is so of a network from the user's own code, of which only the weights can be seen, and where a file is missing.
    """
    spec = network.spec
    inner = inside(network)
    files = _files(drive)
    if inner is None or files is None:
        return ""
    parts = [
        FORMAT,
        made_by(),
        repr(asdict(options)),
        repr(spec),
        repr(crop),
        drive.info.kind,
        drive.info.camera,
    ]
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace"))
    for values in (drive.timestamps_ns, drive.angle_rad, drive.labels):
        if values is not None:
            digest.update(np.ascontiguousarray(values).tobytes())
    for line in files:
        digest.update(line)
    for data in inner:
        digest.update(data)
    return digest.hexdigest()[:40]


def _files(drive: Drive) -> list[bytes] | None:
    """Name, size and times of each file of a recording: what is written to it changes one of them, for good."""
    path = drive.info.path
    found: Iterable[str] = [str(path)]
    if path.is_dir():
        found = (os.path.join(place, name) for place, _, names in os.walk(path) for name in names)
    lines: list[bytes] = []
    pictures = (file for file in drive.files if file is not None)
    for number, file in enumerate(_once(found, pictures)):
        if number >= MOST_FILES:
            return None
        try:
            stat = os.stat(file)
        except (OSError, ValueError):
            return None
        lines.append(
            os.fsencode(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}\n")
        )
    return sorted(lines)


def _once(*lists: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for files in lists:
        for file in files:
            if file not in seen:
                seen.add(file)
                yield file


def inside(network: Network) -> Iterator[bytes] | None:
    """What a network computes, in bytes; None where that cannot be seen."""
    import torch  # it takes seconds, and who only reads tables needs none

    from vbp.models.network import ARCHITECTURES
    from vbp.models.program import Program

    module = network.module
    if isinstance(module, Program):
        structure = repr((module.nodes, module.input_name, module.outputs))
    elif network.spec.architecture in ARCHITECTURES:
        structure = repr(module)
    else:
        return None

    def data() -> Iterator[bytes]:
        yield structure.encode("utf-8", "backslashreplace")
        for name, tensor in sorted(module.state_dict().items()):
            values = tensor.detach().cpu().contiguous()
            yield f"{name} {values.dtype} {tuple(values.shape)}".encode("utf-8", "backslashreplace")
            yield values.flatten().view(torch.uint8).numpy().tobytes()

    return data()


def save(key: str, table: FrameTable, where: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
    """Keep what is known; the oldest files give way. Raises OSError."""
    place = where or folder()
    gaps = {str(frame): why for frame, why in table.gaps.items()}
    head = {"format": FORMAT, "key": key, "frames": len(table), "made": time.time(), "gaps": gaps}
    body = json.dumps(head).encode() + b"\n"
    arrays = (table.predicted, table.strength, table.spread, table.classes)
    body += b"".join(values.astype(kind).tobytes() for values, kind in zip(arrays, _KINDS, strict=True))
    if len(body) + DIGEST > most_bytes:
        return
    with atomic_write(place / f"{key}{SUFFIX}") as temporary:
        temporary.write_bytes(body + hashlib.sha256(body).digest())
    _make_room(place, most_bytes)


_KINDS = ("<f8", "<f8", "<f8", "<i8")


def load(key: str, frames: int, where: Path | None = None) -> Kept | None:
    """What is kept under that name of so many frames; None where there is nothing. A damaged file is removed.

    Raises OSError where the folder cannot be used.
    """
    path = (where or folder()) / f"{key}{SUFFIX}"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError
        kept = _read(path.read_bytes(), key, frames)
        with suppress(OSError):
            os.utime(path)  # it was of use: others go first
        return kept
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        with suppress(OSError):
            path.unlink()
        return None


def _read(data: bytes, key: str, frames: int) -> Kept:
    """Raises ValueError, KeyError, TypeError, AttributeError of what is not whole."""
    body = data[:-DIGEST]
    if hashlib.sha256(body).digest() != data[-DIGEST:]:
        raise ValueError
    line, _, rest = body.partition(b"\n")
    head = json.loads(line)
    if (head["format"], head["key"], head["frames"]) != (FORMAT, key, frames) or len(rest) != 8 * len(
        _KINDS
    ) * frames:
        raise ValueError
    at = 8 * frames
    predicted, strength, spread, classes = (
        np.frombuffer(rest[k * at : (k + 1) * at], kind).astype(kind[1:]) for k, kind in enumerate(_KINDS)
    )
    gaps = {int(frame): str(why) for frame, why in head["gaps"].items() if 0 <= int(frame) < frames}
    return Kept(predicted, strength, spread, classes, gaps, float(head["made"]))


def forget_all(where: Path | None = None) -> tuple[int, int]:
    """Remove all that is kept: how many files and bytes that was. Raises OSError."""
    files = bytes_ = 0
    for path, _, size in _list(where or folder()):
        path.unlink(missing_ok=True)
        files, bytes_ = files + 1, bytes_ + size
    return files, bytes_


def _list(place: Path) -> list[tuple[Path, float, int]]:
    """Files, when each was of use last, and its size; the latest first."""
    found = []
    for path in place.iterdir():
        with suppress(OSError):
            stat = path.stat()
            if path.suffix == SUFFIX:
                found.append((path, stat.st_mtime, stat.st_size))
            elif path.suffix == PART and time.time() - stat.st_mtime > LEFT_S:
                path.unlink()
    return sorted(found, key=lambda entry: -entry[1])


def _make_room(place: Path, most_bytes: int) -> None:
    total = 0
    for path, _, size in _list(place):
        total += size
        if total > most_bytes:
            path.unlink(missing_ok=True)
