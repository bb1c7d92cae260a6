"""Keras's Lambda layers: the code in them is never run; what it computes is recognised, or said by the user.

Recognised are arithmetic with numbers (x / 127.5 - 1), slices of rows, columns and channels, and resizing. Else the
specification says it: [layers.NAME] with scale, offset, crop and resize.
"""

from __future__ import annotations

from typing import Any

from vbp.errors import ModelError
from vbp.models.keras_build import Build, Value, size_text
from vbp.models.keras_config import Layer
from vbp.models.keras_functions import scaled
from vbp.models.keras_layers import padded
from vbp.models.keras_shapes import resized
from vbp.models.lambda_code import Affine, NotRecognisedError, Resize, Slices, read_lambda


def run(b: Build, layer: Layer, x: Value) -> Value:
    name = layer.name.rpartition(".")[2]
    if layer.name in b.said or name in b.said:
        return _said(b, layer, x, b.said.get(layer.name) or b.said[name])
    try:
        steps = read_lambda(layer.config)
    except NotRecognisedError as error:
        raise ModelError(_question(layer, x, error)) from error
    for step in steps:
        if isinstance(step, Affine):
            x = scaled(b, layer.name, x, step.scale, step.offset)
        elif isinstance(step, Resize):
            x = resized(b, layer.name, x, [step.rows, step.columns], step.how)
        else:
            x = cut(b, layer, x, step)
    return x


def cut(b: Build, layer: Layer, x: Value, step: Slices) -> Value:
    """x[:, 60:134, ...]: a slice for each of Keras's axes after the batch."""
    if x.order is not None or len(step.parts) > x.rank:
        raise ModelError(f"its slices do not fit {size_text(x)}")
    for k, part in enumerate(step.parts):
        size = x.shape[k]
        if part.step == 0:
            raise ModelError("it slices by steps of 0")
        start, end, every = part.indices(size)
        if (start, end, every) == (0, size, 1):
            continue
        if every < 1 or end <= start:
            raise ModelError(f"it takes {start}:{end} of {size}, which leaves nothing")
        x = b.like(x, layer.name, "slice.Tensor", dim=x.at(k + 1), start=start, end=end, step=every)
    return x


def _said(b: Build, layer: Layer, x: Value, said: dict[str, Any]) -> Value:
    """The crop (top, bottom, left, right, in pixels), then the size [rows, columns], then x * scale + offset."""
    if x.rank != 3 and set(said) & {"crop", "resize"}:
        raise ModelError("crop and resize need a picture, which does not come here")
    x = (
        b.placed(x, (2, 0, 1), layer.name)
        if x.rank == 3 and 2 not in x.axes[:1] and x.axes != (0, 1, 2)
        else x
    )
    if "crop" in said:
        top, bottom, left, right = said["crop"]
        x = padded(b, x, [(-top, -bottom), (-left, -right)], layer.name)
    if "resize" in said:
        x = resized(b, layer.name, x, list(said["resize"]), said.get("interpolation", "bilinear"))
    return scaled(b, layer.name, x, said.get("scale", 1), said.get("offset", 0))


def _question(layer: Layer, x: Value, error: NotRecognisedError) -> str:
    numbers = f", with the numbers {', '.join(map(str, error.numbers[:6]))}" if error.numbers else ""
    after = layer.config.get("output_shape")
    out = f" and, it says, puts out {after}" if isinstance(after, list) else ""
    return (
        f"it holds Python code, which is not run, and it is not recognised ({error}{numbers}); it takes {size_text(x)}{out}: "
        f"say in the specification what it computes, [layers.{layer.name}] and below it scale, offset, crop = [top, "
        "bottom, left, right] or resize = [rows, columns]; scale = 1 alone where it changes nothing"
    )
