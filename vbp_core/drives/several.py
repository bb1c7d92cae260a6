"""A folder of recordings, each in a folder of its own: one is opened, several are named to choose from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vbp.drives.base import Drive, OpenOptions
from vbp.drives.camera_folders import camera_folders
from vbp.drives.images import named_picture
from vbp.drives.paths import natural_key
from vbp.errors import SeveralError

MAX_FOLDERS = 1_000
MAX_DEPTH = 3
_SHOWN = 10
_NOT = ("several", "class-folders", "images")  # pictures in a folder are no recording by themselves, ...
_BY_NAME = re.compile(  # ... unless it is called one
    r"(run|drive|session|sequence|seq|rec|recording|clip|trip|lap|episode|scene|ride|log)[-_ ]?\d+|"
    r"(\D*[-_])?(19|20)?\d\d[-_.]\d\d[-_.]\d\d\D?.*",
    re.IGNORECASE,
)


def sniff(path: Path) -> bool:
    """A folder that is no recording itself but holds folders that are."""
    return path.is_dir() and bool(_recordings(path))


def open(path: Path, options: OpenOptions) -> Drive:
    """Open the one recording in a folder. Raises SeveralError, and DriveError as `open_drive` does."""
    from vbp.drives.opening import open_drive  # which asks this module, too

    found = _recordings(path)
    names = ", ".join(str(folder.relative_to(path)) for folder in found[:_SHOWN])
    if len(found) > 1:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise SeveralError(f"{path} holds {len(found)} recordings ({names}{more}); open one of them")
    drive = open_drive(found[0], options)
    drive.info.notes.append(f"the recording is {names}, the only one in the folder")
    return drive


def _recordings(path: Path) -> list[Path]:
    from vbp.drives.opening import FORMATS

    formats = [fmt for fmt in FORMATS if fmt.name not in _NOT]
    folders = _folders(path)
    found = [folder for folder in folders if any(fmt.sniff(folder) for fmt in formats)]
    if found or camera_folders(path):
        return found
    images = next(fmt for fmt in FORMATS if fmt.name == "images")
    named = [folder for folder in folders if _BY_NAME.fullmatch(folder.name) and images.sniff(folder)]
    if len(named) > 1:
        return named
    for _ in range(MAX_DEPTH - 1):  # KITTI has them in a folder for each day, comma2k19 in one for each route
        if any(map(_holds_pictures, [path, *folders])):
            return []
        folders = [below for folder in folders for below in _folders(folder)][:MAX_FOLDERS]
        if found := [folder for folder in folders if any(fmt.sniff(folder) for fmt in formats)]:
            break
    return found


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, in natural order."""
    try:
        with os.scandir(path) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != "."]
    except OSError:
        return []
    return [path / name for name in sorted(names, key=natural_key)[:MAX_FOLDERS]]


def _holds_pictures(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(named_picture(entry.name) for entry in entries)
    except OSError:
        return False
