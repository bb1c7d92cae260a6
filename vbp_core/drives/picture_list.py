"""Pictures with a table of their steering: any list that names or numbers them, whatever it and its columns are called."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives import images
from vbp.drives.base import Drive, DriveInfo, OpenOptions, even_times
from vbp.drives.camera_choice import choose_camera
from vbp.drives.convention import Convention
from vbp.drives.csv_layout import Layout, convention_of, find_layout, has_layout
from vbp.drives.images import MAX_FOLDERS, MAX_PICTURES, NOMINAL_HZ, named_picture
from vbp.drives.labels import date_ns
from vbp.drives.paths import MISSING, FolderIndex, leads_out, natural_key
from vbp.drives.picture_files import PictureDrive, locate
from vbp.drives.tables import Table, column_key, first_columns, first_rows, read_table
from vbp.drives.video_files import videos_in
from vbp.drives.video_labels import read_speed, read_times
from vbp.errors import DriveError

KIND = "picture-list"
SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt", ".dat"})
MAX_TABLES = 50  # a folder with more is looked at no further
MAX_DEPTH = 3  # folders of pictures below the list
ROWS_LOOKED_AT = 50

AIRSIM = Convention(
    "unit:40",
    "right",
    "AirSim's source: -1..1 of the 40 degrees that its car's front wheels turn, right positive",
)

_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class PictureList:
    """A table that names pictures. columns: of a table without a header "1", "2", ...; pictures: those that name one."""

    path: Path
    index: PictureIndex
    has_header: bool
    columns: tuple[str, ...]
    pictures: tuple[str, ...]
    layout: Layout


class PictureIndex(FolderIndex):
    """Finds pictures as people name them: with or without folder and extension, or by the number in the file's name."""

    def __init__(self, root: Path) -> None:
        self.pictures: list[str] = []
        folders: list[str] = []
        for folder, below, names in os.walk(root):
            depth = len(Path(folder).relative_to(root).parts)
            if len(folders) > MAX_FOLDERS or len(self.pictures) > MAX_PICTURES:
                break
            below[:] = sorted((name for name in below if name[0] != "."), key=natural_key)
            if depth == MAX_DEPTH:
                below.clear()
            found = [n for n in names if named_picture(n) and n[0] != "."]
            found = sorted(
                (n for n in found if not _link_out(os.path.join(folder, n), root)), key=natural_key
            )
            self.pictures += [os.path.join(folder, name) for name in found]
            if found and depth:
                folders.append(Path(folder).relative_to(root).as_posix())
        super().__init__(root, folders)
        self.folders = folders
        if videos_in(root):
            self.pictures = []  # frames that are numbered are the video's
        self._endings = sorted({os.path.splitext(file)[1] for file in self.pictures})
        self._by_number: dict[str, dict[int | None, str]] = {}
        for place, group in groupby(self.pictures, key=os.path.dirname):
            listed = list(group)
            numbered = {_last_number(file): file for file in listed}
            if len(numbered) == len(listed) and None not in numbered:
                self._by_number[Path(place).relative_to(root).as_posix()] = numbered

    def find(self, name: str) -> tuple[str | None, str]:
        """(path of the picture, "") or (None, why not). Never raises, whatever the name."""
        file, why = super().find(name)
        if file is None and why == MISSING:
            stem = os.path.splitext(name)[0] if named_picture(name) else name
            found = (super(PictureIndex, self).find(stem + ending)[0] for ending in self._endings)
            file = next(filter(None, found), None)
        folder, _, last = name.rpartition("/")
        if file is None and self._by_number and last.isdecimal() and len(last) < 20:
            file = self._by_number.get(folder or next(iter(self._by_number)), {}).get(int(last))
        if file is None or not named_picture(file):
            return None, why or MISSING
        return file, ""


def sniff(path: Path) -> bool:
    """A table that names pictures and their angles, the folder of one, or a table of steering beside pictures alone."""
    if path.is_file() and path.suffix.casefold() not in SUFFIXES:
        return False
    return _find(path) is not None or _numbers_pictures(path)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open such a table, or its folder. Raises DriveError, or NeedsAngleUnitError when no unit is stated."""
    found = _find(path)
    if found is not None:
        drive = _open_list(path, found, options)
        if drive is not None:
            return drive
    table = found.path if found is not None else path
    return images.open(table.parent if found is None else Path(found.index.root), options, table)


def tables_in(folder: Path) -> list[Path]:
    """The tables directly in a folder, by name."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if os.path.splitext(e.name)[1].casefold() in SUFFIXES]
    except OSError:
        return []
    return [folder / n for n in sorted(names, key=natural_key) if n[0] != "."][:MAX_TABLES]


