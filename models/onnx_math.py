"""ONNX operators on each number: arithmetic, functions, comparisons, casts, softmax."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.onnx_node import OnnxNode, Rule
from vbp.models.onnx_norms import with_affine
from vbp.models.onnx_shapes import along, reshaped
from vbp.models.onnx_values import Builder, Data, Known, Value, known, raw


def unary(b: Builder, op: str, x: Value, **arguments: Any) -> Value:
    """A function of each number, whatever the layout."""
    plain, like = (raw(x), x) if isinstance(x, Data) else (x, None)
    out: Value = b.call(op, like=like, self=plain, **arguments)
    return out


def binary(b: Builder, op: str, x: Value, y: Value, **arguments: Any) -> Value:
    """Arithmetic of two values that broadcast; a constant is turned to lie as the other does."""
    if isinstance(x, Data) and isinstance(y, Data):
        if x.axes == y.axes and x.order is None and y.order is None:
            out: Value = b.call(op, like=x, self=raw(x), other=raw(y), **arguments)
            return out
        return _plain(b, op, x, y, **arguments)
    if isinstance(x, Known) and isinstance(y, Known):
        return _plain(b, op, x, y, **arguments)
    data, constant = (x, y) if isinstance(x, Data) else (y, x)
    assert isinstance(data, Data) and isinstance(constant, Known)
    constant = _of_one(constant)
    x, y = (data, constant) if isinstance(x, Data) else (constant, data)
    placed = _placed(constant, data)
    if placed is None:
        return _plain(b, op, x, y, **arguments)
    pair = (raw(data), placed) if isinstance(x, Data) else (placed, raw(data))
    out = b.call(op, like=data, self=pair[0], other=pair[1], **arguments)
    return out


def _plain(b: Builder, op: str, x: Value, y: Value, **arguments: Any) -> Value:
    out: Value = b.call(op, self=b.materialised(x), other=b.materialised(y), **arguments)
    return out


def _of_one(constant: Known) -> Known:
    """Numbers that are the same for every picture, as a state of zeros to begin with, as those of one picture."""
    first = constant.values[0]
    if len({v.shape for v in constant.values}) == 1 or any(v.dim() != first.dim() for v in constant.values):
        return constant
    values = constant.values
    for axis in range(first.dim()):
        if len({v.shape[axis] for v in values}) > 1 and all(v.shape[axis] for v in values):
            if any(bool((v != v.narrow(axis, 0, 1)).any()) for v in values):
                return constant
            values = tuple(v.narrow(axis, 0, 1) for v in values)
    return Known(values)


def _placed(constant: Known, data: Data) -> Tensor | None:
    """The constant as the data lies; None where the result is larger than the data."""
    number, rank = constant.fixed, len(data.axes)
    if number.numel() == 1 and number.dim() <= rank:
        return number.reshape(())
    if number.dim() > rank:
        return None
    number = number.reshape((1,) * (rank - number.dim()) + tuple(number.shape))
    for shape in data.shapes:
        if any(size not in (1, own) for size, own in zip(number.shape, shape, strict=True)):
            return None
    if data.order is not None and number.shape[-1] > 1:
        moved = torch.empty_like(number)
        moved[..., data.order] = number
        return moved
    places = sorted(range(rank), key=lambda i: data.axes[i])
    return number.permute(places).contiguous()


def _function(op: str, **fixed: Any) -> Rule:
    def rule(b: Builder, n: OnnxNode) -> Value:
        return unary(b, op, n.value(0), **fixed)

    return rule


def _with(op: str, **names: tuple[str, float]) -> Rule:
    """argument=(attribute, default)."""

    def rule(b: Builder, n: OnnxNode) -> Value:
        given = {name: float(n.attribute(source, default)) for name, (source, default) in names.items()}
        return unary(b, op, n.value(0), **given)

    return rule


def _arithmetic(op: str) -> Rule:
    def rule(b: Builder, n: OnnxNode) -> Value:
        x, y = n.value(0), n.value(1)
        if n.attribute("broadcast") and n.attribute("axis") is not None:
            raise ModelError(
                "broadcasts along an axis, as before opset 7; convert it by onnx.version_converter"
            )
        normed = with_affine(b, op, x, y) if op in ("mul.Tensor", "add.Tensor") else None
        return binary(b, op, x, y) if normed is None else normed

    return rule


def _mod(b: Builder, n: OnnxNode) -> Value:
    """With the sign of the divisor, or, as C's fmod, of what is divided."""
    return binary(b, "fmod.Tensor" if n.attribute("fmod", 0) else "remainder.Tensor", n.value(0), n.value(1))


