"""The truth of a simulated drive, read back."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp_core.errors import VbpError
from vbp_core.simulate import png
from vbp_core.simulate.classes import CLASS_BITS, SHADOW_BIT
from vbp_core.simulate.geometry import FORMAT


class Truth:
    """Classes, pose and lane geometry of a drive.

    names: of the classes, by their number. lane_markings: those names that are lines of lanes. frames: indices
    of the frames that have classes. facts: all of truth.json.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder, self.facts = folder, facts
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
            raise VbpError(f"{self.folder} has no frame {i}; it has {len(self.facts['frames'])}")
        return dict(self.facts["frames"][i])

    def _read(self, i: int) -> NDArray[np.uint8]:
        if i not in self._known:
            raise VbpError(
                f"{self.folder} has no classes of frame {i}; it has them of {len(self.frames)} frames"
            )
        name = f"{i:06d}.png"
        archive = self.folder / "classes.zip"
        try:
            if archive.is_file():
                with zipfile.ZipFile(archive) as file:
                    data = file.read(name)
            else:
                data = (self.folder / "classes" / name).read_bytes()
            return png.decode(data)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise VbpError(f"the classes of frame {i} cannot be read from {self.folder}: {error}") from error
        except ValueError as error:
            raise VbpError(f"the classes of frame {i} in {self.folder}: {name} {error}") from error


def load_truth(folder: str | Path) -> Truth:
    """The truth of the drive in `folder` (the drive's folder, its truth folder, or a file of the drive).

    Raises VbpError.
    """
    path = Path(folder).expanduser()
    if path.is_file():
        path = path.parent
    for place in (path / "truth", path):
        file = place / "truth.json"
        if file.is_file():
            break
    else:
        raise VbpError(f"{path} has no truth (truth/truth.json); vbp simulate makes drives that have one")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VbpError(f"{file} cannot be read: {error}") from error
    needed = ("format", "classes", "lane_markings", "classes_of_frames", "frames")
    if not isinstance(facts, dict) or any(name not in facts for name in needed):
        raise VbpError(f"{file} is no truth of a simulated drive: it lacks one of {', '.join(needed)}")
    if facts["format"] != FORMAT:
        raise VbpError(f"{file} has format {facts['format']}; this version reads format {FORMAT}")
    return Truth(place, facts)
