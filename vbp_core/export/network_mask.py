"""A network and its VisualBackProp mask as one module of plain operations, which an exporter can write down."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vbp.errors import ExplainError
from vbp.explain import spatial
from vbp.explain.aten.flow import each, has
from vbp.explain.aten.opaque import Call, Grouped, OfFrames
from vbp.explain.visualbackprop import visualbackprop
from vbp.graph import activations
from vbp.graph.operations import (
    Activation,
    AvgPool,
    Conv,
    Graph,
    MaxPool,
    Opaque,
    Pad,
    Stage,
    Window,
    sources,
)
from vbp.graph.trace import apply, trace, unpad

TINY = 1e-30  # stands for the maximum of a map that is zero, which stays zero
CLOSE = 1e-4  # of a map's largest value: how far a resampling may be from two products of matrices

UNEVEN = frozenset(
    {"adaptive_avg_pool2d", "_adaptive_avg_pool2d"}
)  # to parts that overlap: ONNX has no word for it

Matrices = tuple[Tensor, Tensor]


class NetworkWithMask(nn.Module):
    """Pictures (N, C, H, W) -> the outputs (N, outputs), and where `mask`, the mask (N, H, W) in [0, 1].

    The same mask as `vbp.explain.visualbackprop` to rounding, by what runs fast where networks drive: the means over the channels are
    convolutions of 1x1, which read a map as it lies (a ReduceMean has it laid out anew first), and box sums are
    average pooling, or transposed convolutions where there is a stride. Factors that the last scaling cancels are left out.
    Raises ExplainError that names the layer through which no mask comes.
    """

    def __init__(self, graph: Graph, shape: tuple[int, int, int], mask: bool) -> None:
        super().__init__()
        seen = trace(graph, torch.zeros((1, *shape)))
        self.stages, self.mask = tuple(_of_one_frame(stage) for stage in seen.stages), mask
        self.of_any_batch = (
            self.stages == seen.stages
        )  # nothing was followed for a number of frames that is written down
        self.sizes = [torch.empty(value.shape, device="meta") for value in seen.values]
        for i, stage in enumerate(self.stages):  # weights, and no constants among the nodes
            for part in fields(stage.op):
                if isinstance(tensor := getattr(stage.op, part.name), Tensor):
                    self.register_buffer(f"layer{i}_{part.name}", tensor)
        if mask:
            visualbackprop(seen)  # says of which layer, where there is no way
            self.weighing = spatial.silent(seen.stages, seen.values)
        self.moves = {
            i: _matrices(stage, seen.inputs(i)[0])
            for i, stage in enumerate(self.stages)
            if spatial.kind_of(stage) in (spatial.MOVE if mask else UNEVEN) and seen.values[i + 1].dim() == 4
        }

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        values = [images]
        for i, stage in enumerate(self.stages):
            inputs = [values[k] for k in sources(self.stages, i)]
            if spatial.kind_of(stage) in UNEVEN and i in self.moves:
                rows, columns = self.moves[i]
                out = rows @ inputs[0] @ columns.T
            else:
                out = apply(stage.op, *inputs)
            values.append(out.relu() if stage.relu else out)
        return (values[-1], self._mask(values)) if self.mask else values[-1]

    def _mask(self, values: list[Tensor]) -> Tensor:
        """As `visualbackprop` goes back, which has been through here and found a way."""
        waiting: dict[int, list[Tensor]] = {}
        first = next(i for i, s in enumerate(self.stages) if s.is_activated)
        for i in range(len(self.stages) - 1, -1, -1):
            stage, like = self.stages[i], self.sizes[i + 1]
            mask = _merged(waiting.pop(i + 1, []))
            if i + 1 in self.weighing:
                continue
            if like.dim() == 4 and stage.is_activated:
                average = _average(stage, values[i + 1], like.shape[1])
                # As often as numbers stay in their range: not of the first, nor before the last scaling.
                mask = (
                    average if mask is None else mask * average if i == first else _by_maximum(mask * average)
                )
            if mask is None:
                continue
            for k in sources(self.stages, i):
                if spatial.carries(stage, self.sizes[k], like):
                    waiting.setdefault(k, []).append(self._back(i, mask, k))
        mask = _merged(waiting[0])
        assert mask is not None
        return _by_maximum(mask - mask.amin((2, 3), keepdim=True)).squeeze(1)

    def _back(self, i: int, mask: Tensor, k: int) -> Tensor:
        stage, x, out = self.stages[i], self.sizes[k], self.sizes[i + 1]
        if isinstance(stage.op, Conv | MaxPool | AvgPool):
            return box_sums(mask, stage.op.window, (out.shape[2], out.shape[3]), (x.shape[2], x.shape[3]))
        if isinstance(stage.op, Pad):
            return unpad(stage.op, mask)
        if i in self.moves:
            rows, columns = self.moves[i]
            return rows.T @ mask @ columns
        if isinstance(stage.op, Opaque):
            found = spatial.back(stage, mask[:, 0], x, out)
            assert found is not None
            return found[:, None]
        return mask


def box_sums(mask: Tensor, window: Window, count: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The transposed convolution of ones: (N, 1, *count) -> (N, 1, *size), times a positive number."""
    (kh, kw), (ph, pw) = window.kernel, window.padding
    if window.stride == (1, 1) and window.dilation == (1, 1):
        near = (kh - 1 - ph, kw - 1 - pw)
        far = [size[a] - count[a] - near[a] + window.kernel[a] - 1 for a in (0, 1)]
        mask = _padded(mask, near[1], far[1], near[0], far[0])
        return mask if window.kernel == (1, 1) else F.avg_pool2d(mask, window.kernel, 1)
    reach = [
        (count[a] - 1) * window.stride[a] + window.dilation[a] * (window.kernel[a] - 1) + 1 for a in (0, 1)
    ]
    more = [size[a] + 2 * window.padding[a] - reach[a] for a in (0, 1)]
    # Most of the time its own words for it land on the size; ONNX allows fewer places more than there are in a stride.
    fits = all(0 <= more[a] < window.stride[a] and reach[a] > 2 * window.padding[a] for a in (0, 1))
    inner: dict[str, Any] = {"padding": window.padding, "output_padding": more} if fits else {}
    ones = torch.ones((1, 1, kh, kw))
    whole = F.conv_transpose2d(mask, ones, None, window.stride, dilation=window.dilation, **inner)
    if fits:
        return whole
    return _padded(whole, -pw, size[1] + pw - reach[1], -ph, size[0] + ph - reach[0])


