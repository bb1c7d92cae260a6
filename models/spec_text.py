"""A specification as the TOML file that says it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.spec_file import NOT_IN_FILE

ALWAYS = ("input_height", "input_width", "channels", "colour", "output_unit", "output_sign")


def to_toml(spec: NetworkSpec, comments: Sequence[str] = ()) -> str:
    """The text of a file that `read_spec` reads back as `spec`, but for its name; `comments` stand above."""
    lines = [f"# {' '.join(comment.split())}" for comment in comments]
    for field in fields(NetworkSpec):
        value = getattr(spec, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name in (*NOT_IN_FILE, "name", "crop", "mean", "std", "layers", "inputs"):
            continue
        if spec.is_classifier and field.name in ("output_unit", "output_sign"):
            continue
        if value != default or field.name in ALWAYS:
            lines.append(f"{field.name} = {_value(value)}")
    lines += _range(spec)
    if spec.crop != CropRule():
        lines.append(f"crop = {_crop(spec.crop)}")
    for name, said in spec.layers.items():
        lines += ["", f"[layers.{_value(name)}]", *(f"{key} = {_value(v)}" for key, v in said.items())]
    for name, number in spec.inputs.items():
        lines += ["", "[[inputs]]", f"name = {_value(name)}", f"value = {_value(number)}"]
    return "\n".join(lines) + "\n"


def _range(spec: NetworkSpec) -> list[str]:
    """What black and white become, where that says the same as mean and std."""
    if (spec.mean, spec.std) == (0.0, 1.0):
        return ["input_range = [0, 1]"]
    if isinstance(spec.mean, float | int) and isinstance(spec.std, float | int):
        low, high = -spec.mean / spec.std, (1 - spec.mean) / spec.std
        low, high = round(low, 9) + 0.0, round(high, 9) + 0.0
        if high > low and (-low / (high - low), 1 / (high - low)) == (spec.mean, spec.std):
            return [f"input_range = [{low:.12g}, {high:.12g}]"]  # all that was rounded to
    return [f"mean = {_value(spec.mean)}", f"std = {_value(spec.std)}"]


def _crop(crop: CropRule) -> str:
    if crop.kind == "bottom":
        return f"{{ rows = {crop.rows}, of_width = {crop.of_width} }}"
    if crop.kind == "rect":
        return f"{{ rect = {_value(crop.rect)} }}"
    if crop.kind == "pixels":
        numbers = [round(v) for v in crop.rect]
        return f"{{ pixels = {numbers}, of = [{crop.of_width}, {crop.of_height}] }}"
    return '{ kind = "none" }'


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
