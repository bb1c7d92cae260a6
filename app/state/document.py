"""The document: what a user has open and has said about it, as plain data that a file holds."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vbp.app.state.crops import MOST, ChosenCrop
from vbp.drives.base import OpenOptions
from vbp.errors import VbpError
from vbp.files import whole_file
from vbp.overlay import Rect
from vbp.reading import read_file

FORMAT, VERSION = "vbp session", 1
VERDICTS = ("real", "known", "ignored")
SUFFIX = ".vbp"
LARGEST = 16 * 2**20  # bytes of a file; a session is a few thousand


@dataclass(frozen=True)
class Document:
    """All of it has a default: nothing is open, and nothing was said.

    drive: the recording's path; min_speed: m/s, what is slower is not played. networks: as `NetworkSource` reads them.
    crop: None for the network's own rule. frame: what was shown last; a, b: the part to repeat; notes: by frame.
    verdicts: on findings, "real", "known" or "ignored" by `Finding.key`. layout: where the panels stand, as the window writes it, in base64.
    """

    drive: str = ""
    options: OpenOptions = field(default_factory=OpenOptions)
    min_speed: float = 0.0
    networks: tuple[str, ...] = ()
    crop: ChosenCrop | None = None
    frame: int | None = None
    a: int | None = None
    b: int | None = None
    bookmarks: tuple[int, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)
    looping: bool = False
    verdicts: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""


def to_text(document: Document) -> str:
    """JSON in ASCII, which every settings file and every encoding takes."""
    return json.dumps({"format": FORMAT, "version": VERSION, **asdict(document)}, indent=1)


def from_text(text: str, name: str) -> Document:
    """What `to_text` wrote. name: what the text is called in an error. Raises VbpError of what is not understood."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VbpError(f"{name} is no session of vbp: it is no JSON") from error
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise VbpError(f'{name} is no session of vbp: it does not say "format": "{FORMAT}"')
    version = found.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise VbpError(
            f"{name} is of version {str(version)[:20]}, and this vbp reads version {VERSION}; "
            "open it with the vbp that wrote it"
        )
    values = {}
    for key, value in found.items():
        read = READERS.get(key)
        try:
            if read is None:
                raise ValueError
            values[key] = read(value)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise VbpError(f"{name} is damaged: what it says of {key[:40]!r} is not understood") from error
    document = Document(**values)
    if document.a is not None and document.b is not None and document.a > document.b:
        raise VbpError(f"{name} is damaged: its part to repeat ends before it begins")
    return document


def save(document: Document, path: Path, force: bool = False) -> None:
    """Write a file that is whole or not there. Raises VbpError; of another kind of file too, without `force`."""
    source = Path(document.drive) if document.drive else None
    with whole_file(path, is_session, source, force) as temporary:
        temporary.write_text(to_text(document) + "\n", encoding="ascii")


def load(path: Path) -> Document:
    """Raises VbpError where the file cannot be read or is no session."""
    try:
        data = read_file(path, LARGEST)
    except OSError as error:
        raise VbpError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode("ascii")
    except ValueError as error:
        raise VbpError(f"{path} is no session of vbp: it is no text in ASCII") from error
    return from_text(text, str(path))


def is_session(path: Path) -> bool:
    """Whether a file is one that vbp may replace by another session."""
    try:
        load(path)
    except VbpError:
        return False
    return True


# Readers of one value each. They raise ValueError, TypeError or KeyError of what is not of its kind.


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:  # which no path may hold
        raise ValueError
    value.encode()  # raises ValueError of half a character, which no text in UTF-8 holds
    return value


def _path(value: Any) -> str:
    """A path, or a network's name; of bytes that are no text, too, as Python writes them."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    os.fsencode(value)  # raises ValueError of what no path can be
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0 or value >= 2**63:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError
    return number


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _listed(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_all(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError
        return tuple(map(read, value))

    return read_all


def _frames(value: Any) -> tuple[int, ...]:
    return tuple(sorted(set(_listed(_whole)(value))))


def _notes(value: Any) -> dict[int, str]:
    if not isinstance(value, dict) or not all(key.isdecimal() and key.isascii() for key in value):
        raise ValueError
    return {_whole(int(key)): _text(text) for key, text in value.items()}


def _verdicts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(word in VERDICTS for word in value.values()):
        raise ValueError
    return {_text(key): word for key, word in value.items()}


def _options(value: Any) -> OpenOptions:
    camera, unit, sign = (_or_none(_text)(value[key]) for key in ("camera", "angle_unit", "angle_sign"))
    steering, speed = (_or_none(_text)(value.get(key)) for key in ("steering", "speed"))
    fps = _or_none(_number)(value.get("fps"))
    return OpenOptions(camera, unit, sign, _number(value["max_gap_s"]), steering, speed, fps)


def _crop(value: Any) -> ChosenCrop:
    x, y, width, height = (_whole(value["rect"][key]) for key in ("x", "y", "width", "height"))
    of_width, of_height = _whole(value["of_width"]), _whole(value["of_height"])
    of_any = of_width == of_height == 0
    if max(x, y, width, height, of_width, of_height) > MOST or not (width and height):
        raise ValueError
    if not of_any and (x + width > of_width or y + height > of_height):
        raise ValueError
    return ChosenCrop(Rect(x, y, width, height), of_width, of_height)


READERS: dict[str, Callable[[Any], Any]] = {
    "drive": _path,
    "options": _options,
    "min_speed": _number,
    "networks": _listed(_path),
    "crop": _or_none(_crop),
    "frame": _or_none(_whole),
    "a": _or_none(_whole),
    "b": _or_none(_whole),
    "bookmarks": _frames,
    "notes": _notes,
    "looping": _flag,
    "verdicts": _verdicts,
    "layout": _text,
}
