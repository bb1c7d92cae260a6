"""Edits as plain data, in the pixels of the camera's picture, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from vbp.errors import VbpError

FILLS: dict[str, str] = {
    "blur": "the picture, blurred until nothing fine is left",
    "mean": "one colour, the mean of what surrounds it",
    "inpaint": "painted over from its edges, as OpenCV does it",
}
# kind -> (least, most, what changes nothing)
ADJUSTMENTS: dict[str, tuple[float, float, float]] = {
    "brightness": (-255.0, 255.0, 0.0),  # grey levels that are added
    "contrast": (0.0, 4.0, 1.0),  # times the distance to mid-grey
    "blur": (0.0, 50.0, 0.0),  # sigma in pixels
    "noise": (0.0, 128.0, 0.0),  # sigma in grey levels, seeded
    "shift": (-4096.0, 4096.0, 0.0),  # pixels to the right
    "roll": (-180.0, 180.0, 0.0),  # degrees, counter-clockwise
}
FARTHEST = 1e6  # pixels
MOST = 2**20  # points or runs of pixels in a file, and edits


@dataclass(frozen=True)
class Stroke:
    """Of a round brush, along (x, y) points: every pixel whose middle is no farther than `radius` from the line."""

    points: tuple[tuple[float, float], ...]
    radius: float


@dataclass(frozen=True)
class Box:
    """A rectangle: every pixel whose middle lies in it."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Pixels:
    """Any pixels, as (y, first x, how many) of each row's stretches."""

    runs: tuple[tuple[int, int, int], ...]


Region = Stroke | Box | Pixels


@dataclass(frozen=True)
class Erase:
    """fill: of FILLS. outside: all but the region is erased."""

    region: Region
    fill: str = "blur"
    outside: bool = False


@dataclass(frozen=True)
class Adjust:
    """The whole picture. kind: of ADJUSTMENTS. seed: of noise."""

    kind: str
    value: float
    seed: int = 0


Edit = Erase | Adjust


@dataclass(frozen=True)
class Edits:
    """Made one after the other. follow: what is erased moves along with the picture, from the first frame on."""

    items: tuple[Edit, ...] = ()
    follow: bool = False

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def erasures(self) -> tuple[Erase, ...]:
        return tuple(e for e in self.items if isinstance(e, Erase))

    @property
    def adjustments(self) -> tuple[Adjust, ...]:
        return tuple(e for e in self.items if isinstance(e, Adjust))

    @property
    def words(self) -> str:
        """What was done, for people; "" where nothing was."""
        inside = sum(not e.outside for e in self.erasures)
        said = [f"{inside} {'places' if inside > 1 else 'place'} erased"] * bool(inside)
        said += ["all erased but a part"] * (len(self.erasures) > inside)
        said += [f"{a.kind} {a.value:.4g}" for a in self.adjustments]
        said += ["following the picture"] * (self.follow and bool(self.erasures))
        return f"edited: {', '.join(said)}" if said else ""

    def to_text(self) -> str:
        """One line of JSON, which `from_text` reads."""
        return json.dumps({"follow": self.follow, "edits": [_plain(e) for e in self.items]})

    @classmethod
    def from_text(cls, text: str | bytes) -> Edits:
        """Raises VbpError."""
        try:
            found = json.loads(text)
            if not isinstance(found, dict) or set(found) - {"follow", "edits"}:
                raise ValueError
            follow, items = found.get("follow", False), found.get("edits", [])
            if type(follow) is not bool or type(items) is not list or len(items) > MOST:
                raise ValueError
            return cls(tuple(map(_edit, items)), follow)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise VbpError(
                'the edits are not understood; they are JSON as {"edits": [{"erase": "box", "x": 1, "y": 2, "width": 3, '
                '"height": 4, "fill": "blur"}, {"adjust": "brightness", "value": 20}]}'
            ) from error


NONE = Edits()


def _plain(edit: Edit) -> dict[str, Any]:
    if isinstance(edit, Adjust):
        return {"adjust": edit.kind, "value": edit.value, "seed": edit.seed}
    name = type(edit.region).__name__.lower()
    return {"erase": name, **asdict(edit.region), "fill": edit.fill, "outside": edit.outside}


def _edit(found: dict[str, Any]) -> Edit:
    """Raises ValueError, TypeError or KeyError."""
    left = dict(found)
    edit: Edit
    if "adjust" in left:
        kind = left.pop("adjust")
        low, high, _ = ADJUSTMENTS[kind]
        edit = Adjust(kind, _number(left.pop("value"), low, high), _whole(left.pop("seed", 0), 0, 2**32 - 1))
    else:
        region = REGIONS[left.pop("erase")](left)
        fill, outside = left.pop("fill", "blur"), left.pop("outside", False)
        if fill not in FILLS or type(outside) is not bool:
            raise ValueError
        edit = Erase(region, fill, outside)
    if left:
        raise ValueError
    return edit


def _stroke(found: dict[str, Any]) -> Stroke:
    points = found.pop("points")
    if not points or len(points) > MOST:
        raise ValueError
    return Stroke(
        tuple((_number(x), _number(y)) for x, y in points), _number(found.pop("radius"), 0.0, 4096.0)
    )


def _box(found: dict[str, Any]) -> Box:
    x, y = _number(found.pop("x")), _number(found.pop("y"))
    return Box(x, y, _number(found.pop("width"), 0.0), _number(found.pop("height"), 0.0))


def _pixels(found: dict[str, Any]) -> Pixels:
    runs, most = found.pop("runs"), int(FARTHEST)
    if len(runs) > MOST:
        raise ValueError
    return Pixels(
        tuple((_whole(y, -most, most), _whole(x, -most, most), _whole(n, 1, most)) for y, x, n in runs)
    )


REGIONS: dict[str, Callable[[dict[str, Any]], Region]] = {"stroke": _stroke, "box": _box, "pixels": _pixels}


def _number(value: object, low: float = -FARTHEST, high: float = FARTHEST) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        raise ValueError
    return float(value)  # type: ignore[arg-type]


def _whole(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value
