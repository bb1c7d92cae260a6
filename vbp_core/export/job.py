"""What an export is to be: everything that the command line or the dialog chose."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from vbp.drives.base import OpenOptions
from vbp.errors import VbpError
from vbp.frames.strengths import Usual
from vbp.overlay import Overlay, Rect

# 2: how masks are laid over pictures stands in one place, `overlay`; 3: `usual` is all of `Usual`
FORMAT, VERSION = "vbp export", 3

# name -> what it shows. Any method's name is a panel too: the network's input with that map.
PANELS: dict[str, str] = {
    "camera": "the camera picture with the mask over what the network sees",
    "plain": "the camera picture as it was recorded",
    "maps": "every layer's averaged feature map and intermediate mask",
    "plot": "driven and predicted angle over time",
}
LAYOUTS: dict[str, str] = {
    "stage": "one large picture, the others beside it",
    "row": "all pictures side by side",
    "column": "all pictures below each other",
    "grid": "all pictures in a grid",
    "picture": "the first picture alone, with an inset",
}
CODECS: dict[str, str] = {
    "h264": "plays everywhere",
    "hevc": "smaller, plays on newer devices",
    "ffv1": "lossless, for further editing (.mkv)",
}
# name -> constant rate factor of H.264 and HEVC
QUALITIES: dict[str, int] = {"small": 28, "good": 21, "best": 16}
DEFAULT_PANELS = ("camera", "visualbackprop", "plot")


@dataclass(frozen=True)
class Settings:
    """How it is to look. Names are of the tables above.

    format: a key of `registry.WRITERS`; empty: by the output's suffix. overlay: how masks are laid over pictures.
    fps: None keeps the drive's own times. size: width and height; None: as the layout likes it.
    encoder: "auto" takes the graphics card's where there is one, "cpu" never does.
    """

    format: str = ""
    panels: tuple[str, ...] = DEFAULT_PANELS
    layout: str = "stage"
    fps: float | None = None
    size: tuple[int, int] | None = None
    codec: str = "h264"
    quality: str = "good"
    encoder: str = "auto"
    overlay: Overlay = field(default_factory=Overlay)
    usual: Usual | None = None  # what masks are usual there; None: it is found, where it matters
    target: str = ""  # which output the maps explain, as `vbp.explain.parse_target` reads it; "": the default
    parameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # method -> name -> value


@dataclass(frozen=True)
class Part:
    """Frames first..last (inclusive), and the lines of the title before them."""

    first: int
    last: int
    title: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One export: frames first..last (inclusive) of a drive; of a reel or a page of notes, `parts` instead.

    model: a network's name or its file. force: replace a file that vbp did not write.
    crop: what the network sees of a frame, in pixels; None: by the network's own rule.
    edits: made in every picture before the network sees it, as `Edits.to_text` gives them; "": none.
    remarks: sentences at the head of a page.
    """

    drive_path: Path
    options: OpenOptions
    model: str
    device: str
    output: Path
    first: int
    last: int
    force: bool = False
    settings: Settings = field(default_factory=Settings)
    crop: Rect | None = None
    edits: str = ""
    parts: tuple[Part, ...] = ()
    remarks: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line of JSON in ASCII, which `from_json` reads."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        """What `to_json` wrote; what has a default may be left out. Raises VbpError for a value of another kind."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise VbpError("the export's job is no JSON") from error
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise VbpError(f'the export\'s job does not say "format": "{FORMAT}"')
        version = found.pop("version", None)
        if version != VERSION or isinstance(version, bool):
            raise VbpError(
                f"the export's job is of version {str(version)[:20]}, and this vbp reads version {VERSION}"
            )
        job: Job = _read(cls, found, "")
        return job


def _read(kind: Any, value: Any, name: str) -> Any:
    """A value of JSON as the type `kind`. name: of the field, for the error. Raises VbpError."""
    if isinstance(value, str) and not _is_text(value):
        raise VbpError(f"{name[:60]} of the export's job holds characters that no text or path may have")
    origin, of = get_origin(kind), get_args(kind)
    if origin is UnionType:  # X | None
        return None if value is None else _read(of[0], value, name)
    if origin is tuple and isinstance(value, list):
        kinds = of[:1] * len(value) if of[-1] is Ellipsis else of
        if len(kinds) == len(value):
            return tuple(_read(k, v, name) for k, v in zip(kinds, value, strict=True))
    elif origin is Mapping and isinstance(value, dict):
        return {key: _read(of[1], v, f"{name}.{key}") for key, v in value.items()}
    elif is_dataclass(kind) and isinstance(value, dict):
        return _read_fields(kind, value, f"{name}." if name else "")
    elif kind is Path and isinstance(value, str) and value:
        return Path(value)
    elif kind is float and type(value) in (int, float) and abs(value) < 2**63 and math.isfinite(value):
        return float(value)
    elif kind in (str, bool, int) and type(value) is kind and (kind is not int or abs(value) < 2**63):
        return value
    wanted = getattr(kind, "__name__", "") if origin is None else str(kind)
    raise VbpError(f"{name[:60]} of the export's job is {json.dumps(value)[:40]}, which is no {wanted}")


def _is_text(value: str) -> bool:
    """No NUL, and no half of a character but those that stand for a byte of a file's name."""
    try:
        return "\0" not in value and bool(os.fsencode(value) or True)
    except UnicodeEncodeError:
        return False


def _read_fields(kind: Any, value: Mapping[str, Any], prefix: str) -> Any:
    kinds = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    for key in value:
        if key not in known:
            raise VbpError(f"the export's job has no {(prefix + key)[:60]!r}; it has: {', '.join(known)}")
    for f in known.values():
        if f.name not in value and f.default is MISSING and f.default_factory is MISSING:
            raise VbpError(f"{prefix}{f.name} is missing in the export's job")
    return kind(**{key: _read(kinds[key], v, prefix + key) for key, v in value.items()})
