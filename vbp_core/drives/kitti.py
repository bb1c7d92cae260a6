"""KITTI's raw recordings: image_0*/data with a time for each picture, and oxts with the speed. There is no steering."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.camera_choice import choose_camera
from vbp.drives.labels import date_ns, synchronise
from vbp.drives.paths import MISSING, is_file, leads_out
from vbp.drives.picture_files import EXTENSIONS, PictureDrive
from vbp.drives.tables import note_read
from vbp.errors import DriveError
from vbp.reading import read_file

KIND = "kitti-raw"
TIMES = "timestamps.txt"  # one line for each picture, or message: the line is its number
FORWARD = 8  # the place of vf, in metres per second, in an oxts file
MOST_BYTES = 2**25  # of a file of times: a million lines
MOST_MESSAGE = 2**14
MOST_MESSAGES = 500_000  # over an hour of 100 a second
NO_STEERING = "no steering: KITTI records no angle of the steering wheel"

_CAMERA = re.compile(r"image_\d\d")
_NUMBER = re.compile(r"\d{1,10}")


def sniff(path: Path) -> bool:
    """A folder with image_0*/data/ and times beside one of them, in image_0*/ or oxts/."""
    folders = [*_cameras(path), "oxts"]
    return len(folders) > 1 and any((path / name / TIMES).is_file() for name in folders)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open one camera of a recording, _sync or _extract. Raises DriveError."""
    cameras = _cameras(path)
    info = DriveInfo(KIND, path, 0, 0, 0.0, cameras=tuple(cameras), notes=[NO_STEERING])
    info.camera = choose_camera(cameras, options.camera, path)
    times = _times(path / info.camera / TIMES)
    pictures = _numbered(path / info.camera / "data", path, EXTENSIONS)
    numbers = np.array(sorted(times, key=lambda k: (times[k], k)), dtype=np.int64)
    files = [pictures.get(int(k)) for k in numbers]
    if not any(files):
        raise DriveError(
            f"{path / info.camera} has no picture in data/ that a line of {TIMES} states the time of"
        )
    untimed = len(pictures.keys() - times.keys())
    if untimed:
        info.notes.append(
            f"{untimed} of {len(pictures)} pictures are left out: {info.camera}/{TIMES} has no time for them"
        )
    ns = np.array([times[int(k)] for k in numbers], dtype=np.int64)
    speed = _speed(path, ns, options, info)
    drive = PictureDrive(
        info,
        ns,
        np.full(len(ns), np.nan),
        speed,
        files,
        names=[f"{info.camera}/data/{k:010d}.png" for k in numbers],
        reasons=["" if file else MISSING for file in files],
    )
    if info.width == 0:
        raise DriveError(f"none of the {len(pictures)} pictures in {path / info.camera} can be decoded")
    return drive


def _cameras(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            names = [e.name for e in entries if _CAMERA.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(name for name in names if (path / name / "data").is_dir())


def _numbered(folder: Path, root: Path, endings: frozenset[str]) -> dict[int, str]:
    """The files in a folder that are called by a number, by it; nothing where a link leads out of the recording."""
    found: dict[int, str] = {}
    try:
        if leads_out(folder, root):
            return {}
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, ending = os.path.splitext(entry.name)
                if _NUMBER.fullmatch(stem) and ending.casefold() in endings and is_file(entry, root):
                    found[int(stem)] = entry.path
    except OSError:
        return {}
    return found


def _times(file: Path) -> dict[int, int]:
    """Nanoseconds since 1970 by the number of the line, from 0; lines that hold no time are left out. Raises DriveError."""
    try:
        text = read_file(file, MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise DriveError(
            f"{file}, which states the times, cannot be read: {error.strerror or error}"
        ) from error
    note_read(file)
    times = {k: ns for k, line in enumerate(text.split("\n")) if (ns := date_ns(line)) is not None}
    if not times:
        raise DriveError(f"{file} has no line with a time such as 2011-09-26 13:02:25.594360375")
    return times


def _speed(path: Path, ns: NDArray[np.int64], options: OpenOptions, info: DriveInfo) -> NDArray[np.float64]:
    """The forward velocity, (N,) m/s, at the pictures' times; NaN where it is not known."""
    unknown = np.full(len(ns), np.nan)
    messages = _numbered(path / "oxts" / "data", path, frozenset({".txt"}))
    if not messages:
        info.notes.append("no speed: there is no oxts/data")
        return unknown
    try:
        times = _times(path / "oxts" / TIMES)
    except DriveError as error:
        info.notes.append(f"no speed: {error}")
        return unknown
    place = _place(path / "oxts" / "dataformat.txt")
    numbers = sorted(messages.keys() & times.keys())[:MOST_MESSAGES]
    values = np.array([_number(Path(messages[k]), place) for k in numbers], dtype=np.float64)
    if (lost := int(np.isnan(values).sum()) + len(messages) - len(numbers)) > 0:
        info.notes.append(
            f"{lost} of {len(messages)} files of oxts/data are left out: they hold no forward velocity, or have no time"
        )
    speed = synchronise(ns, np.array([times[k] for k in numbers], dtype=np.int64), values, options.max_gap_s)
    if (without := int(np.isnan(speed).sum())) and without < len(ns):
        info.notes.append(f"{without} of {len(ns)} pictures have no speed: no oxts is near to their time")
    return speed


def _place(file: Path) -> int:
    """Which of the numbers of a message is vf, as the recording describes them, a line each."""
    try:
        lines = read_file(file, MOST_MESSAGE).decode("utf-8", "replace").split("\n")
    except OSError:
        return FORWARD
    note_read(file)
    return next((k for k, line in enumerate(lines) if line.startswith("vf:")), FORWARD)


def _number(file: Path, place: int) -> float:
    """A number of a message, NaN where there is none."""
    try:
        value = float(read_file(file, MOST_MESSAGE).split()[place])
    except (OSError, ValueError, IndexError):
        return np.nan
    note_read(file)
    return value if np.isfinite(value) else np.nan