def _divide(b: Builder, n: OnnxNode) -> Value:
    x, y = n.value(0), n.value(1)
    if isinstance(x, Known) and not x.values[0].is_floating_point():
        return binary(b, "div.Tensor_mode", x, y, rounding_mode="trunc")
    return binary(b, "div.Tensor", x, y)


def _several(op: str) -> Rule:
    def rule(b: Builder, n: OnnxNode) -> Value:
        values = [v for v in n.inputs if v is not None]
        if not values:
            raise ModelError("takes nothing")
        found = values[0]
        for value in values[1:]:
            found = binary(b, op, found, value)
        return found

    return rule


def _mean(b: Builder, n: OnnxNode) -> Value:
    total = _several("add.Tensor")(b, n)
    assert not isinstance(total, tuple)
    return binary(b, "mul.Tensor", total, Known(tuple(torch.tensor(1 / len(n.inputs)) for _ in b.batches)))


def _clip(b: Builder, n: OnnxNode) -> Value:
    low, high = n.attribute("min"), n.attribute("max")
    if n.optional(1) is not None:
        low = float(known(n.optional(1), "a limit"))
    if n.optional(2) is not None:
        high = float(known(n.optional(2), "a limit"))
    low = None if low is None or low <= -3.4e38 else float(low)
    high = None if high is None or high >= 3.4e38 else float(high)
    if low is None and high is None:
        return n.value(0)
    return unary(b, "clamp.default", n.value(0), min=low, max=high)


def _prelu(b: Builder, n: OnnxNode) -> Value:
    x, slope = b.materialised(n.value(0)), known(n.value(1), "a slope")
    if slope.numel() > 1 and slope.dim() > 1 and slope.numel() != max(slope.shape):
        raise ModelError("has a slope for each place, which is not read")
    out: Value = b.call("prelu.default", self=x, weight=slope.reshape(-1))
    return out


def _elu(b: Builder, n: OnnxNode) -> Value:
    return unary(b, "elu.default", n.value(0), alpha=float(n.attribute("alpha", 1.0)), scale=1, input_scale=1)


SELU = (1.6732632423543772, 1.0507009873554805)


def _selu(b: Builder, n: OnnxNode) -> Value:
    alpha, gamma = float(n.attribute("alpha", SELU[0])), float(n.attribute("gamma", SELU[1]))
    if abs(alpha - SELU[0]) < 1e-4 and abs(gamma - SELU[1]) < 1e-4:
        return unary(b, "selu.default", n.value(0))
    return unary(b, "elu.default", n.value(0), alpha=alpha, scale=gamma, input_scale=1)


def _hard_sigmoid(b: Builder, n: OnnxNode) -> Value:
    alpha, beta = float(n.attribute("alpha", 0.2)), float(n.attribute("beta", 0.5))
    line = unary(b, "mul.Tensor", n.value(0), other=alpha)
    line = unary(b, "add.Tensor", line, other=beta)
    return unary(b, "clamp.default", line, min=0.0, max=1.0)


def _softplus(b: Builder, n: OnnxNode) -> Value:
    return unary(b, "softplus.default", n.value(0), beta=1, threshold=20)


def _softsign(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    below = unary(b, "add.Tensor", unary(b, "abs.default", x), other=1.0)
    return binary(b, "div.Tensor", x, below)


def _thresholded(b: Builder, n: OnnxNode) -> Value:
    return unary(b, "threshold.default", n.value(0), threshold=float(n.attribute("alpha", 1.0)), value=0.0)


def _gelu(b: Builder, n: OnnxNode) -> Value:
    return unary(b, "gelu.default", n.value(0), approximate=n.attribute("approximate", "none"))


def _pow(b: Builder, n: OnnxNode) -> Value:
    x, power = n.value(0), n.value(1)
    if isinstance(power, Known) and power.values[0].numel() == 1:
        number = float(power.fixed)
        if number == 1:
            return x
        return unary(b, "pow.Tensor_Scalar", x, exponent=int(number) if number.is_integer() else number)
    if isinstance(x, Known) and isinstance(power, Known):
        return Known(tuple(torch.pow(v, e) for v, e in zip(x.values, power.values, strict=True)))
    raise ModelError("raises to a power that is not one number, which is not read")


def _softmax(b: Builder, n: OnnxNode) -> Value:
    op = "log_softmax.int" if n.op == "LogSoftmax" else "softmax.int"
    x = n.value(0)
    rank = len(x.shapes[0])
    axis = int(n.attribute("axis", -1 if n.opset >= 13 else 1)) % max(rank, 1)
    if n.opset < 13 and axis != rank - 1:  # all from that axis on, as one row
        rows = [[math.prod(s[:axis]), math.prod(s[axis:])] for s in x.shapes]
        flat = b.call(op, self=b.materialised(reshaped(b, x, rows)), dim=1)
        return reshaped(b, flat, x.shapes)
    value, at, like = along(b, x, axis)
    out: Value = b.call(op, like=like, self=value, dim=at)
    return out


# TensorProto.DataType: floats of every size are computed as float32.
DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float32, 11: torch.float32, 16: torch.float32,
}  # fmt: skip


