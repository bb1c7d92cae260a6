"""Drives of Udacity's simulator: driving_log.csv and IMG/, with or without header, from any machine.

Rows whose picture is missing stay frames, as gaps: the times and the labels of the drive are whole.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from vbp.drives import picture_list
from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.camera_choice import choose_camera
from vbp.drives.convention import Convention
from vbp.drives.labels import date_ns
from vbp.drives.paths import FolderIndex
from vbp.drives.picture_files import EXTENSIONS, PictureDrive, locate
from vbp.drives.tables import column_key, first_rows, read_table
from vbp.errors import DriveError

KIND = "udacity-simulator"
CSV_NAME = "driving_log.csv"
COLUMNS = ("center", "left", "right", "steering", "throttle", "brake", "speed")
CAMERAS = ("center", "left", "right")
MPS_PER_MPH = 0.44704
NOMINAL_HZ = 10.0  # the median of Udacity's own sample drive

CONVENTION = Convention(
    "unit:25",
    "right",
    "the simulator's source: -1..1 of the 25 degrees that its front wheels turn, right positive",
)

_STAMP = re.compile(r"\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d_\d{1,6}(?!.*\d{4}_\d\d_\d\d)")


def sniff(path: Path) -> bool:
    """A folder with driving_log.csv, or a CSV with its columns."""
    csv = _csv(path)
    if csv is None:
        return False
    rows = first_rows(csv, 1)
    if rows and (_is_header(rows[0]) or _is_row(rows[0])):
        return True
    # One of other columns is a list of pictures as any; a damaged one gets its own sentence.
    cut = bool(rows) and len(rows[0]) > len(COLUMNS) and all(map(_is_picture, rows[0][:3]))
    return csv.name.casefold() == CSV_NAME and (cut or not picture_list.sniff(csv))


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a simulator drive. Raises DriveError."""
    csv = _csv(path)
    if csv is None:
        raise DriveError(f"{path} has no {CSV_NAME}")
    convention = CONVENTION.overruled_by(options)
    table = read_table(csv, COLUMNS, None if _is_header(_first(csv)) else COLUMNS)
    table.require("steering")
    there = [camera for camera in CAMERAS if camera in table and any(table.text(camera))]
    if not there:
        table.require("center")
    camera = choose_camera(there, options.camera, csv)
    names = table.text(camera)
    info = DriveInfo(KIND, path, 320, 160, 0.0, camera, tuple(there))
    convention.note_in(info)
    times, rows = _times(names, info)
    names = [names[row] for row in rows]
    speed = np.full(len(rows), np.nan)
    if "speed" in table:
        speed = table.floats("speed")[rows] * MPS_PER_MPH
        info.notes.append("speed is assumed to be in miles per hour, as the simulator's source writes it")
    angle = convention.radians(table.floats("steering")[rows])
    files, reasons = locate(names, FolderIndex(csv.parent, ("IMG",)), info)
    return PictureDrive(info, times, angle, speed, files, names=names, reasons=reasons)


def _csv(path: Path) -> Path | None:
    if not path.is_dir():
        return path if path.is_file() else None
    try:
        named = (path / name for name in os.listdir(path) if name.casefold() == CSV_NAME)
        return min((p for p in named if p.is_file()), default=None)
    except OSError:
        return None


def _first(csv: Path) -> list[str]:
    """The first row, if it can be one of this format. Raises DriveError."""
    rows = first_rows(csv, 1)
    row = rows[0] if rows else []
    if row and not _is_header(row) and not _is_row(row):
        raise DriveError(
            f"{csv} is not a simulator log: its first line has {len(row)} columns ({', '.join(row)[:120]}); "
            f"needed: {', '.join(COLUMNS)}; numbers such as 0,25 need another sign than a comma between the columns"
        )
    return row


def _is_header(row: list[str]) -> bool:
    keys = {column_key(cell) for cell in row}
    return bool(keys & set(CAMERAS)) and bool(keys & {"steering", "throttle", "brake"})


def _is_row(row: list[str]) -> bool:
    """Three pictures and four numbers, as the simulator writes without a header; 0,25 makes two cells of each number."""
    return (
        len(row) in (len(COLUMNS), len(COLUMNS) + 4)
        and _is_picture(row[0])
        and all(_is_number(cell) for cell in row[3:])
    )


def _is_picture(cell: str) -> bool:
    return Path(cell.replace("\\", "/")).suffix.casefold() in EXTENSIONS


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _times(names: list[str], info: DriveInfo) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], list[int]]:
    """Time stamps from the pictures' names, and the rows they belong to, in the order of time."""
    stamped = [(stamp, row) for row, name in enumerate(names) if (stamp := _stamp(name)) is not None]
    if not stamped:
        info.notes.append(
            f"the pictures' names contain no times, so {NOMINAL_HZ:g} frames per second are assumed"
        )
        step = int(1e9 / NOMINAL_HZ)
        return np.arange(len(names), dtype=np.int64) * step, list(range(len(names)))
    if len(stamped) < len(names):
        info.notes.append(f"{len(names) - len(stamped)} rows name no picture with a time and are left out")
    if any(a[0] > b[0] for a, b in pairwise(stamped)):
        info.notes.append("the rows are not in order of time; they were sorted")
        stamped.sort()
    return np.array([stamp for stamp, _ in stamped], dtype=np.int64), [row for _, row in stamped]


def _stamp(name: str) -> int | None:
    """center_2016_12_01_13_30_48_287.jpg -> nanoseconds since 1970."""
    match = _STAMP.search(name)
    return date_ns(match[0]) if match else None
