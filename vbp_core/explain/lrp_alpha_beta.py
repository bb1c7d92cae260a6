"""LRP by the alpha-beta rule (Bach et al. 2015, Eq. 60), alone and in the composite of its authors."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import target as targets
from vbp.explain.lrp import checked_eps, epsilon, sweep, through
from vbp.explain.opaque_relevance import alpha_beta_opaque, composite_opaque
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import adjoint, divide_, gradient_to_inputs, transposed
from vbp.graph.operations import Activation, Add, Affine, AvgPool, Conv, Dense, Stage
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, apply

ALPHA, COMPOSITE_ALPHA, COMPOSITE_EPS = 2.0, 1.0, 0.01
MAX_ALPHA = 1e3


def lrp_alpha_beta(
    trace: Trace,
    target: TargetLike = None,
    alpha: float = ALPHA,
    bias: bool = True,
    strength: Strength | None = None,
) -> Tensor:
    """Relevance (N, H, W) of the network's input, summed over its channels, scaled to max |r| = 1.

    R_i = sum_j (alpha z_ij+ / z_j+ - beta z_ij- / z_j-) R_j with z_ij = a_i w_ij, beta = alpha - 1, where + and -
    are the positive and the negative parts, and z_j+ = sum_i z_ij+ + b_j+ (`bias` False leaves b out), on every
    convolution, dense layer and average-pooling. A neuron without positive (negative) inputs hands
    down no such relevance. The start, ReLU, max-pooling and the scaling are as in `lrp`; alpha = 2 as in
    Samek et al. 2016, alpha = 1 is the z+ rule. Raises ExplainError for an alpha outside 1 to 1000 or an
    output that does not exist.
    """
    _check(alpha)
    with torch.inference_mode():
        start = targets.relevance(trace.output, target)
        return sweep(
            trace,
            start,
            lambda stage, x, z, r: _alpha_beta(stage, x, r, alpha, bias),
            lambda stage, xs, z, r: _share(stage, xs, z, r, alpha),
            alpha_beta_opaque(trace, alpha, bias),
            strength=strength,
        )


def lrp_composite(
    trace: Trace,
    target: TargetLike = None,
    alpha: float = COMPOSITE_ALPHA,
    eps: float = COMPOSITE_EPS,
    strength: Strength | None = None,
) -> Tensor:
    """The composite that LRP's authors recommend (Kohlbrenner et al. 2020, LRP-CMP): (N, H, W), max |r| = 1.

    The epsilon rule on dense layers, where it keeps the sign of the evidence; alpha-beta on convolutions and
    average-poolings, where epsilon is noisy. Biases are counted, as in both rules' own code. Raises ExplainError as
    `lrp` and `lrp_alpha_beta`.
    """
    _check(alpha)
    eps = checked_eps(eps, "LRP")

    def rule(stage: Stage, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
        if isinstance(stage.op, Dense):
            return epsilon(stage, x, z, relevance, eps, True)
        return _alpha_beta(stage, x, relevance, alpha, True)

    def share(stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor]:
        return _share(stage, inputs, z, relevance, alpha)

    with torch.inference_mode():
        start = targets.relevance(trace.output, target)
        return sweep(trace, start, rule, share, composite_opaque(trace, alpha, eps), strength=strength)


def _check(alpha: float) -> None:
    if not 1 <= alpha <= MAX_ALPHA:
        raise ExplainError(f"LRP's alpha goes from 1 to {MAX_ALPHA:g}, and {alpha:g} was given")


def _alpha_beta(stage: Stage, x: Tensor, relevance: Tensor, alpha: float, bias: bool) -> Tensor:
    op = stage.op
    if isinstance(op, Activation):
        return through(x, relevance)
    if not isinstance(op, Conv | Dense | Affine | AvgPool):
        return adjoint(op, x, relevance)
    positive: Tensor = x
    negative: Tensor | None = None
    # Both parts are right for any x; on the host it is cheaper to look whether there is a negative one. A device would be
    # waited for.
    if x.device.type != "cpu" or (x.numel() and float(x.amin()) < 0):
        positive, negative = x.relu(), x.clamp(max=0)
    beta = alpha - 1
    # Each part writes over the relevance that it is given.
    minus = _part(op, positive, negative, relevance * beta, -1, bias) if beta > 0 else None
    plus = _part(op, positive, negative, relevance.mul_(alpha), +1, bias)
    return plus if minus is None else plus.sub_(minus)


def _share(
    stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor, alpha: float
) -> list[Tensor]:
    """The same where skips join: a sum is a layer whose weights are 1."""
    if not isinstance(stage.op, Add):
        return gradient_to_inputs(stage, inputs, z, relevance)
    positive = [x.clamp(min=0) for x in inputs]
    plus = divide_(relevance * alpha, apply(stage.op, *positive))
    if alpha == 1:
        return [x * plus for x in positive]
    negative = [x.clamp(max=0) for x in inputs]
    minus = divide_(relevance * (alpha - 1), apply(stage.op, *negative))
    return [p * plus - n * minus for p, n in zip(positive, negative, strict=True)]


Linear = Conv | Dense | Affine


def _part(
    op: Linear | AvgPool,
    positive: Tensor,
    negative: Tensor | None,
    relevance: Tensor,
    sign: int,
    bias: bool,
) -> Tensor:
    """sum_j z_ij' / z_j' R_j with ' the part of the sign: from inputs above zero, and from those below (None: none)."""
    if isinstance(op, AvgPool):  # its weights are all positive
        x = positive if sign > 0 else negative
        if x is None:
            return torch.zeros_like(positive)
        return adjoint(op, x, divide_(relevance, apply(op, x))).mul_(x)
    same, other = _signed(op, sign, bias), _signed(op, -sign, False)
    z = apply(same, positive)
    if negative is not None:
        z += apply(other, negative)
    share = divide_(relevance, z)
    out = transposed(same, share, positive).mul_(positive)
    if negative is not None:
        out += transposed(other, share, negative).mul_(negative)
    return out


def _signed(op: Linear, sign: int, bias: bool) -> Linear:
    """The layer with its weights of one sign alone, and its biases of that sign where they count."""
    low, high = (0.0, None) if sign > 0 else (None, 0.0)
    if isinstance(op, Affine):
        return Affine(
            op.scale.clamp(low, high), op.shift.clamp(low, high) if bias else torch.zeros_like(op.shift)
        )
    offset = op.bias.clamp(low, high) if bias else torch.zeros_like(op.bias)
    return replace(op, weight=op.weight.clamp(low, high), bias=offset)
