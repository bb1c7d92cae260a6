"""What a network needs to be used rightly, stored with its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vbp.errors import ModelError
from vbp.models.spec_picture import AUTO, ORDER, check_picture
from vbp.readable import clean, printable

FORMAT = 1
MAX_NUMBER = 1_000_000  # of pixels along a side, far beyond any camera


def _check_types(holder: object, names: str, kind: type) -> None:
    """A file may hold anything. Raises ModelError for a field that is no `kind`; a whole number is a float too."""
    for name in names.split():
        value = getattr(holder, name)
        good = isinstance(value, int | float if kind is float else kind) and not isinstance(value, bool)
        if not good or (isinstance(value, int) and abs(value) > MAX_NUMBER):
            raise ModelError(f"{name} of the specification is {str(value)[:40]!r}; {NOUNS[kind]} is accepted")


def _check_one_of(holder: object, name: str, accepted: tuple[str, ...]) -> None:
    value = getattr(holder, name)
    if value not in accepted:
        raise ModelError(
            f"{name} of the specification is {str(value)[:40]!r}; accepted: {', '.join(accepted)}"
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
    (scaled with the frame's width). kind "rect": x, y, width, height as fractions of the frame. kind "pixels": the same in
    pixels of a frame of `of_width` x `of_height` (scaled with the frame). kind "none": the whole frame.
    A frame that already has the network's input size is not cropped, but by pixels of a frame of that very size.
    """

    kind: str = "none"
    rows: int = 0
    of_width: int = 0
    rect: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    of_height: int = 0

    def __post_init__(self) -> None:
        _check_types(self, "kind", str)
        _check_types(self, "rows of_width of_height", int)
        if self.kind not in ("bottom", "rect", "pixels", "none"):
            raise ModelError(f"crop rule {self.kind!r} is not known; accepted: bottom, rect, pixels, none")
        if self.kind == "bottom" and (self.rows < 1 or self.of_width < 1):
            raise ModelError("a crop of the bottom rows needs rows >= 1 and of_width >= 1")
        x, y, w, h = self.rect
        if self.kind == "rect" and not (0 <= x < 1 and 0 <= y < 1 and 0 < w <= 1 - x and 0 < h <= 1 - y):
            raise ModelError(
                f"the crop {self.rect} does not lie in the frame (fractions x, y, width, height)"
            )
        if self.kind == "pixels":
            inside = (
                x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= self.of_width and y + h <= self.of_height
            )
            if not inside or not all(float(v).is_integer() for v in self.rect):
                raise ModelError(
                    f"the crop {', '.join(f'{v:g}' for v in self.rect)} (x, y, width, height in pixels) does not lie in a frame of "
                    f"{self.of_width}x{self.of_height}"
                )

    def rows_at(self, frame_width: int) -> int:
        """Of kind "bottom": how many rows are asked of a frame that wide, which may be lower than that."""
        return max(1, round(self.rows * frame_width / self.of_width))

    def pixels(self, frame_height: int, frame_width: int) -> tuple[int, int, int, int]:
        """x, y, width, height in pixels of a frame (frame_height, frame_width); a frame with too few rows is whole."""
        if self.kind == "bottom":
            rows = min(frame_height, self.rows_at(frame_width))
            return 0, frame_height - rows, frame_width, rows
        if self.kind == "rect":
            x, y, w, h = self.rect
            left, top = math.floor(x * frame_width), math.floor(y * frame_height)
            width = min(frame_width - left, max(1, round(w * frame_width)))
            height = min(frame_height - top, max(1, round(h * frame_height)))
            return left, top, width, height
        if self.kind == "pixels":
            x, y, w, h = self.rect
            across, down = frame_width / self.of_width, frame_height / self.of_height
            left, right = _part(x * across, (x + w) * across, frame_width)
            top, bottom = _part(y * down, (y + h) * down, frame_height)
            return left, top, right - left, bottom - top
        return 0, 0, frame_width, frame_height


def _part(start: float, end: float, size: int) -> tuple[int, int]:
    """Whole pixels, at least one, of `size`."""
    first = min(round(start), size - 1)
    return first, max(first + 1, min(round(end), size))