def _find(path: Path) -> PictureList | None:
    """The list that a path is or holds; of several in a folder the longest, those that vbp wrote last."""
    if path.is_file():
        return _look(path, PictureIndex(path.parent))
    tables = tables_in(path)
    if not tables:
        try:
            below = [path / e.name for e in os.scandir(path) if e.is_dir(follow_symlinks=False)]
        except OSError:
            return None
        if len(below) <= MAX_TABLES:
            # A list among its own pictures, or beside its own video, is a recording by itself.
            below = [folder for folder in below if not images.sniff(folder) and not videos_in(folder)]
            tables = [table for folder in below for table in tables_in(folder)][:MAX_TABLES]
    tables = [table for table in tables if table.is_file() and len(first_rows(table, 1)) == 1]
    tables.sort(key=lambda table: ("predicted_deg" in first_columns(table), -table.stat().st_size))
    if not tables:
        return None
    index = PictureIndex(path)
    return next(filter(None, (_look(table, index) for table in tables)), None)


def _look(path: Path, index: PictureIndex) -> PictureList | None:
    rows = first_rows(path, ROWS_LOOKED_AT + 1)
    if not rows or len(rows[0]) < 2:
        return None
    has_header = not any(_is_number(cell) or _names_picture(cell) for cell in rows[0])
    columns = tuple(rows[0]) if has_header else tuple(str(k + 1) for k in range(len(rows[0])))
    body = rows[1:] if has_header else rows[:ROWS_LOOKED_AT]
    layout = find_layout(columns) if has_header else None
    if not body or (has_header and layout is None):
        return None
    known = {layout.angle, layout.speed} if layout is not None else set()
    values = {
        column_key(name): [row[k] if k < len(row) else "" for row in body]
        for k, name in reversed(list(enumerate(columns)))  # the first of two columns of one name counts
        if name and column_key(name) not in known
    }
    pictures = tuple(
        key for name in columns if (key := column_key(name)) in values and _are_pictures(values[key], index)
    )
    if layout is None:
        layout = _layout_of({key: cells for key, cells in values.items() if key not in pictures})
    if not pictures or layout is None:
        return None
    return PictureList(path, index, has_header, columns, tuple(dict.fromkeys(pictures)), layout)


def _are_pictures(cells: Sequence[str], index: PictureIndex) -> bool:
    """Whether most cells are called like pictures, or are pictures that are there; one picture for all is none."""
    named = [cell for cell in cells if _names_picture(cell)]
    if len(named) * 2 > len(cells):
        return True
    if len(set(cells)) < len(cells) or not index.pictures:
        return False
    return all(index.find(cell)[0] is not None for cell in cells)


def _layout_of(values: dict[str, list[str]]) -> Layout | None:
    """Of a table without a header: the first column of numbers that neither count nor only grow as times do."""
    angle = time = ""
    for key in sorted(values, key=int):
        cells = values[key]
        if not all(map(_is_number, cells)):
            time = time or (key if all(map(date_ns, cells)) else "")
            continue
        numbers = np.array([float(cell.replace(",", ".")) for cell in cells])
        steps = np.diff(numbers)
        if len(numbers) > 1 and (steps >= 0).all() and ((steps == 1).all() or numbers[0] > 1e8):
            time = time or (key if numbers[0] > 1e8 else "")
        elif len(numbers) > 1 and (numbers >= 0).all() and all(cell.isdecimal() for cell in cells):
            continue  # the number of a class, as likely
        else:
            angle = angle or key
    return Layout("columns", angle, "", time=time) if angle else None


def _open_list(path: Path, found: PictureList, options: OpenOptions) -> Drive | None:
    """None where the list numbers pictures of other numbers than those in their names: they are counted then."""
    table = read_table(found.path, names=None if found.has_header else found.columns)
    info = DriveInfo(KIND, path, 0, 0, 0.0)
    layout = found.layout
    names = _names(table, found, info, options)
    if layout.frame in found.pictures and any(found.index.find(name)[0] is None for name in names):
        return None
    times, rows, absolute = _times(table, layout, names, info, options.fps)
    if layout.name == "udacity" and not (absolute and layout.time_scale in (0, 1)):
        layout = replace(layout, name="columns")
    if layout.angle == "steering" and "imagefile" in found.pictures:
        convention = AIRSIM.overruled_by(options)
    else:
        convention = convention_of(layout, found.path, options)
    convention.note_in(info)
    if not found.has_header:
        info.notes.append(
            f"{found.path.name} names no columns: column {layout.angle} was taken for the angle"
        )
    values = table.floats(layout.angle)
    if not np.isfinite(values).all():
        info.notes.append(
            f"{int((~np.isfinite(values)).sum())} rows of {found.path.name} have no number as {layout.angle}"
        )
    names = [names[row] for row in rows]
    files, reasons = locate(names, found.index, info)
    shown = {os.path.abspath(file) for file in files if file is not None}
    left = {os.path.abspath(file) for file in found.index.pictures} - shown
    if left and not info.cameras:
        info.notes.append(f"{len(left)} pictures have no row in {found.path.name} and are not shown")
    speed = read_speed(table, layout, info.notes)[rows]
    return PictureDrive(
        info, times, convention.radians(values[rows]), speed, files, names=names, reasons=reasons
    )


