"""Udacity's CSV exports of the real car: interpolated.csv, or camera.csv with a steering list, and pictures.

Three cameras may be mixed in one list, its rows need not be in the order of time, its columns stand in
any order. Times are integer nanoseconds. Files are told apart by their columns, whatever their names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.camera_choice import camera_name, choose_camera
from vbp.drives.convention import Convention
from vbp.drives.csv_layout import find_layout
from vbp.drives.labels import MOST_NS, synchronise
from vbp.drives.paths import FolderIndex, natural_key
from vbp.drives.picture_files import PictureDrive, locate
from vbp.drives.tables import Table, first_columns, read_table
from vbp.errors import DriveError

KIND = "udacity-csv"
NEEDED = {
    "interpolated": ("timestamp", "filename", "angle"),
    "camera": ("timestamp", "filename"),
    "steering": ("timestamp", "angle"),
    "evaluation": ("frame_id", "steering_angle"),
}
USUAL_NAMES = {
    "interpolated.csv": "interpolated",
    "camera.csv": "camera",
    "steering.csv": "steering",
    "ch2_final_evaluation.csv": "evaluation",
}
KEEP = ("timestamp", "filename", "frame_id", "angle", "steering_angle", "torque", "speed", "width", "height")
SHORTEST_STEP = 1_000_000  # nanoseconds between frames of any camera
MAX_CSVS = 200  # a folder with more is looked at no further

CONVENTION = Convention(
    "rad",
    "left",
    "Udacity's exports: steering_wheel_angle of dbw_mkz_msgs/SteeringReport, radians, left positive",
)


def sniff(path: Path) -> bool:
    """A folder with such a list of pictures, or one of its CSVs."""
    roles = _roles(path)
    return any(role in roles for role in ("interpolated", "camera", "evaluation"))


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a folder, or one of its CSVs. Raises DriveError."""
    roles = _roles(path)
    convention = CONVENTION.overruled_by(options)
    info = DriveInfo(KIND, path, 0, 0, 0.0)
    if "interpolated" in roles:
        return _open_interpolated(roles, info, convention, options)
    if "camera" in roles:
        return _open_camera(roles, info, convention, options)
    if "evaluation" in roles:
        return _open_evaluation(roles["evaluation"], info, convention, options)
    raise DriveError(f"{path} has no list of pictures; accepted: interpolated.csv, or camera.csv")


def _roles(path: Path) -> dict[str, Path]:
    """What each CSV is for. A CSV given by itself counts first; its companions are those beside it."""
    if path.is_dir():
        return _roles_in(path)
    if not path.is_file():
        return {}
    own = _role(path)
    if own is None:
        return {}
    beside = _roles_in(path.parent)
    if own in ("steering", "evaluation") and "camera" in beside:
        return {"camera": beside["camera"], own: path}
    roles = {role: file for role, file in beside.items() if role in ("steering", "evaluation")}
    roles[own] = path
    return roles


def _roles_in(folder: Path) -> dict[str, Path]:
    try:
        names = [n for n in os.listdir(folder) if n.casefold().endswith(".csv") and not n.startswith(".")]
    except OSError:
        return {}
    csvs = [folder / name for name in names]
    csvs.sort(key=lambda p: (p.name.casefold() not in USUAL_NAMES, natural_key(p.name)))
    roles: dict[str, Path] = {}
    for csv in csvs[:MAX_CSVS]:
        role = _role(csv)
        if role is not None:
            roles.setdefault(role, csv)
    return roles


def _role(path: Path) -> str | None:
    columns = first_columns(path)
    usual = USUAL_NAMES.get(path.name.casefold())
    if usual is not None and (
        not columns or columns & {"timestamp", "filename", "frame_id", "steering_angle"}
    ):
        return usual  # a damaged list, or a missing column, then gets its own sentence
    has = {role for role, needed in NEEDED.items() if columns.issuperset(needed)}
    if has == {"camera"} and find_layout(tuple(columns)) is not None:
        return None  # a table with the angles in it, of another maker
    for role in ("interpolated", "camera", "steering", "evaluation"):
        if role in has:
            return role
    return None


