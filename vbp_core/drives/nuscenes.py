"""nuScenes: samples/CAM_*/ with times in the pictures' names, sweeps/ between them, and can_bus/ with the steering."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.camera_choice import choose_camera
from vbp.drives.convention import Convention
from vbp.drives.labels import MOST_NS, synchronise
from vbp.drives.paths import is_file, leads_out, natural_key
from vbp.drives.picture_files import EXTENSIONS, PictureDrive
from vbp.drives.tables import note_read
from vbp.errors import DriveError
from vbp.reading import read_file

KIND = "nuscenes"
PARTS = ("samples", "sweeps")  # the pictures with annotations, two a second, and those between them
STEERING, POSE = "_steeranglefeedback.json", "_pose.json"
MOST_BYTES = 2**26  # of a message file, which has 20 s of 100 messages a second
MOST_FILES = 5_000  # of messages; the data set has a thousand scenes

CONVENTION = Convention(
    "rad",
    "left",
    "nuScenes' description of its CAN bus: the steering wheel in radians, left positive",
)

_CAMERA = re.compile(r"CAM_[A-Z_]+")
_STAMP = re.compile(r"__(\d{16})$")  # microseconds since 1970


def sniff(path: Path) -> bool:
    """A folder with samples/CAM_*/ and a picture in one of them that is called as nuScenes calls it."""
    return any(_pictures(path / "samples" / name, most=1) for name in _cameras(path))


def open(path: Path, options: OpenOptions) -> Drive:
    """Open one camera of a nuScenes folder. Raises DriveError."""
    cameras = _cameras(path)
    info = DriveInfo(KIND, path, 0, 0, 0.0, cameras=tuple(cameras))
    info.camera = choose_camera(cameras, options.camera, path)
    found = sorted(f for part in PARTS for f in _pictures(path / part / info.camera))
    if not found:
        raise DriveError(f"{path} has no pictures of the camera {info.camera} whose names state their times")
    times = np.array([stamp * 1000 for stamp, _ in found], dtype=np.int64)
    start = len(os.path.join(path, ""))
    files = [file for _, file in found]
    angle, speed = _labels(path, times, options, info)
    drive = PictureDrive(info, times, angle, speed, files, names=[file[start:] for file in files])
    if info.width == 0:
        raise DriveError(f"none of the {len(files)} pictures in {path} can be decoded")
    return drive


def _cameras(path: Path) -> list[str]:
    try:
        if leads_out(path / "samples", path):
            return []
        with os.scandir(path / "samples") as entries:
            return sorted(
                e.name for e in entries if _CAMERA.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def _pictures(folder: Path, most: int | None = None) -> list[tuple[int, str]]:
    """(microseconds, path) of the pictures that state their time, no further than `most`."""
    found: list[tuple[int, str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, ending = os.path.splitext(entry.name)
                stamp = _STAMP.search(stem)
                if stamp is None or entry.name[0] == "." or ending.casefold() not in EXTENSIONS:
                    continue
                if is_file(entry, folder) and int(stamp[1]) * 1000 < MOST_NS:
                    found.append((int(stamp[1]), entry.path))
                    if len(found) == most:
                        break
    except OSError:
        return []
    return found


def _labels(
    path: Path, times: NDArray[np.int64], options: OpenOptions, info: DriveInfo
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angles (N,), radians of the steering wheel, and speeds (N,), m/s, of the frames; NaN where unknown."""
    convention = CONVENTION.overruled_by(options)
    steering = _messages(path, STEERING, lambda message: message["value"], info)
    pose = _messages(path, POSE, lambda message: message["vel"][0], info)
    speed = synchronise(times, *pose, options.max_gap_s)
    angle = convention.radians(synchronise(times, *steering, options.max_gap_s))
    without = int((~np.isfinite(angle)).sum())
    if without < len(times):
        convention.note_in(info)
    if without and len(steering[0]):
        info.notes.append(
            f"{without} of {len(times)} pictures have no steering: can_bus has no messages within "
            f"{options.max_gap_s:g} s before and after them"
        )
    elif without:
        info.notes.append(
            f"no steering: nuScenes has it in its CAN bus expansion; unpack that here, as can_bus/scene-0001{STEERING}"
        )
    return angle, speed


def _messages(
    path: Path, ending: str, value: Callable[[dict[str, Any]], float], info: DriveInfo
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(times, values) of all scenes' messages of a kind, in nanoseconds; those that are no numbers are left out."""
    folder = path / "can_bus"
    try:
        names = [name for name in os.listdir(folder) if name.endswith(ending) and name[0] != "."]
    except OSError:
        names = []
    times: list[int] = []
    values: list[float] = []
    for name in sorted(names, key=natural_key)[:MOST_FILES]:
        file = folder / name
        try:
            if leads_out(file, path):
                continue
            messages = json.loads(read_file(file, MOST_BYTES))
            found = [(int(m["utime"]) * 1000, float(value(m))) for m in messages]
        except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
            info.notes.append(f"can_bus/{name} is damaged: it is no list of messages with utime and value")
            continue
        note_read(file)
        found = [(time, number) for time, number in found if abs(time) < MOST_NS]
        times += [time for time, _ in found]
        values += [number for _, number in found]
    return np.array(times, dtype=np.int64), np.array(values, dtype=np.float64)