def _names(table: Table, found: PictureList, info: DriveInfo, options: OpenOptions) -> list[str]:
    """The pictures of the camera that is shown: of a column, of a place in cells such as a.png;b.png, or of a folder."""
    cells = [table.text(column) for column in found.pictures]
    cameras = dict(zip(found.pictures, cells, strict=True))
    if len(cameras) == 1:
        parts = [[part.strip() for part in cell.strip(";").split(";")] for cell in cells[0]]
        most = max(map(len, parts))
        if most > 1:
            cameras = {str(k + 1): [p[k] if k < len(p) else "" for p in parts] for k in range(most)}
        else:
            cameras = _folders_of_cameras(cells[0], found.index) or {"": cells[0]}
    if len(cameras) == 1:
        if options.camera is not None:
            raise DriveError(f"{found.path} has one camera without a name; leave out --camera")
        return cells[0]
    info.cameras = tuple(cameras)
    info.camera = choose_camera(cameras, options.camera, found.path)
    return cameras[info.camera]


def _folders_of_cameras(names: list[str], index: PictureIndex) -> dict[str, list[str]]:
    """Folders that each hold a picture of every name in the list, where the names say no folder."""
    first = names[:ROWS_LOOKED_AT]
    if len(index.folders) < 2 or any(
        "/" in name or "\\" in name or index.find(name)[0] is None for name in first
    ):
        return {}
    found = {
        folder: [f"{folder}/{name}" for name in names]
        for folder in index.folders
        if all(
            os.path.dirname(index.find(f"{folder}/{name}")[0] or "") == f"{index.root}/{folder}"
            for name in first
        )
    }
    return found if len(found) > 1 else {}


def _times(
    table: Table, layout: Layout, names: list[str], info: DriveInfo, fps: float | None
) -> tuple[NDArray[np.int64], NDArray[np.intp], bool]:
    """(times, the rows they belong to in the order of time, whether they count from 1970)."""
    nominal = even_times(len(table), NOMINAL_HZ if fps is None else fps)
    if layout.time:
        dates = list(map(date_ns, table.text(layout.time)))
        absolute = all(date is not None for date in dates)
        notes: list[str] = []
        if absolute:
            times, ok = np.array(dates, dtype=np.int64), np.ones(len(table), np.bool_)
        else:
            times, ok, absolute = read_times(table, layout, nominal, notes)
        if ok.mean() > 0.5:
            info.notes += notes
            rows = np.flatnonzero(ok)
            if len(rows) < len(table):
                info.notes.append(f"{len(table) - len(rows)} rows have no time and are left out")
            if (np.diff(times[rows]) < 0).any():
                info.notes.append("the rows are not in order of time; they were sorted")
            rows = rows[np.argsort(times[rows], kind="stable")]
            return times[rows], rows, absolute
    if fps is None:
        info.notes.append(f"no times are stated; {NOMINAL_HZ} frames per second are assumed")
    order = sorted(range(len(names)), key=lambda row: natural_key(names[row]))
    return nominal, np.array(order, dtype=np.intp), False


def _numbers_pictures(path: Path) -> bool:
    """A table with an angle and a frame or a time, in a folder of pictures without a video."""
    if not path.is_file() or not has_layout(first_columns(path)):
        return False
    return images.sniff(path.parent) and not videos_in(path.parent)


def _link_out(path: str, root: Path) -> bool:
    return os.path.islink(path) and leads_out(path, root)


def _names_picture(cell: str) -> bool:
    return named_picture(cell.partition(";")[0].strip().strip("\"'"))


def _last_number(file: str) -> int | None:
    match = _LAST_NUMBER.search(os.path.splitext(os.path.basename(file))[0])
    return int(match[1]) if match and len(match[1]) < 20 else None


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell.replace(",", ".")))
    except ValueError:
        return False
