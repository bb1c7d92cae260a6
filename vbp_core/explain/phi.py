"""phi, the VisualBackProp paper's own measure of a pixel's contribution (Definitions 1 and 2, Lemmas 1 to 3)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain.lrp import epsilon, sweep
from vbp.explain.opaque_relevance import epsilon_opaque
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import avg_pool_backward, divide_beyond_rounding_, gradient_to_inputs, transposed
from vbp.graph.operations import Add, Affine, AvgPool, Conv, Dense, Op, Stage
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, apply, without_bias

ROUNDING = (
    1e-4  # of the sum of |w a|: a gamma that is no larger may be zero, and single precision knows no better
)


def phi(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """Contribution (N, H, W) of each pixel to the last convolution's maps, over channels, scaled to max |r| = 1.

    Lemma 3: phi(X) = gamma(X) sum over the paths P from X to the last feature maps of the product over P's edges
    e = (v', v) of w_e a_e / (a_e + b_e), where a_e is the activation of v and a_e + b_e = gamma(v) its input without
    the bias (the paper's b is taken off, so it is minus the bias of a layer). The path through a neuron that puts
    out zero counts nothing.

    The sum is taken as one backward sweep: M(v) = a(v) at the last convolution, then
    M(v') = a(v') sum_v w_e M(v) / gamma(v), which is LRP with eps = 0 and the bias left out of the denominator.
    gamma(v) is computed without the bias, not by taking it off: an exact zero would be rounding noise, and divide. A
    neuron whose gamma is zero within rounding hands nothing down (`divide_beyond_rounding_`). Max-pooling has one
    path, from the winner; average-pooling is a layer of equal weights, and so is a sum where a skip joins; what starts
    it then is the value in which the skip past the last convolution ends.
    `target` has no effect: the measure ends at the last feature maps.
    Raises ExplainError for a network without a convolution.
    """
    first = trace.last_maps()
    if first is None:
        raise ExplainError("phi needs a convolution, and this network has none")
    with torch.inference_mode():
        return sweep(
            trace,
            trace.values[first].clone(),
            _handed_down,
            _shared,
            epsilon_opaque(trace, 0.0, bias=False, beyond_rounding=True),
            first,
            strength=strength,
        )


def _handed_down(stage: Stage, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    """Through one stage. relevance is overwritten."""
    op = stage.op
    if not isinstance(op, Conv | Dense | Affine | AvgPool):
        return epsilon(stage, x, z, relevance, 0.0, False)
    share = divide_beyond_rounding_(relevance, apply(without_bias(op), x), apply(_sizes(op), x.abs()))
    back = avg_pool_backward(op, x, share) if isinstance(op, AvgPool) else transposed(op, share, x)
    return back.mul_(x)


def _shared(stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor]:
    if not isinstance(stage.op, Add):
        return gradient_to_inputs(stage, inputs, z, relevance)
    first, *rest = inputs
    gamma = sum(rest, first)
    share = divide_beyond_rounding_(relevance, gamma, sum((x.abs() for x in rest), first.abs()))
    return [x * share for x in inputs]


def _sizes(op: Op) -> Op:
    """The layer with its weights' sizes, without its bias."""
    plain = without_bias(op)
    if isinstance(plain, Affine):
        return replace(plain, scale=plain.scale.abs())
    return replace(plain, weight=plain.weight.abs()) if isinstance(plain, Conv | Dense) else plain
