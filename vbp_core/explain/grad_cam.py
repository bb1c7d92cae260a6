"""Grad-CAM (Selvaraju et al. 2017, Eq. 1 and 2)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import target as targets
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import backward, normalise, relu_gradient
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace


def grad_cam(
    trace: Trace, target: TargetLike = None, back: float = 0, strength: Strength | None = None
) -> Tensor:
    """L = ReLU(sum_k w_k A^k), w_k = mean over places of ds/dA^k; (N, H, W) in [0, 1], divided by its maximum.

    A^k are the maps of a convolution, after its ReLU; s is the `target` (default: output 0). back: how many
    convolutions before the last; 0 is the last, as in the paper, and numbers beyond the first mean the first. L is
    brought to the input's size by bilinear interpolation. Where the last maps are one row high, as in the networks
    of the VisualBackProp paper, it distinguishes columns only: look further back.
    Raises ExplainError for a network without a convolution, a negative `back`, or an output that is not there.
    """
    if not 0 <= back < math.inf:
        raise ExplainError(f"Grad-CAM looks 0 layers back or more, not {back:g}")
    at = trace.last_maps(round(back))
    if at is None:
        raise ExplainError("Grad-CAM needs a convolution, and this network has none")
    maps = trace.values[at]
    with torch.inference_mode():
        grad = backward(trace, targets.gradient(trace.output, target), relu_gradient, at, strength)
        weights = grad.mean((2, 3))
        cam = torch.einsum("nk,nkhw->nhw", weights, maps).relu_()[:, None]
        large = F.interpolate(cam, trace.input.shape[2:], mode="bilinear", align_corners=False)
        return normalise(large.squeeze(1), strength)
