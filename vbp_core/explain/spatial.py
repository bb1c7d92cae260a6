"""VisualBackProp through what a graph has no word for: what keeps the places of a map, and what puts them on another grid."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from vbp.graph.adjoint import vector_jacobian
from vbp.graph.operations import Opaque, Stage, sources

# Each number comes from its own place, or from the statistics of all: the mask stays as it is.
KEEP = frozenset({
    *("mul", "multiply", "div", "divide", "add", "sub", "subtract", "rsub", "maximum", "minimum", "where", "pow"),
    *("group_norm", "native_group_norm", "instance_norm", "batch_norm", "native_batch_norm", "_to_copy", "to"),
    *("channel_shuffle", "softmax", "_softmax", "clamp", "threshold"),
    *("exp", "log", "sqrt", "square", "sin", "cos", "erf", "hardshrink", "softshrink", "relu", "log_softmax"),
    *("slice_scatter", "masked_fill", "fill", "layer_norm", "native_layer_norm", "rms_norm", "rsqrt", "reciprocal", "glu"),
    # Over the channels, or with numbers for each place: the sizes tell those apart that are over places.
    *("mean", "sum", "amax", "amin", "linalg_vector_norm", "clamp_min", "expand", "expand_as", "cat"),
})  # fmt: skip
# Linear, and the same for every channel: the mask comes back by the transposed map.
MOVE = frozenset({
    *("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d", "upsample_bicubic2d"),
    *("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "roll", "flip", "rot90"),
    *("adaptive_avg_pool2d", "_adaptive_avg_pool2d"),
})  # fmt: skip


def kind_of(stage: Stage) -> str:
    return stage.op.what.removeprefix("aten.") if isinstance(stage.op, Opaque) else ""


def carries(stage: Stage, x: Tensor, out: Tensor) -> bool:
    """The picture comes through this input, and not only what weighs it, as through a gate of one number for each channel."""
    if not isinstance(stage.op, Opaque) or kind_of(stage) not in KEEP or out.dim() != 4:
        return True  # where there is no map any more, nothing is said of one
    return x.dim() == out.dim() and x.shape[2:] == out.shape[2:]


def silent(stages: tuple[Stage, ...], values: tuple[Tensor, ...]) -> frozenset[int]:
    """The values that only weigh others: no mask begins there, and none comes back."""
    if not any(isinstance(stage.op, Opaque) for stage in stages):
        return frozenset()  # as of most networks, for every frame
    takers: dict[int, list[int]] = {}
    for i in range(len(stages)):
        for k in sources(stages, i):
            takers.setdefault(k, []).append(i)
    found: set[int] = set()
    for k in range(len(stages), 0, -1):
        taken = takers.get(k, [])
        if taken and all(i + 1 in found or not carries(stages[i], values[k], values[i + 1]) for i in taken):
            found.add(k)
    return frozenset(found)


def back(stage: Stage, mask: Tensor, x: Tensor, out: Tensor) -> Tensor | None:
    """The mask (N, h, w) at the size of what the stage took; None where the method has no way through it."""
    if not isinstance(stage.op, Opaque) or x.dim() != 4 or out.dim() != 4:
        return None
    kind = kind_of(stage)
    if kind in KEEP:
        return mask if x.shape[2:] == out.shape[2:] else None
    if kind in MOVE:
        one = x[:, :1]
        return vector_jacobian(stage.op, (one,), mask[:, None])[0][:, 0]
    arguments: dict[str, Any] = getattr(getattr(stage.op.run, "run", stage.op.run), "arguments", {})
    if kind == "conv_transpose2d":
        return _untransposed(arguments, mask)
    if kind == "pixel_shuffle":
        factor = int(arguments["upscale_factor"])
        return F.avg_pool2d(mask[:, None], factor)[:, 0] * factor**2
    if kind == "pixel_unshuffle":
        return mask.repeat_interleave(int(arguments["downscale_factor"]), 1).repeat_interleave(
            int(arguments["downscale_factor"]), 2
        )
    return None


def _untransposed(arguments: dict[str, Any], mask: Tensor) -> Tensor:
    """A transposed convolution spreads each place over a window: what lies there is added up again, as by ones."""
    kernel = arguments["weight"].shape[2:]
    stride, padding, dilation = (
        _pair(arguments.get(k, d)) for k, d in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    ones = mask.new_ones((1, 1, *kernel))
    return F.conv2d(mask[:, None], ones, None, stride, padding, dilation)[:, 0]


def _pair(value: Any) -> tuple[int, int]:
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    return int(numbers[0]), int(numbers[-1])
