"""VisualBackProp (Bojarski et al., section 3), as the authors' code computes it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import spatial
from vbp.explain.chain_mask import chain_mask
from vbp.explain.target import TargetLike
from vbp.graph.adjoint import opaque_layer_error
from vbp.graph.operations import AvgPool, Conv, MaxPool, Opaque, Pad, Stage, Window, sources
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


def visualbackprop(trace: Trace, target: TargetLike = None) -> Tensor:
    """The mask (N, H, W) in [0, 1], at the size of the network's input.

    The maps after each ReLU are averaged over channels; from the deepest on, the mask is scaled up by a
    transposed convolution of ones (the layer's own window, output padding so that it lands exactly
    on the previous size) and multiplied by the previous layer's averaged map; a last step reaches the
    input, which itself is not multiplied in. Where branches begin at one value, as before a skip, the mask comes back
    along each with that branch's own windows, and they are averaged, each by its own maximum. Of other
    activations than ReLU the positive part counts, of tanh and its like the magnitude. One min-max per frame at the end. Every map is divided
    by its maximum, which the min-max cancels but for overflow: raw maxima reach 1e19.

    What the paper's networks do not have is passed as its idea goes on: normalisation, and gates that weigh whole channels,
    keep the places of a map; resampling, padding and transposed convolutions bring the mask to their input's grid by
    the transposed map of ones. What a gate is computed from takes no part.

    `target` is taken for the common signature and has no effect: no output takes part in this method.
    Raises ExplainError for a network without a convolution followed by a ReLU.
    """
    fast = chain_mask(trace)
    if fast is not None:
        return fast
    mask, _ = _backproject(trace, keep=False)
    return min_max(mask)


def levels(trace: Trace) -> list[Level]:
    """Every averaged feature map and intermediate mask (Figure 2b), from the input to the output."""
    return _backproject(trace, keep=True)[1]


def _backproject(trace: Trace, keep: bool) -> tuple[Tensor, list[Level]]:
    waiting: dict[int, list[Tensor]] = {}  # the masks that have come back to a value
    found: list[Level] = []
    with torch.inference_mode():
        weighing = spatial.silent(trace.stages, trace.values)
        for i in range(len(trace.stages) - 1, -1, -1):
            stage, value = trace.stages[i], trace.values[i + 1]
            mask = _merged(waiting.pop(i + 1, []))
            if i + 1 in weighing:
                continue
            if value.dim() == 4 and stage.is_activated:
                average = by_maximum(trace.mean(i + 1))
                mask = average if mask is None else by_maximum(mask * average)
                if keep:
                    found.append(Level(stage.name, value.shape[1], average, mask))
            if mask is None:
                continue
            for k in sources(trace.stages, i):
                if spatial.carries(stage, trace.values[k], value):
                    waiting.setdefault(k, []).append(_back(stage, mask, trace.values[k], value))
        mask = _merged(waiting.get(0, []))
    if mask is None:
        raise ExplainError(
            "VisualBackProp needs a convolution that is followed by a ReLU, and this network has none"
        )
    return mask, found[::-1]


def _merged(masks: list[Tensor]) -> Tensor | None:
    """The masks of the branches that begin at a value, averaged, each by its own maximum. None: no mask came back."""
    if len(masks) < 2:
        return masks[0] if masks else None
    return torch.stack([by_maximum(mask) for mask in masks]).mean(0)


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


def by_maximum(maps: Tensor) -> Tensor:
    """Divide each frame's map (N, h, w) by its maximum; a map that is zero stays zero."""
    top = maps.amax((1, 2), keepdim=True)
    return maps / torch.where(top > 0, top, torch.ones_like(top))


def min_max(maps: Tensor) -> Tensor:
    """Each frame's map (N, h, w) to [0, 1]; a constant map becomes zero."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    return (maps - low) / torch.where(span > 0, span, torch.ones_like(span))