@dataclass
class _Frames:
    """The rows of one camera, in the order of time: indices into the table, times, names."""

    rows: NDArray[np.intp]
    times: NDArray[np.int64]
    names: list[str]


def _open_interpolated(
    roles: dict[str, Path], info: DriveInfo, convention: Convention, options: OpenOptions
) -> Drive:
    table = read_table(roles["interpolated"], KEEP)
    table.require(*NEEDED["interpolated"])
    frames = _frames(table, info, options)
    raw = table.floats("angle")[frames.rows]
    speed = _column_or_nan(table, "speed")[frames.rows]
    early = _before_first_sample(table, frames, raw, roles.get("steering"))
    if early.any():
        raw[early] = np.nan
        speed[early] = np.nan
        info.notes.append(
            f"{int(early.sum())} frames lie before the first steering sample and are unlabelled"
        )
    convention.note_in(info)
    return _drive(table, frames, convention.radians(raw), speed, info)


def _before_first_sample(
    table: Table, frames: _Frames, angle: NDArray[np.float64], steering: Path | None
) -> NDArray[np.bool_]:
    """Frames that the exporter filled with zeros, for there was nothing yet to interpolate from.

    With the raw samples beside it is known when they start; else a leading run in which angle, torque
    and speed are all exactly 0 is taken for it.
    """
    if steering is not None:
        try:
            samples, ok = read_table(steering, ("timestamp",)).integers("timestamp")
        except DriveError:
            ok = np.zeros(0, dtype=np.bool_)  # the zeros tell as well
        if ok.any():
            return np.asarray(frames.times < samples[ok].min())
    if "torque" not in table or "speed" not in table:
        return np.zeros(len(angle), dtype=np.bool_)
    zero = (
        (angle == 0) & (table.floats("torque")[frames.rows] == 0) & (table.floats("speed")[frames.rows] == 0)
    )
    return np.logical_and.accumulate(zero)


def _open_camera(
    roles: dict[str, Path], info: DriveInfo, convention: Convention, options: OpenOptions
) -> Drive:
    table = read_table(roles["camera"], KEEP)
    table.require(*NEEDED["camera"])
    frames = _frames(table, info, options)
    angle = np.full(len(frames.times), np.nan)
    speed = np.full(len(frames.times), np.nan)
    source = roles.get("steering") or roles.get("evaluation")
    if source is None:
        info.notes.append(f"no steering: there is no steering.csv beside {roles['camera'].name}")
        return _drive(table, frames, angle, speed, info)
    time_column, angle_column = NEEDED["steering" if "steering" in roles else "evaluation"]
    try:
        samples = read_table(source, KEEP)
        samples.require(time_column, angle_column)
    except DriveError as error:
        info.notes.append(f"no steering: {error}")  # the pictures are good
        return _drive(table, frames, angle, speed, info)
    times, ok = samples.integers(time_column)
    ok &= (times > -MOST_NS) & (times < MOST_NS)
    _note_bad(info, ok, source, "time stamp")
    values = convention.radians(samples.floats(angle_column))
    angle = synchronise(frames.times, times[ok], values[ok], options.max_gap_s)
    speed = synchronise(frames.times, times[ok], _column_or_nan(samples, "speed")[ok], options.max_gap_s)
    if not np.isfinite(angle).any():
        info.notes.append(
            f"no frame lies between two steering samples of {source.name} within {options.max_gap_s:g} s"
        )
    convention.note_in(info)
    return _drive(table, frames, angle, speed, info)


def _open_evaluation(source: Path, info: DriveInfo, convention: Convention, options: OpenOptions) -> Drive:
    """The evaluation list alone: its frame ids are the times, and the names of the pictures."""
    table = read_table(source, KEEP)
    table.require(*NEEDED["evaluation"])
    info.camera = choose_camera(["center"], options.camera, source)
    info.cameras = ("center",)
    times, ok = table.integers("frame_id")
    rows = _in_order(times, ok, info, source, "frame_id")
    ids = table.text("frame_id")
    frames = _Frames(rows, times[rows], [f"center/{ids[row]}.jpg" for row in rows])
    convention.note_in(info)
    angle = convention.radians(table.floats("steering_angle")[rows])
    return _drive(table, frames, angle, np.full(len(rows), np.nan), info)


