"""Donkeycar tubs: version 2 (manifest.json, catalogs, images/) and the older record_N.json beside pictures."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.labels import date_ns
from vbp.drives.paths import FolderIndex, natural_key
from vbp.drives.picture_files import PictureDrive, locate
from vbp.drives.tables import note_read, read_text
from vbp.errors import DriveError
from vbp.reading import read_file, read_head

KIND = "donkey"
KEYS = ("user/angle", "user/steering")  # the second in a version of 2023; then any other, such as pilot/angle
MOST_BYTES = 2**24  # of a record, which is a few hundred
NOMINAL_HZ = 20.0  # Donkeycar's DRIVE_LOOP_HZ

CONVENTION = Convention(
    "unit:25",
    "right",
    "Donkeycar's source: user/angle is -1 (left) to 1 (right); a tub does not state the degrees of full lock, "
    "25 are assumed",
)


@dataclass(frozen=True)
class _Record:
    time: int | None  # nanoseconds
    image: str
    angle: float
    key: str  # of the angle, "" where the record has none
    session: str


def sniff(path: Path) -> bool:
    """A tub folder, or its manifest.json."""
    folder = _folder(path)
    return _is_tub(folder) or next(_record_files(folder), None) is not None


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a tub. Raises DriveError."""
    folder = _folder(path)
    convention = CONVENTION.overruled_by(options)
    if options.camera is not None:
        raise DriveError(f"{path} has one camera without a name; leave out --camera")
    info = DriveInfo(KIND, path, 0, 0, 0.0)
    index = FolderIndex(folder, ("images",))
    records = _tub_records(folder, index, info) if _is_tub(folder) else _old_records(folder, info)
    if not records:
        raise DriveError(f"{folder} is a Donkeycar tub without records of cam/image_array")
    records, times = _timed(records, info)
    names = [record.image for record in records]
    angle = convention.radians([record.angle for record in records])
    convention.note_in(info)
    _note_keys(records, info)
    files, reasons = locate(names, index, info)
    return PictureDrive(
        info, times, angle, np.full(len(records), np.nan), files, names=names, reasons=reasons
    )


def _folder(path: Path) -> Path:
    return path.parent if path.name == "manifest.json" and path.is_file() else path


def _is_tub(folder: Path) -> bool:
    for file in (folder / "manifest.json", *_catalogs(folder)[:1]):  # some tubs have lost their manifest
        try:
            head = read_head(file, 2**16)
        except OSError:
            continue
        if b"cam/image_array" in head or b".catalog" in head:
            return True
    return False


def _catalogs(folder: Path) -> list[Path]:
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".catalog") and name[0] != "."]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=natural_key)]


def _tub_records(folder: Path, index: FolderIndex, info: DriveInfo) -> list[_Record]:
    """The manifest's last line names the catalogs and the deleted records; a catalog has one JSON a line."""
    manifest = folder / "manifest.json"
    state: dict[str, Any] | None
    if manifest.exists():
        lines = [line for line in read_text(manifest).splitlines() if line.strip()]
        state = next((value for line in reversed(lines) if "paths" in (value := _json(line))), None)
    else:
        state = {"paths": [file.name for file in _catalogs(folder)]}
        info.notes.append(
            "manifest.json is missing: every catalog was read, and which records are deleted is unknown"
        )
    if state is None or not isinstance(state["paths"], list):
        raise DriveError(f"{manifest} lists no catalogs; a Donkeycar tub lists their paths in its last line")
    deleted = _numbers(state.get("deleted_indexes"))
    records: list[_Record] = []
    bad = dropped = 0
    for name in state["paths"]:
        file, _ = index.find(str(name))
        if file is None:
            info.notes.append(f"the catalog {name} is missing")
            continue
        note_read(Path(file + "_manifest"))  # where each of its lines begins
        try:
            text = read_text(Path(file))
        except DriveError as error:
            info.notes.append(str(error))
            continue
        for line in text.splitlines():
            if not line.strip("\0 \t\r"):
                continue
            value = _json(line)
            record = _record(value, "images/")
            if record is None:
                bad += 1
            elif isinstance(value.get("_index"), int) and value["_index"] in deleted:
                dropped += 1
            else:
                records.append(record)
    if bad:
        info.notes.append(f"{bad} damaged lines of the catalogs are left out")
    if dropped:
        info.notes.append(f"{dropped} records are marked as deleted and left out")
    return records