def _padded(mask: Tensor, *sides: int) -> Tensor:
    """Zeros around, or, where negative, rows and columns left out."""
    return F.pad(mask, sides) if any(sides) else mask


def _average(stage: Stage, value: Tensor, channels: int) -> Tensor:
    seen = activations.seen(stage.op, value) if isinstance(stage.op, Activation) else value
    return F.conv2d(seen, torch.full((1, channels, 1, 1), 1 / channels)) if channels > 1 else seen


def _by_maximum(mask: Tensor) -> Tensor:
    return mask / mask.amax((2, 3), keepdim=True).clamp_min(TINY)


def _merged(masks: list[Tensor]) -> Tensor | None:
    if len(masks) < 2:
        return masks[0] if masks else None
    first, *rest = (_by_maximum(mask) for mask in masks)
    return sum(rest, first)


def _matrices(stage: Stage, like: Tensor) -> Matrices:
    """What a resampling or padding does to rows (h', h) and to columns (w', w), found by what it makes of lines.

    Raises ExplainError where it is not a map of rows and one of columns.
    """
    height, width = like.shape[2:]
    nothing = apply(stage.op, torch.zeros((1, 1, height, width)))

    def run(x: Tensor) -> Tensor:
        return (apply(stage.op, x) - nothing)[:, 0]

    lines = run(torch.eye(height)[:, None, :, None].expand(-1, 1, -1, width))  # (h, h', w')
    posts = run(torch.eye(width)[:, None, None, :].expand(-1, 1, height, -1))
    whole = run(torch.ones((1, 1, height, width)))[0]
    row, column = divmod(int(whole.abs().argmax()), whole.shape[1])
    rows, columns = lines[:, :, column].T.contiguous(), (posts[:, row, :] / whole[row, column]).T.contiguous()
    noise = torch.rand((1, 1, height, width), generator=torch.Generator().manual_seed(0))
    wanted, found = run(noise)[0], rows @ noise[0, 0] @ columns.T
    if wanted.shape != found.shape or not bool(((wanted - found).abs() <= CLOSE * wanted.abs().max()).all()):
        raise ExplainError(
            f"layer {stage.name} ({spatial.kind_of(stage)}) moves rows and columns at once, which cannot be written"
        )
    return rows, columns


def _of_one_frame(stage: Stage) -> Stage:
    """The stage, and where it was followed for numbers of frames, one that takes a frame alone."""
    if not isinstance(stage.op, Opaque):
        return stage
    run = stage.op.run
    if isinstance(run, Grouped):  # groups of one, or else one that is filled up
        run = run.run if run.frames == 1 else partial(run)
    if isinstance(run, Call) and has(run.arguments, OfFrames):
        numbers = each(run.arguments, lambda v: round(v.start + v.growth) if isinstance(v, OfFrames) else v)
        run = replace(run, arguments=numbers, rows=0)
    return stage if run is stage.op.run else replace(stage, op=Opaque(run, stage.op.what))
