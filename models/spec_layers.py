"""What a specification says of layers that hold code: [layers.NAME] with scale, offset, crop and resize."""

from __future__ import annotations

import math
from typing import Any

from vbp.errors import ModelError

FIELDS = ("scale", "offset", "crop", "resize", "interpolation")


def check_said(layers: Any) -> dict[str, dict[str, Any]]:
    """[layers.NAME] of a specification. Raises ModelError."""
    if not isinstance(layers, dict):
        raise ModelError("layers is no table; write [layers.NAME] and below it scale, offset, crop or resize")
    for name, said in layers.items():
        if not isinstance(said, dict) or set(said) - set(FIELDS):
            raise ModelError(f"layers.{name[:40]} is {str(said)[:60]}; accepted in it: {', '.join(FIELDS)}")
        for field, count in (("scale", 0), ("offset", 0), ("crop", 4), ("resize", 2)):
            if field not in said:
                continue
            value = said[field]
            numbers = value if count and isinstance(value, list | tuple) else [value]
            kinds: Any = int if count else int | float
            good = all(isinstance(n, kinds) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
            if (
                not good
                or len(numbers) != max(count, 1)
                or (count and not all(0 <= n < 2**16 for n in numbers))
            ):
                noun = f"a list of {count} whole numbers" if count else "a number"
                raise ModelError(f"layers.{name[:40]}.{field} is {str(value)[:40]}; {noun} is accepted")
        if said.get("interpolation", "bilinear") not in ("bilinear", "nearest", "bilinear-1"):
            raise ModelError(
                f"layers.{name[:40]}.interpolation is {str(said['interpolation'])[:40]}; accepted: bilinear, nearest, "
                "bilinear-1 (TensorFlow 1's)"
            )
    return layers


def check_inputs(inputs: Any) -> dict[str, float]:
    """[[inputs]] of a specification, each with name and value: the numbers by name. Raises ModelError."""
    found = {}
    given: Any
    for given in inputs if isinstance(inputs, list) else [None]:
        value: Any = given.get("value") if isinstance(given, dict) else None
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30
        if not number or set(given) != {"name", "value"} or not isinstance(given["name"], str):
            raise ModelError(
                f"inputs holds {str(given)[:60]}; write [[inputs]] and below it name, of an input that is no picture, and value, a number"
            )
        found[given["name"]] = float(value)
    return found
