"""comma2k19: a minute of video.hevc, the times of its frames in global_pose, steering and speed in processed_log/CAN."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives import video
from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.labels import synchronise
from vbp.drives.numpy_file import MOST_S, nanoseconds, read_numbers
from vbp.drives.paths import leads_out
from vbp.drives.tables import note_read
from vbp.drives.video_drive import VideoDrive
from vbp.drives.video_index import build_index
from vbp.errors import DriveError

KIND = "comma2k19"
VIDEO, CAN, TIMES = "video.hevc", "processed_log/CAN", "global_pose/frame_times"
STEERING = ("steering_angle",)
SPEED = ("speed", "car_speed")  # in the data, and in their description

CONVENTION = Convention(
    "deg",
    "left",
    "comma2k19's description: the steering wheel in degrees; left positive as in openpilot, which recorded it",
)


def sniff(path: Path) -> bool:
    """A segment's folder, or the video in it, with what the CAN bus said beside it."""
    folder = _folder(path)
    return (folder / VIDEO).is_file() and any((folder / CAN / name).is_dir() for name in STEERING + SPEED)


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a segment. Raises DriveError."""
    folder = _folder(path)
    if leads_out(folder / VIDEO, folder):
        raise DriveError(f"{folder / VIDEO} is a link that leads out of its folder; open what it leads to")
    convention = CONVENTION.overruled_by(options)
    index = build_index(folder / VIDEO, options.camera)
    try:
        times, notes = _frame_times(folder / TIMES, len(index.order))
    except DriveError as error:  # the log has the device's clock, which the video does not know
        drive = video.open(folder / VIDEO, options)
        drive.info.notes.append(f"no steering, for nothing says when a frame was taken: {error}")
        return drive
    drive = VideoDrive(replace(index, times_ns=times))
    note_read(folder / VIDEO)
    drive.info.kind, drive.info.path = KIND, path
    drive.info.notes.extend(notes)
    angle = _signal(folder, STEERING, times, options, drive.info)
    speed = _signal(folder, SPEED, times, options, drive.info)
    drive.set_labels(convention.radians(angle), speed)
    if np.isfinite(angle).any():
        convention.note_in(drive.info)
    return drive


def _folder(path: Path) -> Path:
    return path.parent if path.name == VIDEO and path.is_file() else path


def _frame_times(file: Path, frames: int) -> tuple[NDArray[np.int64], list[str]]:
    """The time of each frame, int64 nanoseconds of the device's clock, and notes. Raises DriveError where one has none."""
    seconds = read_numbers(file)
    if len(seconds) < frames:
        raise DriveError(f"{file} has {len(seconds)} times for {frames} frames")
    if not (np.abs(seconds) < MOST_S).all() or (np.diff(seconds) < 0).any():
        raise DriveError(f"{file} has times that cannot be, or that run backwards")
    note_read(file)
    if lost := len(seconds) - frames:
        return nanoseconds(seconds[:frames]), [f"the video is cut short: the last {lost} times have no frame"]
    return nanoseconds(seconds), []


def _signal(
    folder: Path, names: tuple[str, ...], frame_ns: NDArray[np.int64], options: OpenOptions, info: DriveInfo
) -> NDArray[np.float64]:
    """Values (N,) of a log at the frames' times, NaN where there are none, with a note why."""
    log = next(
        (folder / CAN / name for name in names if (folder / CAN / name).is_dir()), folder / CAN / names[0]
    )
    what = "steering" if names is STEERING else "speed"
    unknown = np.full(len(frame_ns), np.nan)
    try:
        seconds, values = (read_numbers(log / part) for part in ("t", "value"))
    except DriveError as error:
        info.notes.append(f"no {what}: {error}")
        return unknown
    if len(seconds) != len(values):
        info.notes.append(f"no {what}: {log} has {len(seconds)} times for {len(values)} values")
        return unknown
    note_read(log / "t")
    note_read(log / "value")
    good = np.abs(seconds) < MOST_S
    found = synchronise(frame_ns, nanoseconds(seconds[good]), values[good], options.max_gap_s)
    if without := int(np.isnan(found).sum()):
        info.notes.append(
            f"{without} of {len(found)} frames have no {what}: {CAN}/{log.name} has nothing within "
            f"{options.max_gap_s:g} s before and after them"
        )
    return found