def _cast(b: Builder, n: OnnxNode) -> Value:
    kind = DTYPES.get(int(n.attribute("to", 1)))
    if kind is None:
        raise ModelError(f"casts to type {n.attribute('to')}, which is not read")
    x = n.value(0)
    if isinstance(x, Known):
        return Known(tuple(v.to(kind) for v in x.values))
    return x if x.meta[0].dtype == kind else unary(b, "_to_copy.default", x, dtype=kind)


def _cast_like(b: Builder, n: OnnxNode) -> Value:
    x, other = n.value(0), n.value(1)
    kind = other.values[0].dtype if isinstance(other, Known) else other.meta[0].dtype
    if isinstance(x, Known):
        return Known(tuple(v.to(kind) for v in x.values))
    return x if x.meta[0].dtype == kind else unary(b, "_to_copy.default", x, dtype=kind)


def _same(b: Builder, n: OnnxNode) -> Value:
    """Identity, and Dropout when a network drives."""
    return n.value(0)


def _where(b: Builder, n: OnnxNode) -> Value:
    condition, x, y = (b.materialised(n.value(i)) for i in range(3))
    out: Value = b.call("where.self", condition=condition, self=x, other=y)
    return out


def _argument(op: str) -> Rule:
    def rule(b: Builder, n: OnnxNode) -> Value:
        x = b.materialised(n.value(0))
        if n.attribute("select_last_index", 0):
            raise ModelError("takes the last of equal numbers, which is not read")
        out: Value = b.call(
            op, self=x, dim=int(n.attribute("axis", 0)), keepdim=bool(n.attribute("keepdims", 1))
        )
        return out

    return rule


def _not(b: Builder, n: OnnxNode) -> Value:
    return unary(b, "logical_not.default", n.value(0))


def _constant(b: Builder, n: OnnxNode) -> Value:
    held = n.attribute("value")
    for name, kind in (
        ("value_float", torch.float32),
        ("value_floats", torch.float32),
        ("value_int", torch.int64),
        ("value_ints", torch.int64),
    ):
        if n.attribute(name) is not None:
            held = torch.tensor(n.attribute(name), dtype=kind)
    if not isinstance(held, Tensor):
        raise ModelError("is a constant of a kind that is not read (text, or sparse)")
    return Known(tuple(held for _ in b.batches))


RULES: dict[str, Rule] = {
    "Add": _arithmetic("add.Tensor"),
    "Sub": _arithmetic("sub.Tensor"),
    "Mul": _arithmetic("mul.Tensor"),
    "Div": _divide,
    "Mod": _mod,
    "Pow": _pow,
    "Sum": _several("add.Tensor"),
    "Mean": _mean,
    "Max": _several("maximum.default"),
    "Min": _several("minimum.default"),
    **{
        name: _function(f"{name.lower()}.default")
        for name in (
            *(
                "Relu",
                "Sigmoid",
                "Tanh",
                "Neg",
                "Abs",
                "Exp",
                "Log",
                "Sqrt",
                "Reciprocal",
                "Floor",
                "Ceil",
                "Round",
            ),
            *(
                "Sign",
                "Erf",
                "Sin",
                "Cos",
                "Tan",
                "Asin",
                "Acos",
                "Atan",
                "Sinh",
                "Cosh",
                "Mish",
                "HardSwish",
            ),
        )
    },
    "LeakyRelu": _with("leaky_relu.default", negative_slope=("alpha", 0.01)),
    "Celu": _with("celu.default", alpha=("alpha", 1.0)),
    "PRelu": _prelu,
    "Elu": _elu,
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "ThresholdedRelu": _thresholded,
    "Gelu": _gelu,
    "Clip": _clip,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Cast": _cast,
    "CastLike": _cast_like,
    **dict.fromkeys(("Identity", "Dropout"), _same),
    "Where": _where,
    "Equal": _arithmetic("eq.Tensor"),
    "Greater": _arithmetic("gt.Tensor"),
    "GreaterOrEqual": _arithmetic("ge.Tensor"),
    "Less": _arithmetic("lt.Tensor"),
    "LessOrEqual": _arithmetic("le.Tensor"),
    "And": _arithmetic("logical_and.default"),
    "Or": _arithmetic("logical_or.default"),
    "Not": _not,
    "ArgMax": _argument("argmax.default"),
    "ArgMin": _argument("argmin.default"),
    "Constant": _constant,
}
