"""Occlusion (Zeiler and Fergus 2014, section 4.2): the slow referee, which asks the network itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import target as targets
from vbp.explain.target import TargetLike, as_target
from vbp.graph.adjoint import normalise
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, output_of

SIZE = 32.0
BATCH = 8  # occluded frames that run together


class StoppedError(Exception):
    """`stop_asked` said so in the middle of a long computation."""


stop_asked: ContextVar[Callable[[], bool]] = ContextVar("stop_asked", default=lambda: False)


def occlusion(
    trace: Trace, target: TargetLike = None, size: float = SIZE, strength: Strength | None = None
) -> Tensor:
    """R = s(x) - s(x with a patch hidden), (N, H, W), averaged over the patches that cover a pixel, max |r| = 1.

    s is the `target` (default: output 0). size: pixels along a patch's sides; patches stand half of that apart, and
    are cut off at the far edges. A hidden patch has the mean colour of its frame. Signed: positive where hiding lowers
    s, so what is there raises it. One forward pass a patch, of the folded network: seconds, not milliseconds.
    Raises ExplainError for a size below 1, an output that is not there; StoppedError where `stop_asked` says to stop.
    """
    if not 1 <= size < math.inf:
        raise ExplainError(f"occlusion needs patches of at least 1 pixel, not {size:g}")
    side = round(size)
    chosen = as_target(target)
    with torch.inference_mode():
        targets.value(trace.output, chosen)  # what is wrong with it is said of all frames together
        maps = [_occluded(trace.frame(n), chosen.frame(n), side) for n in range(trace.input.shape[0])]
        none = trace.input.new_zeros(trace.input[:, 0].shape)
        return normalise(torch.stack(maps) if maps else none, strength)


def _occluded(trace: Trace, target: targets.Target, side: int) -> Tensor:
    image = trace.input
    fill = image.mean((2, 3), keepdim=True)
    height, width = image.shape[2:]
    before = targets.value(trace.output, target)
    summed, covered = image.new_zeros((height, width)), image.new_zeros((height, width))
    patches = [(y, x) for y in places(height, side) for x in places(width, side)]
    for at in range(0, len(patches), BATCH):
        if stop_asked.get()():
            raise StoppedError
        part = patches[at : at + BATCH]
        hidden = image.repeat(len(part), 1, 1, 1)
        for k, (y, x) in enumerate(part):
            hidden[k, :, y : y + side, x : x + side] = fill[0]
        lowered = before - targets.value(output_of(trace.stages, hidden), target)
        for k, (y, x) in enumerate(part):
            summed[y : y + side, x : x + side] += lowered[k]
            covered[y : y + side, x : x + side] += 1
    return (summed / covered).nan_to_num(0.0)  # the error of a frame without a driven angle


def places(length: int, side: int) -> list[int]:
    """Where patches begin along an axis, so that they cover it."""
    step = max(1, side // 2)
    return [k * step for k in range(max(0, math.ceil((length - side) / step)) + 1)]
