"""Which recordings lie under folders: each as `open_drive` takes it, a file or a folder."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from vbp.drives.opening import FORMATS
from vbp.drives.paths import natural_key
from vbp.drives.video_files import VIDEO_SUFFIXES
from vbp.errors import VbpError
from vbp.session.fingerprint import fingerprint

# What is called so is a recording, even where nothing in it can be read: then that is to be said.
SUFFIXES = VIDEO_SUFFIXES | {".bag", ".mcap", ".db3"}
OWN = "vbp-fleet.json"  # a folder with it holds what was found, not recordings
_NOT = (
    "several",
    "class-folders",
    "images",
)  # pictures in a folder are a recording only where nothing else is


def find_drives(paths: Iterable[str | Path]) -> list[Path]:
    """Absolute paths of the recordings at and under `paths`, each once, in the order given and of their names.

    A folder that is one recording (bags, a list of pictures, a camera's session) counts as one; one of several videos as
    those. Links to folders, and what is hidden, are left out. A path that does not exist stays in: opening it says so.
    Raises VbpError for a folder without any.
    """
    found: list[Path] = []
    for given in paths:
        path = Path(os.path.abspath(Path(given).expanduser()))
        if not path.is_dir():
            found.append(path)
            continue
        under = _under(path)
        if not under:
            raise VbpError(f"{path} holds no recording; give files, or folders with recordings under them")
        found += under
    return list(dict.fromkeys(found))


def _under(folder: Path, pictures: bool = True) -> list[Path]:
    """pictures: whether a folder of nothing but pictures counts: beside a video, those are its frames or its truth."""
    if (folder / OWN).exists():
        return []
    kind = next((f.name for f in FORMATS if f.name not in _NOT and f.sniff(folder)), "")
    if kind not in ("", "video"):
        return [folder]
    try:
        with os.scandir(folder) as entries:
            names = sorted((e for e in entries if e.name[0] != "."), key=lambda e: natural_key(e.name))
    except OSError:
        return [folder]  # which cannot be read: opening it says why
    found = [
        folder / e.name for e in names if os.path.splitext(e.name)[1].lower() in SUFFIXES and e.is_file()
    ]
    pictures &= not found
    for entry in names:
        if entry.is_dir(follow_symlinks=False):
            found += _under(folder / entry.name, pictures)
    images = next(f for f in FORMATS if f.name == "images")
    return [folder] if pictures and not found and images.sniff(folder) else found


def parse_shard(text: str) -> tuple[int, int]:
    """ "3/64" as (3, 64): of 64 jobs, numbered from 1, the third. Raises VbpError."""
    parts = text.split("/")
    if len(parts) == 2 and all(p.isascii() and p.isdecimal() and len(p) < 8 for p in parts):
        number, count = int(parts[0]), int(parts[1])
        if 1 <= number <= count:
            return number, count
    raise VbpError(f"--shard {text} is not understood; give K/N, the K-th of N jobs, from 1/N to N/N")


def shard_of(drives: Iterable[Path], number: int, count: int) -> list[Path]:
    """The part of the drives that is job `number` of `count`'s, so that every one is one job's, whichever asks.

    The same recording under two names is in one part: then it is seen there that it is the same.
    """
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in drives:
        groups[_look(path)].append(path)
    dealt = sorted(groups.values(), key=lambda paths: hashlib.sha256(_look(paths[0]).encode()).digest())
    return sorted((p for group in dealt[number - 1 :: count] for p in group), key=str)


def _look(path: Path) -> str:
    """What is alike of the same recording under two names, and soon had."""
    try:
        if path.is_file():
            return str(path.stat().st_size)
    except OSError:
        return str(path)
    found = fingerprint(path)
    return str(path) if found is None else found.sha256
