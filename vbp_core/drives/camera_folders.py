"""Folders of pictures that were taken side by side: several cameras of one drive, of which one is shown."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from vbp.drives.camera_choice import CAMERAS
from vbp.drives.paths import is_file, natural_key
from vbp.drives.picture_files import EXTENSIONS

MAX_DEPTH = (
    3  # folders around the cameras, such as nuScenes' samples, and below, such as KITTI's image_02/data
)
MAX_CAMERAS = 32
NAMES_LOOKED_AT = 2_000

_SURE = re.compile(
    r"cam(era)?\d*|rgb\d*|front|forward|rear|back|cent(er|re)|middle|fisheye|stereo|mono|wide|tele"
)
_SIDE = re.compile(r"left|right|side")
_KITTI = re.compile(r"image_?\d\d?", re.IGNORECASE)
_STAMP = re.compile(r"\d{9,}")


def camera_folders(path: Path) -> dict[str, Path]:
    """The pictures' folder of each camera by the camera's name; empty where they are not of several cameras.

    Cameras are folders whose names say so and whose pictures run in parallel, by their names or by the times in them.
    """
    for _ in range(MAX_DEPTH):
        pictures, below = _listed(path)
        if pictures:
            return {}
        found = {name: folder for name in below if (folder := _only_pictures(path / name)) is not None}
        if set(found) & set(CAMERAS):
            return {name: folder for name, folder in found.items() if name in CAMERAS}
        if len(found) > 1:
            found = {name: folder for name, folder in found.items() if _called_camera(name)}
            named = any(_KITTI.fullmatch(name) or any(map(_SURE.fullmatch, _words(name))) for name in found)
            if (
                1 < len(found) <= MAX_CAMERAS
                and (named or set(found) <= {"left", "right"})
                and _parallel(found)
            ):
                return found
            return {}
        filled = [name for name in below if _holds_folders_of_pictures(path / name)]
        if len(filled) != 1:
            return {}
        path /= filled[0]
    return {}


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+\d*", name.casefold())


def _called_camera(name: str) -> bool:
    return _KITTI.fullmatch(name) is not None or any(
        _SURE.fullmatch(w) or _SIDE.fullmatch(w) for w in _words(name)
    )


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Some names of pictures, and those of all folders, in natural order. Links are not followed."""
    pictures: list[str] = []
    below: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif os.path.splitext(entry.name)[1].casefold() in EXTENSIONS and is_file(entry):
                    pictures.append(entry.name)
    except OSError:
        return [], []
    return sorted(pictures, key=natural_key), sorted(below, key=natural_key)


def _only_pictures(folder: Path) -> Path | None:
    """The folder, or the one in it, that holds the pictures; None where there are none, or several such folders."""
    for _ in range(2):
        pictures, below = _listed(folder)
        if pictures:
            return folder
        if len(below) != 1:
            return None
        folder /= below[0]
    return None


def _holds_folders_of_pictures(folder: Path) -> bool:
    _, below = _listed(folder)
    return any(
        _only_pictures(folder / name) is not None or _holds_folders_of_pictures(folder / name)
        for name in islice(below, MAX_CAMERAS)
    )


def _parallel(folders: dict[str, Path]) -> bool:
    """Whether the pictures of all have the same names but for the camera's, or times in them that overlap."""
    keys: list[set[str]] = []
    spans: list[tuple[int, int] | None] = []
    for name, folder in folders.items():
        files = _listed(folder)[0]
        stems = [os.path.splitext(file)[0].casefold().replace(name.casefold(), "") for file in files]
        keys.append(set(stems[:NAMES_LOOKED_AT]))
        stamps = [int(found[-1][-19:]) for stem in stems if (found := _STAMP.findall(stem))]
        spans.append((min(stamps), max(stamps)) if len(stamps) == len(stems) else None)
    common, largest = set.intersection(*keys), max(map(len, keys))
    if len(common) * 2 > largest:
        return True
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        return False
    shared = min(end for _, end in known) - max(start for start, _ in known)
    return shared * 2 > max(end - start for start, end in known)
