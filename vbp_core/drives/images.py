"""One picture, or a folder of pictures in natural order; no labels, and times only for playing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from vbp.drives.base import Drive, DriveInfo, OpenOptions, even_times, median_fps
from vbp.drives.camera_choice import choose_camera
from vbp.drives.camera_folders import camera_folders
from vbp.drives.csv_layout import lists_steering
from vbp.drives.paths import is_file, natural_key
from vbp.drives.picture_files import ACCEPTED, EXTENSIONS, PictureDrive, PictureError, read_picture
from vbp.drives.picture_header import read_header
from vbp.drives.video_labels import read_labels
from vbp.errors import DriveError, NeedsAngleUnitError
from vbp.reading import read_head

KIND = "images"
NOMINAL_HZ = 20
MAX_DEPTH = 3  # folders below the one given
MAX_FOLDERS = 5_000
MAX_PICTURES = 1_000_000
SIZES_LOOKED_AT = 64


def sniff(path: Path) -> bool:
    """A picture by its content or its name, or a folder with a file named like one, here or below."""
    if path.is_dir():
        return _holds_pictures(path)
    if not path.is_file():
        return False
    return named_picture(path.name) or read_header(_head(path)) is not None


def open(path: Path, options: OpenOptions, steering: Path | None = None) -> Drive:
    """Open a picture or a folder. Raises DriveError when not one picture can be decoded.

    steering: a table of the pictures' angles, by their number, their order or their times; of a folder the one in it.
    """
    info = DriveInfo(KIND, path, 0, 0, 0.0)
    root = path
    if path.is_dir():
        root = _camera_folder(path, options, info)
        files = list(islice(_walk(str(root)), MAX_PICTURES))
        if len(files) == MAX_PICTURES:
            info.notes.append(
                f"the folder has more than {MAX_PICTURES} pictures; only the first of them are shown"
            )
    else:
        if options.camera is not None:
            raise DriveError(f"{path} is one picture, without cameras; leave out --camera")
        files = [str(path)]
    times = even_times(len(files), NOMINAL_HZ if options.fps is None else options.fps)
    unknown = np.full(len(files), np.nan)
    start = len(os.path.join(root, ""))
    names = [file[start:] for file in files] if path.is_dir() else [path.name]
    drive = PictureDrive(info, times, unknown, unknown.copy(), files, names=names, same_size=False)
    if info.width == 0:
        raise DriveError(why_none(path, files, names))
    if len(files) > 1:
        note_sizes(files, info)
        if not (path.is_dir() and _labelled(drive, path, options, steering)) and options.fps is None:
            info.notes.append(f"pictures have no times, so {NOMINAL_HZ} frames per second are assumed")
    return drive


def _labelled(drive: Drive, folder: Path, options: OpenOptions, steering: Path | None) -> bool:
    """Takes the angles of a table that numbers the pictures; whether their times are known from it, too."""
    tables = [steering] if steering else [p for p in folder.glob("*.csv") if lists_steering(p)]
    if len(tables) != 1:
        return False
    nominal = drive.timestamps_ns
    try:
        labels = read_labels(tables[0], options, nominal, timed=options.fps is not None)
    except NeedsAngleUnitError:
        raise
    except DriveError as error:
        if steering:
            raise
        drive.info.notes.append(f"no steering: {error}")
        return False
    drive.timestamps_ns, drive.angle_rad, drive.speed_mps = (
        labels.timestamps_ns,
        labels.angle_rad,
        labels.speed_mps,
    )
    labels.convention.note_in(drive.info)
    drive.info.notes += labels.notes
    drive.info.fps = median_fps(drive.timestamps_ns)
    return labels.timestamps_ns is not nominal


def _walk(folder: str, depth: int = 0, seen: list[int] | None = None, root: str = "") -> Iterator[str]:
    """The pictures of a folder in natural order; those of its sub-folders where it has none itself.

    Links to pictures are followed within the folder; links to folders are not, they can be circles.
    """
    seen = [0] if seen is None else seen
    seen[0] += 1
    if seen[0] > MAX_FOLDERS:
        return
    root = root or folder
    pictures, folders = _listed(folder, root=root)
    if pictures:
        for name in sorted(pictures, key=natural_key):
            yield os.path.join(folder, name)
    elif depth < MAX_DEPTH:
        for name in sorted(folders, key=natural_key):
            yield from _walk(os.path.join(folder, name), depth + 1, seen, root)


def _holds_pictures(
    folder: str | Path, depth: int = 0, seen: list[int] | None = None, root: str | Path = ""
) -> bool:
    """Whether `_walk` finds one, without putting hundreds of thousands of them in order."""
    seen = [0] if seen is None else seen
    seen[0] += 1
    if seen[0] > MAX_FOLDERS:
        return False
    root = root or folder
    pictures, folders = _listed(folder, most=1, root=root)
    if pictures or depth == MAX_DEPTH:
        return bool(pictures)
    return any(_holds_pictures(os.path.join(folder, name), depth + 1, seen, root) for name in folders)


def _listed(
    folder: str | Path, most: int | None = None, root: str | Path | None = None
) -> tuple[list[str], list[str]]:
    """Names of pictures, and of folders, in the order of the file system; no further than `most` pictures."""
    pictures: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue  # hidden, such as the ._x.jpg of macOS
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif named_picture(entry.name) and is_file(entry, root):
                    pictures.append(entry.name)
                    if len(pictures) == most:
                        break
    except OSError:
        return [], []
    return pictures, folders


def _camera_folder(path: Path, options: OpenOptions, info: DriveInfo) -> Path:
    """One camera's folder, where there are several: views from the same place are no sequence."""
    found = camera_folders(path)
    if len(found) > 1 or (options.camera is not None and found):
        info.cameras = tuple(sorted(found))
        info.camera = choose_camera(found, options.camera, path)
        info.notes.append(f"the pictures of the {info.camera} camera are shown")
        return found[info.camera]
    if options.camera is not None:
        raise DriveError(f"{path} has no named cameras; leave out --camera")
    return path


def named_picture(name: str) -> bool:
    return os.path.splitext(name)[1].casefold() in EXTENSIONS


def _head(file: str | Path) -> bytes:
    """Enough of a file for its size to be known; a JPEG may carry 64 KiB of other things before it."""
    try:
        return read_head(file, 2**18)
    except OSError:
        return b""


def note_sizes(files: list[str], info: DriveInfo) -> None:
    step = max(1, len(files) // SIZES_LOOKED_AT)
    headers = [header for file in files[::step] if (header := read_header(_head(file))) is not None]
    sizes = {(header.width, header.height) for header in headers if header.width and header.height}
    if len(sizes) > 1:
        info.notes.append(f"the pictures have different sizes, {info.width} x {info.height} among them")


def why_none(path: Path, files: list[str], names: list[str]) -> str:
    try:
        read_picture(files[0])
        why = "cannot be decoded"
    except PictureError as error:
        why = str(error)
    if path.is_file():
        return f"{path} {why}" if ACCEPTED in why else f"{path} {why}; accepted: {ACCEPTED}"
    return f"none of the {len(files)} pictures in {path} can be decoded (the first, {names[0]}, {why})"
