"""What is tried: colours, crops, ranges, and which of the outputs steers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vbp.fitting.outputs import is_probability
from vbp.models.presets import PRESETS
from vbp.models.spec import MAX_BINS, CropRule, NetworkSpec
from vbp.models.spec_picture import COLOURS

RANGES: dict[str, tuple[float | tuple[float, ...], float | tuple[float, ...]]] = {
    "0 to 255": (0.0, 1 / 255),
    "0 to 1": (0.0, 1.0),
    "-1 to 1": (0.5, 0.5),
    "-0.5 to 0.5": (0.5, 1.0),
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of RGB, as torchvision's networks are trained
# Rows from and to, of 160, that programs for Udacity's simulator cut out (data/networks of many repositories)
UDACITY_ROWS = ((60, 135), (60, 140), (70, 135), (55, 135), (50, 140), (20, 140))
ALIKE = 0.02  # two crops whose edges differ by less, of the frame, are one
SINGLE = 6  # up to as many outputs, each may be the angle; more are bins


@dataclass(frozen=True)
class Reading:
    """What of a network's outputs is the angle: number `index`, or the mean or the likeliest of `bins` from there on."""

    index: int
    bins: tuple[float, ...] = ()
    reading: str = "expected"

    def of(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """outputs (N, M) -> (N,)"""
        if not self.bins:
            return outputs[:, self.index]
        part = outputs[:, self.index : self.index + len(self.bins)]
        if not is_probability(part):
            part = np.exp(part - part.max(1, keepdims=True))
            part = part / part.sum(1, keepdims=True)
        bins = np.array(self.bins)
        found = bins[part.argmax(1)] if self.reading == "largest" else part @ bins
        return np.asarray(found, dtype=np.float64)

    def fields(self) -> dict[str, object]:
        return {"output_index": self.index, "output_bins": self.bins, "output_reading": self.reading}

    @property
    def words(self) -> str:
        if not self.bins:
            return f"output {self.index}"
        how = "likeliest" if self.reading == "largest" else "mean"
        return f"{how} of {len(self.bins)} bins from output {self.index}"


def readings(spec: NetworkSpec, count: int) -> list[Reading]:
    """Of a network with `count` outputs: those that its own specification speaks of, each alone, or all as bins."""
    if spec.output_bins and spec.outputs_needed <= count:
        first, bins = spec.output_index, spec.output_bins
        others = [i for i in range(count) if not first <= i < spec.outputs_needed]
    elif 3 <= count <= MAX_BINS and (spec.is_classifier or count > SINGLE):
        first, bins, others = 0, tuple(2 * i / (count - 1) - 1 for i in range(count)), []
    else:
        return [Reading(i) for i in range(min(count, SINGLE))]
    found = [Reading(first, bins), Reading(first, bins, "largest")]
    return found + [Reading(i) for i in others[:SINGLE]]


def colours(channels: int) -> list[str]:
    return ["grey", "hsv-s"] if channels == 1 else [c for c, n in COLOURS.items() if channels in n]


def ranges(spec: NetworkSpec) -> dict[str, NetworkSpec]:
    """`spec` with each range, by its name."""
    found = {name: replace(spec, mean=mean, std=std) for name, (mean, std) in RANGES.items()}
    if spec.channels == 3 and spec.colour in ("rgb", "bgr"):
        mean, std = (v if spec.colour == "rgb" else v[::-1] for v in IMAGENET)
        found["ImageNet's"] = replace(spec, mean=mean, std=std)
    return found


def range_words(spec: NetworkSpec) -> str:
    names = (name for name, tried in ranges(spec).items() if (tried.mean, tried.std) == (spec.mean, spec.std))
    return next(names, "its own")


def crops(base: NetworkSpec, height: int, width: int) -> list[NetworkSpec]:
    """`base` with each part of a frame (height, width) that a network of its input size may have been given."""
    plain = replace(base, crop=CropRule(), order=type(base).order, resize="linear", resize_to=(), blur=0)
    if (height, width) == (base.input_height, base.input_width):
        return [plain]  # a picture of the very size is what it takes
    found = [plain]
    rows = round(base.input_height * width / base.input_width)
    if rows < height:
        parts = [(height - rows, height), ((height - rows) // 2, (height - rows) // 2 + rows)]
    else:
        parts = []
        columns = round(base.input_width * height / base.input_height)
        if columns < width:
            left = (width - columns) // 2
            found.append(_pixels(plain, (left, 0, columns, height), width, height))
    parts += [(height // 2, height), (height // 3, height), (height // 4, height)]
    if abs(width / height - 2) < ALIKE:
        parts += [(round(a * height / 160), round(b * height / 160)) for a, b in UDACITY_ROWS]
    found += [_pixels(plain, (0, a, width, b - a), width, height) for a, b in parts if b > a]
    tried = (_preset(plain, name, width / height) for name in PRESETS)
    found += [spec for spec in tried if spec]
    return _different(found, height, width)


def _pixels(spec: NetworkSpec, rect: tuple[int, int, int, int], width: int, height: int) -> NetworkSpec:
    x, y, w, h = map(float, rect)
    return replace(spec, crop=CropRule("pixels", rect=(x, y, w, h), of_width=width, of_height=height))


def _preset(spec: NetworkSpec, name: str, aspect: float) -> NetworkSpec | None:
    """What a preset crops, where its camera has the frame's shape and, for a crop that comes last, its network the input's."""
    said = PRESETS[name]
    if "pixels" not in said["crop"]:
        return None
    (x, y, w, h), (wide, high) = map(float, said["crop"]["pixels"]), said["crop"]["of"]
    if abs(wide / high - aspect) > ALIKE * aspect:
        return None
    crop = CropRule("pixels", rect=(x, y, w, h), of_width=wide, of_height=high)
    if "resize_to" not in said:
        return replace(spec, crop=crop)
    if (w, h) != (spec.input_width, spec.input_height):
        return None
    return replace(spec, crop=crop, order=tuple(said["order"]), resize_to=tuple(said["resize_to"]))


def _different(specs: list[NetworkSpec], height: int, width: int) -> list[NetworkSpec]:
    kept: list[NetworkSpec] = []
    for spec in specs:
        edges = crop_edges(spec, height, width)
        if all(np.abs(edges - crop_edges(other, height, width)).max() >= ALIKE for other in kept):
            kept.append(spec)
    return kept


def crop_edges(spec: NetworkSpec, height: int, width: int) -> NDArray[np.float64]:
    """Left, top, right and bottom of what is seen, as shares of the frame."""
    if spec.resizes_first:
        width, height = spec.resize_to or (spec.input_width, spec.input_height)
    x, y, w, h = spec.crop.pixels(height, width)
    return np.array([x / width, y / height, (x + w) / width, (y + h) / height])


def crop_words(spec: NetworkSpec, height: int, width: int) -> str:
    left, top, right, bottom = crop_edges(spec, height, width) * [width, height, width, height]
    if (left, top, right, bottom) == (0, 0, width, height):
        return "whole"
    rows = f"rows {top:.0f} to {bottom:.0f}"
    return rows if (left, right) == (0, width) else f"{rows}, columns {left:.0f} to {right:.0f}"


def moved(spec: NetworkSpec, height: int, width: int) -> list[NetworkSpec]:
    """`spec` with the upper or the lower edge of its crop elsewhere, by a twentieth or a tenth of the frame."""
    if spec.resizes_first:
        return []
    x, top, w, h = spec.crop.pixels(height, width)
    found = []
    for share in (-0.1, -0.05, 0.05, 0.1):
        step = round(share * height)
        for start, end in ((top + step, top + h), (top, top + h + step), (top + step, top + h + step)):
            if 0 <= start < end <= height and end - start >= height // 8:
                found.append(_pixels(spec, (x, start, w, end - start), width, height))
    return found
