"""`open_drive`: asks each format in turn whether the content is its own. A new format is one line here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from vbp.drives.base import Drive, OpenOptions
from vbp.drives.csv_layout import find_layout
from vbp.drives.part_files import compressed_parts, how_to_unpack, lfs_pointer
from vbp.drives.paths import LINK_OUT, leads_out
from vbp.drives.tables import first_columns, read_table, texts_read
from vbp.drives.unread import note_unread
from vbp.errors import DriveError, NeedsAngleUnitError, SeveralError
from vbp.reading import LFS_ADVICE, damaged, inside


@dataclass(frozen=True)
class Format:
    """One recording format, in a module of its own.

    The module has `sniff(path) -> bool` (cheap, looks at the content, never raises for odd files) and
    `open(path, options) -> Drive` (raises DriveError). It is imported only when asked.
    """

    name: str
    module: str
    accepts: str  # for messages: "a folder with ..."

    def sniff(self, path: Path) -> bool:
        check: Callable[[Path], bool] = import_module(self.module).sniff
        return check(path)

    def open(self, path: Path, options: OpenOptions) -> Drive:
        opener: Callable[[Path, OpenOptions], Drive] = import_module(self.module).open
        return opener(path, options)


# In the order asked: the most specific first.
FORMATS: tuple[Format, ...] = (
    Format("rosbag1", "vbp.drives.rosbag1", "a ROS1 .bag, or a folder of them"),
    Format(
        "rosbag2",
        "vbp.drives.rosbag2",
        "a ROS2 bag folder (metadata.yaml) or .db3",
    ),
    Format("mcap", "vbp.drives.mcap_file", "an .mcap recording"),
    Format("udacity-csv", "vbp.drives.udacity_csv", "a Udacity export (interpolated.csv, or camera.csv)"),
    Format("udacity-simulator", "vbp.drives.udacity_simulator", "a simulator drive (driving_log.csv)"),
    Format(
        "donkey",
        "vbp.drives.donkey",
        "a Donkeycar tub (manifest.json)",
    ),
    Format("nuscenes", "vbp.drives.nuscenes", "a nuScenes folder (samples/CAM_FRONT, can_bus)"),
    Format("kitti-raw", "vbp.drives.kitti", "a KITTI raw recording (image_02/data, oxts)"),
    Format("comma2k19", "vbp.drives.comma2k19", "a comma2k19 segment (video.hevc, processed_log)"),
    Format("sullychen", "vbp.drives.sullychen", "pictures with data.txt"),
    Format("picture-list", "vbp.drives.picture_list", "pictures with a table of their angles"),
    Format(
        "vbp-recording",
        "vbp.drives.recording",
        "a live camera recorded by vbp (vbp-recording.json)",
    ),
    Format("video", "vbp.drives.video", "a video, with or without a steering CSV beside it"),
    Format("several", "vbp.drives.several", "a folder with one recording in it"),
    Format("class-folders", "vbp.drives.class_folders", "a folder of class images, a folder for each class"),
    Format("images", "vbp.drives.images", "a picture or a folder of pictures"),
)

ACCEPTED = "ROS bags, videos, pictures, and the data sets that `vbp info --formats` lists"

_OF_PICTURES = (
    "udacity-csv",
    "udacity-simulator",
    "donkey",
    "sullychen",
)  # formats with pictures in a folder
_OF_CAMERAS = {  # ... with a folder of pictures for each camera, two levels below, and what is lost with it
    "nuscenes": "their times and steering",
    "kitti-raw": "their times and the speed",
}
_TABLES_ABOVE = 6  # that are looked at
_WITH_TOPICS = ("rosbag1", "rosbag2", "mcap")
_WITHOUT_TIMES = ("images", "picture-list", "video", "several")  # formats whose recordings may have none


def open_drive(path: str | Path, options: OpenOptions | None = None) -> Drive:
    """Open a recording, recognised by its content: a file or a folder, in any of FORMATS.

    options: which camera, and the unit and the sign of the angle where the recording does not state them. Nothing is
    decoded yet; close the drive, or use it as a context manager. Raises DriveError with one sentence that says what to do,
    NeedsAngleUnitError where a steering column states no unit.
    """
    if not str(path):  # which would be the folder that one happens to be in
        raise DriveError("no recording is given; give the path of one")
    path = Path(path).expanduser()
    options = options or OpenOptions()
    options.check()
    with damaged(path, DriveError):
        return _open(path, options)


def recognise(path: Path) -> None:
    """Raises DriveError, as `open_drive` does, where what is there is of no format; opens nothing."""
    with damaged(path, DriveError), _in_words(path):
        _format_of(path)


def _open(path: Path, options: OpenOptions) -> Drive:
    with _in_words(path):
        fmt = _format_of(path)
        with inside(_folder(path), path):
            drive = _opened(fmt, path, options)
        if path.is_dir() and not np.isfinite(drive.angle_rad).any():
            with inside(path.parent):
                _note_steering_above(drive, path)
        _note_no_angles(drive)
        return drive


def _format_of(path: Path) -> Format:
    if not path.exists():
        raise DriveError(f"{path} does not exist; give the path of a recording")
    if path.is_dir():
        with os.scandir(path) as entries:
            empty = next(entries, None) is None
        if empty:
            raise DriveError(f"{path} is an empty folder; accepted: {ACCEPTED}")
    elif not path.is_file():
        raise DriveError(f"{path} is neither a file nor a folder; accepted: {ACCEPTED}")
    elif path.stat().st_size == 0:
        raise DriveError(f"{path} is an empty file; accepted: {ACCEPTED}")
    with inside(_folder(path), path):
        found = next((fmt for fmt in FORMATS if fmt.sniff(path)), None)
        if found is None:
            raise DriveError(_unknown(path))
    return found


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """What goes wrong with a path, as one sentence; of a pointer to a file that lies elsewhere, that."""
    try:
        yield
    except (NeedsAngleUnitError, SeveralError):
        raise
    except DriveError as error:
        with inside(_folder(path), path):
            pointer = lfs_pointer(path)
        if pointer is None:
            raise
        raise DriveError(f"{pointer} {LFS_ADVICE}") from error
    except OSError as error:
        raise DriveError(f"{path} cannot be read: {error.strerror or error}") from error


def _note_no_angles(drive: Drive) -> None:
    """A drive without one angle says why, where its format has not."""
    if len(drive) < 2 or drive.labels is not None or np.isfinite(drive.angle_rad).any():
        return
    if not any(word in note for note in drive.info.notes for word in ("steering", "angle")):
        drive.info.notes.append("no measured angles: no table of them was found with the pictures")


def _note_steering_above(drive: Drive, path: Path) -> None:
    """Who opens the folder of the pictures alone is told of the list in the folder above; not of what vbp made of them."""
    try:
        names = [
            name
            for name in os.listdir(path.parent)
            if os.path.splitext(name)[1].casefold() in (".csv", ".txt")
        ]
    except OSError:
        return
    for name in sorted(names)[:_TABLES_ABOVE]:
        layout = find_layout(first_columns(path.parent / name))
        if layout is not None and layout.name != "vbp":
            drive.info.notes.append(f"{name} in the folder above lists steering: open {path.parent} for it")
            return
    above = next((fmt for fmt in FORMATS if fmt.name in _OF_PICTURES and fmt.sniff(path.parent)), None)
    if above is not None:
        drive.info.notes.append(f"the folder above is {above.accepts}: open {path.parent} for its steering")
        return
    for fmt in FORMATS:
        for folder in path.parents[:2]:
            if fmt.name in _OF_CAMERAS and fmt.sniff(folder):
                what = _OF_CAMERAS[fmt.name]
                drive.info.notes.append(f"the pictures are of {fmt.accepts}: open {folder} for {what}")
                return


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _opened(fmt: Format, path: Path, options: OpenOptions) -> Drive:
    with texts_read(path) as texts:
        drive = fmt.open(path, options)
    if options.fps is not None and not {fmt.name, drive.info.kind} & set(_WITHOUT_TIMES):
        drive.info.notes.append("--fps was not used: the recording has times, or a rate, of its own")
    if (options.steering or options.speed) and fmt.name not in _WITH_TOPICS:
        drive.info.notes.append(
            "--steering and --speed were not used: they name topics, and the recording has none"
        )
    note_unread(drive, path, texts)
    return drive


def _unknown(path: Path) -> str:
    """What is said of a path that no format takes: a compressed bag or a steering list alone are the likely mistakes."""
    if packed := compressed_parts(path):
        return how_to_unpack(packed)
    if path.is_dir():
        with os.scandir(path) as entries:
            out = next((e.path for e in entries if e.is_symlink() and leads_out(e.path, path)), None)
        if out is not None:
            return f"{out} {LINK_OUT}, and nothing else there is a recording; open what it leads to"
    steering = path if path.is_file() else next(filter(_lists_steering, _csvs(path)), None)
    if steering is not None and _lists_steering(steering):
        return (
            f"{steering} lists steering angles but no pictures, and no video was found beside it; "
            f"open the folder or the video that it belongs to: {ACCEPTED}"
        )
    if path.suffix.casefold() == ".csv":
        read_table(path, keep=())  # one that cannot be read says why
        columns = ", ".join(sorted(first_columns(path)))[:200]
        return f"{path} is not a CSV that vbp can read (its columns: {columns}); accepted: {ACCEPTED}"
    return f"{path} is not a recording that vbp can read; accepted: {ACCEPTED}"


def _csvs(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.casefold() == ".csv")[:20]


def _lists_steering(path: Path) -> bool:
    return bool(first_columns(path) & {"angle", "steering_angle", "steering", "wheel"})


def accepted() -> dict[str, str]:
    """What is opened: the name of each format, and what of it, in words."""
    return {fmt.name: fmt.accepts for fmt in FORMATS}
