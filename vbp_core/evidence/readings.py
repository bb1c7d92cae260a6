"""Lemma 3 read in several ways, for networks that the paper's model does not hold.

In the paper's model biases only take flow away (Lemma 1): an active neuron's input flow gamma(v), without its bias, is at
least its activation a(v). With BatchNorm folded many a bias adds, so gamma(v) < a(v); where it is near zero or
negative, a(v) / gamma(v) is a pole, of which the paper says nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain.lrp import sweep, through
from vbp.explain.opaque_relevance import epsilon_opaque
from vbp.explain.phi import phi
from vbp.graph.adjoint import adjoint, divide_, gradient_to_inputs
from vbp.graph.operations import Activation, Add, Affine, AvgPool, Conv, Dense, Stage
from vbp.graph.trace import Trace, apply, without_bias

GUARDED, INSIDE, SOURCE, WEIGHTS = "phi", "inside", "source", "weights"
READINGS = {
    GUARDED: "phi (Lemma 3; nothing through a gamma of zero within rounding)",
    INSIDE: "Lemma 3, only through neurons with gamma ≥ a",
    SOURCE: "Lemma 3, a bias that adds is a source of its own",
    WEIGHTS: "products of weights and activations (LRP with eps → ∞)",
}
# relevance, the layer's output without an activation, its bias (shaped to go with that) -> what is handed down by each unit of flow
Handed = Callable[[Tensor, Tensor, Tensor], Tensor]


def reading(trace: Trace, name: str) -> Tensor:
    """One of READINGS: (N, H, W), summed over channels, scaled to max |r| = 1.

    With M(v) = a(v) at the last convolution and M(v') = a(v') sum_v w_e M(v) / d(v) from layer to layer:
    "phi": d = gamma (`vbp.explain.phi`). "inside": d = gamma; a neuron whose bias adds is outside of the lemma and hands nothing
    down. "source": d = gamma, or a where the bias adds, which then keeps its own part of what is handed down. "weights": d = 1.
    Raises ExplainError for a network without a convolution, or with an operation that none of this is known of.
    """
    if name == GUARDED:
        return phi(trace)
    handed = {INSIDE: _inside, SOURCE: _source, WEIGHTS: lambda relevance, z, bias: relevance}[name]
    first = trace.last_maps()
    if first is None:
        raise ExplainError("phi needs a convolution, and this network has none")
    with torch.inference_mode():
        return sweep(
            trace,
            trace.values[first].clone(),
            lambda stage, x, z, relevance: _through(stage, x, relevance, handed),
            lambda stage, xs, z, relevance: _joined(stage, xs, z, relevance, handed),
            epsilon_opaque(trace, 0.0, bias=False, beyond_rounding=True),
            first,
        )


def outside(trace: Trace) -> tuple[float, float]:
    """Of the active neurons of convolutions before a ReLU, the shares with gamma < a, where the bias adds, and with gamma < 0."""
    active = adding = negative = 0
    for stage, x, out in zip(trace.stages, trace.values[:-1], trace.values[1:], strict=True):
        if not (isinstance(stage.op, Conv) and stage.relu):
            continue
        on = out > 0
        gamma = apply(without_bias(stage.op), x)
        active += int(on.sum())
        adding += int((on & (_bias(stage, out) > 0)).sum())
        negative += int((on & (gamma < 0)).sum())
    return (adding / active, negative / active) if active else (float("nan"), float("nan"))


def _bias(stage: Stage, out: Tensor) -> Tensor:
    """Shaped to go with out (N, C, ...)."""
    op = stage.op
    bias = (
        op.bias if isinstance(op, Conv | Dense) else op.shift if isinstance(op, Affine) else out.new_zeros(1)
    )
    return bias.view(1, -1, *[1] * (out.dim() - 2))


def _adds(z: Tensor, bias: Tensor) -> Tensor:
    return bias * z > 0


def _inside(relevance: Tensor, z: Tensor, bias: Tensor) -> Tensor:
    return divide_(relevance, z - bias).where(~_adds(z, bias), 0.0)


def _source(relevance: Tensor, z: Tensor, bias: Tensor) -> Tensor:
    return divide_(relevance, torch.where(_adds(z, bias), z, z - bias))


def _through(stage: Stage, x: Tensor, relevance: Tensor, handed: Handed) -> Tensor:
    """Through one stage. relevance is overwritten."""
    op = stage.op
    if isinstance(op, Activation):
        return through(x, relevance)
    if not isinstance(op, Conv | Dense | Affine | AvgPool):
        return adjoint(op, x, relevance)
    z = apply(op, x)
    return adjoint(op, x, handed(relevance, z, _bias(stage, z))).mul_(x)


def _joined(
    stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor, handed: Handed
) -> list[Tensor]:
    if not isinstance(stage.op, Add):
        return gradient_to_inputs(stage, inputs, z, relevance)
    first, *rest = inputs
    total = sum(rest, first)
    share = handed(relevance, total, total.new_zeros(1))
    return [x * share for x in inputs]
