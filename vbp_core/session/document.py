"""The document: what a user has open and has said about it, as plain data that a file holds."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vbp.drives.base import OpenOptions
from vbp.edits.edit import NONE, Edits
from vbp.errors import VbpError
from vbp.files import whole_file
from vbp.models.source import NetworkSource
from vbp.overlay import Overlay, Rect
from vbp.reading import read_file
from vbp.session.crops import MOST, ChosenCrop
from vbp.session.fingerprint import Fingerprint
from vbp.session.note import Note, in_order, one_line

FORMAT, VERSION = "vbp session", 3
SECOND = 2  # version, which held nothing of the screen but the layout: all of it is read as it is
FIRST = 1  # version, which kept bookmarks and notes apart, without time stamps, and paths from the root
VERDICTS = ("real", "known", "ignored")
SECOND_VIEWS = ("beside", "together", "moments")  # what the panel of two networks shows
SUFFIX, FIRST_SUFFIX = ".vbp.json", ".vbp"
LARGEST = 16 * 2**20  # bytes of a file; a session is a few thousand


@dataclass(frozen=True)
class ShownMethod:
    """What a panel with a map shows. numbers: of the method, by the names of its parameters."""

    method: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """All of it has a default: nothing is open, and nothing was said.

    drive: the recording's path, from the root; fingerprint: what it was when the file was written. min_speed: m/s, what is slower is not played. networks: as `NetworkSource` reads them.
    crop: None for the network's own rule. frame: what was shown last; a, b: the part to repeat; notes: in order.
    verdicts: on findings, "real", "known" or "ignored" by `Finding.key`. edits: made in the pictures, where they lie on `frame`.

    Of the screen, where nothing said means as the window has it: layout: where the panels stand, as the window writes it,
    in base64. overlay: how masks are laid over pictures. methods: by the panels' names. target: what the maps explain, as
    `parse_target` reads it. second_view: one of SECOND_VIEWS.
    """

    drive: str = ""
    fingerprint: Fingerprint | None = None
    options: OpenOptions = field(default_factory=OpenOptions)
    min_speed: float = 0.0
    networks: tuple[str, ...] = ()
    crop: ChosenCrop | None = None
    frame: int | None = None
    a: int | None = None
    b: int | None = None
    notes: tuple[Note, ...] = ()
    looping: bool = False
    verdicts: Mapping[str, str] = field(default_factory=dict)
    edits: Edits = NONE
    layout: str = ""
    overlay: Overlay | None = None
    methods: Mapping[str, ShownMethod] = field(default_factory=dict)
    target: str = ""
    second_view: str = ""

    @property
    def kept(self) -> Document:
        """What is kept of a recording between two openings: not what it is called, the edits or the screen."""
        return replace(
            self,
            drive="",
            fingerprint=None,
            edits=NONE,
            layout="",
            overlay=None,
            methods={},
            target="",
            second_view="",
        )


def to_text(document: Document, folder: Path | None = None) -> str:
    """JSON in ASCII, which every settings file and every encoding takes. folder: where paths in it begin."""
    values = asdict(replace(document, edits=NONE)) | {"edits": json.loads(document.edits.to_text())}
    if folder is not None:
        base = os.path.realpath(folder)
        values["drive"] = _from_folder(document.drive, base)
        values["networks"] = [
            _network_files(text, lambda path: _from_folder(path, base)) for text in document.networks
        ]
    return json.dumps({"format": FORMAT, "version": VERSION, **values}, indent=1)


def from_text(text: str, name: str, folder: Path | None = None) -> Document:
    """What `to_text` wrote, of both versions. name: what the text is called in an error. Raises VbpError of what is not
    understood."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VbpError(f"{name} is no session of vbp: it is no JSON") from error
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise VbpError(f'{name} is no session of vbp: it does not say "format": "{FORMAT}"')
    version = found.pop("version", None)
    if version not in (FIRST, SECOND, VERSION) or not isinstance(version, int) or isinstance(version, bool):
        raise VbpError(
            f"{name} is of version {str(version)[:20]}, and this vbp reads versions {FIRST} to {VERSION}; "
            "open it with the vbp that wrote it"
        )
    if version == FIRST:
        found = _first_version(found, name)
    values = {}
    for key, value in found.items():
        read = READERS.get(key)
        try:
            if read is None:
                raise ValueError
            values[key] = read(value)
        except (ValueError, TypeError, KeyError, OverflowError, VbpError) as error:
            raise VbpError(f"{name} is damaged: what it says of {key[:40]!r} is not understood") from error
    document = Document(**values)
    if document.a is not None and document.b is not None and document.a > document.b:
        raise VbpError(f"{name} is damaged: its part to repeat ends before it begins")
    if folder is None or version == FIRST:
        return document
    base = os.path.realpath(folder)
    networks = tuple(_network_files(text, lambda path: _to_root(path, base)) for text in document.networks)
    return replace(document, drive=document.drive and _to_root(document.drive, base), networks=networks)


