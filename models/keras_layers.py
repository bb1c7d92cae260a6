"""Keras's layers with windows and weights: convolutions, pooling, dense layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.keras_build import Build, Value, keras_order, wanted_axes
from vbp.models.keras_config import Layer
from vbp.models.keras_functions import activate

FAR = 2**20  # more than any picture has rows


def whole(layer: Layer, name: str, default: int = 1) -> int:
    value = layer.config.get(name, default)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"its {name} is {str(value)[:40]}, and a number above 0 is expected")
    return value


def sizes(layer: Layer, name: str, count: int, default: Any = 1) -> list[int]:
    """One number for each axis; a single one stands for all."""
    value = layer.config.get(name)
    value = default if value is None else value
    numbers = value if isinstance(value, list | tuple) else [value] * count
    if len(numbers) != count or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n < FAR for n in numbers
    ):
        raise ModelError(f"its {name} is {str(value)[:40]}, and {count} numbers above 0 are expected")
    return list(numbers)


def padding_of(layer: Layer) -> str:
    padding = layer.config.get("padding", "valid")
    if padding not in ("valid", "same", "causal", "half"):
        raise ModelError(f"its padding is {str(padding)[:40]}; valid and same are known")
    return "same" if padding == "half" else str(padding)


def around(
    x: Value, kernel: list[int], stride: list[int], dilation: list[int], padding: str
) -> list[tuple[int, int]]:
    """Zeros before and behind each axis, as TensorFlow puts them: of an odd number, one more behind."""
    found = []
    for n, k, s, d in zip(x.meta.shape[2:], kernel, stride, dilation, strict=True):
        reach = (k - 1) * d + 1
        total = max((math.ceil(n / s) - 1) * s + reach - n, 0) if padding == "same" else 0
        found.append((reach - 1, 0) if padding == "causal" else (total // 2, total - total // 2))
    return found


def padded(b: Build, x: Value, pads: list[tuple[int, int]], layer: str) -> Value:
    """Zeros around the last axes of the tensor, or, where negative, rows and columns left out."""
    if not any(map(any, pads)):
        return x
    if any(n + sum(p) < 1 for n, p in zip(x.meta.shape[-len(pads) :], pads, strict=True)):
        raise ModelError("nothing is left of the picture: more is cut off than there is")
    return b.like(
        x, f"{layer}.pad", "constant_pad_nd.default", pad=[n for p in reversed(pads) for n in p], value=0
    )


def _kernel(b: Build, layer: Layer, shape: tuple[int, ...], bias: int) -> tuple[Tensor, Tensor | None]:
    """Keras's kernel (rows, columns, in, out) and bias, of Keras 1 with `th` ordering (out, in, rows, columns)."""
    use_bias = layer.config.get("use_bias", True) is not False
    biases = [(bias,)] if use_bias else []
    stored = b.stored(layer)
    first = stored[0] if stored else shape
    turned = (*shape[-2:][::-1], *shape[:-2])
    if len(shape) == 3 and len(first) == 4:  # Conv1D of Keras 1 has a column
        kernel, *rest = b.weights(layer, (shape[0], 1, *shape[1:]), *biases)
        kernel = kernel[:, 0]
    elif (
        first == turned
        and (b.version == 1 or first != shape)
        and layer.config.get("data_format") == "channels_first"
    ):
        kernel, *rest = b.weights(layer, turned, *biases)
        kernel = kernel.permute(*range(2, kernel.dim()), 1, 0)
    else:
        kernel, *rest = b.weights(layer, shape, *biases)
    if b.theano:  # which computes true convolutions, with the kernel turned round
        kernel = kernel.flip(tuple(range(kernel.dim() - 2)))
    return kernel, rest[0] if rest else None


def _torch(kernel: Tensor) -> Tensor:
    """(rows, columns, in, out) -> (out, in, rows, columns)"""
    return kernel.permute(kernel.dim() - 1, kernel.dim() - 2, *range(kernel.dim() - 2)).contiguous()


def convolve(
    b: Build, layer: Layer, x: Value, weight: Tensor, bias: Tensor | None, stride: list[int], groups: int = 1
) -> Value:
    """With the padding and dilation of the layer's arguments. weight: PyTorch's."""
    count = weight.dim() - 2
    kernel, dilation = list(weight.shape[2:]), sizes(layer, "dilation_rate", count)
    pads = around(x, kernel, stride, dilation, padding_of(layer))
    even = all(before == behind for before, behind in pads)
    if not even:
        x = padded(b, x, pads, layer.name)
    return b.make(
        layer.name, f"conv{count}d.default", x.axes, input=x, weight=weight, bias=bias, stride=stride,
        padding=[p[0] if even else 0 for p in pads], dilation=dilation, groups=groups,
    )  # fmt: skip


