"""What an operation that a graph has no word for is to relevance: linear maps, once gates and deviations are taken for constants."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from vbp.explain.aten.opaque import Call, Grouped, Slot
from vbp.explain.gates import Gates
from vbp.explain.spatial import kind_of
from vbp.graph.operations import Opaque, Stage

# Sums with weights that are not negative: by contribution, as an average-pooling.
AVERAGES = frozenset({
    *("mean", "sum", "cumsum", "col2im", "upsample_bilinear2d", "upsample_linear1d", "adaptive_avg_pool1d"),
    *("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
})  # fmt: skip
BICUBIC = frozenset(
    {"upsample_bicubic2d"}
)  # the same, with negative weights, whose signs nobody has asked for
SUMS = frozenset({"add", "sub", "subtract", "rsub"})
# Products of what flows with weights or with what else flows.
PRODUCTS = frozenset({
    *("linear", "matmul", "mm", "bmm", "einsum", "bilinear", "dot", "outer", "conv1d", "conv2d", "conv3d", "convolution"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
})  # fmt: skip
DENSE = frozenset({"linear", "matmul", "mm"})
NORMS = frozenset({"group_norm", "instance_norm", "layer_norm", "rms_norm"})

Run: TypeAlias = Callable[..., Tensor]


@dataclass(frozen=True)
class Part:
    """A linear map by which a stage takes some of its inputs.

    takes: which. run(sign, *inputs): what they bring to the output by the weights of that sign alone, 0: by all; without bias.
    share: of the relevance, which goes to them. layer: it has weights of its own, so the epsilon rule divides by epsilon too.
    bias: something is added to what it brings. signed: the weights' signs are known.
    """

    takes: tuple[int, ...]
    run: Run
    share: float = 1.0
    layer: bool = False
    bias: bool = False
    signed: bool = True


def parts_of(stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, gates: Gates) -> list[Part] | None:
    """The maps that add up to the stage; None where it is none. inputs: as autograd can keep them."""
    op, kind = stage.op, kind_of(stage)
    call = getattr(op, "run", None)
    inner = call.run if isinstance(call, Grouped) else call
    if not isinstance(op, Opaque) or not isinstance(inner, Call):
        return None
    if kind in AVERAGES | BICUBIC:
        return [Part((0,), lambda sign, x: op.run(x) * (sign >= 0), signed=kind in AVERAGES)]
    if kind in SUMS:
        return [_sum(kind, inner.arguments, z.shape)]
    if kind in NORMS:
        return _norm(kind, inner.arguments, inputs[0])
    taken = _occurrences(inner.arguments)
    if kind in PRODUCTS:
        ranks = gates.ranks(stage)
        return _product(call, inner, inputs, taken, [ranks[n] for n in taken])
    if kind == "scaled_dot_product_attention":  # its weights are a softmax's
        return [_held(call, inner, inputs, taken, 2, True)] if len(taken) == 3 else None
    if kind in ("grid_sampler", "grid_sampler_2d"):  # where it looks is no signal
        mode = inner.arguments.get("interpolation_mode", 0)
        return [_held(call, inner, inputs, taken, 0, mode != 2)] if taken[0] == 0 else None
    if kind == "cosine_similarity" and len(taken) == 2:
        return _cosine(inner.arguments, inputs, taken)
    return None


def signals(ranks: list[int]) -> list[int]:
    """Which of the factors of a product are no gates: those of the lowest rank."""
    return [i for i, rank in enumerate(ranks) if rank == min(ranks)]


def _occurrences(arguments: dict[str, Any]) -> list[int]:
    """The inputs' numbers in the order in which the operation takes them, each as often."""
    found: list[int] = []

    def look(value: Any) -> None:
        if isinstance(value, Slot):
            found.append(value.number)
        elif isinstance(value, dict | list):
            for v in value.values() if isinstance(value, dict) else value:
                look(v)

    look(arguments)
    return found


def _product(
    call: Any, inner: Call, inputs: tuple[Tensor, ...], taken: list[int], ranks: list[int]
) -> list[Part]:
    """A map for each signal, in which all other factors are weights."""
    chosen = signals(ranks)
    own = any(isinstance(v, Tensor) for k, v in inner.arguments.items() if k != "bias")
    bias = isinstance(inner.arguments.get("bias"), Tensor)
    return [
        Part((taken[i],), _multiplied(call, inner, inputs, taken, i), 1 / len(chosen), own, bias)
        for i in chosen
    ]


def _multiplied(call: Any, inner: Call, inputs: tuple[Tensor, ...], taken: list[int], at: int) -> Run:
    others = [i for i in range(len(taken)) if i != at]

    def brought(x: Tensor, signs: tuple[int, ...]) -> Tensor:
        held, counter = iter(signs), itertools.count()
        operands = [x if i == at else _part(inputs[n], next(held)) for i, n in enumerate(taken)]
        arguments = _changed(inner.arguments, lambda: next(counter), lambda t: _part(t, next(held)))
        return _altered(call, inner, arguments)(*operands)

    def run(sign: int, x: Tensor) -> Tensor:
        first, *rest = _combinations(len(others) + _constants(inner.arguments), sign)
        return sum((brought(x, signs) for signs in rest), brought(x, first))

    if not others and not _constants(inner.arguments):
        return lambda sign, x: call(x) * (sign >= 0)
    return run


def _held(
    call: Any, inner: Call, inputs: tuple[Tensor, ...], taken: list[int], at: int, signed: bool
) -> Part:
    """A mean of one of its inputs by weights that are not negative, which come of the others."""

    def run(sign: int, x: Tensor) -> Tensor:
        counter = itertools.count()
        arguments = _changed(inner.arguments, lambda: next(counter), lambda t: t)
        operands = [x if i == at else inputs[n] for i, n in enumerate(taken)]
        return _altered(call, inner, arguments)(*operands) * (sign >= 0)

    return Part((taken[at],), run, signed=signed)


