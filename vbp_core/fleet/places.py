"""Where what of a fleet lies in its folder, and how files get there: written beside and renamed, whole or not there."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from vbp.errors import VbpError
from vbp.fleet.keys import path_key
from vbp.fleet.pieces import Piece, Plan
from vbp.fleet.schema import DRIVES, FINDINGS, FRAMES, PARTS
from vbp.models.atomic import PART, atomic_write

SUFFIX = ".parquet"
FAILED = "failed-"
PLAN = "plan.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OLD_S = 3600.0


class FolderError(VbpError):
    """The fleet's folder cannot be written to, so that no piece can be kept: the work ends."""


def part_path(folder: Path, piece: Piece) -> Path:
    return folder / PARTS / piece.key / f"{piece.first:09d}-{piece.last:09d}{SUFFIX}"


def table_path(folder: Path, name: str, key: str) -> Path:
    """name: FRAMES, FINDINGS or DRIVES. The row of the drive is written last: where it is, the drive is done."""
    return folder / name / f"{key}{SUFFIX}"


def failed_path(folder: Path, path: str) -> Path:
    """The row of a drive that cannot be indexed."""
    return folder / DRIVES / f"{FAILED}{path_key(path)}{SUFFIX}"


def is_done(folder: Path, key: str) -> bool:
    return table_path(folder, DRIVES, key).is_file()


def write_plan(folder: Path, plan: Plan) -> None:
    """Beside the drive's parts, so that whoever writes the last of them can finish it. Raises FolderError."""
    with written(folder / PARTS / plan.key / PLAN) as temporary:
        temporary.write_text(json.dumps(asdict(plan)), encoding="utf-8")


def read_plan(folder: Path, key: str) -> Plan:
    """Raises FileNotFoundError where the drive is not begun, or done."""
    data = json.loads((folder / PARTS / key / PLAN).read_text(encoding="utf-8"))
    return Plan(**data | {"cuts": tuple((first, last) for first, last in data["cuts"])})


def missing(folder: Path, plan: Plan) -> list[Piece]:
    """The pieces that are still to be indexed. A part that is cut short or of other rows is removed: it counts as not there."""
    if is_done(folder, plan.key):
        return []
    there = set(names(folder / PARTS / plan.key))
    found = []
    for piece in plan.pieces:
        path = part_path(folder, piece)
        if path.name not in there or not _is_whole(path, len(piece)):
            found.append(piece)
    return found


def remove(folder: Path, key: str) -> None:
    """All of a drive; its row first, so that what is left of an interrupted removal does not count."""
    for name in (DRIVES, FRAMES, FINDINGS):
        table_path(folder, name, key).unlink(missing_ok=True)


def _is_whole(path: Path, rows: int) -> bool:
    try:
        if pq.read_metadata(path).num_rows == rows:
            return True
        path.unlink(missing_ok=True)
    except (OSError, ValueError):  # pyarrow's own errors are kinds of these
        path.unlink(missing_ok=True)
    return False


def names(folder: Path) -> list[str]:
    """The whole Parquet files of a folder, sorted; none where it is not there."""
    try:
        return sorted(n for n in os.listdir(folder) if n.endswith(SUFFIX) and n[0] != ".")
    except FileNotFoundError:
        return []


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path`, on the disk, if nothing was raised. Raises FolderError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, on_disk=True) as temporary:
            yield temporary
    except OSError as error:
        full = error.errno in FULL
        why = "the disk is full, or a limit is reached" if full else (error.strerror or str(error))
        advice = "make room there" if full else "see to it"
        raise FolderError(
            f"{path.parent} cannot be written: {why}; what is done is kept: {advice}, and give the same command again"
        ) from error


def sweep(folder: Path, before: float) -> None:
    """Remove what writers that were killed left unfinished before that time, in seconds since 1970."""
    for place, _, files in os.walk(folder):
        for name in files:
            path = Path(place, name)
            try:
                if name[0] == "." and name.endswith(PART) and path.stat().st_mtime < before - OLD_S:
                    path.unlink()
            except OSError:
                continue
