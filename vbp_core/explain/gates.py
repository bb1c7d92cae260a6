"""Which side of a product is a gate: it weighs the other, the signal, and has no relevance of its own.

Arras et al. 2017, "Explaining recurrent neural network predictions in sentiment analysis" (gates are weights, the signal takes
all), which Ali et al. 2022, "XAI for Transformers", do for the weights of attention too. Two signals take half each
(Achtibat et al. 2024, AttnLRP, the uniform rule).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain.spatial import kind_of
from vbp.graph.operations import (
    Activation,
    AdaptiveAvgPool,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Identity,
    MaxPool,
    Op,
    Opaque,
    Pad,
    Stage,
    sources,
)
from vbp.graph.trace import Trace

# Each number put out is one that was taken: its relevance goes back to it.
MOVES = frozenset({
    *("upsample_nearest2d", "_upsample_nearest_exact2d", "reflection_pad2d", "replication_pad2d", "pad", "constant_pad_nd"),
    *("permute", "transpose", "t", "movedim", "swapaxes", "flip", "roll", "rot90", "pixel_shuffle", "pixel_unshuffle"),
    *("channel_shuffle", "view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand"),
    *("slice", "select", "narrow", "index", "index_select", "unbind", "split", "split_with_sizes", "chunk", "stack"),
    *("cat", "concat", "repeat", "tile", "clone", "contiguous", "expand_as", "broadcast_to", "mT", "numpy_T", "diagonal"),
    *("im2col", "unfold", "gather", "repeat_interleave", "masked_fill", "where", "view_as", "reshape_as", "squeeze_copy"),
    *("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d"),
    *("amax", "amin", "max", "min", "maximum", "minimum", "topk", "sort", "slice_scatter", "select_scatter", "tensor_split"),
    *("hstack", "vstack", "tril", "triu", "_to_copy", "to", "alias", "detach", "concatenate"),
})  # fmt: skip

BETWEEN_0_AND_1, BOUNDED, FREE = 2, 1, 0
# sign and comparisons choose; what divides by a size of the signal weighs it as a norm does.
WEIGHTS = frozenset({
    *("softmax", "_softmax", "sigmoid", "hardsigmoid", "sign", "rsqrt", "reciprocal"),
    *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not", "isfinite", "isnan"),
})  # fmt: skip
SYMMETRIC = frozenset({"tanh", "softsign", "atan", "relu6", "hardtanh", "sin", "cos", "erf"})
KEPT = (Affine, AvgPool, AdaptiveAvgPool, MaxPool, Pad, Flatten, Concat, Identity)
AVERAGES = frozenset(
    {"mean", "adaptive_avg_pool2d", "upsample_bilinear2d", "avg_pool2d", "mul", "add", "sub", "rsub"}
)


class Gates:
    """How much of a gate each value of a trace is: between 0 and 1, bounded, or free."""

    def __init__(self, trace: Trace) -> None:
        self.stages = trace.stages
        self._numbers = {id(stage): i for i, stage in enumerate(trace.stages)}
        self._known: dict[int, int] = {0: FREE}

    def ranks(self, stage: Stage) -> list[int]:
        """Of the values that a stage takes."""
        return [self.rank(k) for k in sources(self.stages, self._numbers[id(stage)])]

    def rank(self, k: int) -> int:
        """Of values[k]; of what only moves, scales or averages others, as theirs."""
        waiting = [k]
        while waiting:  # deep networks are deeper than Python's stack
            at = waiting[-1]
            if at in self._known:
                waiting.pop()
                continue
            stage = self.stages[at - 1]
            own = _own(stage)
            if own is None:
                missing = [s for s in sources(self.stages, at - 1) if s not in self._known]
                if missing:
                    waiting += missing
                    continue
                own = min(self._known[s] for s in sources(self.stages, at - 1))
            self._known[at] = own
            waiting.pop()
        return self._known[k]


def _own(stage: Stage) -> int | None:
    """What the stage makes of it, whatever it takes; None: it stays as it was."""
    op, kind = stage.op, kind_of(stage)
    if isinstance(op, Activation):
        if op.kind == "sigmoid" or (op.kind == "hardtanh" and op.arguments[:1] == (0.0,)):
            return BETWEEN_0_AND_1
        return BOUNDED if op.kind in SYMMETRIC else FREE
    if isinstance(op, Opaque):
        if kind in WEIGHTS or (kind == "pow" and _exponent(op) < 0):
            return BETWEEN_0_AND_1
        if kind in SYMMETRIC:
            return BOUNDED
        return None if kind in MOVES or kind in AVERAGES else FREE
    return None if isinstance(op, KEPT) or _chooses(op) else FREE


def _exponent(op: Opaque) -> float:
    run = getattr(op.run, "run", op.run)
    value = getattr(run, "arguments", {}).get("exponent")
    return float(value) if isinstance(value, int | float) else 0.0


def _chooses(op: Op) -> bool:
    """Some of the channels, as a split: a layer of ones and zeros."""
    if not isinstance(op, Conv | Dense):
        return False
    weight: Tensor = op.weight.flatten(1)
    one = weight.sum(1).eq(1).all() & weight.eq(weight.square()).all() & op.bias.eq(0).all()
    return bool(one) and weight.dtype != torch.bool
