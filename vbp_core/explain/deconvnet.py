"""DeconvNet (Zeiler and Fergus 2014, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain import target as targets
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import backward, normalise
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace


def deconvnet(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """What a deconvolutional network makes of the `target`, summed over channels, (N, H, W), scaled to max |r| = 1.

    The gradient with another rule at each ReLU, which forgets what passed there and keeps what is positive on
    the way back: R_i = max(0, R_j) (Springenberg et al. 2015, Figure 1). Max-pooling gives to the place that held the
    maximum (the paper's switches). Raises ExplainError for an output that is not there.
    """
    with torch.inference_mode():
        grad = backward(
            trace, targets.gradient(trace.output, target), lambda grad, out: grad.relu(), strength=strength
        )
        return normalise(grad.sum(1), strength)
