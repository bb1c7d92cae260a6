"""What is the same for all drives of a fleet's folder: networks, and how recordings are read. It stands in one file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from vbp.drives.base import OpenOptions
from vbp.errors import VbpError
from vbp.fleet.discover import OWN
from vbp.fleet.pieces import SECONDS
from vbp.models.atomic import atomic_write
from vbp.overlay import Rect
from vbp.reading import read_file
from vbp.version import made_by

FORMAT, VERSION = "vbp-fleet", 1
MOST_BYTES = 2**24  # of the file, with its networks' specifications
SIDES = ("A", "B")


@dataclass(frozen=True)
class Side:
    """One network. source: the text that names it. name: as in every file. key: of all that it computes. spec: as TOML."""

    source: str
    name: str
    key: str
    trained: bool
    spec: str


@dataclass(frozen=True)
class Settings:
    """sides: A, or A and B. options, crop: how recordings are opened, and what the networks see. seconds: of a piece."""

    sides: tuple[Side, ...]
    options: OpenOptions = field(default_factory=OpenOptions)
    crop: Rect | None = None
    seconds: float = SECONDS

    @property
    def names(self) -> list[str]:
        return [side.name for side in self.sides]

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, "made_by": made_by(), **asdict(self)}


def settle(folder: Path, settings: Settings) -> None:
    """The folder is for these settings from now on. Raises VbpError where it is for others, or cannot be written."""
    path = folder / OWN
    try:
        if path.exists():
            _check_same(folder, read_settings(folder), settings)
            return
        if folder.is_dir() and any(p.name[0] != "." for p in folder.iterdir()):
            raise VbpError(f"{folder} holds other things than a fleet; give a folder that is new or empty")
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(settings.to_json(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise VbpError(f"{folder} cannot be written: {error.strerror or error}") from error


def _check_same(folder: Path, before: Settings, now: Settings) -> None:
    if [s.key for s in before.sides] != [s.key for s in now.sides]:
        other = " and ".join(before.names)
        again = ", which were other weights or another specification" if before.names == now.names else ""
        raise VbpError(f"{folder} was indexed with {other}{again}; give another folder for these networks")
    for name in ("options", "crop", "seconds"):
        if getattr(before, name) != getattr(now, name):
            raise VbpError(
                f"{folder} was indexed with other {name} ({getattr(before, name)}); give the same, or another folder"
            )


def read_settings(folder: Path) -> Settings:
    """Raises VbpError for what is no folder of ours, is of another version, or damaged."""
    path = folder / OWN
    if not path.is_file():
        what = "does not exist" if not folder.exists() else f"is no indexed fleet (it has no {OWN})"
        raise VbpError(f"{folder} {what}; make one by: vbp index DRIVES -o {folder}")
    try:
        data = json.loads(read_file(path, MOST_BYTES))
        if data["format"] != FORMAT:
            raise ValueError
        version = data["version"]
        if version == VERSION:
            return _from_json(data)
    except OSError as error:
        raise VbpError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VbpError(f"{path} is damaged; index the drives again into another folder") from error
    raise VbpError(
        f"{folder} is of version {version} of the format, and this is {made_by()}, which reads version {VERSION}; "
        "index the drives again, or take the vbp that made it"
    )


def _from_json(data: dict[str, Any]) -> Settings:
    sides = tuple(Side(**{f.name: s[f.name] for f in fields(Side)}) for s in data["sides"])
    if not 1 <= len(sides) <= len(SIDES):
        raise ValueError
    crop = None if data["crop"] is None else Rect(**data["crop"])
    return Settings(sides, OpenOptions(**data["options"]), crop, float(data["seconds"]))
