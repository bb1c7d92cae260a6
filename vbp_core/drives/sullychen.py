"""SullyChen's driving data sets: numbered pictures and data.txt, "12.jpg -3.400000[,2018-07-01 17:09:44:912]"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.labels import date_ns
from vbp.drives.paths import FolderIndex, natural_key
from vbp.drives.picture_files import EXTENSIONS, PictureDrive, locate
from vbp.drives.tables import PEEK_BYTES, read_text
from vbp.errors import DriveError
from vbp.reading import read_head

KIND = "sullychen"
LIST_NAME = "data.txt"
NOMINAL_HZ = 30.0
PICTURE_FOLDER = "data"  # the 2018 set keeps its pictures there

CONVENTION = Convention(
    "deg",
    "right",
    "SullyChen's own code: it turns degrees into radians, and turns its picture of the wheel clockwise for "
    "positive angles",
)

_LINE = re.compile(
    r"(?P<name>.+?\.\w{3,4})[\s,]+(?P<angle>[-+]?(?:nan|inf|[\d.]+(?:e[-+]?\d+)?))"
    r"(?:\s*,\s*(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[:.]\d{1,9})?))?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Row:
    name: str
    angle: float
    time: int | None  # nanoseconds since 1970


def sniff(path: Path) -> bool:
    """A folder with data.txt, or that file, whose first lines name a picture and an angle each."""
    listed = _list_file(path)
    if listed is None:
        return False
    try:
        head = read_head(listed, PEEK_BYTES).decode("utf-8", errors="replace").lstrip("\ufeff")
    except OSError:
        return False
    lines = list(islice((line for line in head.splitlines() if line.strip()), 5))
    return any(_parse(line) is not None for line in lines)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open such a folder, or its data.txt. Raises DriveError."""
    listed = _list_file(path)
    if listed is None:
        raise DriveError(f"{path} has no {LIST_NAME}")
    convention = CONVENTION.overruled_by(options)
    if options.camera is not None:
        raise DriveError(f"{path} has one camera without a name; leave out --camera")
    info = DriveInfo(KIND, path, 0, 0, 0.0)
    lines = [line for line in read_text(listed).splitlines() if line.strip()]
    rows = [row for line in lines if (row := _parse(line)) is not None]
    if not rows:
        raise DriveError(
            f"{listed} has no line with a picture's name and an angle, such as: 12.jpg -3.400000"
        )
    if len(rows) < len(lines):
        info.notes.append(
            f"{len(lines) - len(rows)} lines of {listed.name} name no picture with an angle and are left out"
        )
    rows = _once(rows, info)
    index = FolderIndex(listed.parent, (PICTURE_FOLDER,))
    timed = [row for row in rows if row.time is not None]
    if len(timed) * 2 > len(rows):
        if len(timed) < len(rows):
            info.notes.append(f"{len(rows) - len(timed)} pictures have no time and are left out")
        if (listed_at := [row.time or 0 for row in timed]) != sorted(listed_at):
            info.notes.append(f"the lines of {listed.name} are not in order of time; they were sorted")
        rows = sorted(timed, key=lambda row: (row.time, natural_key(row.name)))
        times = np.array([row.time for row in rows], dtype=np.int64)
    else:
        unlisted = _unlisted(index, rows)
        if unlisted:
            info.notes.append(f"{len(unlisted)} pictures have no line in {listed.name} and are unlabelled")
        rows = sorted([*rows, *unlisted], key=lambda row: natural_key(row.name))
        times = np.arange(len(rows), dtype=np.int64) * 10**9 // int(NOMINAL_HZ)
        info.notes.append(f"no times are stated, so {NOMINAL_HZ:g} frames per second are assumed")
    names = [row.name for row in rows]
    angle = convention.radians([row.angle for row in rows])
    convention.note_in(info)
    files, reasons = locate(names, index, info)
    return PictureDrive(info, times, angle, np.full(len(rows), np.nan), files, names=names, reasons=reasons)


def _list_file(path: Path) -> Path | None:
    if path.is_dir():
        path = path / LIST_NAME
    return path if path.name.casefold() == LIST_NAME and path.is_file() else None


def _parse(line: str) -> _Row | None:
    match = _LINE.fullmatch(line.strip())
    if match is None or Path(match["name"]).suffix.casefold() not in EXTENSIONS:
        return None
    try:
        return _Row(match["name"].strip(), float(match["angle"]), date_ns(match["time"] or ""))
    except ValueError:
        return None


def _once(rows: list[_Row], info: DriveInfo) -> list[_Row]:
    """The first line of each picture."""
    first: dict[str, _Row] = {}
    for row in rows:
        first.setdefault(row.name, row)
    if len(first) < len(rows):
        info.notes.append(
            f"{len(rows) - len(first)} pictures are listed more than once; the first line of each is used"
        )
    return list(first.values())


def _unlisted(index: FolderIndex, rows: list[_Row]) -> list[_Row]:
    """Pictures that lie where the listed ones do, without a line of their own."""
    known = {path for row in rows if (path := index.find(row.name)[0]) is not None}
    folders = {Path(path).parent for path in known} or {Path(index.root)}
    extra = []
    for folder in sorted(folders):
        for file in folder.iterdir():
            if (
                file.suffix.casefold() in EXTENSIONS
                and not file.name.startswith(".")
                and str(file) not in known
            ):
                name = file.relative_to(index.root).as_posix()
                if index.find(name)[0] is not None:
                    extra.append(_Row(name, np.nan, None))
    return extra