OUTPUTS = ("steering_wheel_angle", "class")
UNITS = ("rad", "deg", "1/m")
READINGS = ("expected", "largest")
MAX_BINS = 1000


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture and its arguments, the input, the crop, the meaning of the output, the training data.

    Input: float32 NCHW, `channels` 1 (grey, or "grey-pil" as PIL makes it, or "hsv-s", the saturation) or 3 (in the order of
    `colour`), scaled to [0, 1], then (x - mean) / std, each one number or one for each channel. colour "yuv-bgr" is what
    OpenCV up to 3.1 made of RGB: YUV with red and blue exchanged; "hsv" and "lab" are OpenCV's, in 8 bits.
    order: what happens first to a frame; `resize` how it is scaled (RESIZES; "auto": by area where it shrinks, else linear),
    to `resize_to` (width, height) where it is cropped afterwards; `blur`: the size of a Gaussian one, 0 for none.

    output "steering_wheel_angle": output number `output_index` times `output_scale` is the angle in `output_unit` "rad"
    or "deg", or, in "1/m", the inverse turning radius, which becomes the angle steering_ratio * atan(wheelbase_m / r);
    `output_sign` is the side that is positive. `output_offset` is taken off first: what the output is when the wheel is
    straight. Where the angle is one of several (bins), `output_bins` says what each stands for, from output number
    `output_index` on, which are scores (logits, or logarithms of probabilities; a softmax is left out); `output_reading`
    "expected" is their mean by probability, "largest" the likeliest one.

    output "class": a score for each of `classes`, of the same kind; the names may be left out.

    layers: what layers of a Keras file compute that hold code, by their names: scale, offset, crop, resize.
    inputs: of a Keras network with others than the picture, the number that each of them always is.
    """

    name: str
    architecture: str
    arguments: dict[str, Any]
    input_height: int
    input_width: int
    channels: int = 1
    crop: CropRule = field(default_factory=CropRule)
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    output: str = "steering_wheel_angle"
    output_unit: str = "rad"
    output_sign: str = "left"
    trained_on: str = ""
    colour: str = "rgb"
    output_index: int = 0
    output_scale: float = 1.0
    wheelbase_m: float = 0.0
    steering_ratio: float = 0.0
    classes: tuple[str, ...] = ()
    layers: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, float] = field(default_factory=dict)
    output_offset: float = 0.0
    output_bins: tuple[float, ...] = ()
    output_reading: str = "expected"
    resize: str = AUTO
    resize_to: tuple[int, ...] = ()
    blur: int = 0
    order: tuple[str, ...] = ORDER

    def __post_init__(self) -> None:
        _check_types(
            self,
            "name architecture output output_unit output_sign trained_on colour output_reading resize",
            str,
        )
        _check_types(self, "input_height input_width channels output_index blur", int)
        _check_types(self, "output_scale wheelbase_m steering_ratio output_offset", float)
        _check_types(self, "arguments layers inputs", dict)
        object.__setattr__(self, "name", clean(self.name))
        object.__setattr__(self, "trained_on", printable(self.trained_on))  # may be long
        for name in ("mean", "std", "classes", "output_bins", "resize_to", "order"):  # lists in files
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if self.input_height < 1 or self.input_width < 1:
            raise ModelError(f"an input of {self.input_height}x{self.input_width} is no picture")
        if self.channels not in (1, 3):
            raise ModelError(f"{self.channels} input channels are not supported; accepted: 1 (grey), 3 (RGB)")
        check_picture(self)
        self._check_normalisation()
        self._check_output()

    def _check_normalisation(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if isinstance(value, tuple) and len(value) != self.channels:
                raise ModelError(
                    f"{name} of the specification holds {len(value)} numbers; one, or one for each of the "
                    f"{self.channels} channels, is accepted"
                )
            for number in numbers:
                if (
                    isinstance(number, bool)
                    or not isinstance(number, int | float)
                    or abs(number) > MAX_NUMBER
                ):
                    raise ModelError(
                        f"{name} of the specification is {str(number)[:40]!r}; a number, or one for each channel, "
                        "is accepted"
                    )
                if not math.isfinite(number) or (name == "std" and number <= 0):
                    raise ModelError(
                        f"a normalisation of mean {self.mean} and std {self.std} cannot be applied"
                    )

    def _check_output(self) -> None:
        _check_one_of(self, "output", OUTPUTS)
        _check_one_of(self, "output_sign", ("left", "right"))
        _check_one_of(self, "output_unit", UNITS)
        if self.output_index < 0:
            raise ModelError(f"output_index of the specification is {self.output_index}; 0 is the first")
        if not (math.isfinite(self.output_scale) and self.output_scale > 0):
            raise ModelError(
                f"output_scale of the specification is {self.output_scale}; a number above 0 is accepted, and "
                "output_sign says which side is positive"
            )
        self._check_bins()
        turning = (self.wheelbase_m, self.steering_ratio)
        if self.output_unit == "1/m" and not all(math.isfinite(v) and v > 0 for v in turning):
            raise ModelError(
                "an output in 1/m (the inverse turning radius) needs wheelbase_m and steering_ratio of the car, "
                "both above 0, to become a steering wheel angle"
            )
        for name in ("wheelbase_m", "steering_ratio"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ModelError(
                    f"{name} of the specification is {getattr(self, name)}; a number above 0 is accepted"
                )
        if not isinstance(self.classes, tuple):
            raise ModelError(
                f"classes of the specification is {str(self.classes)[:40]!r}; a list of texts is accepted"
            )
        if not all(isinstance(name, str) for name in self.classes):
            raise ModelError("classes of the specification holds something that is no text")
        object.__setattr__(self, "classes", tuple(clean(name) for name in self.classes))

    def _check_bins(self) -> None:
        _check_one_of(self, "output_reading", READINGS)
        if not math.isfinite(self.output_offset):
            raise ModelError(
                f"output_offset of the specification is {self.output_offset}; a number is accepted"
            )
        bins = self.output_bins
        good = isinstance(bins, tuple) and len(bins) <= MAX_BINS and len(bins) != 1
        if not good or not all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in bins
        ):
            raise ModelError(
                f"output_bins of the specification is {str(bins)[:40]}; how many there are from -1 to 1, or a list of 2 or "
                "more numbers, is accepted"
            )
        if bins and self.output == "class":
            raise ModelError(
                "output_bins are those of an angle; leave them out of a classifier's specification"
            )

    @property
    def resizes_first(self) -> bool:
        """A frame is scaled before it is cropped."""
        return self.order.index("resize") < self.order.index("crop")

    @property
    def is_classifier(self) -> bool:
        return self.output == "class"

    @property
    def takes_scores(self) -> bool:
        """The outputs are scores, of classes or of bins, and what turns them into probabilities is not part of the network."""
        return self.is_classifier or bool(self.output_bins)

    @property
    def outputs_needed(self) -> int:
        """How many numbers the network has to put out at least."""
        return self.output_index + max(1, len(self.output_bins))

    @property
    def output_to_radians(self) -> float:
        """Factor from the network's output to radians of the steering wheel, left positive; for 1/m, at straight on."""
        unit = {"rad": 1.0, "deg": math.pi / 180, "1/m": self.steering_ratio * self.wheelbase_m}
        scale = unit[self.output_unit] * self.output_scale
        return scale if self.output_sign == "left" else -scale

    def angle(self, output: float) -> float:
        """The steering wheel angle in radians, left positive, that one number of the network's output means."""
        output -= self.output_offset
        if self.output_unit != "1/m":
            return output * self.output_to_radians
        bent = self.steering_ratio * math.atan(self.wheelbase_m * output * self.output_scale)
        return bent if self.output_sign == "left" else -bent

    def angle_of(self, outputs: Sequence[float]) -> float:
        """The angle in radians, left positive, that the network's outputs for one frame mean; NaN where one is not finite."""
        found = outputs[self.output_index : self.outputs_needed]
        if not self.output_bins:
            return self.angle(found[0])
        if not all(map(math.isfinite, found)):
            return math.nan
        top = max(found)
        weights = [math.exp(v - top) for v in found]
        if self.output_reading == "largest":
            return self.angle(self.output_bins[found.index(top)])
        return self.angle(sum(w * v for w, v in zip(weights, self.output_bins, strict=True)) / sum(weights))

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> NetworkSpec:
        """Raises ModelError with what is wrong."""
        try:
            data = json.loads(text)
            if not isinstance(data, dict):
                raise ModelError("the specification is not a table of fields")
            if data.pop("format", None) != FORMAT:
                raise ModelError("the specification was written by another version of vbp")
            crop = data.pop("crop", {})
            if "rect" in crop:
                crop["rect"] = tuple(float(v) for v in crop["rect"])
            return cls(crop=CropRule(**crop), **data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ModelError(f"the specification cannot be read ({error})") from error
