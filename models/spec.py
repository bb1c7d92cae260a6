"""What a network needs to be used rightly, stored with its weights."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1
MAX_NUMBER = 1_000_000  # of pixels along a side, far beyond any camera


class ModelFileError(ValueError):
    """A checkpoint or a specification cannot be used; the message is one sentence for the user."""


def _check_types(holder: object, names: str, kind: type) -> None:
    """A file may hold anything. Raises ModelFileError for a field that is no `kind`; a whole number is a float too."""
    for name in names.split():
        value = getattr(holder, name)
        good = isinstance(value, int | float if kind is float else kind) and not isinstance(value, bool)
        if not good or (isinstance(value, int) and abs(value) > MAX_NUMBER):
            raise ModelFileError(
                f"{name} of the specification is {str(value)[:40]!r}; {NOUNS[kind]} is accepted"
            )


NOUNS: dict[type, str] = {
    str: "a text",
    int: f"a whole number up to {MAX_NUMBER}",
    float: "a number",
    dict: "a table of fields",
}


@dataclass(frozen=True)
class CropRule:
    """Which part of a camera frame the network sees.

    kind "bottom": the whole width, and the bottom `rows` rows of a frame `of_width` columns wide
    (scaled with the frame's width). kind "rect": x, y, width, height as fractions of the frame.
    kind "none": the whole frame. A frame that already has the network's input size is never cropped.
    """

    kind: str = "none"
    rows: int = 0
    of_width: int = 0
    rect: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        _check_types(self, "kind", str)
        _check_types(self, "rows of_width", int)
        if self.kind not in ("bottom", "rect", "none"):
            raise ModelFileError(f"crop rule {self.kind!r} is not known; accepted: bottom, rect, none")
        if self.kind == "bottom" and (self.rows < 1 or self.of_width < 1):
            raise ModelFileError("a crop of the bottom rows needs rows >= 1 and of_width >= 1")
        x, y, w, h = self.rect
        if self.kind == "rect" and not (0 <= x < 1 and 0 <= y < 1 and 0 < w <= 1 - x and 0 < h <= 1 - y):
            raise ModelFileError(
                f"the crop {self.rect} does not lie in the frame (fractions x, y, width, height)"
            )

    def pixels(self, frame_height: int, frame_width: int) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels of a frame (frame_height, frame_width)."""
        if self.kind == "bottom":
            rows = min(frame_height, max(1, round(self.rows * frame_width / self.of_width)))
            return 0, frame_height - rows, frame_width, rows
        if self.kind == "rect":
            x, y, w, h = self.rect
            left, top = math.floor(x * frame_width), math.floor(y * frame_height)
            width = min(frame_width - left, max(1, round(w * frame_width)))
            height = min(frame_height - top, max(1, round(h * frame_height)))
            return left, top, width, height
        return 0, 0, frame_width, frame_height


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture and its arguments, the input, the crop, the meaning of the output, the training data.

    Input: float32 NCHW, `channels` 1 (grey) or 3 (RGB), scaled to [0, 1], then (x - mean) / std.
    Output: a steering wheel angle, `output_unit` "rad" or "deg", `output_sign` the side that is positive.
    """

    name: str
    architecture: str
    arguments: dict[str, Any]
    input_height: int
    input_width: int
    channels: int = 1
    crop: CropRule = field(default_factory=CropRule)
    mean: float = 0.0
    std: float = 1.0
    output: str = "steering_wheel_angle"
    output_unit: str = "rad"
    output_sign: str = "left"
    trained_on: str = ""

    def __post_init__(self) -> None:
        _check_types(self, "name architecture output output_unit output_sign trained_on", str)
        _check_types(self, "input_height input_width channels", int)
        _check_types(self, "mean std", float)
        _check_types(self, "arguments", dict)
        if self.input_height < 1 or self.input_width < 1:
            raise ModelFileError(f"an input of {self.input_height}x{self.input_width} is no picture")
        if self.channels not in (1, 3):
            raise ModelFileError(
                f"{self.channels} input channels are not supported; accepted: 1 (grey), 3 (RGB)"
            )
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ModelFileError(f"a normalisation of mean {self.mean} and std {self.std} cannot be applied")
        if self.output_unit not in ("rad", "deg") or self.output_sign not in ("left", "right"):
            raise ModelFileError("the output is in rad or deg, and left or right is positive")

    @property
    def output_to_radians(self) -> float:
        """Factor from the network's output to radians of the steering wheel, left positive."""
        scale = 1.0 if self.output_unit == "rad" else math.pi / 180
        return scale if self.output_sign == "left" else -scale

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> NetworkSpec:
        """Raises ModelFileError with what is wrong."""
        try:
            data = json.loads(text)
            if not isinstance(data, dict):
                raise ModelFileError("the specification is not a table of fields")
            if data.pop("format", None) != FORMAT:
                raise ModelFileError("the specification was written by another version of vbp")
            crop = data.pop("crop", {})
            if "rect" in crop:
                crop["rect"] = tuple(float(v) for v in crop["rect"])
            return cls(crop=CropRule(**crop), **data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"the specification cannot be read ({error})") from error
