"""phi, the VisualBackProp paper's own measure of a pixel's contribution (Definitions 1 and 2, Lemmas 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain.lrp import epsilon, epsilon_share, sweep
from vbp.explain.opaque_relevance import epsilon_opaque
from vbp.explain.target import TargetLike
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace


def phi(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """Contribution (N, H, W) of each pixel to the last convolution's maps, over channels, scaled to max |r| = 1.

    Lemma 3: phi(X) = gamma(X) sum over the paths P from X to the last feature maps of the product over P's edges
    e = (v', v) of w_e a_e / (a_e + b_e), where a_e is the activation of v and a_e + b_e = gamma(v) its input without
    the bias (the paper's b is taken off, so it is minus the bias of a layer). The path through a neuron that puts
    out zero counts nothing.

    The sum is taken as one backward sweep: M(v) = a(v) at the last convolution, then
    M(v') = a(v') sum_v w_e M(v) / gamma(v), which is LRP with eps = 0 and the bias left out of the denominator.
    A neuron whose input without the bias is exactly zero hands nothing down. Max-pooling has one path, from the
    winner; average-pooling is a layer of equal weights, and so is a sum where
    a skip joins; what starts it then is the value in which the skip past the last convolution ends.
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
            lambda stage, x, z, r: epsilon(stage, x, z, r, 0.0, False),
            lambda stage, xs, z, r: epsilon_share(stage, xs, z, r, 0.0),
            epsilon_opaque(trace, 0.0, bias=False),
            first,
            strength=strength,
        )
