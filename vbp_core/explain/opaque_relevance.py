"""Relevance through operations that a graph has no word for, by the epsilon rule and by alpha-beta."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from vbp.explain.gates import MOVES, Gates
from vbp.explain.linear_maps import Part, parts_of, signals, weighs
from vbp.explain.spatial import kind_of
from vbp.graph.adjoint import OpaqueShare, divide_, divide_beyond_rounding_, vector_jacobian
from vbp.graph.operations import Opaque, Stage
from vbp.graph.trace import Trace

# Functions of each number alone, through which all passes, as through an activation.
THROUGH = frozenset({
    *("pow", "exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "square", "abs", "sign", "neg", "sin"),
    *("cos", "tan", "asin", "acos", "sinh", "cosh", "erf", "clamp", "clamp_min", "clamp_max", "clip", "threshold"),
    *("hardshrink", "softshrink", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid"),
    *("hardswish", "hardsigmoid", "hardtanh", "softplus", "tanh", "atan", "log_sigmoid", "nan_to_num", "prelu", "round"),
    *("floor", "ceil", "trunc", "softsign", "_prelu_kernel"),
})  # fmt: skip
MULTIPLIES = frozenset({"mul", "multiply", "div", "divide", "true_divide"})
SOFTMAX = frozenset({"softmax", "_softmax"})

PartRule: TypeAlias = Callable[[Part, tuple[Tensor, ...], Tensor, Tensor], list[Tensor]]


def epsilon_opaque(trace: Trace, eps: float, bias: bool = True, beyond_rounding: bool = False) -> OpaqueShare:
    """The epsilon rule on such operations: R_i = x_i dz/dx_i R / (z + eps sign(z)), with gates and deviations constant.

    Gates are weights and a signal takes all (Arras et al. 2017); of two signals each takes half, and a softmax that is no
    gate hands down x_i (R_i - s_i sum_j R_j) (Achtibat et al. 2024, AttnLRP); normalisation by the picture's own statistics
    is linear but for the deviation (Ali et al. 2022). What only moves keeps its relevance.
    beyond_rounding: a z that is zero within rounding hands nothing down.
    """

    def rule(part: Part, xs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor]:
        if part.bias and not bias:
            with torch.inference_mode():
                z = part.run(0, *xs)
        damped = eps > 0 and part.layer
        if damped:
            share = relevance / torch.where(z >= 0, z + eps, z - eps)
        elif beyond_rounding and part.signed:
            with torch.inference_mode():
                sizes = [x.abs() for x in xs]
                flow = part.run(1, *sizes) - part.run(-1, *sizes)
            share = divide_beyond_rounding_(relevance.clone(), z, flow)
        else:
            share = divide_(relevance.clone(), z)
        return [x * got for x, got in zip(xs, _transposed(part, 0, xs, share), strict=True)]

    return _by(trace, rule)


def alpha_beta_opaque(trace: Trace, alpha: float, bias: bool = True) -> OpaqueShare:
    """The alpha-beta rule on the same maps, by the signs of their weights; products with gates pass all, as by epsilon."""

    def rule(part: Part, xs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor]:
        above, below = tuple(x.clamp(min=0) for x in xs), tuple(x.clamp(max=0) for x in xs)
        with torch.inference_mode():
            added = z - part.run(0, *xs) if part.bias and bias else torch.zeros_like(z)
        found = [torch.zeros_like(x) for x in xs]
        for sign, weight in ((1, alpha), (-1, 1 - alpha)):
            if not weight:
                continue
            with torch.inference_mode():
                z_part = part.run(sign, *above) + part.run(-sign, *below)
            z_part = z_part + (added.clamp(min=0) if sign > 0 else added.clamp(max=0))
            share = divide_(relevance * weight, z_part)
            for side, s in ((above, sign), (below, -sign)):
                for i, got in enumerate(_transposed(part, s, side, share)):
                    found[i] += side[i] * got
        return found

    return _by(trace, rule, signed=True)


def composite_opaque(trace: Trace, alpha: float, eps: float) -> OpaqueShare:
    """Epsilon on dense layers, alpha-beta on the rest."""
    dense, rest = epsilon_opaque(trace, eps), alpha_beta_opaque(trace, alpha)

    def share(stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor] | None:
        return (dense if weighs(stage) else rest)(stage, inputs, z, relevance)

    return share


def _by(trace: Trace, rule: PartRule, signed: bool = False) -> OpaqueShare:
    """signed: the rule asks for the weights' signs."""
    gates = Gates(trace)

    def share(stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor] | None:
        kind = kind_of(stage)
        if kind in MOVES:
            return vector_jacobian(stage.op, inputs, relevance)
        relevance = relevance.where(z != 0, 0.0)
        if kind in THROUGH and len(inputs) == 1:
            return [_summed(relevance, inputs[0])]
        if kind in MULTIPLIES:
            return _multiplied(stage, inputs, relevance, gates)
        if kind in SOFTMAX:
            x, axis = inputs[0], int(_arguments(stage)["dim"])
            return [x * (relevance - z * relevance.sum(axis, keepdim=True))]
        if kind == "glu":
            gate = torch.zeros_like(relevance)
            return [torch.cat([relevance, gate], int(_arguments(stage).get("dim", -1)))]
        with torch.inference_mode(False):
            parts = parts_of(stage, tuple(x.clone() for x in inputs), z, gates)
        if parts is None or (signed and not all(part.signed for part in parts)):
            return None
        found = [torch.zeros_like(x) for x in inputs]
        for part in parts:
            xs = tuple(inputs[k] for k in part.takes)
            for k, got in zip(part.takes, rule(part, xs, z, relevance * part.share), strict=True):
                found[k] += got
        return found

    return share


def _multiplied(
    stage: Stage, inputs: tuple[Tensor, ...], relevance: Tensor, gates: Gates
) -> list[Tensor] | None:
    """A product number by number: all to the signal, half to each of two; what is divided is the signal."""
    if len(inputs) == 1:
        return [_summed(relevance, inputs[0])]
    chosen = [0] if "div" in kind_of(stage) else signals(gates.ranks(stage))
    return [
        _summed(relevance / len(chosen), x) if i in chosen else torch.zeros_like(x)
        for i, x in enumerate(inputs)
    ]


def _summed(relevance: Tensor, x: Tensor) -> Tensor:
    """To the shape of what was spread."""
    return relevance.sum_to_size(x.shape) if relevance.shape != x.shape else relevance


def _arguments(stage: Stage) -> dict[str, Any]:
    assert isinstance(stage.op, Opaque)
    found: dict[str, Any] = getattr(getattr(stage.op.run, "run", stage.op.run), "arguments", {})
    return found


def _transposed(part: Part, sign: int, xs: tuple[Tensor, ...], share: Tensor) -> list[Tensor]:
    """The map's weights of that sign, transposed, applied to `share`."""
    with torch.inference_mode(False), torch.enable_grad():
        given = [x.clone().requires_grad_() for x in xs]
        out = part.run(sign, *given)
        if not out.requires_grad:
            return [torch.zeros_like(x) for x in xs]
        found = torch.autograd.grad(out, given, share.clone(), allow_unused=True)
    return [torch.zeros_like(x) if got is None else got for got, x in zip(found, xs, strict=True)]
