"""A folder of class images: a folder for each class, named by its number or its name, with pictures in it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from vbp.drives.base import Drive, DriveInfo, OpenOptions
from vbp.drives.camera_choice import CAMERAS
from vbp.drives.camera_folders import camera_folders
from vbp.drives.images import named_picture, note_sizes, why_none
from vbp.drives.paths import is_file, natural_key
from vbp.drives.picture_files import PictureDrive
from vbp.errors import DriveError
from vbp.readable import clean

KIND = "class-folders"
NOMINAL_HZ = 5  # the pictures are no sequence: slow enough to be looked at
MAX_DEPTH = 3  # folders around the classes, such as GTSRB/Final_Training/Images
MAX_CLASSES = 100_000


def sniff(path: Path) -> bool:
    """A folder with two or more folders that all hold pictures, and no picture beside them; lists are no matter."""
    return bool(_classes(path)) and not camera_folders(path)


def open(path: Path, options: OpenOptions) -> Drive:
    """Every picture is a frame, class by class in natural order; `labels` says of which class. Raises DriveError."""
    if options.camera is not None:
        raise DriveError(f"{path} is a folder of class images without cameras; leave out --camera")
    folders = _classes(path)
    info = DriveInfo(KIND, path, 0, 0, 0.0, classes=tuple(clean(folder.name) for folder in folders))
    listed = [(label, file) for label, folder in enumerate(folders) for file in _pictures(folder)]
    files = [str(file) for _, file in listed]
    names = [os.path.relpath(file, path) for file in files]
    unknown = np.full(len(files), np.nan)
    times = np.arange(len(files), dtype=np.int64) * (10**9 // NOMINAL_HZ)
    drive = PictureDrive(info, times, unknown, unknown.copy(), files, names=names, same_size=False)
    drive.labels = np.array([label for label, _ in listed], dtype=np.int64)
    drive.names = names
    if info.width == 0:
        raise DriveError(why_none(path, files, names))
    info.notes.append(
        f"each folder is taken as a class; pictures have no times, so {NOMINAL_HZ} frames per second are assumed"
    )
    note_sizes(files, info)
    return drive


def _classes(path: Path) -> list[Path]:
    """The folders of the classes, in natural order; none where this is no such folder."""
    for _ in range(MAX_DEPTH):
        folders = _folders(path)
        if len(folders) == 1:
            path = folders[0]
            continue
        filled = [folder for folder in folders if not _is_empty(folder)]
        named = {folder.name.casefold() for folder in filled}
        if len(filled) > 1 and not named & set(CAMERAS) and all(_pictures(folder, 1) for folder in filled):
            return filled
        break
    return []


def _folders(path: Path) -> list[Path]:
    """The folders in a folder; none where pictures lie beside them. Links are not followed, they can be circles."""
    folders = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif named_picture(entry.name):
                    return []
                if len(folders) > MAX_CLASSES:
                    return []
    except OSError:
        return []
    return [path / name for name in sorted(folders, key=natural_key)]


def _pictures(folder: Path, most: int | None = None) -> list[Path]:
    """The pictures of a folder in natural order, or `most` of them in any."""
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and named_picture(entry.name) and is_file(entry, folder):
                    found.append(entry.name)
                    if len(found) == most:
                        break
    except OSError:
        return []
    return [folder / name for name in sorted(found, key=natural_key)]


def _is_empty(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except OSError:
        return False
