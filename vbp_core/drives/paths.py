"""File names found in recordings, resolved inside the drive's folder and never outside it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = "the picture is missing"
LINK_OUT = "is a link that leads out of the recording's folder and is not followed"
UNNAMED = "no picture is listed"
OUTSIDE = "the picture lies outside the drive's folder"

MAX_DEPTH = 64  # no real path has more parts

_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of natural order: runs of digits by their value, so img2 comes before img10. Total."""
    parts: list[tuple[int, int, str]] = []
    for part in _DIGITS.split(name.replace(os.sep, "/")):
        if part.isdecimal():
            parts.append((0, int(part) if len(part) < 4000 else 10**4000, ""))
        elif part:
            parts.append((1, 0, part.casefold()))
    parts.append((-1, 0, name))  # names that differ in case or leading zeros alone
    return tuple(parts)


def split_name(name: str) -> list[str]:
    """The parts of a path of any system after its last `..`, without root, drive letter and dots."""
    parts = [
        part for part in name.strip().strip("\"'").replace("\\", "/").split("/") if part not in ("", ".")
    ]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    return parts


class FolderIndex:
    """Finds the files that a recording names, by the longest trailing part of the name that exists here.

    `C:\\Users\\x\\IMG\\a.jpg` and `/home/joe/data/IMG/a.jpg` are both found as IMG/a.jpg or a.jpg below
    the folder. Folders are listed once each, so a quarter of a million names take about a second. What a
    link leads to counts by where it really lies: outside the folder it is refused.

    fallbacks: sub-folders of pictures to look in, by file name alone, when the trailing parts fail.
    """

    def __init__(self, root: Path, fallbacks: Sequence[str] = ()) -> None:
        self.root = os.path.realpath(root)
        self._fallbacks = tuple(fallbacks)
        self._listings: dict[str, _Listing] = {}
        self._places: dict[str, tuple[list[_Listing], bool]] = {}

    def find(self, name: str) -> tuple[str | None, str]:
        """(path of the file, "") or (None, why not). Never raises, whatever the name."""
        cut = max(name.rfind("/"), name.rfind("\\")) + 1
        folder, base = name[:cut], name[cut:].strip().strip("\"'")
        if base in ("", ".", ".."):
            return None, UNNAMED
        places = self._places.get(folder)
        if places is None:
            places = self._places[folder] = self._places_for(split_name(folder + "x")[:-1])
        listings, refused = places
        for listing in listings:
            found = _look_up(listing.files, base)
            if found:
                return found, ""
            refused = refused or found == ""
        return None, OUTSIDE if refused else MISSING

    def inside(self, real_path: str) -> bool:
        return real_path == self.root or real_path.startswith(self.root.rstrip(os.sep) + os.sep)

    def _places_for(self, parts: list[str]) -> tuple[list[_Listing], bool]:
        """Where to look for a file of a folder of this name, and whether a link there leads out."""
        tails = [parts[k:] for k in range(len(parts) + 1)]
        folders = [self._folder(tail) for tail in tails[-MAX_DEPTH:]]
        refused = "" in folders
        folders += [self._folder(name.split("/")) for name in self._fallbacks]
        return [self._list(folder) for folder in folders if folder], refused

    def _folder(self, parts: Sequence[str]) -> str | None:
        """The real path of a sub-folder; None where there is none, "" where a link leads out."""
        path: str | None = self.root
        for part in parts:
            path = _look_up(self._list(path).folders, part) if path else path
        return path

    def _list(self, folder: str) -> _Listing:
        listing = self._listings.get(folder)
        if listing is not None:
            return listing
        listing = self._listings[folder] = _Listing({}, {})
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_file(entry):
                        listing.files[entry.name] = self._real(entry)
                    elif is_folder(entry):
                        listing.folders[entry.name] = self._real(entry)
        except OSError:
            return listing  # a folder that may not be read has no files for us
        for names in (listing.files, listing.folders):
            for name in sorted(names):
                names.setdefault(_folded(name), names[name])
        return listing

    def _real(self, entry: os.DirEntry[str]) -> str:
        """The entry's path, "" for a link that leads out of the root."""
        if not entry.is_symlink():
            return entry.path
        real = os.path.realpath(entry.path)
        return real if self.inside(real) else ""


@dataclass(frozen=True)
class _Listing:
    """Name -> real path, or "" for a link that leads out; also under the name without case."""

    files: dict[str, str]
    folders: dict[str, str]


def _look_up(names: dict[str, str], name: str) -> str | None:
    found = names.get(name)
    return names.get(_folded(name)) if found is None else found


def is_file(entry: os.DirEntry[str], root: str | Path | None = None) -> bool:
    """A file, or a link to one; a link in a circle is none, nor is one that leads out of `root`."""
    try:
        return entry.is_file() and not (
            root is not None and entry.is_symlink() and leads_out(entry.path, root)
        )
    except OSError:
        return False


def leads_out(path: str | Path, root: str | Path) -> bool:
    """Whether a path, by links, is one outside of a folder. What a stranger's folder links to is not opened."""
    real, folder = os.path.realpath(path), os.path.realpath(root)
    return real != folder and not real.startswith(folder.rstrip(os.sep) + os.sep)


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _folded(name: str) -> str:
    """Windows ignores case in names and macOS writes accents in another form: compared without both."""
    return unicodedata.normalize("NFC", name).casefold()
