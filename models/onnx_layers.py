"""ONNX operators with weights and windows: convolutions, dense layers, pooling, quantisation."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.onnx_math import binary
from vbp.models.onnx_node import OnnxNode, Rule
from vbp.models.onnx_shapes import axes_of, padded
from vbp.models.onnx_values import Builder, Data, Known, Value, known, raw


def _sides(
    n: OnnxNode, size: list[int], kernel: list[int], stride: list[int], dilation: list[int]
) -> list[tuple[int, int]]:
    """What is added before and after each axis, as the attributes or the words SAME and VALID say."""
    auto = n.attribute("auto_pad", "NOTSET")
    axes = range(len(kernel))
    if auto in ("NOTSET", ""):
        given = list(n.attribute("pads") or [0] * 2 * len(kernel))
        if len(given) != 2 * len(kernel) or min(given) < 0:
            raise ModelError(f"pads by {given}, which is not two numbers for each axis")
        return [(given[i], given[i + len(kernel)]) for i in axes]
    if auto == "VALID":
        return [(0, 0)] * len(kernel)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ModelError(f"pads by {auto!r}, which is not known")
    found = []
    for i in axes:
        reach = (kernel[i] - 1) * dilation[i] + 1
        total = max((math.ceil(size[i] / stride[i]) - 1) * stride[i] + reach - size[i], 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return found


def _numbers(n: OnnxNode, name: str, axes: int, default: int = 1) -> list[int]:
    found = [int(v) for v in n.attribute(name) or [default] * axes]
    if len(found) != axes:
        raise ModelError(f"has {name} {found} for {axes} axes")
    return found


def _conv(b: Builder, n: OnnxNode) -> Value:
    x, weight = b.materialised(n.value(0)), known(n.value(1), "a weight")
    bias = known(n.value(2), "a bias") if n.optional(2) is not None else None
    axes = weight.dim() - 2
    if axes not in (1, 2, 3) or len(x.shapes[0]) != weight.dim():
        raise ModelError(f"has a weight of {weight.dim()} axes for an input of {len(x.shapes[0])}")
    kernel = list(weight.shape[2:])
    stride, dilation = _numbers(n, "strides", axes), _numbers(n, "dilations", axes)
    sides = _sides(n, list(x.shapes[0][2:]), kernel, stride, dilation)
    even = all(near == far for near, far in sides)
    if not even:
        x = padded(b, x, [(0, 0), (0, 0), *sides], "constant", 0.0)
    out: Value = b.call(
        f"conv{axes}d.default",
        input=x,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=[near for near, _ in sides] if even else [0] * axes,
        dilation=dilation,
        groups=int(n.attribute("group", 1)),
    )
    return out


def _conv_transpose(b: Builder, n: OnnxNode) -> Value:
    x, weight = b.materialised(n.value(0)), known(n.value(1), "a weight")
    bias = known(n.value(2), "a bias") if n.optional(2) is not None else None
    if weight.dim() != 4:
        raise ModelError("is a transposed convolution of other than two axes, which is not read")
    kernel = list(weight.shape[2:])
    stride, dilation = _numbers(n, "strides", 2), _numbers(n, "dilations", 2)
    extra = _numbers(n, "output_padding", 2, 0)
    size = x.shapes[0][2:]
    full = [(size[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 + extra[i] for i in range(2)]
    shape = n.attribute("output_shape")
    if shape or n.attribute("auto_pad", "NOTSET") not in ("NOTSET", "", "VALID"):
        wanted = list(shape)[-2:] if shape else [size[i] * stride[i] for i in range(2)]
        total = [full[i] - wanted[i] for i in range(2)]
        if min(total) < 0:
            raise ModelError(f"is to put out {wanted}, and its windows cover {full}")
        upper = n.attribute("auto_pad", "NOTSET") == "SAME_UPPER"
        sides = [(t // 2, t - t // 2) if upper else (t - t // 2, t // 2) for t in total]
    else:
        sides = _sides(n, list(size), kernel, stride, dilation)
    even = all(near == far for near, far in sides)
    out: Value = b.call(
        "conv_transpose2d.input",
        input=x,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=[near for near, _ in sides] if even else [0, 0],
        output_padding=extra,
        groups=int(n.attribute("group", 1)),
        dilation=dilation,
    )
    return (
        out
        if even
        else padded(b, out, [(0, 0), (0, 0), *((-near, -far) for near, far in sides)], "constant", 0.0)
    )


def _linear(b: Builder, x: Data, weight: Tensor, bias: Tensor | None) -> Value:
    """x (N, in) through weight (out, in)."""
    if x.order is not None:  # the weights move to where the numbers lie
        moved = torch.empty_like(weight)
        moved[:, x.order] = weight
        weight, x = moved, raw(x)
    plain = b.materialised(x)
    out: Value = b.call("linear.default", input=plain, weight=weight.contiguous(), bias=bias)
    return out


def _gemm(b: Builder, n: OnnxNode) -> Value:
    x, weight, bias = n.value(0), n.value(1), n.optional(2)
    alpha, beta = float(n.attribute("alpha", 1.0)), float(n.attribute("beta", 1.0))
    if n.attribute("transA", 0) or not isinstance(x, Data) or len(x.shapes[0]) != 2:
        raise ModelError(
            "transposes what depends on the picture, or multiplies constants alone, which is not read"
        )
    matrix = known(weight, "a weight")
    matrix = (matrix if n.attribute("transB", 0) else matrix.T) * alpha
    if bias is None:
        return _linear(b, x, matrix, None)
    added = known(bias, "a bias") * beta
    if added.numel() in (1, matrix.shape[0]) and added.shape[-1:] in ((), (added.numel(),)):
        return _linear(b, x, matrix, added.reshape(-1).expand(matrix.shape[0]).contiguous())
    return binary(b, "add.Tensor", _linear(b, x, matrix, None), Known(tuple(added for _ in b.batches)))


def _matmul(b: Builder, n: OnnxNode) -> Value:
    x, y = n.value(0), n.value(1)
    if isinstance(x, Data) and isinstance(y, Known) and len(x.shapes[0]) == 2 and len(y.shapes[0]) == 2:
        return _linear(b, x, y.fixed.T, None)
    out: Value = b.call("matmul.default", self=b.materialised(x), other=b.materialised(y))
    return out


def _pool(b: Builder, n: OnnxNode) -> Value:
    x = b.materialised(n.value(0))
    kernel = _numbers(n, "kernel_shape", len(x.shapes[0]) - 2, 0)
    axes = len(kernel)
    if axes not in (1, 2, 3):
        raise ModelError(f"pools over {axes} axes, which is not read")
    if len(n.outputs) > 1 and any(n.outputs[1:]):
        raise ModelError("puts out where the maxima were, which is not read")
    stride, dilation = _numbers(n, "strides", axes), _numbers(n, "dilations", axes)
    size = list(x.shapes[0][2:])
    sides = _sides(n, size, kernel, stride, dilation)
    ceil = bool(n.attribute("ceil_mode", 0))
    most = n.op == "MaxPool"
    counted = most or bool(n.attribute("count_include_pad", 0))
    if not most and dilation != [1] * axes:
        raise ModelError("averages with gaps in between, which is not read")
    arguments: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "ceil_mode": ceil}
    if any(near != far or near > reach // 2 for (near, far), reach in zip(sides, kernel, strict=True)):
        partial = all(
            near == 0
            and (most or far == 0 or not counted)
            and _by_ceil(size[i], far, kernel[i], stride[i], dilation[i])
            for i, (near, far) in enumerate(sides)
        )
        if partial and not ceil:
            arguments["ceil_mode"] = True  # what is added at the far side alone is a window that is not full
        elif most or counted:
            x = padded(b, x, [(0, 0), (0, 0), *sides], "constant", -math.inf if most else 0.0)
        else:
            return _uneven_mean(b, x, sides, arguments, axes)
        sides = [(0, 0)] * axes
    arguments["padding"] = [near for near, _ in sides]
    if most:
        arguments["dilation"] = dilation
    else:
        arguments["count_include_pad"] = counted
    out: Value = b.call(f"{'max' if most else 'avg'}_pool{axes}d.default", self=x, **arguments)
    return out


def _by_ceil(size: int, far: int, kernel: int, stride: int, dilation: int) -> bool:
    """Padding at the far side alone gives what rounding the number of windows up gives."""
    reach = (kernel - 1) * dilation + 1
    wanted = (size + far - reach) // stride + 1
    rounded = -((size - reach) // -stride) + 1
    if (rounded - 1) * stride >= size:
        rounded -= 1  # PyTorch drops a window that begins beyond the end
    return wanted == rounded


def _uneven_mean(
    b: Builder, x: Value, sides: list[tuple[int, int]], arguments: dict[str, Any], axes: int
) -> Value:
    """A mean over what lies in the picture: that with zeros around, times what share of each window is no padding."""
    every = [(0, 0), (0, 0), *sides]
    op = f"avg_pool{axes}d.default"
    own = {**arguments, "padding": [0] * axes, "count_include_pad": True}
    ones = padded(
        b, Known(tuple(torch.ones((1, 1, *x.shapes[0][2:])) for _ in b.batches)), every, "constant", 0.0
    )
    share: Known = b.call(op, self=ones, **own)
    mean = b.call(op, self=padded(b, x, every, "constant", 0.0), **own)
    out: Value = b.call("mul.Tensor", self=mean, other=1 / share.fixed)
    return out


def _global_pool(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    if not isinstance(x, Data):
        x = b.materialised(x)
    axes = [x.axes[i] if isinstance(x, Data) else i for i in range(2, len(x.shapes[0]))]
    plain, like = (raw(x), x) if isinstance(x, Data) else (x, None)
    if n.op == "GlobalMaxPool":
        out: Value = b.call("amax.default", like=like, self=plain, dim=sorted(axes), keepdim=True)
    else:
        out = b.call("mean.dim", like=like, self=plain, dim=sorted(axes), keepdim=True)
    return out


REDUCTIONS = {
    "ReduceMean": "mean.dim",
    "ReduceSum": "sum.dim_IntList",
    "ReduceMax": "amax.default",
    "ReduceMin": "amin.default",
    "ReduceL2": "linalg_vector_norm.default",
    "ReduceLogSumExp": "logsumexp.default",
}


def _reduce(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    if isinstance(x, Data) and x.order is not None:
        x = b.materialised(x)
    rank = len(x.shapes[0])
    axes = axes_of(n, 1, rank)
    if not axes:
        if n.attribute("noop_with_empty_axes", 0):
            return x
        axes = list(range(rank))
    keep = bool(n.attribute("keepdims", 1))
    op = REDUCTIONS[n.op]
    if isinstance(x, Known):
        if not x.values[0].is_floating_point() and n.op not in ("ReduceMax", "ReduceMin", "ReduceSum"):
            raise ModelError("reduces whole numbers, which is not read")
        small: Value = b.call(op, self=x, dim=axes, keepdim=keep)
        return small
    out: Data = b.call(op, like=x, self=raw(x), dim=sorted(x.axes[a] for a in axes), keepdim=keep)
    if keep:
        return out
    left = [x.axes[a] for a in range(rank) if a not in axes]  # where the axes that stay lay
    return Data(out.name, out.meta, tuple(sorted(left).index(a) for a in left))


def _quantise(b: Builder, n: OnnxNode) -> Value:
    """To whole numbers, kept as floats: x / scale + zero, rounded and held in the type's range."""
    scale, zero, axis = _scale(n)
    zeros = (
        known(n.value(2), "a zero point") if n.optional(2) is not None else torch.zeros((), dtype=torch.uint8)
    )
    if zeros.is_floating_point():
        raise ModelError("quantises to a type of floats, which is not read")
    if zeros.dtype == torch.int64:  # in which larger ones without a sign are kept
        raise ModelError("quantises to more than 8 bits without a sign, which is not read")
    limits = torch.iinfo(zeros.dtype)
    x = b.materialised(n.value(0))
    shape = _along(scale, x, axis)
    value = b.call("div.Tensor", self=x, other=scale.reshape(shape))
    value = b.call("round.default", self=value)
    value = b.call("add.Tensor", self=value, other=zero.reshape(_along(zero, x, axis)))
    out: Value = b.call("clamp.default", self=value, min=float(limits.min), max=float(limits.max))
    return out


def _dequantise(b: Builder, n: OnnxNode) -> Value:
    scale, zero, axis = _scale(n)
    x = b.materialised(n.value(0))
    if isinstance(x, Known):
        x = Known(tuple(v.to(torch.float32) for v in x.values))
    value = b.call("sub.Tensor", self=x, other=zero.reshape(_along(zero, x, axis)))
    out: Value = b.call("mul.Tensor", self=value, other=scale.reshape(_along(scale, x, axis)))
    return out


def _scale(n: OnnxNode) -> tuple[Tensor, Tensor, int]:
    if n.attribute("block_size", 0):
        raise ModelError("is quantised in blocks, which is not read")
    scale = known(n.value(1), "a scale").to(torch.float32)
    zero = known(n.value(2), "a zero point") if n.optional(2) is not None else torch.zeros(())
    return scale, zero.to(torch.float32), int(n.attribute("axis", 1))


def _along(numbers: Tensor, x: Value, axis: int) -> list[int]:
    """The shape in which one number, or one for each place along an axis, is applied."""
    if numbers.numel() == 1:
        return []
    rank = len(x.shapes[0])
    return [numbers.numel() if i == axis % rank else 1 for i in range(rank)]


RULES: dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
}
