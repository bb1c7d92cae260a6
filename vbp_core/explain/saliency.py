"""Saliency: the size of the gradient (Simonyan et al. 2014, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain import target as targets
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import backward, normalise, relu_gradient
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace


def saliency(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """M = max over channels of |ds/dx|, (N, H, W) in [0, 1], each frame divided by its maximum.

    s is the `target` (default: output 0), x the network's input. Raises ExplainError for an output that is not there.
    """
    with torch.inference_mode():
        grad = backward(trace, targets.gradient(trace.output, target), relu_gradient, strength=strength)
        return normalise(grad.abs().amax(1), strength)
