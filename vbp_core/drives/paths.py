"""File names found in recordings, resolved inside the drive's folder and never outside it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

MISSING = "the picture is missing"
UNNAMED = "no picture is named"
OUTSIDE = "the picture lies outside the drive's folder"

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
        self._listings: dict[str, dict[str, str]] = {}
        self._candidates: dict[str, list[dict[str, str]]] = {}

    def find(self, name: str) -> tuple[str | None, str]:
        """(path of the file, "") or (None, why not). Never raises, whatever the name."""
        cut = max(name.rfind("/"), name.rfind("\\")) + 1
        folder, base = name[:cut], name[cut:].strip().strip("\"'")
        if base in ("", ".", ".."):
            return None, UNNAMED
        listings = self._candidates.get(folder)
        if listings is None:
            listings = self._candidates[folder] = self._listings_for(split_name(folder + "x")[:-1])
        refused = False
        for listing in listings:
            found = listing.get(base)
            if found is None:
                found = listing.get(_folded(base))
            if found == "":
                refused = True
            elif found is not None:
                return found, ""
        return None, OUTSIDE if refused else MISSING

    def _listings_for(self, parts: list[str]) -> list[dict[str, str]]:
        tails = [parts[k:] for k in range(len(parts) + 1)] + [[name] for name in self._fallbacks]
        listings = []
        for tail in tails[-64:]:  # no real path is deeper
            folder = self.folder(tail)
            if folder is not None:
                listings.append(self._list(folder))
        return listings

    def folder(self, parts: Sequence[str]) -> str | None:
        """The real path of a sub-folder, its name in any case; None where there is none inside the root."""
        path = self.root
        for part in parts:
            step = os.path.join(path, part)
            try:
                if not os.path.isdir(step):
                    match = [
                        e.name for e in os.scandir(path) if _folded(e.name) == _folded(part) and e.is_dir()
                    ]
                    if not match:
                        return None
                    step = os.path.join(path, min(match))
                path = os.path.realpath(step)
            except (OSError, ValueError):  # too long, a NUL, no permission
                return None
            if not self.inside(path):
                return None
        return path

    def inside(self, real_path: str) -> bool:
        return real_path == self.root or real_path.startswith(self.root.rstrip(os.sep) + os.sep)

    def _list(self, folder: str) -> dict[str, str]:
        """File name -> path, or "" for a link that leads out; also under the name without case."""
        listing = self._listings.get(folder)
        if listing is not None:
            return listing
        listing = self._listings[folder] = {}
        folded: dict[str, str] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not is_file(entry):
                        continue
                    path = entry.path
                    if entry.is_symlink():
                        real = os.path.realpath(path)
                        path = real if self.inside(real) else ""
                    listing[entry.name] = path
                    key = _folded(entry.name)
                    if key != entry.name:
                        folded[key] = path
        except OSError:
            return listing
        for key, path in folded.items():
            listing.setdefault(key, path)
        return listing


def is_file(entry: os.DirEntry[str]) -> bool:
    """A file, or a link to one; a link in a circle is none (the system calls that an error)."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _folded(name: str) -> str:
    """Windows ignores case in names and macOS writes accents in another form: compared without both."""
    return unicodedata.normalize("NFC", name).casefold()
