"""The convolutions of a forward pass by the kernels: with their ReLUs, and the means over their channels."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp.graph.operations import Conv, Graph, Pad, Stage, sources
from vbp.graph.trace import Trace, run_stage, trace
from vbp.native.layers import FLOAT_BYTES, PackedConv
from vbp.native.library import Kernels
from vbp.native.structures import Layer

WORTH_FUSING = (
    512 * 1024
)  # bytes of maps that would leave the nearest caches before the next layer reads them
LONGEST = 8  # layers in one call; `DEEPEST` of the kernels
HALO = 8  # rows of the last layer that a thread should have, for the few that two compute to be few
MAX_SHAPES = 4  # one frame, a batch, and a rest are the sizes that occur together


class NativeForward:
    """`NativeForward(kernels, graph)(images) -> Trace` with `means`; what is no plain convolution is left to torch.

    Float32 on a CPU. means: False leaves them out, which only a benchmark wants. plain: a pass of these images by torch, where it
    is at hand, as it gives the sizes. Raises ExplainError for sizes that do not fit.
    """

    def __init__(self, kernels: Kernels, graph: Graph) -> None:
        self._kernels = kernels
        self._graph = graph
        self._packed = {
            i: PackedConv(kernels.lanes, stage.op)
            for i, stage in enumerate(graph.stages)
            if isinstance(stage.op, Conv) and stage.op.groups == 1
        }
        self._plans: dict[tuple[torch.Size, int], _Plan] = {}

    @property
    def name(self) -> str:
        """The instruction set, in words."""
        return self._kernels.name

    @property
    def useful(self) -> bool:
        """There is something for the kernels to do."""
        return bool(self._packed)

    def __call__(self, images: Tensor, means: bool = True, plain: Trace | None = None) -> Trace:
        threads = torch.get_num_threads()
        plan = self._plans.get((images.shape, threads))
        if plan is None:
            # A plain pass gives every size, and raises what there is to raise.
            plan = _Plan(self._packed, plain or trace(self._graph, images), threads)
            if len(self._plans) >= MAX_SHAPES:
                self._plans.pop(next(iter(self._plans)), None)  # a thread beside may have been quicker
            self._plans[images.shape, threads] = plan
        return plan.run(self._kernels, images, means)


@dataclass(frozen=True)
class _Place:
    """A convolution of a group. stage: its number. x_offset: bytes from the value before it to its first input."""

    stage: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    mean: tuple[int, ...] | None
    x_offset: int


@dataclass(frozen=True)
class _Group:
    """Convolutions that are computed together, and the crops between them: number of the stage, and its Pad."""

    places: tuple[_Place, ...]
    crops: dict[int, Pad]
    layers: ctypes.Array[Layer]


class _Plan:
    """What is run, at one size of input: groups of convolutions, and stages that torch runs."""

    def __init__(self, packed: dict[int, PackedConv], plain: Trace, threads: int) -> None:
        self._stages = plain.stages
        self._threads = threads
        self._kept = packed  # the groups point into it
        self._work: list[_Group | int] = []
        i = 0
        while i < len(self._stages):
            if i in packed and plain.values[i + 1].numel():
                group = _group(packed, plain, i, threads)
                self._work.append(group)
                i = group.places[-1].stage + 1
            else:
                self._work.append(i)
                i += 1

    def run(self, kernels: Kernels, images: Tensor, with_means: bool) -> Trace:
        values = [images]
        means: list[Tensor | None] | None = [None] * (len(self._stages) + 1) if with_means else None
        with torch.inference_mode():
            scratch = torch.empty(self._threads * kernels.scratch)
            for work in self._work:
                if isinstance(work, int):
                    stage = self._stages[work]
                    values.append(run_stage(stage, [values[k] for k in sources(self._stages, work)]))
                else:
                    self._run_group(kernels, work, values, means, scratch)
        return Trace(self._stages, tuple(values), tuple(means or ()))

    def _run_group(
        self,
        kernels: Kernels,
        group: _Group,
        values: list[Tensor],
        means: list[Tensor | None] | None,
        scratch: Tensor,
    ) -> None:
        first = group.places[0].stage
        x = laid_out(values[sources(self._stages, first)[0]], self._stages[first])
        at = x.data_ptr()
        layers = type(group.layers).from_buffer_copy(group.layers)  # one's own: passes may run side by side
        for place, layer in zip(group.places, layers, strict=True):
            if place.stage in group.crops:
                values.append(cropped(group.crops[place.stage], values[-1]))
            out = torch.empty_strided(place.shape, place.stride)
            layer.x, layer.out = at + place.x_offset, out.data_ptr()
            if place.mean is not None and means is not None:
                mean = torch.empty(place.mean)
                layer.mean, means[place.stage + 1] = mean.data_ptr(), mean
            values.append(out)
            at = out.data_ptr()
        kernels.run(ctypes.addressof(layers), len(layers), self._threads, scratch.data_ptr())


def _group(packed: dict[int, PackedConv], plain: Trace, i: int, threads: int) -> _Group:
    """The convolution that is stage `i`, and those behind it that are better computed together with it."""
    stages = plain.stages
    places: list[_Place] = []
    layers: list[Layer] = []
    crops: dict[int, Pad] = {}
    x = laid_out(plain.values[sources(stages, i)[0]], stages[i])
    while True:
        conv, out = packed[i], plain.values[i + 1]
        n, outputs, rows, columns = out.shape
        stride = (outputs * rows * columns, 1, outputs * columns, outputs)
        crop = crops.get(i)
        top, left = (-crop.top, -crop.left) if crop else (0, 0)
        offset = FLOAT_BYTES * (top * x.stride(2) + left * x.stride(3))
        relu = stages[i].relu
        places.append(_Place(i, tuple(out.shape), stride, (n, rows, columns) if relu else None, offset))
        layers.append(conv.layer(x.stride(), tuple(out.shape), top, relu))
        after = _follower(packed, plain, i, threads) if len(layers) < LONGEST else None
        if after is None:
            return _Group(tuple(places), crops, (Layer * len(layers))(*layers))
        x = torch.empty_strided(places[-1].shape, stride, device="meta")
        i, pad = after
        if pad is not None:
            crops[i] = pad


def _follower(
    packed: dict[int, PackedConv], plain: Trace, i: int, threads: int
) -> tuple[int, Pad | None] | None:
    """The next convolution, and the crop before it, if it is worth computing it together with stage `i`."""
    stages, out = plain.stages, plain.values[i + 1]
    at, pad = i + 1, None
    if out[0].numel() * FLOAT_BYTES < WORTH_FUSING or at >= len(stages):
        return None
    op = stages[at].op
    if isinstance(op, Pad) and not stages[at].relu and max(op.left, op.right, op.top, op.bottom) <= 0:
        if sources(stages, at) != (at,):
            return None
        pad = op
        at += 1
    if at not in packed or sources(stages, at) != (at,) or any(packed[at].op.window.padding):
        return None
    return (at, pad) if plain.values[at + 1].shape[2] >= HALO * threads else None


def laid_out(x: Tensor, stage: Stage) -> Tensor:
    """What a convolution takes as the kernels read it: its padding done, a pixel's channels behind one another."""
    op = stage.op
    if isinstance(op, Conv) and any(op.window.padding):
        ph, pw = op.window.padding
        x = F.pad(x, (pw, pw, ph, ph))
    channels = x.shape[1]
    if (channels > 1 and x.stride(1) != 1) or x.stride(3) != channels or x.dtype != torch.float32:
        # By hand, since torch takes other orders to be the same where a size is 1.
        return x.float().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    return x


def cropped(op: Pad, x: Tensor) -> Tensor:
    """A Pad that only leaves rows and columns out, without a copy."""
    return x[:, :, -op.top : x.shape[2] + op.bottom, -op.left : x.shape[3] + op.right]
