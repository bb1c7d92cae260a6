"""A network's specification in the words of its form, and back. No widgets are here."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vbp.errors import ModelError
from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.spec_file import make_spec
from vbp.models.spec_picture import COLOURS, ORDER
from vbp.overlay import Rect
from vbp.readable import plain, signed

if TYPE_CHECKING:
    from vbp.fitting.agreement import Agreement
    from vbp.models.assume import Output

RANGES = ("0 to 1", "−1 to 1", "−0.5 to 0.5", "0 to 255")
NUMBER = re.compile(r"[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
BY_CHANNEL = "by channel, as in the file"


def colours(spec: NetworkSpec) -> list[str]:
    """Those that such a network can be given, without what says the same again."""
    fits = [name for name, counts in COLOURS.items() if spec.channels in counts]
    return fits if spec.channels == 3 else [name for name in fits if COLOURS[name] == (1,)]


def colour(spec: NetworkSpec) -> str:
    """Of one channel, most names mean the same grey."""
    return spec.colour if spec.colour in colours(spec) else "grey"


def range_words(spec: NetworkSpec) -> str:
    """What black and white become."""
    if isinstance(spec.mean, tuple) or isinstance(spec.std, tuple):
        return BY_CHANNEL
    low, high = -spec.mean / spec.std, (1 - spec.mean) / spec.std
    return " to ".join(_text(v) for v in (low, high))


def with_range(spec: NetworkSpec, words: str) -> NetworkSpec:
    """Raises ModelError."""
    if words.strip() in (BY_CHANNEL, range_words(spec)):
        return spec
    found = _numbers(words, 2)
    if found is None:
        raise ModelError(
            f"the range {words.strip()[:40] or 'without numbers'} is none; write what black and white become, as −1 to 1"
        )
    low, high = found
    if not high > low:
        raise ModelError(
            f"the range {_text(low)} to {_text(high)} is reversed; write first what black becomes, as −1 to 1"
        )
    return replace(spec, mean=-low / (high - low) + 0.0, std=1 / (high - low))


def crop_words(rect: Rect) -> str:
    return f"{rect.x}, {rect.y}, {rect.width}, {rect.height}"


def parse_crop(words: str, size: tuple[int, int]) -> Rect:
    """x, y, width, height in pixels of a picture of `size` (width, height). Raises ModelError."""
    found = _numbers(words, 4)
    if found is None or not all(v.is_integer() for v in found):
        raise ModelError(f"the crop {words.strip()[:40]} is none; write x, y, width, height in whole pixels")
    x, y, w, h = (int(v) for v in found)
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > size[0] or y + h > size[1]:
        raise ModelError(
            f"the crop {x}, {y}, {w}, {h} does not lie in the picture, which is {size[0]}×{size[1]}; x + width and y + height "
            "have to stay inside"
        )
    return Rect(x, y, w, h)


def with_crop(spec: NetworkSpec, rect: Rect, size: tuple[int, int]) -> NetworkSpec:
    """Cropped to `rect` of frames of `size` (width, height); that comes first then."""
    if rect == Rect(0, 0, *size):
        crop = CropRule()
    else:
        box = (float(rect.x), float(rect.y), float(rect.width), float(rect.height))
        crop = CropRule("pixels", of_width=size[0], of_height=size[1], rect=box)
    if not spec.resizes_first:
        return replace(spec, crop=crop)
    return replace(spec, crop=crop, order=ORDER, resize_to=())


def with_preset(spec: NetworkSpec, name: str) -> NetworkSpec:
    """What the preset says of pictures and of the output, for a network of this size. Raises ModelError."""
    size = {
        "channels": spec.channels,
        "input_height": spec.input_height,
        "input_width": spec.input_width,
    }
    meaning = {"output": "class"} if spec.is_classifier else {}
    made = make_spec({"preset": name, **meaning}, spec.name, size)
    return replace(
        made,
        layers=spec.layers,
        inputs=spec.inputs,
        classes=spec.classes,
        output_index=spec.output_index,
        output_bins=spec.output_bins,
        output_reading=spec.output_reading,
    )


@dataclass(frozen=True)
class Choice:
    """One of what can be steering: output number `index`, or `bins` of them from there on."""

    words: str
    index: int
    bins: int = 0


def choices(outputs: Sequence[Output], spec: NetworkSpec) -> list[Choice]:
    """By their names where there are some, with that of the specification in any case."""
    found: list[Choice] = []
    start = 0
    for output in outputs:
        count = output.numbers or 1
        if output.softmax and count > 2:
            found.append(Choice(f"{output.name}: {count} bins", start, count))
        elif count <= 64:
            many = count > 1
            found += [
                Choice(f"{output.name}, number {k}" if many else output.name, start + k) for k in range(count)
            ]
        start += count
    if chosen(found, spec) is None:
        bins = len(spec.output_bins)
        words = f"number {spec.output_index}" + (f": {bins} bins" if bins else "")
        found.append(Choice(words, spec.output_index, bins))
    return found


def chosen(found: Sequence[Choice], spec: NetworkSpec) -> int | None:
    """Which of them the specification means."""
    wanted = (spec.output_index, len(spec.output_bins))
    return next((k for k, choice in enumerate(found) if (choice.index, choice.bins) == wanted), None)


def with_choice(spec: NetworkSpec, choice: Choice) -> NetworkSpec:
    if (choice.index, choice.bins) == (spec.output_index, len(spec.output_bins)):
        return spec
    bins = tuple(2 * i / (choice.bins - 1) - 1 for i in range(choice.bins)) if choice.bins else ()
    return replace(spec, output_index=choice.index, output_bins=bins)


def agreement_words(found: Agreement) -> tuple[str, str]:
    """The correlation, and what it is of."""
    of = f"with the driver, on {found.frames} frame{'s' * (found.frames != 1)}"
    if not math.isfinite(found.correlation):
        return "–", f"{of}: the output or the angle is the same on all of them"
    low, high = found.interval
    between = f"{signed(low, 2)} to {signed(high, 2)}"
    return signed(found.correlation, 2), f"{of}\n95 %: {between}, RMSE {found.rmse_deg:.1f}°"


def _numbers(words: str, count: int) -> list[float] | None:
    found = [float(v.replace("−", "-")) for v in NUMBER.findall(words)]
    rest = NUMBER.sub(" ", words).replace("to", " ")
    good = len(found) == count and not rest.strip(" \t,;[]()×x") and all(map(math.isfinite, found))
    return found if good else None


def _text(value: float) -> str:
    return plain(round(value, 6) + 0.0)
