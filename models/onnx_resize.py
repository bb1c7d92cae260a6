"""ONNX's Resize and Upsample of maps, in all their ways of placing one grid on another."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.onnx_node import OnnxNode
from vbp.models.onnx_values import Builder, Data, Known, Value, known, raw

ROUNDING: dict[str, Callable[[float], float]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
}


def resize(b: Builder, n: OnnxNode) -> Value:
    """To sizes, or by scales; of (N, C, H, W), or however a map of them lies, along height and width."""
    x = n.value(0)
    if isinstance(x, Known) or len(x.axes) != 4 or x.order is not None:
        raise ModelError("resizes something other than a map of (N, C, H, W), which is not read")
    if n.attribute("antialias", 0):
        raise ModelError("resizes with antialiasing, which is not read")
    before = x.shapes[0]
    scales, after = _wanted(n, before)
    changed = [axis for axis in range(4) if (after[axis], scales[axis]) != (before[axis], 1.0)]
    if any(x.axes[axis] < 2 for axis in changed):
        raise ModelError("resizes the channels or the batch, which is not read")
    where = n.attribute("coordinate_transformation_mode", "half_pixel")
    if n.op == "Upsample" or n.opset < 11:
        where = "asymmetric"
    by_library = _by_library(b, n, x, after, scales, where)
    if by_library is not None:
        return by_library
    out = raw(x)
    for axis in changed:
        weights = _weights(n, before[axis], after[axis], scales[axis], where)
        at = x.axes[axis]
        out = (
            b.call("matmul.default", self=out, other=weights.T.contiguous())
            if at == 3
            else b.call("matmul.default", self=weights, other=out)
        )
    return Data(out.name, out.meta, x.axes)


def _wanted(n: OnnxNode, before: tuple[int, ...]) -> tuple[list[float], list[int]]:
    """The scale and the new size of each axis."""
    old = n.op == "Upsample" or n.opset < 11
    scales = n.attribute("scales")
    if scales is None and (old or n.optional(3) is None):
        scales = known(n.value(1 if old else 2), "scales").tolist()
    axes = [a % 4 for a in n.attribute("axes") or range(4)]
    if scales is not None:
        factors = dict(zip(axes, map(float, scales), strict=False))
        every = [factors.get(i, 1.0) for i in range(4)]
        if not all(0 < f < 1e4 for f in every):
            raise ModelError(f"resizes by {every}")
        return every, [math.floor(before[i] * every[i]) for i in range(4)]
    sizes = n.value(3)
    if not isinstance(sizes, Known):
        raise ModelError("takes a size that depends on the picture, which cannot be followed")
    given = dict(zip(axes, (int(v) for v in sizes.values[0].tolist()), strict=False))
    if any(not 0 < size < 2**20 for size in given.values()):
        raise ModelError(f"resizes to {list(given.values())}")
    policy = n.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        one = (min if policy == "not_larger" else max)(given[a] / before[a] for a in axes)
        given = {a: math.floor(before[a] * one + 0.5) for a in axes}
        return [one if i in given else 1.0 for i in range(4)], [given.get(i, before[i]) for i in range(4)]
    after = [given.get(i, before[i]) for i in range(4)]
    return [new / old_size for new, old_size in zip(after, before, strict=True)], after


def _by_library(
    b: Builder, n: OnnxNode, x: Data, after: list[int], scales: list[float], where: str
) -> Value | None:
    """By PyTorch's own operation where it computes the same."""
    mode = n.attribute("mode", "nearest")
    before = x.shapes[0]
    exact = all(new == old * scale for new, old, scale in zip(after, before, scales, strict=True))
    if not exact or any(new < 2 or new < old for new, old in zip(after[2:], before[2:], strict=True)):
        return None
    size = [0, 0]
    for axis, new in enumerate(after):
        if x.axes[axis] >= 2:
            size[x.axes[axis] - 2] = new
    whole = all(new % old == 0 for new, old in zip(after, before, strict=True))
    if mode == "nearest" and whole and where in ("asymmetric", "half_pixel", "pytorch_half_pixel"):
        rounding = n.attribute("nearest_mode", "round_prefer_floor")
        if where == "asymmetric" and (n.opset < 11 or n.op == "Upsample"):
            rounding = "floor"
        if rounding.startswith("floor" if where == "asymmetric" else "round"):
            near: Value = b.call("upsample_nearest2d.default", like=x, self=raw(x), output_size=size)
            return near
    if mode == "linear" and where in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        smooth: Value = b.call(
            "upsample_bilinear2d.default",
            like=x,
            self=raw(x),
            output_size=size,
            align_corners=where == "align_corners",
        )
        return smooth
    return None


def _weights(n: OnnxNode, before: int, after: int, scale: float, where: str) -> Tensor:
    """(after, before): how much of each old place is in each new one (onnx/docs/Operators.md, Resize)."""
    mode = n.attribute("mode", "nearest")
    weights = torch.zeros((after, before), dtype=torch.float64)
    for i in range(after):
        x = _place(i, before, after, scale, where)
        if mode == "nearest":
            rounding = "floor" if n.opset < 11 else n.attribute("nearest_mode", "round_prefer_floor")
            taps = [(int(ROUNDING[rounding](round(x, 5))), 1.0)]  # scales are float32 in files
        elif mode in ("linear", "bilinear"):
            low = math.floor(x)
            taps = [(low, 1 - (x - low)), (low + 1, x - low)]
        elif mode == "cubic":
            low, a = math.floor(x), float(n.attribute("cubic_coeff_a", -0.75))
            taps = [(low + k, _cubic(abs(x - low - k), a)) for k in (-1, 0, 1, 2)]
        else:
            raise ModelError(f"resizes by {mode!r}, which is not known")
        if n.attribute("exclude_outside", 0):
            taps = [(k, w) for k, w in taps if 0 <= k < before]
            total = sum(w for _, w in taps)
            taps = [(k, w / total) for k, w in taps]
        for k, w in taps:
            weights[i, min(max(k, 0), before - 1)] += w
    return weights.float()


def _place(i: int, before: int, after: int, scale: float, where: str) -> float:
    """Where the new place i lies among the old ones."""
    if where == "asymmetric":
        return i / scale
    if where == "align_corners":
        longer = before * scale - 1
        return i * (before - 1) / longer if longer else 0.0
    if where == "half_pixel" or (where == "pytorch_half_pixel" and after > 1):
        return (i + 0.5) / scale - 0.5
    if where == "pytorch_half_pixel":
        return 0.0
    if where == "half_pixel_symmetric":
        share = after / (before * scale)
        return before / 2 * (1 - share) + (i + 0.5) / scale - 0.5
    raise ModelError(f"places its grid by {where!r}, which is not read")


def _cubic(x: float, a: float) -> float:
    """Keys' kernel (Cubic convolution interpolation, 1981)."""
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0