def _first_version(found: dict[str, Any], name: str) -> dict[str, Any]:
    """The values of version 1 as those of this one: bookmarks and texts become notes."""
    frames: dict[int, str] = {}
    for key, read in (("bookmarks", _frames), ("notes", _notes_by_frame)):
        try:
            value = read(found.pop(key)) if key in found else ()
        except (ValueError, TypeError) as error:
            raise VbpError(f"{name} is damaged: what it says of {key!r} is not understood") from error
        frames |= value if isinstance(value, dict) else dict.fromkeys(value, "")
    notes = [asdict(Note(frame, frame, text=text)) for frame, text in sorted(frames.items())]
    return found | {"notes": notes}


def _from_folder(path: str, base: str) -> str:
    """An absolute path as one from the folder `base`, "./..." or "../..."; unlike a name, it has a slash."""
    if not os.path.isabs(path):
        return path
    try:
        found = os.path.relpath(path, base).replace(os.sep, "/")
    except ValueError:  # another disk of Windows
        return path
    return found if found.startswith("../") else f"./{found}"


def _to_root(path: str, base: str) -> str:
    return os.path.normpath(os.path.join(base, path))


def _network_files(text: str, change: Callable[[str], str]) -> str:
    source = NetworkSource.parse(text)
    paths = {
        name: change(path)
        for name in ("model", "weights", "spec")
        if (path := getattr(source, name)).startswith((".", "..")) or os.path.isabs(path)
    }
    return str(replace(source, **paths)) if paths else text


def save(document: Document, path: Path, force: bool = False) -> None:
    """Write a file that is whole or not there. Raises VbpError; of another kind of file too, without `force`."""
    source = Path(document.drive) if document.drive else None
    text = to_text(document, path.parent) + "\n"
    if len(text) > LARGEST:
        raise VbpError(
            f"{path} would hold more than the {LARGEST // 2**20} MiB that a session may have; remove some of its notes or edits"
        )
    with whole_file(path, is_session, source, force) as temporary:
        temporary.write_text(text, encoding="ascii")


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
    return from_text(text, str(path), path.parent)


def is_session(path: Path) -> bool:
    """Whether a file is one that vbp may replace by another session."""
    try:
        load(path)
    except VbpError:
        return False
    return True


# Readers of one value each. They raise ValueError, TypeError, KeyError or VbpError of what is not of its kind.


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


def _number(value: Any, least: float = 0.0) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError
    number = float(value)
    if not (math.isfinite(number) and number >= least):
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


def _notes_by_frame(value: Any) -> dict[int, str]:
    if not isinstance(value, dict) or not all(key.isdecimal() and key.isascii() for key in value):
        raise ValueError
    return {_whole(int(key)): _text(text) for key, text in value.items()}


def _note(value: Any) -> Note:
    if not isinstance(value, dict) or set(value) - {f.name for f in fields(Note)}:
        raise ValueError
    frame, end = _whole(value["frame"]), _whole(value["end"])
    frame_ns, end_ns = (_or_none(_stamp)(value[key]) for key in ("frame_ns", "end_ns"))
    if end < frame:
        raise ValueError
    name, tag, text = (one_line(_text(value[key])) for key in ("name", "tag", "text"))
    return Note(frame, end, frame_ns, end_ns, name, tag, text)


def _notes(value: Any) -> tuple[Note, ...]:
    return in_order(_listed(_note)(value))


def _stamp(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _fingerprint(value: Any) -> Fingerprint:
    if not isinstance(value, dict) or set(value) != {"size", "sha256"}:
        raise ValueError
    return Fingerprint(_whole(value["size"]), _text(value["sha256"]))


def _verdicts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(word in VERDICTS for word in value.values()):
        raise ValueError
    return {_text(key): word for key, word in value.items()}


def _edits(value: Any) -> Edits:
    return Edits.from_text(json.dumps(value))


def _overlay(value: Any) -> Overlay:
    if not isinstance(value, dict):
        raise ValueError
    kinds = {f.name: type(f.default) for f in fields(Overlay)}
    read: dict[type, Callable[[Any], Any]] = {bool: _flag, int: _whole, float: _number, str: _text}
    found = Overlay(**{key: read[kinds[key]](of) for key, of in value.items()})
    found.check()
    return found


def _methods(value: Any) -> dict[str, ShownMethod]:
    if not isinstance(value, dict):
        raise ValueError
    return {_text(panel): _method(of) for panel, of in value.items()}


def _method(value: Any) -> ShownMethod:
    if (
        not isinstance(value, dict)
        or set(value) != {"method", "numbers"}
        or not isinstance(value["numbers"], dict)
    ):
        raise ValueError
    numbers = {_text(name): _number(number, -math.inf) for name, number in value["numbers"].items()}
    return ShownMethod(_text(value["method"]), numbers)


def _second_view(value: Any) -> str:
    if value not in ("", *SECOND_VIEWS):
        raise ValueError
    return str(value)


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
    "fingerprint": _or_none(_fingerprint),
    "options": _options,
    "min_speed": _number,
    "networks": _listed(_path),
    "crop": _or_none(_crop),
    "frame": _or_none(_whole),
    "a": _or_none(_whole),
    "b": _or_none(_whole),
    "notes": _notes,
    "looping": _flag,
    "verdicts": _verdicts,
    "edits": _edits,
    "layout": _text,
    "overlay": _or_none(_overlay),
    "methods": _methods,
    "target": _text,
    "second_view": _second_view,
}
