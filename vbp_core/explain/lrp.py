"""Layer-wise relevance propagation, the epsilon rule (Samek et al. 2016, Eq. 6)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import target as targets
from vbp.explain.opaque_relevance import epsilon_opaque
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import (
    OpaqueShare,
    Rule,
    Share,
    adjoint,
    avg_pool_backward,
    divide_,
    gradient_to_inputs,
    normalise,
    normalise_,
    propagate,
    transposed,
)
from vbp.graph.operations import Activation, Add, Affine, AvgPool, Conv, Dense, Stage
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, apply, without_bias
from vbp.native.library import loaded_kernels
from vbp.native.lrp import deepest_covered, native_lrp

EPS = 100.0
MIN_EPS, MAX_EPS = 1e-30, 1e30  # float32 ends at 1e-38 and 3e38


def lrp(
    trace: Trace,
    target: TargetLike = None,
    eps: float = EPS,
    bias: bool = True,
    strength: Strength | None = None,
) -> Tensor:
    """Relevance (N, H, W) of the network's input, summed over its channels, scaled to max |r| = 1.

    R_i = sum_j z_ij / (z_j + eps sign(z_j)) R_j with z_ij = a_i w_ij, sign(0) = +1, on every
    convolution and every dense layer, starting from what the output contributes to `target` (default: output 0
    itself). `bias` True divides by the layer's output, as the code of the rule's authors; False leaves the bias
    out of z_j. ReLU passes relevance through; max-pooling gives it to the winner; average-pooling shares it by
    contribution. R is divided by its maximum per frame after every layer: the rule is linear in R, and at eps = 100
    float32 would reach zero before the input. Other activations pass relevance through as ReLU does; where a skip joins,
    the sum is a layer whose weights are 1. Gates, norms, attention and what else a graph has no word for: `opaque_relevance`.

    The hidden activations suffice: behind a ReLU, a_j > 0 is z_j, and where a_j = 0 there is no
    relevance to hand down. Where the last hidden layer is dead the map is all zero.
    Raises ExplainError for an eps that is negative, beyond 1e30 or not a number, or an output that does not exist.
    """
    eps = checked_eps(eps, "LRP")
    with torch.inference_mode():
        start = targets.relevance(trace.output, target)

        def rule(stage: Stage, x: Tensor, z: Tensor, r: Tensor) -> Tensor:
            return epsilon(stage, x, z, r, eps, bias)

        def share(stage: Stage, xs: tuple[Tensor, ...], z: Tensor, r: Tensor) -> list[Tensor]:
            return epsilon_share(stage, xs, z, r, eps)

        opaque = epsilon_opaque(trace, eps, bias)
        kernels = loaded_kernels()
        at = deepest_covered(trace) if kernels is not None and bias else None
        if kernels is None or at is None:
            return sweep(trace, start, rule, share, opaque, strength=strength)
        scale = partial(normalise_, strength=strength)
        head = propagate(trace, start, rule, share, scale, stop=at, opaque=opaque)
        return normalise(native_lrp(kernels, trace, head, at, eps, strength), strength)


def checked_eps(eps: float, method: str) -> float:
    """eps as it can be computed with. Raises ExplainError."""
    if not 0 <= eps <= MAX_EPS:
        raise ExplainError(f"{method} needs an eps from 0 to {MAX_EPS:g}, not {eps:g}")
    return eps if eps >= MIN_EPS else 0.0  # 0 has rules of its own for a z_j of 0


def sweep(
    trace: Trace,
    relevance: Tensor,
    rule: Rule,
    share: Share,
    opaque: OpaqueShare,
    first: int | None = None,
    strength: Strength | None = None,
) -> Tensor:
    """Hand relevance, shaped as values[first] (default: the output), down to the input by a rule that is linear in it.

    rule, share, opaque: as `propagate` takes them. (N, H, W), scaled to max |r| = 1.
    """
    scale = partial(normalise_, strength=strength)
    found = propagate(trace, relevance, rule, share, scale, first=first, opaque=opaque)
    summed: Tensor = found.sum(1)
    return normalise(summed, strength)


def epsilon(stage: Stage, x: Tensor, z: Tensor, relevance: Tensor, eps: float, bias: bool) -> Tensor:
    """The epsilon rule on one stage. relevance is overwritten."""
    op = stage.op
    if isinstance(op, Conv | Dense | Affine):
        if not bias:
            z = apply(without_bias(op), x)  # not z - bias: an exact zero would be rounding noise
        # Behind a ReLU, with the bias in, z_j is never negative where it counts.
        plain = stage.relu and bias
        if eps == 0:
            denominator = z
        else:  # in the precision of z
            denominator = z + eps if plain else torch.where(z >= 0, z + eps, z - eps)
        share = relevance.div_(denominator) if eps > 0 else divide_(relevance, denominator)
        return transposed(op, share, x).mul_(x)
    if isinstance(op, Activation):
        return through(x, relevance)
    if isinstance(op, AvgPool):
        w = op.window
        z = F.avg_pool2d(x, w.kernel, w.stride, w.padding, op.ceil_mode, op.count_include_pad)
        return avg_pool_backward(op, x, divide_(relevance, z)).mul_(x)
    return adjoint(op, x, relevance)


def through(x: Tensor, relevance: Tensor) -> Tensor:
    """Through an activation other than ReLU: all of it, but where the input x is zero, as a ReLU leaves it, none."""
    return relevance.where(x != 0, 0.0)


def epsilon_share(
    stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor, eps: float
) -> list[Tensor]:
    """The epsilon rule where skips join: a sum is a layer whose weights are 1, R_i = x_i / (z + eps sign(z)) R."""
    if not isinstance(stage.op, Add):
        return gradient_to_inputs(stage, inputs, z, relevance)
    if eps == 0:
        part = divide_(relevance, z)
    else:
        part = relevance.div_(z + eps if stage.relu else torch.where(z >= 0, z + eps, z - eps))
    return [x * part for x in inputs]