def conv(b: Build, layer: Layer, x: Value) -> Value:
    count = int(layer.kind[4])
    x = b.placed(x, wanted_axes(count + 1, layer.config), layer.name)
    kernel, groups = sizes(layer, "kernel_size", count), whole(layer, "groups")
    filters, channels = whole(layer, "filters"), x.meta.shape[1]
    if channels % groups or filters % groups:
        raise ModelError(f"its {filters} filters and {channels} channels do not divide into {groups} groups")
    weight, bias = _kernel(b, layer, (*kernel, channels // groups, filters), filters)
    out = convolve(b, layer, x, _torch(weight), bias, sizes(layer, "strides", count), groups)
    return activate(b, out, layer.config.get("activation"), layer.name)


def depthwise(b: Build, layer: Layer, x: Value) -> Value:
    x = b.placed(x, wanted_axes(3, layer.config), layer.name)
    kernel, times, channels = (
        sizes(layer, "kernel_size", 2),
        whole(layer, "depth_multiplier"),
        x.meta.shape[1],
    )
    weight, bias = _kernel(b, layer, (*kernel, channels, times), channels * times)
    out = convolve(b, layer, x, _depthwise(weight), bias, sizes(layer, "strides", 2), channels)
    return activate(b, out, layer.config.get("activation"), layer.name)


def _depthwise(kernel: Tensor) -> Tensor:
    """(rows, columns, in, times) -> (in * times, 1, rows, columns)"""
    return kernel.permute(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2]).contiguous()


def separable(b: Build, layer: Layer, x: Value) -> Value:
    x = b.placed(x, wanted_axes(3, layer.config), layer.name)
    kernel, times, channels = (
        sizes(layer, "kernel_size", 2),
        whole(layer, "depth_multiplier"),
        x.meta.shape[1],
    )
    filters = whole(layer, "filters")
    biases = [(filters,)] if layer.config.get("use_bias", True) is not False else []
    each, mixed, *rest = b.weights(
        layer, (*kernel, channels, times), (1, 1, channels * times, filters), *biases
    )
    inside = replace(layer, name=f"{layer.name}.depthwise")
    x = convolve(b, inside, x, _depthwise(each), None, sizes(layer, "strides", 2), channels)
    out = b.make(
        layer.name, "conv2d.default", x.axes, input=x, weight=_torch(mixed), bias=rest[0] if rest else None,
        stride=[1, 1], padding=[0, 0], dilation=[1, 1], groups=1,
    )  # fmt: skip
    return activate(b, out, layer.config.get("activation"), layer.name)


def transposed(b: Build, layer: Layer, x: Value) -> Value:
    """What is put out is cut to what Keras says: in * stride with padding same, else as much as the windows reach."""
    x = b.placed(x, wanted_axes(3, layer.config), layer.name)
    kernel, stride, filters = (
        sizes(layer, "kernel_size", 2),
        sizes(layer, "strides", 2),
        whole(layer, "filters"),
    )
    if layer.config.get("output_padding") is not None or sizes(layer, "dilation_rate", 2) != [1, 1]:
        raise ModelError(
            "it is a transposed convolution with output_padding or dilation, which is not known here"
        )
    weight, bias = _kernel(b, layer, (*kernel, filters, x.meta.shape[1]), filters)
    out = b.make(
        layer.name, "conv_transpose2d.input", x.axes, input=x, weight=_torch(weight), bias=bias, stride=stride,
        padding=[0, 0], output_padding=[0, 0], groups=1, dilation=[1, 1],
    )  # fmt: skip
    pads = []
    for n, k, s in zip(x.meta.shape[2:], kernel, stride, strict=True):
        total = n * s - ((n - 1) * s + k) if padding_of(layer) == "same" else max(s - k, 0)
        before = -(-total // 2) if padding_of(layer) == "same" and total < 0 else 0
        pads.append((before, total - before))
    if any(p[1] > 0 for p in pads) and bias is not None and bool(bias.any()):
        raise ModelError("its windows leave gaps (strides larger than its kernel), which is not known here")
    out = padded(b, out, pads, layer.name)
    return activate(b, out, layer.config.get("activation"), layer.name)


def pool(b: Build, layer: Layer, x: Value) -> Value:
    count, largest = int(layer.kind[-2]), layer.kind.startswith("Max")
    x = b.placed(x, wanted_axes(count + 1, layer.config), layer.name)
    kernel = sizes(layer, "pool_size", count, 2)
    stride = sizes(layer, "strides", count, kernel)
    pads = around(x, kernel, stride, [1] * count, padding_of(layer))
    # What lies outside the picture counts for nothing. PyTorch pads both sides alike: windows may reach over the far
    # edge (ceil_mode), and where they move by one, one more is put out in front, and left out again.
    front = [s == 1 and before < behind for s, (before, behind) in zip(stride, pads, strict=True)]
    padding = [behind if f else before for f, (before, behind) in zip(front, pads, strict=True)]
    ceil = any(before < behind and not f for f, (before, behind) in zip(front, pads, strict=True))
    more: dict[str, Any] = {"dilation": [1] * count} if largest else {"count_include_pad": False}
    out = b.make(
        layer.name, f"{'max' if largest else 'avg'}_pool{count}d.default", x.axes, self=x, kernel_size=kernel,
        stride=stride, padding=padding, ceil_mode=ceil, **more,
    )  # fmt: skip
    return padded(b, out, [(-f, 0) for f in front], layer.name)


def global_pool(b: Build, layer: Layer, x: Value) -> Value:
    x = b.placed(x, wanted_axes(x.rank, layer.config), layer.name)
    dims, keep = list(range(2, x.rank + 1)), bool(layer.config.get("keepdims"))
    axes = x.axes if keep else (0,)
    if "Average" in layer.kind:
        return b.make(layer.name, "mean.dim", axes, self=x, dim=dims, keepdim=keep)
    return b.make(layer.name, "amax.default", axes, self=x, dim=dims, keepdim=keep)


def dense(b: Build, layer: Layer, x: Value) -> Value:
    """Of a picture, or of a sequence, a dense layer is a convolution of one pixel."""
    units, features = whole(layer, "units"), x.shape[-1]
    shapes: list[tuple[int, ...]] = [(features, units)]
    if layer.config.get("use_bias", True) is not False:
        shapes.append((units,))
    kernel, *rest = b.weights(layer, *shapes)
    bias = rest[0] if rest else None
    if x.rank == 1:
        if x.order is not None:
            kernel = kernel[torch.from_numpy(x.order)]
        out = b.make(layer.name, "linear.default", (0,), input=x, weight=kernel.T.contiguous(), bias=bias)
    else:
        count = x.rank - 1
        if count > 3:
            raise ModelError(f"it takes {x.rank} axes, which is not known here")
        x = b.placed(x, wanted_axes(x.rank, {}), layer.name)
        weight = kernel.T.reshape(units, features, *[1] * count).contiguous()
        out = b.make(
            layer.name, f"conv{count}d.default", x.axes, input=x, weight=weight, bias=bias, stride=[1] * count,
            padding=[0] * count, dilation=[1] * count, groups=1,
        )  # fmt: skip
    return activate(b, out, layer.config.get("activation"), layer.name)


def flatten(b: Build, layer: Layer, x: Value) -> Value:
    """The numbers stay where they are; what stands where Keras has them elsewhere is remembered."""
    if x.rank == 1:
        return x
    axes = x.axes
    if layer.config.get("data_format") == "channels_first" and b.version >= 2:
        axes = tuple((k - 1) % x.rank for k in axes)  # Keras 2 moves the channels behind first
    shape = tuple(x.meta.shape[1:])
    out = b.make(layer.name, "flatten.using_ints", (0,), self=x, start_dim=1, end_dim=-1)
    order = keras_order(shape, axes)
    if bool((order[1:] > order[:-1]).all()):
        return out
    return replace(out, order=order, flat=(shape, axes))


LAYERS: dict[str, Callable[[Build, Layer, Value], Value]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), conv),
    "DepthwiseConv2D": depthwise,
    "SeparableConv2D": separable,
    "Conv2DTranspose": transposed,
    **{f"{kind}Pooling{n}D": pool for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Global{kind}Pooling{n}D": global_pool for kind in ("Max", "Average") for n in (1, 2, 3)},
    "Dense": dense,
    "Flatten": flatten,
}
