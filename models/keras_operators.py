"""Arithmetic that stands between layers (x / 127.5 - 1, x[:, 60:]), which Keras 2 and 3 write as layers of its own kind."""

from __future__ import annotations

import math
from typing import Any

from vbp.errors import ModelError
from vbp.models.keras_build import Build, Value
from vbp.models.keras_config import Layer
from vbp.models.keras_functions import scaled
from vbp.models.keras_lambda import cut
from vbp.models.keras_shapes import join
from vbp.models.lambda_code import Slices

JOINS = {"+": "add.Tensor", "-": "sub.Tensor", "*": "mul.Tensor"}


def operate(b: Build, layer: Layer, operands: list[Any]) -> Value:
    """operands: Values, numbers, and of "[]" slices. Raises ModelError."""
    kind = layer.config["operator"]
    values = [v for v in operands if isinstance(v, Value)]
    if kind == "cast" and values:
        return values[0]
    if kind == "[]" and len(operands) == 2 and len(values) == 1:
        return cut(b, layer, values[0], _slices(operands[1]))
    if len(operands) == 2 and len(values) == 2 and kind in JOINS:
        return join(JOINS[kind])(b, layer, values)
    numbers = [
        v for v in operands if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
    ]
    if len(values) != 1 or len(numbers) != 1 or len(operands) != 2:
        raise ModelError("it takes what is no number and no layer's output")
    (x,), number, first = values, float(numbers[0]), isinstance(operands[0], Value)
    if kind == "/" and first and number:
        return scaled(b, layer.name, x, 1 / number, 0)
    if kind == "-":
        return scaled(b, layer.name, x, 1 if first else -1, -number if first else number)
    if kind in ("+", "*"):
        return scaled(b, layer.name, x, number if kind == "*" else 1, number if kind == "+" else 0)
    raise ModelError("it divides a number by the picture, which is not known here")


def _slices(given: Any) -> Slices:
    """Keras 3: {"class_name": "__slice__", "config": {...}}; Keras 2: {"start": 1, "stop": 3, "step": null}."""
    parts = given if isinstance(given, list) else [given]
    found = []
    for part in parts:
        limits = part.get("config", part) if isinstance(part, dict) else None
        if not isinstance(limits, dict) or not set(limits) <= {"start", "stop", "step"}:
            raise ModelError("it takes single rows, columns or pictures, which is not known here")
        ends = [limits.get(k) for k in ("start", "stop", "step")]
        if not all(v is None or (isinstance(v, int) and not isinstance(v, bool)) for v in ends):
            raise ModelError("it slices by what is no number")
        found.append(slice(*ends))
    if not found or found[0] != slice(None):
        raise ModelError("it takes some of the pictures, and not a part of each")
    return Slices(tuple(found[1:]))