def _combinations(factors: int, sign: int) -> list[tuple[int, ...]]:
    """The signs of factors whose product has that sign; 0: the factors as they are."""
    if sign == 0:
        return [(0,) * factors]
    return [c for c in itertools.product((1, -1), repeat=factors) if math.prod(c) == sign]


def _part(x: Tensor, sign: int) -> Tensor:
    return x.clamp(min=0) if sign > 0 else x.clamp(max=0) if sign < 0 else x


def _constants(arguments: Any) -> int:
    found: list[Tensor] = []
    _changed(arguments, lambda: 0, lambda t: found.append(t))
    return len(found)


def _changed(value: Any, slot: Callable[[], int], constant: Callable[[Tensor], Any], name: str = "") -> Any:
    """Arguments with the inputs numbered anew, the weights as `constant` makes them, and no bias."""
    if isinstance(value, dict):
        return {k: _changed(v, slot, constant, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_changed(v, slot, constant) for v in value]
    if isinstance(value, Slot):
        return Slot(slot())
    if isinstance(value, Tensor) and value.is_floating_point():
        return None if name == "bias" else constant(value)
    return value


def _altered(call: Any, inner: Call, arguments: dict[str, Any]) -> Run:
    other = replace(inner, arguments=arguments, counted=0, rows=0, _moved={})
    return replace(call, run=other) if isinstance(call, Grouped) else other


def _sum(kind: str, arguments: dict[str, Any], shape: torch.Size) -> Part:
    """x + alpha y, of several shapes, one of which may be a constant. shape: of the sum."""
    alpha = float(arguments.get("alpha", 1))
    by = {"self": 1.0, "other": alpha} if kind == "add" else {"self": 1.0, "other": -alpha}
    if kind == "rsub":
        by = {"self": -alpha, "other": 1.0}
    given = {name: arguments[name] for name in ("self", "other")}
    flows = [(value.number, by[name]) for name, value in given.items() if isinstance(value, Slot)]
    numbers = tuple(dict.fromkeys(n for n, _ in flows))

    def run(sign: int, *xs: Tensor) -> Tensor:
        out = xs[0].new_zeros(shape)
        for number, weight in flows:
            if weight * sign >= 0:
                out = out + weight * xs[numbers.index(number)]
        return out

    return Part(numbers, run, layer=True, bias=len(flows) < 2)


def _norm(kind: str, arguments: dict[str, Any], x: Tensor) -> list[Part] | None:
    """Ali et al. 2022: the deviation is a constant, the mean is linear."""
    if kind == "instance_norm" and not arguments.get("use_input_stats", True):
        return None
    given = {**_NORM_DEFAULTS, **arguments}
    if kind in ("layer_norm", "rms_norm"):
        size = math.prod(given["normalized_shape"])
    else:
        groups = given["num_groups"] if kind == "group_norm" else x.shape[1]
        size = x[0].numel() // int(groups)
    rows = x.reshape(-1, size)
    eps = given["eps"] if given["eps"] is not None else torch.finfo(x.dtype).eps
    spread = rows.square().mean(1) if kind == "rms_norm" else rows.var(1, unbiased=False)
    factor = torch.rsqrt(spread + eps)[:, None].expand_as(rows).reshape(x.shape)
    weight = given["weight"]
    if isinstance(weight, Slot) or isinstance(given["bias"], Slot):
        return None
    if weight is not None:
        weight = weight.to(x)
        channels = kind in ("group_norm", "instance_norm")
        factor = factor * (weight.view(-1, *(1,) * (x.dim() - 2)) if channels else weight)

    def centred(sign: int, x: Tensor) -> Tensor:
        """x - mean(x), by the weights of that sign: 1 - 1/n of the place itself, -1/n of all others."""
        if kind == "rms_norm":
            return x * (sign >= 0)
        rows = x.reshape(-1, size)
        mean = rows.mean(1, keepdim=True)
        out = rows - mean if sign == 0 else rows * (1 - 1 / size) if sign > 0 else rows / size - mean
        return out.reshape(x.shape)

    def run(sign: int, x: Tensor) -> Tensor:
        if sign == 0:
            return centred(0, x) * factor
        return centred(sign, x) * factor.clamp(min=0) + centred(-sign, x) * factor.clamp(max=0)

    return [Part((0,), run, layer=True, bias=given["bias"] is not None)]


_NORM_DEFAULTS: dict[str, Any] = {"weight": None, "bias": None, "eps": 1e-5}


def _cosine(arguments: dict[str, Any], inputs: tuple[Tensor, ...], taken: list[int]) -> list[Part]:
    """A product of two signals of unit length, whose lengths are constants."""
    axis, eps = int(arguments.get("dim", 1)), float(arguments.get("eps", 1e-8))
    units = [inputs[n] / inputs[n].norm(dim=axis, keepdim=True).clamp_min(eps) for n in taken]
    lengths = [inputs[n].norm(dim=axis, keepdim=True).clamp_min(eps) for n in taken]

    def part(at: int) -> Part:
        return Part(
            (taken[at],),
            lambda sign, x: (x / lengths[at] * _part(units[1 - at], sign)).sum(axis),
            0.5,
        )

    return [part(0), part(1)]


def weighs(stage: Stage) -> bool:
    """Whether the stage is a dense layer, on the last axis of any number."""
    return kind_of(stage) in DENSE and len(stage.inputs) < 2