def _old_records(folder: Path, info: DriveInfo) -> list[_Record]:
    records = []
    bad = 0
    for file in sorted(_record_files(folder), key=lambda file: natural_key(file.name)):
        try:
            record = _record(_json(read_file(file, MOST_BYTES).decode("utf-8", "replace")), "")
        except OSError:
            record = None
        note_read(file)
        if record is None:
            bad += 1
        else:
            records.append(record)
    note_read(folder / "meta.json")  # which keys the records have
    if bad:
        info.notes.append(f"{bad} damaged records are left out")
    return records


def _record_files(folder: Path) -> Iterator[Path]:
    """record_N.json of a real old tub; the first few are looked into, so that other JSON is left alone."""
    try:
        files = folder.glob("record_*.json") if folder.is_dir() else iter(())
        first = list(islice(files, 3))
        if any(b"cam/image_array" in read_head(file, 2**16) for file in first if file.is_file()):
            yield from first
            yield from files
    except OSError:
        return


def _record(value: dict[str, Any], folder: str) -> _Record | None:
    image = value.get("cam/image_array")
    if not isinstance(image, str) or not image:
        return None
    others = sorted(key for key in value if key.endswith(("/angle", "/steering")))
    key = next((key for key in (*KEYS, *others) if _is_number(value.get(key))), "")
    session = str(value.get("_session_id", ""))
    return _Record(_time(value), folder + image, float(value[key]) if key else math.nan, key, session)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _note_keys(records: list[_Record], info: DriveInfo) -> None:
    """Says what else than user/angle was read, and where one session ends and another begins."""
    keys = Counter(record.key for record in records)
    for key in sorted(set(keys) - {KEYS[0], ""}):
        info.notes.append(f"the angle of {keys[key]} records is {key}: they have no {KEYS[0]}")
    if keys[""]:
        info.notes.append(f"{keys['']} records have no angle")
    sessions = list(dict.fromkeys(record.session for record in records))
    if len(sessions) > 1:
        shown = ", ".join(sessions[:5]) + (", ..." if len(sessions) > 5 else "")
        info.notes.append(f"the tub holds {len(sessions)} sessions, one after the other: {shown}")


def _time(value: dict[str, Any]) -> int | None:
    """Nanoseconds: of _timestamp_ms, or of the older milliseconds or timestamp."""
    for key in ("_timestamp_ms", "milliseconds"):
        ms = value.get(key)
        if (
            _is_number(ms) and abs(ms) < 4e12
        ):  # to the year 2096: two of them have a difference that fits int64
            return ms * 10**6 if isinstance(ms, int) else round(ms * 1e6)
    text = value.get("timestamp")
    return date_ns(text) if isinstance(text, str) else None


def _timed(
    records: list[_Record], info: DriveInfo
) -> tuple[list[_Record], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The records in the order of time, and their times."""
    timed = [record for record in records if record.time is not None]
    if not timed:
        info.notes.append(f"no times are stated, so {NOMINAL_HZ:g} frames per second are assumed")
        return records, np.arange(len(records), dtype=np.int64) * 10**9 // int(NOMINAL_HZ)
    if len(timed) < len(records):
        info.notes.append(f"{len(records) - len(timed)} records have no time and are left out")
    times = np.array([record.time for record in timed], dtype=np.int64)
    if (np.diff(times) < 0).any():
        info.notes.append("the records are not in order of time; they were sorted")
    order = np.argsort(times, kind="stable")
    return [timed[k] for k in order], times[order]


def _numbers(value: Any) -> set[int]:
    return {int(n) for n in value if _is_number(n) and n == int(n)} if isinstance(value, list) else set()


def _json(text: str) -> dict[str, Any]:
    """An object, or {} for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
