"""Guided Backprop (Springenberg et al. 2015, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain import target as targets
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import backward, normalise, relu_gradient
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace


def guided_backprop(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """The guided gradient of the `target`, summed over channels, (N, H, W), scaled to max |r| = 1.

    At each ReLU what is positive on the way back passes, where the ReLU put something out:
    R_i = 1[a_i > 0] max(0, R_j). Raises ExplainError for an output that is not there.
    """
    with torch.inference_mode():
        grad = backward(trace, targets.gradient(trace.output, target), _guided, strength=strength)
        return normalise(grad.sum(1), strength)


def _guided(grad: Tensor, out: Tensor) -> Tensor:
    return relu_gradient(grad, out).relu_()
