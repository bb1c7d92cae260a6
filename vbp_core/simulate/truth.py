"""The truth of a simulated drive, read back."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.errors import VbpError
from vbp.reading import damaged, inside, open_file, read_file, read_member
from vbp.simulate import png
from vbp.simulate.classes import CLASS_BITS, SHADOW_BIT
from vbp.simulate.geometry import FORMAT

MOST_BYTES = 2**26  # of a member; truth.json has about 800 a frame
MOST_LISTS = 2**22  # of two bytes of text each, and 64 of memory


class Truth:
    """Classes, pose and lane geometry of a drive.

    names: of the classes, by their number. lane_markings: those names that are lines of lanes. frames: indices
    of the frames that have classes. facts: all of truth.json.
    """

    def __init__(self, place: Path, facts: dict[str, Any]) -> None:
        self.place, self.facts = place, facts
        self.names: tuple[str, ...] = tuple(facts["classes"])
        self.lane_markings: tuple[str, ...] = tuple(facts["lane_markings"])
        self.frames: tuple[int, ...] = tuple(facts["classes_of_frames"])
        self._known = frozenset(self.frames)

    def has(self, i: int) -> bool:
        """Whether frame `i` has classes."""
        return i in self._known

    def classes(self, i: int) -> NDArray[np.uint8]:
        """(H, W) uint8: the class of each pixel of frame `i`, a number of `names`. Raises VbpError."""
        return np.asarray(self._read(i) & CLASS_BITS)

    def shadow(self, i: int) -> NDArray[np.bool_]:
        """(H, W) bool: ground of frame `i` that a shadow lies on, whatever its class. Raises VbpError."""
        return (self._read(i) & SHADOW_BIT) > 0

    def frame(self, i: int) -> dict[str, Any]:
        """Pose and lane geometry of frame `i`: see geometry.py for the names, their ends are the units."""
        if not 0 <= i < len(self.facts["frames"]):
            raise VbpError(f"{self.place} has no frame {i}; it has {len(self.facts['frames'])}")
        return dict(self.facts["frames"][i])

    def _read(self, i: int) -> NDArray[np.uint8]:
        if i not in self._known:
            raise VbpError(
                f"{self.place} has no ground truth of frame {i}; it has that of {len(self.frames)} frames"
            )
        name = f"classes/{i:06d}.png"
        with damaged(self.place), inside(self.place if self.place.is_dir() else self.place.parent):
            try:
                return png.decode(_bytes(self.place, name))
            except (OSError, ValueError) as error:
                raise VbpError(
                    f"the ground truth of frame {i} cannot be read from {self.place}: {name} {error}"
                ) from error


def _bytes(place: Path, name: str) -> bytes:
    """A file of the truth, which is a folder or a zip of one. Raises OSError, KeyError, BadZipFile."""
    if place.is_dir():
        return read_file(place / name, MOST_BYTES)
    with open_file(place) as file, zipfile.ZipFile(file) as archive:
        return read_member(archive, name, MOST_BYTES)


def load_truth(path: str | Path) -> Truth:
    """The truth of a drive: its folder, a file in that folder, or the truth itself (truth/ or truth.zip).

    Raises VbpError.
    """
    given = Path(path).expanduser()
    folder = given.parent if given.is_file() else given
    places = [given, folder / "truth", folder / "truth.zip", folder]
    place = next(
        (p for p in places if (p / "truth.json").is_file() or (p.name == "truth.zip" and p.is_file())), None
    )
    if place is None:
        raise VbpError(
            f"{folder} has no ground truth (truth/truth.json); vbp simulate makes drives that have it"
        )
    file = place / "truth.json"
    try:
        with damaged(file), inside(folder, given):
            return _truth(place, file)
    except OSError as error:
        raise VbpError(f"{file} cannot be read: {error.strerror or error}") from error


def _truth(place: Path, file: Path) -> Truth:
    text = _bytes(place, "truth.json")
    if text.count(b"[") + text.count(b"{") > MOST_LISTS:
        raise VbpError(f"{file} is no ground truth: it holds more lists than any drive has frames")
    facts = json.loads(text)
    needed = ("format", "classes", "lane_markings", "classes_of_frames", "frames")
    if not isinstance(facts, dict) or any(name not in facts for name in needed):
        raise VbpError(
            f"{file} is not the ground truth of a simulated drive: it lacks one of {', '.join(needed)}"
        )
    if facts["format"] != FORMAT:
        raise VbpError(f"{file} has format {facts['format']}; this version reads format {FORMAT}")
    numbers = facts["classes_of_frames"]
    if not isinstance(numbers, list) or any(type(i) is not int or i < 0 for i in numbers):
        raise VbpError(f"{file} is damaged: classes_of_frames are the numbers of frames, whole and from 0")
    return Truth(place, facts)
