"""What lies beside a recording and was not read: said of every one, so that no steering is lost in silence."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from vbp.drives.base import Drive
from vbp.drives.images import named_picture
from vbp.drives.paths import LINK_OUT, leads_out, natural_key
from vbp.drives.tables import why_unreadable
from vbp.drives.video_files import VIDEO_SUFFIXES
from vbp.reading import LFS, LFS_ADVICE, has_magic

# What may be of a recording that was named by its file, as a folder of downloads holds other things as well
_DATA = VIDEO_SUFFIXES | {
    ".csv",
    ".tsv",
    ".tab",
    ".txt",
    ".dat",
    ".log",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".xlsx",
}
_DATA |= {
    ".parquet",
    ".npy",
    ".npz",
    ".h5",
    ".hdf5",
    ".mat",
    ".pkl",
    ".bag",
    ".db3",
    ".mcap",
    ".srt",
    ".gpx",
    ".ass",
}
_SHOWN = 6
_MANY = 50_000  # entries that are looked at


def note_unread(drive: Drive, path: Path, texts: Collection[Path]) -> None:
    """Adds to the drive's notes what is in its folder and was not read; of a recording in a folder below, around that.

    texts: the files that were read besides the pictures. What another note names is not said again.
    """
    folder = os.path.realpath(path if path.is_dir() else path.parent)
    used = [str(file) for file in (*drive.files, *texts, path, drive.info.path) if file is not None]
    real = {place: os.path.realpath(place) for place in set(map(os.path.dirname, used))}
    read = {os.path.join(real[os.path.dirname(file)], os.path.basename(file)) for file in used}
    folders = _with_parents(set(real.values()), folder)
    opened = drive.info.path if drive.info.path.is_dir() or path.is_file() else drive.info.path.parent
    within = os.path.realpath(opened)  # it was opened, and spoke for itself
    notes = "\n".join(drive.info.notes)
    unread: list[str] = []
    pictures: list[str] = []
    looked_at = 0
    for place, below, names in os.walk(folder):
        looked_at += len(below) + len(names)
        if looked_at > _MANY:
            break
        start = os.path.relpath(place, folder)
        for name in names:
            if name[0] == "." or _about(name) or os.path.join(place, name) in read or _names(notes, name):
                continue
            if named_picture(name):
                if path.is_dir():
                    pictures.append(os.path.normpath(os.path.join(start, name)))
            elif path.is_dir() or os.path.splitext(name)[1].casefold() in _DATA:
                unread.append(os.path.normpath(os.path.join(start, name)))
        if path.is_dir():
            unread += [
                os.path.normpath(os.path.join(start, name)) + "/"
                for name in below
                if name[0] != "." and os.path.join(place, name) not in folders
            ]
        below[:] = [
            name for name in below if path.is_dir() and os.path.join(place, name) in folders - {within}
        ]
    unread.sort(key=lambda name: (os.path.splitext(name)[1].casefold() not in _DATA, natural_key(name)))
    listed = [name + _why(Path(folder, name), folder) for name in unread[:_SHOWN]]
    if len(unread) > _SHOWN:
        listed.append(f"{len(unread) - _SHOWN} more")
    if pictures:
        listed.append(pictures[0] if len(pictures) == 1 else f"{len(pictures)} pictures")
    if listed:
        beside = "it" if within == folder or path.is_file() else opened.name
        drive.info.notes.append(f"not read, though beside {beside}: {', '.join(listed)}")


def _names(notes: str, name: str) -> bool:
    """Whether a file of this name, which may have spaces, is named; "a.csv" is not by "data.csv" or "a.csv.gz"."""
    return name in notes and bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", notes))


def _why(path: Path, folder: str) -> str:
    if leads_out(path, folder):
        return f" ({LINK_OUT})"
    if has_magic(path, LFS):
        return f" ({LFS_ADVICE})"
    table = path.suffix.casefold() in (".csv", ".tsv", ".tab")
    return f" ({why})" if table and (why := why_unreadable(path)) else ""


def _with_parents(folders: set[str], root: str) -> set[str]:
    """The folders below `root`, and those on the way to them."""
    out: set[str] = set()
    for folder in folders:
        while folder not in out and len(folder) > len(root):
            out.add(folder)
            folder = os.path.dirname(folder)
    return out


def _about(name: str) -> bool:
    """Words about the data, not data: README, LICENSE, *.md."""
    return name.casefold().startswith(
        ("readme", "license", "licence", "copying")
    ) or name.casefold().endswith(".md")
