"""Gradient x input (Shrikumar et al. 2016, section 2; the relevance of LRP with eps = 0, bias included)."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain import target as targets
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import backward, normalise, relu_gradient
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace


def gradient_input(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """R = x ds/dx, summed over channels, (N, H, W), each frame scaled to max |r| = 1.

    s is the `target` (default: output 0), x the network's input as it is after its normalisation. Signed: positive
    raises s. Raises ExplainError for an output that is not there.
    """
    with torch.inference_mode():
        grad = backward(trace, targets.gradient(trace.output, target), relu_gradient, strength=strength)
        return normalise((grad * trace.input).sum(1), strength)
