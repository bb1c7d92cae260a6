"""VisualBackProp (Bojarski et al., section 3), as the authors' code computes it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import spatial
from vbp.explain.chain_mask import chain_mask
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import opaque_layer_error
from vbp.graph.operations import AvgPool, Conv, MaxPool, Opaque, Pad, Stage, Window, sources
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, unpad


@dataclass(frozen=True)
class Level:
    """One row of Figure 2b: a layer's name, its averaged feature map and the intermediate mask there.

    feature_map, mask: (N, h, w), each scaled so that its largest value per frame is 1 (all zero stays).
    """

    name: str
    channels: int
    feature_map: Tensor
    mask: Tensor


def visualbackprop(trace: Trace, target: TargetLike = None, strength: Strength | None = None) -> Tensor:
    """The mask (N, H, W) in [0, 1], at the size of the network's input.

    The maps after each ReLU are averaged over channels; from the deepest on, the mask is scaled up by a
    transposed convolution of ones (the layer's own window, output padding so that it lands exactly
    on the previous size) and multiplied by the previous layer's averaged map; a last step reaches the
    input, which itself is not multiplied in: this is the paper's Theorem 1, the sum over paths of the products of activations, without
    its factor gamma(X), which the authors' code has not, either. Where branches begin at one value, as before a skip, the mask comes back
    along each with that branch's own windows, and they are averaged, each by its own maximum. Of other
    activations than ReLU the positive part counts, of tanh and its like the magnitude. One min-max per frame at the end. Every map is divided
    by its maximum, which the min-max cancels but for overflow: raw maxima reach 1e19. `strength` is told by what; where
    branches are averaged, so are their logarithms.

    What the paper's networks do not have is passed as its idea goes on: normalisation, and gates that weigh whole channels,
    keep the places of a map; resampling, padding and transposed convolutions bring the mask to their input's grid by
    the transposed map of ones. What a gate is computed from takes no part.

    `target` is taken for the common signature and has no effect: no output takes part in this method.
    Raises ExplainError for a network without a convolution followed by a ReLU.
    """
    fast = chain_mask(trace, strength)
    if fast is not None:
        return fast
    mask, _ = _backproject(trace, keep=False, strength=strength)
    return min_max(mask, strength)


def levels(trace: Trace) -> list[Level]:
    """Every averaged feature map and intermediate mask (Figure 2b), from the input to the output."""
    return _backproject(trace, keep=True)[1]


class _Mask:
    """A mask (N, h, w) on its way, and what it was divided by: (N, 1, 1) tensors, each with how many times that was."""

    def __init__(self, values: Tensor, divisors: dict[Tensor, float] | None = None) -> None:
        self.values = values
        self.divisors = divisors or {}

    def scaled(self) -> _Mask:
        """By its own maximum; all zero stays."""
        top = _top(self.values)
        return _Mask(self.values / top, {**self.divisors, top: 1.0})

    def times(self, average: _Mask) -> _Mask:
        return _Mask(self.values * average.values, self.divisors | average.divisors)


def _backproject(trace: Trace, keep: bool, strength: Strength | None = None) -> tuple[Tensor, list[Level]]:
    waiting: dict[int, list[_Mask]] = {}  # the masks that have come back to a value
    found: list[Level] = []
    with torch.inference_mode():
        weighing = spatial.silent(trace.stages, trace.values)
        for i in range(len(trace.stages) - 1, -1, -1):
            stage, value = trace.stages[i], trace.values[i + 1]
            mask = _merged(waiting.pop(i + 1, []))
            if i + 1 in weighing:
                continue
            if value.dim() == 4 and stage.is_activated:
                average = _Mask(trace.mean(i + 1)).scaled()
                mask = average if mask is None else mask.times(average).scaled()
                if keep:
                    found.append(Level(stage.name, value.shape[1], average.values, mask.values))
            if mask is None:
                continue
            for k in sources(trace.stages, i):
                if spatial.carries(stage, trace.values[k], value):
                    back = _back(stage, mask.values, trace.values[k], value)
                    waiting.setdefault(k, []).append(_Mask(back, mask.divisors))
        mask = _merged(waiting.get(0, []))
    if mask is None:
        raise ExplainError(
            "VisualBackProp needs a convolution that is followed by a ReLU, and this network has none"
        )
    if strength is not None:
        for top, weight in mask.divisors.items():
            strength.divided(top, weight)
    return mask.values, found[::-1]


def _merged(masks: list[_Mask]) -> _Mask | None:
    """The masks of the branches that begin at a value, averaged, each by its own maximum. None: no mask came back."""
    if len(masks) < 2:
        return masks[0] if masks else None
    scaled = [mask.scaled() for mask in masks]
    weights: dict[Tensor, float] = defaultdict(float)
    for mask in scaled:
        for top, weight in mask.divisors.items():
            weights[top] += weight / len(masks)
    return _Mask(torch.stack([mask.values for mask in scaled]).mean(0), weights)


def _back(stage: Stage, mask: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """The mask at the size of what the stage took."""
    op = stage.op
    if isinstance(op, Conv | MaxPool | AvgPool):
        return scale_up(mask, op.window, *x.shape[2:])
    if isinstance(op, Pad):
        return unpad(op, mask)
    if isinstance(op, Opaque) or x.dim() != 4:
        found = spatial.back(stage, mask, x, out)
        if found is None:
            raise opaque_layer_error(stage)
        return found
    return mask


def scale_up(mask: Tensor, window: Window, height: int, width: int) -> Tensor:
    """Transposed convolution of ones: (N, h, w) -> (N, height, width).

    Each output row i of the layer covers the input rows i * stride - padding + k * dilation: the mask is
    added there for every k. A box sum by whole slices, an axis at a time, which reads one channel
    instead of multiplying by ones.
    """
    return _spread(_spread(mask, 1, window, height), 2, window, width)


def _spread(mask: Tensor, axis: int, window: Window, size: int) -> Tensor:
    kernel, stride = window.kernel[axis - 1], window.stride[axis - 1]
    padding, dilation = window.padding[axis - 1], window.dilation[axis - 1]
    count = mask.shape[axis]
    length = (count - 1) * stride + (kernel - 1) * dilation + 1
    shape = list(mask.shape)
    shape[axis] = max(length, padding + size)
    out = mask.new_zeros(shape)
    for k in range(kernel):
        start = k * dilation
        index = [slice(None)] * 3
        index[axis] = slice(start, start + (count - 1) * stride + 1, stride)
        out[tuple(index)] += mask
    return out.narrow(axis, padding, size)


def _top(maps: Tensor) -> Tensor:
    """What each frame's map (N, h, w) is divided by, so that its maximum is 1; a map that is zero stays zero."""
    top = maps.amax((1, 2), keepdim=True)
    return torch.where(top > 0, top, torch.ones_like(top))


def min_max(maps: Tensor, strength: Strength | None = None) -> Tensor:
    """Each frame's map (N, h, w) to [0, 1]; a constant map becomes zero."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    if strength is not None:
        strength.divided(high)
    span = high - low
    return (maps - low) / torch.where(span > 0, span, torch.ones_like(span))
