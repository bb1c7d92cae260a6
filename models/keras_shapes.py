"""Keras's layers that cut, pad, resize and reorder the picture, and those that join several values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from vbp.errors import ModelError
from vbp.models.keras_build import Build, Value, channels_first, size_text, wanted_axes
from vbp.models.keras_config import Layer
from vbp.models.keras_layers import padded, sizes


def _sides(value: Any, count: int, name: str) -> list[tuple[int, int]]:
    """A number, one for each axis, or two for each axis."""
    parts = value if isinstance(value, list) else [value] * count
    if count == 1 and len(parts) == 2:
        parts = [parts]
    pairs = [part if isinstance(part, list) else [part, part] for part in parts]
    if len(pairs) != count or not all(
        len(p) == 2 and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**20 for n in p)
        for p in pairs
    ):
        raise ModelError(f"its {name} is {str(value)[:60]}, and a pair of numbers for each axis is expected")
    return [(p[0], p[1]) for p in pairs]


def crop(b: Build, layer: Layer, x: Value) -> Value:
    count = int(layer.kind[-2])
    x = b.placed(x, wanted_axes(count + 1, layer.config), layer.name)
    pairs = _sides(layer.config.get("cropping", 0), count, "cropping")
    return padded(b, x, [(-near, -far) for near, far in pairs], layer.name)


def pad(b: Build, layer: Layer, x: Value) -> Value:
    count = int(layer.kind[-2])
    x = b.placed(x, wanted_axes(count + 1, layer.config), layer.name)
    return padded(b, x, _sides(layer.config.get("padding", 1), count, "padding"), layer.name)


def upsample(b: Build, layer: Layer, x: Value) -> Value:
    x = b.placed(x, wanted_axes(3, layer.config), layer.name)
    rows, columns = sizes(layer, "size", 2, 2)
    size = [x.meta.shape[2] * rows, x.meta.shape[3] * columns]
    return resized(b, layer.name, x, size, str(layer.config.get("interpolation", "nearest")))


def resizing(b: Build, layer: Layer, x: Value) -> Value:
    x = b.placed(x, wanted_axes(3, layer.config), layer.name)
    size = [*sizes(layer, "height", 1), *sizes(layer, "width", 1)]
    given = [k for k in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias") if layer.config.get(k)]
    if given:
        raise ModelError(f"it resizes with {given[0]}, which is not known here")
    return resized(b, layer.name, x, size, str(layer.config.get("interpolation", "bilinear")))


def resized(b: Build, layer: str, x: Value, size: list[int], how: str) -> Value:
    """how: bilinear (the middles of pixels lie on each other), nearest, or bilinear-1, as TensorFlow 1 did."""
    had = list(x.meta.shape[2:])
    if had == size:
        return x
    if math.prod(size) * x.meta.shape[1] > 2**28:
        raise ModelError(f"it resizes to {size[0]}x{size[1]}, which is too large")
    if how == "nearest":
        return b.make(layer, "upsample_nearest2d.vec", x.axes, input=x, output_size=size, scale_factors=None)
    if how == "bilinear":
        return b.make(
            layer,
            "upsample_bilinear2d.vec",
            x.axes,
            input=x,
            output_size=size,
            align_corners=False,
            scale_factors=None,
        )
    if how == "bilinear-1" and all(n % m == 0 for n, m in zip(had, size, strict=True)):
        stride = [n // m for n, m in zip(had, size, strict=True)]  # the first pixel of each block
        return b.make(layer, "avg_pool2d.default", x.axes, self=x, kernel_size=[1, 1], stride=stride)
    if how == "bilinear-1":
        raise ModelError(
            f"it resizes {had[0]}x{had[1]} to {size[0]}x{size[1]} as TensorFlow 1 did, which is known for whole factors alone"
        )
    raise ModelError(f"it resizes by {how[:40]}; bilinear and nearest are known")


def permute(b: Build, layer: Layer, x: Value) -> Value:
    """Nothing moves: only what Keras calls the axes."""
    dims = layer.config.get("dims")
    if not isinstance(dims, list) or sorted(map(str, dims)) != sorted(str(k + 1) for k in range(x.rank)):
        raise ModelError(f"its dims are {str(dims)[:40]}, and the numbers 1 to {x.rank} are expected")
    return replace(x, axes=tuple(dims.index(k + 1) for k in x.axes))


def reshape(b: Build, layer: Layer, x: Value) -> Value:
    target = layer.config.get("target_shape")
    if not isinstance(target, list) or not all(isinstance(n, int) for n in target) or len(target) > 6:
        raise ModelError(f"its target_shape is {str(target)[:40]}")
    total, known = math.prod(x.shape), math.prod(n for n in target if n != -1)
    shape = tuple(total // known if n == -1 and known > 0 else n for n in target)
    if math.prod(shape) != total or target.count(-1) > 1 or min(shape, default=1) < 1:
        raise ModelError(f"it makes {'x'.join(map(str, target))} of {size_text(x)}, which does not fit")
    if shape == x.shape:
        return x
    last = [n for n in shape if n != 1]
    if x.rank > 1 and last == [n for n in x.shape if n != 1] and len(shape) == 1:
        return b.make(layer.name, "flatten.using_ints", (0,), self=x, start_dim=1, end_dim=-1)
    axes = channels_first(len(shape)) if len(shape) > 1 else (0,)
    if x.flat is not None and x.flat == (tuple(shape[k] for k in axes), axes):
        return b.make(layer.name, "reshape.default", axes, self=x, shape=[-1, *x.flat[0]])
    plain = b.placed(x, tuple(range(x.rank)), layer.name)
    out = b.make(layer.name, "reshape.default", tuple(range(len(shape))), self=plain, shape=[-1, *shape])
    if sum(n != 1 for n in shape) < 2:  # no number moves
        return b.make(layer.name, "reshape.default", axes, self=plain, shape=[-1, *(shape[k] for k in axes)])
    return b.placed(out, axes, layer.name) if len(shape) > 1 else out


def repeat_vector(b: Build, layer: Layer, x: Value) -> Value:
    (times,) = sizes(layer, "n", 1)
    if times > 4096:
        raise ModelError(f"it repeats {times:,} times, which is too many")
    x = b.plain(x, layer.name)
    column = b.make(layer.name, "unsqueeze.default", (1, 0), self=x, dim=2)
    return b.make(layer.name, "repeat.default", (1, 0), self=column, repeats=[1, 1, times])


def nothing(b: Build, layer: Layer, x: Value) -> Value:
    return x


# Several values


def alike(b: Build, layer: Layer, values: list[Value]) -> list[Value]:
    """Their axes, and the order of what is flattened, as those of the first."""
    first = values[0]
    if any(value.rank != first.rank for value in values):
        raise ModelError(f"it joins {' and '.join(size_text(v) for v in values)}, which do not fit")
    if first.rank > 1:
        return [b.placed(value, first.axes, layer.name) for value in values]
    if all(np.array_equal(_order(value), _order(first)) for value in values):
        return values
    return [b.plain(value, layer.name) for value in values]


def _order(x: Value) -> Any:
    return np.arange(x.meta.shape[1]) if x.order is None else x.order


def join(op: str) -> Callable[[Build, Layer, list[Value]], Value]:
    def run(b: Build, layer: Layer, values: list[Value]) -> Value:
        values = alike(b, layer, values)
        out = values[0]
        for other in values[1:]:
            name, meta = b.add(layer.name, op, self=out, other=other)
            larger = out if out.meta.shape == meta.shape else other
            out = replace(larger, name=name, meta=meta)
        return out

    return run


def average(b: Build, layer: Layer, values: list[Value]) -> Value:
    return b.like(join("add.Tensor")(b, layer, values), layer.name, "mul.Tensor", other=1 / len(values))


def concatenate(b: Build, layer: Layer, values: list[Value]) -> Value:
    axis = layer.config.get("axis", -1)
    if len(values) == 1:
        return values[0]
    first = values[0]
    if first.rank == 1 and all(v.rank == 1 for v in values):
        first.at(axis)
        name, meta = b.add(layer.name, "cat.default", tensors=list(values), dim=1)
        starts = np.cumsum([0, *(v.meta.shape[1] for v in values)])
        order = np.concatenate([_order(v) + start for v, start in zip(values, starts, strict=False)])
        plain = bool((order[1:] > order[:-1]).all())
        return Value(name, meta, (0,), None if plain else order)
    values = alike(b, layer, values)
    return b.make(layer.name, "cat.default", first.axes, tensors=list(values), dim=first.at(axis))


MERGES = {
    "sum": join("add.Tensor"),
    "mul": join("mul.Tensor"),
    "ave": average,
    "max": join("maximum.default"),
    "concat": concatenate,
}


def merge(b: Build, layer: Layer, values: list[Value]) -> Value:
    """Keras 1's one layer for all of these."""
    mode = layer.config.get("mode", "sum")
    if mode not in MERGES:
        raise ModelError(f"it merges by {str(mode)[:40]}; {', '.join(MERGES)} are known")
    return MERGES[mode](b, replace(layer, config={"axis": layer.config.get("concat_axis", -1)}), values)


LAYERS: dict[str, Callable[[Build, Layer, Value], Value]] = {
    **{f"Cropping{n}D": crop for n in (1, 2, 3)},
    **{f"ZeroPadding{n}D": pad for n in (1, 2, 3)},
    "UpSampling2D": upsample,
    "Resizing": resizing,
    "Permute": permute,
    "Reshape": reshape,
    "RepeatVector": repeat_vector,
    **dict.fromkeys(("Dropout", "Identity"), nothing),
}
JOINS: dict[str, Callable[[Build, Layer, list[Value]], Value]] = {
    "Add": join("add.Tensor"),
    "Subtract": join("sub.Tensor"),
    "Multiply": join("mul.Tensor"),
    "Maximum": join("maximum.default"),
    "Minimum": join("minimum.default"),
    "Average": average,
    "Concatenate": concatenate,
    "Merge": merge,
}