def _frames(table: Table, info: DriveInfo, options: OpenOptions) -> _Frames:
    times, ok = table.integers("timestamp")
    files = table.text("filename")
    cameras = _cameras(table, files)
    info.cameras = tuple(sorted(set(cameras) - {""}))
    info.camera = choose_camera(cameras, options.camera, table.path)
    mine = np.fromiter((camera == info.camera for camera in cameras), np.bool_, len(cameras))
    rows = _in_order(times, ok, info, table.path, "timestamp", mine)
    double = [k for k in np.flatnonzero(np.diff(times[rows]) == 0) if files[rows[k]] == files[rows[k + 1]]]
    if double:
        rows = np.delete(rows, np.asarray(double) + 1)
        info.notes.append(f"{len(double)} rows of {table.path.name} occur twice and are used once")
    return _Frames(rows, times[rows], [files[row] for row in rows])


def _cameras(table: Table, files: list[str]) -> list[str]:
    """The camera of each row: its frame_id, else the folder that its picture lies in, if that is one."""
    if "frame_id" in table:
        ids = table.text("frame_id")
        short = {frame_id: camera_name(frame_id) for frame_id in set(ids)}
        return [short[frame_id] for frame_id in ids]
    folders = [file.replace("\\", "/").rpartition("/")[0].rpartition("/")[2] for file in files]
    return folders if set(folders) <= {"left", "center", "right"} else [""] * len(files)


def _in_order(
    times: NDArray[np.int64],
    ok: NDArray[np.bool_],
    info: DriveInfo,
    source: Path,
    column: str,
    mine: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """The usable rows, sorted by time; rows of the same time keep their order. Raises DriveError for none."""
    ok = ok & (times > -MOST_NS) & (times < MOST_NS)
    if mine is not None:
        ok = ok | ~mine
    _note_bad(info, ok, source, column)
    rows = np.flatnonzero(ok if mine is None else ok & mine)
    if len(rows) == 0:
        raise DriveError(f"{source} has no row with an integer {column} (nanoseconds)")
    if (np.diff(times[rows]) < 0).any():
        info.notes.append(f"the rows of {source.name} are not in order of time; they were sorted")
        rows = rows[np.argsort(times[rows], kind="stable")]
    if len(rows) > 1 and int(times[rows[-1]]) - int(times[rows[0]]) < (len(rows) - 1) * SHORTEST_STEP:
        info.notes.append(
            f"the {column}s of {source.name} give more than 1000 frames per second: they are read as nanoseconds, "
            "but seem to be in another unit"
        )
    return rows


def _note_bad(info: DriveInfo, ok: NDArray[np.bool_], source: Path, column: str) -> None:
    bad = np.flatnonzero(~ok)
    if len(bad):
        info.notes.append(
            f"{len(bad)} rows of {source.name} have no usable {column} and are left out (the first: row {bad[0] + 1})"
        )


def _column_or_nan(table: Table, name: str) -> NDArray[np.float64]:
    return table.floats(name) if name in table else np.full(len(table), np.nan)


def _drive(
    table: Table, frames: _Frames, angle: NDArray[np.float64], speed: NDArray[np.float64], info: DriveInfo
) -> Drive:
    for column in ("width", "height"):  # what is shown when no picture can be read
        values = _column_or_nan(table, column)
        values = values[(values > 0) & (values < 1e5)]
        setattr(info, column, int(np.median(values)) if len(values) else 0)
    index = FolderIndex(table.path.parent, (info.camera or "center", "images", "IMG"))
    files, reasons = locate(frames.names, index, info)
    return PictureDrive(info, frames.times, angle, speed, files, names=frames.names, reasons=reasons)
