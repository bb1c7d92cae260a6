"""ATen operations on each number: arithmetic with weights, sums of two flows, activations, copies, softmax."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vbp.explain.aten.builder import Builder
from vbp.explain.aten.common import Arguments, Rule, affine, double, elementwise, nothing, taken
from vbp.explain.aten.flow import Flow
from vbp.graph.operations import Activation, Add, Affine, Identity, Opaque, Stage
from vbp.models.program import Node

# Arithmetic


def _same(x: Flow, y: Flow) -> bool:
    return [s.shape for s in x.meta] == [s.shape for s in y.meta] and x.squeezed == y.squeezed


def _times(value: Any, by: float) -> Any:
    return value if by == 1 else value * by


def _sum(r: Builder, node: Node, x: Any, y: Any) -> Flow | None:
    """x + y, one of which depends on the picture."""
    if isinstance(x, Flow) and isinstance(y, Flow):
        if not _same(x, y):
            return None
        out = r.stage(node, Add(), x, y, meta=x.meta)
        out.squeezed = x.squeezed
        return out
    flow, other = (x, y) if isinstance(x, Flow) else (y, x)
    return affine(r, node, flow, shift=other)


def _add(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, y, alpha = a["self"], a["other"], a.get("alpha", 1)
    if not isinstance(alpha, int | float):
        return None
    if isinstance(y, Flow) and alpha != 1:
        scaled = affine(r, node, y, scale=alpha)
        return None if scaled is None else _sum(r, node, x, scaled)
    return _sum(r, node, x, y if isinstance(y, Flow) else _times(y, alpha))


def _sub(r: Builder, node: Node, a: Arguments) -> Flow | None:
    return _add(r, node, {**a, "alpha": -a.get("alpha", 1)})


def _rsub(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, alpha = a["self"], a.get("alpha", 1)
    if not isinstance(x, Flow) or isinstance(a["other"], Flow):
        return None
    return affine(r, node, x, scale=-alpha, shift=a["other"])


def _mul(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, y = a["self"], a["other"]
    if isinstance(x, Flow) and isinstance(y, Flow):
        for flow, gate in ((x, y), (y, x)):
            kind = _own_gate(r, flow, gate)
            if kind is not None:
                return _gated(r, node, flow, kind)
        return None
    return affine(r, node, x, scale=y) if isinstance(x, Flow) else affine(r, node, y, scale=x)


def _own_gate(r: Builder, x: Flow, gate: Flow) -> str | None:
    """The activation that x times this is: files without a word for it hold it written out, as ONNX does."""
    if not _same(x, gate):
        return None
    stage = _stage(r, gate.number)
    before = _stage(r, stage.inputs[0]) if stage is not None and stage.inputs else None
    if stage is None:
        return None
    if stage.op == Activation("sigmoid") and stage.inputs == (x.number,):
        return "silu"
    if stage.op == Activation("tanh") and before is not None and isinstance(before.op, Activation):
        return "mish" if before.op.kind == "softplus" and before.inputs == (x.number,) else None
    if isinstance(stage.op, Affine) and before is not None and isinstance(before.op, Opaque):
        inner = _stage(r, before.inputs[0])
        lifted = bool((stage.op.scale == 1).all() and (stage.op.shift == 1).all())
        if not lifted or before.op.what != "aten.erf" or inner is None or inner.inputs != (x.number,):
            return None
        if not isinstance(inner.op, Affine) or bool(inner.op.shift.any()):
            return None
        if torch.allclose(inner.op.scale, torch.full_like(inner.op.scale, math.sqrt(0.5)), atol=1e-4):
            return "gelu"
    return None


def _gated(r: Builder, node: Node, x: Flow, kind: str) -> Flow | None:
    out = elementwise(r, node, x, Activation(kind))
    return affine(r, node, out, scale=2.0) if kind == "gelu" else out  # its half is taken beside


def _stage(r: Builder, number: int) -> Stage | None:
    return r.stages[number - 1] if number else None


def _div(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, y = a["self"], a["other"]
    if not isinstance(x, Flow) or isinstance(y, Flow) or a.get("rounding_mode") is not None:
        return None
    by = double(y) if isinstance(y, Tensor) else torch.tensor(float(y), dtype=torch.float64)
    return None if bool((by == 0).any()) else affine(r, node, x, scale=1 / by)


def _neg(r: Builder, node: Node, a: Arguments) -> Flow | None:
    return affine(r, node, a["self"], scale=-1.0)


# Functions of each number


def _relu(r: Builder, node: Node, a: Arguments) -> Flow | None:
    return elementwise(r, node, a["self"], Identity(), relu=True)


def _clamp(r: Builder, node: Node, a: Arguments) -> Flow | None:
    low, high = a.get("min"), a.get("max")
    if low == 0 and high is None:
        return _relu(r, node, a)
    if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
        kind = Activation("relu6") if (low, high) == (0, 6) else Activation("hardtanh", (low, high))
        return elementwise(r, node, a["self"], kind)
    return None


def _threshold(r: Builder, node: Node, a: Arguments) -> Flow | None:
    return _relu(r, node, a) if a["threshold"] == 0 and a["value"] == 0 else None


def _hardtanh(r: Builder, node: Node, a: Arguments) -> Flow | None:
    return _clamp(r, node, {"self": a["self"], "min": a["min_val"], "max": a["max_val"]})


def _function(kind: str, *names: str) -> Rule:
    def rule(r: Builder, node: Node, a: Arguments) -> Flow | None:
        arguments = tuple(a[name] for name in names)
        if not all(isinstance(v, int | float) for v in arguments):
            return None
        return elementwise(r, node, a["self"], Activation(kind, tuple(map(float, arguments))))

    return rule


def _elu(r: Builder, node: Node, a: Arguments) -> Flow | None:
    alpha, scale, inner = float(a["alpha"]), float(a["scale"]), float(a["input_scale"])
    if inner != 1 or scale != 1:
        return None
    return elementwise(r, node, a["self"], Activation("elu", (alpha,)))


def _gelu(r: Builder, node: Node, a: Arguments) -> Flow | None:
    kind = {"none": "gelu", "tanh": "gelu_tanh"}.get(a["approximate"])
    return None if kind is None else elementwise(r, node, a["self"], Activation(kind))


def _prelu(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """relu(x) (1 - a) + a x, with a number a for each channel."""
    x, weight = a["self"], a["weight"]
    if not isinstance(weight, Tensor) or not isinstance(x, Flow):
        return None
    if weight.numel() == 1:
        return elementwise(r, node, x, Activation("leaky_relu", (float(weight),)))
    slope = double(weight).reshape(-1)
    if len(x.shape) < 2 or x.shape[1] != slope.numel():
        return None
    rest = r.stage(
        node, Affine(1 - slope, 0 * slope), _relu(r, node, a) or x, meta=x.meta, name=f"{node.layer}.positive"
    )
    leak = r.stage(node, Affine(slope, 0 * slope), x, meta=x.meta, name=f"{node.layer}.leak")
    return r.stage(node, Add(), rest, leak, meta=x.meta)


def _copy(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """The same numbers in a tensor of their own."""
    flow: Flow = taken(a)
    return replace(flow, storage=r.new_storage())


def _dropout(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """Nothing, also in a program that was exported without .eval(): a network drives as in eval mode."""
    return nothing(r, node, a)


def _to(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """To another device, or another floating type: nothing, as a graph has one of each."""
    x = a["self"]
    dtype = a.get("dtype")
    if dtype is None and isinstance(a.get("other"), Flow | Tensor):
        other = a["other"]
        dtype = other.meta[0].dtype if isinstance(other, Flow) else other.dtype
    if not x.meta[0].is_floating_point() or (dtype is not None and not dtype.is_floating_point):
        return None
    return _copy(r, node, a) if a.get("copy") else nothing(r, node, a)


def _softmax(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    if len(x.shape) != 2 or x.squeezed or a["dim"] not in (1, -1):
        return None
    out: Flow = r.opaque(node, a)
    r.before_softmax[out.number] = x
    return out


def _hardsigmoid(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """x / 6 + 1/2, held between 0 and 1."""
    line = affine(r, node, a["self"], scale=1 / 6, shift=0.5)
    return None if line is None else elementwise(r, node, line, Activation("hardtanh", (0.0, 1.0)))


RULES: dict[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "subtract": _sub,
    "rsub": _rsub,
    **dict.fromkeys(("mul", "multiply"), _mul),
    **dict.fromkeys(("div", "divide", "true_divide"), _div),
    **dict.fromkeys(("neg", "negative"), _neg),
    "relu": _relu,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clip": _clamp,
    "threshold": _threshold,
    "relu6": _function("relu6"),
    "hardtanh": _hardtanh,
    "leaky_relu": _function("leaky_relu", "negative_slope"),
    "elu": _elu,
    "celu": _function("celu", "alpha"),
    "selu": _function("selu"),
    **{
        kind: _function(kind)
        for kind in ("silu", "hardswish", "mish", "sigmoid", "tanh", "softsign", "atan", "abs")
    },
    "softplus": _function("softplus", "beta", "threshold"),
    "gelu": _gelu,
    **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _dropout),
    **dict.fromkeys(("contiguous", "detach", "alias", "lift", "lift_fresh", "positive", "item"), nothing),
    **dict.fromkeys(("clone", "lift_fresh_copy"), _copy),
    **dict.fromkeys(("to", "_to_copy", "type_as"), _to),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), _softmax),
    "hardsigmoid": _hardsigmoid,
}  # fmt: skip
