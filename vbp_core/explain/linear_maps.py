"""LRP through linear operations that a graph has no word for: numbers that move, means, transposed convolutions."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain.spatial import kind_of
from vbp.graph.adjoint import divide_, vector_jacobian
from vbp.graph.operations import Stage

# Each number put out is one that was taken: its relevance goes back to it.
MOVES = frozenset({
    *("upsample_nearest2d", "_upsample_nearest_exact2d", "reflection_pad2d", "replication_pad2d", "pad"),
    *("permute", "transpose", "t", "movedim", "swapaxes", "flip", "roll", "rot90", "pixel_shuffle", "pixel_unshuffle"),
    *("channel_shuffle", "view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand"),
    *("slice", "select", "narrow", "index", "index_select", "unbind", "split", "split_with_sizes", "chunk", "stack"),
    *("cat", "repeat", "tile", "clone", "contiguous"),
})  # fmt: skip
# Weighted sums: by contribution, as an average-pooling.
SUMS = frozenset(
    {
        "mean",
        "sum",
        "upsample_bilinear2d",
        "upsample_bicubic2d",
        "adaptive_avg_pool2d",
        "_adaptive_avg_pool2d",
    }
)
LAYERS = frozenset({"conv_transpose2d"})  # by the epsilon rule, as any convolution


def epsilon_opaque(
    stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor, eps: float
) -> list[Tensor] | None:
    """The epsilon rule on such an operation; None where it is no linear map. relevance may be written over."""
    kind = kind_of(stage)
    if kind in MOVES:
        return vector_jacobian(stage.op, inputs, relevance)
    if kind not in SUMS | LAYERS:
        return None
    if kind in SUMS or eps == 0:
        share = divide_(relevance, z)
    else:
        share = relevance.div_(torch.where(z >= 0, z + eps, z - eps))
    return [x * part for x, part in zip(inputs, vector_jacobian(stage.op, inputs, share), strict=True)]


def moved(stage: Stage, inputs: tuple[Tensor, ...], z: Tensor, relevance: Tensor) -> list[Tensor] | None:
    """Where numbers only move, for rules that treat weights by their sign."""
    return vector_jacobian(stage.op, inputs, relevance) if kind_of(stage) in MOVES else None
