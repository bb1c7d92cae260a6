"""The convolutions of a forward pass by the kernels: with their ReLUs, and the means over their channels."""

from __future__ import annotations

import ctypes

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp_core.explain.graph import Conv, Graph, Pad, Stage, sources
from vbp_core.explain.trace import Trace, trace
from vbp_core.native.build import Kernels
from vbp_core.native.layers import Layer, packed, whole_vectors

WORTH_FUSING = 512 * 1024  # bytes of maps that would leave the nearest caches before the next layer reads them
LONGEST = 8  # layers in one call; `DEEPEST` of kernels.c
HALO = 8  # rows of the last layer that a thread should have, for the few that two compute to be few


class NativeForward:
    """`NativeForward(kernels, graph)(images) -> Trace` with `means`; what is no plain convolution is left to torch."""

    def __init__(self, kernels: Kernels, graph: Graph) -> None:
        self._kernels = kernels
        self._graph = graph
        self._layers = {
            i: _Packed(kernels, stage.op) for i, stage in enumerate(graph.stages) if _is_for_us(stage)
        }

    @property
    def useful(self) -> bool:
        """There is something for the kernels to do."""
        return bool(self._layers)

    def __call__(self, images: Tensor) -> Trace:
        one = _Run(self._kernels, self._graph, self._layers)
        done = trace(self._graph, images, one.stage)
        return Trace(done.stages, done.values, tuple(one.means.get(k) for k in range(len(done.values))))


def _is_for_us(stage: Stage) -> bool:
    op = stage.op
    return isinstance(op, Conv) and op.groups == 1 and op.weight.dtype == torch.float32


class _Packed:
    """A convolution's weights as the kernels read them."""

    def __init__(self, kernels: Kernels, op: object) -> None:
        assert isinstance(op, Conv)
        outputs, channels, kh, kw = op.weight.shape
        self.op = op
        self.weight = packed(op.weight.permute(2, 3, 1, 0).reshape(kh * kw, channels, outputs), kernels.lanes)
        self.bias = whole_vectors(op.bias, kernels.lanes)
        self._offsets: dict[tuple[int, int], ctypes.Array[ctypes.c_long]] = {}

    @property
    def row_taps(self) -> int:
        """Taps of a row that are counted as one tap of more channels, as they lie behind one another."""
        return self.op.window.kernel[1] if self.op.window.dilation[1] == 1 else 1

    def offsets(self, row: int, pixel: int) -> ctypes.Array[ctypes.c_long]:
        """Where each tap looks, from the first on, in floats."""
        found = self._offsets.get((row, pixel))
        if found is None:
            (kh, kw), (dh, dw) = self.op.window.kernel, self.op.window.dilation
            places = [y * dh * row + x * dw * pixel for y in range(kh) for x in range(0, kw, self.row_taps)]
            found = self._offsets[row, pixel] = (ctypes.c_long * len(places))(*places)
        return found


class _Run:
    """One pass: convolutions that follow one another are computed together, and handed out one by one."""

    def __init__(self, kernels: Kernels, graph: Graph, layers: dict[int, _Packed]) -> None:
        self._kernels = kernels
        self._stages = graph.stages
        self._layers = layers
        self._ready: dict[int, Tensor] = {}
        self.means: dict[int, Tensor] = {}

    def stage(self, i: int, stage: Stage, inputs: list[Tensor]) -> Tensor | None:
        """The output of a stage; None where torch is to run it."""
        done = self._ready.pop(i, None)
        if done is not None or i not in self._layers:
            return done
        x = inputs[0]
        if x.dim() != 4 or x.dtype != torch.float32 or x.device.type != "cpu" or not x.numel():
            return None
        self._compute(i, x)
        return self._ready.pop(i, None)

    def _compute(self, i: int, x: Tensor) -> None:
        threads = torch.get_num_threads()
        jobs: list[Layer] = []
        kept: list[object] = []  # what the jobs point to
        crop = (0, 0)
        while True:
            packed = self._layers[i]
            op = packed.op
            if any(op.window.padding):
                ph, pw = op.window.padding
                x = F.pad(x, (pw, pw, ph, ph))
            if x.stride(1) != 1 or x.stride(3) != x.shape[1]:
                x = _channels_last(x)
            size = _size(x, op)
            if min(size) < 1 or x.shape[1] != op.weight.shape[1]:
                return  # torch says what is wrong
            out = torch.empty((len(x), len(op.weight), *size), memory_format=torch.channels_last)
            mean = torch.empty((len(x), *size))
            relu = self._stages[i].relu
            jobs.append(_job(packed, x, out, mean, crop, relu))
            kept += [x, out, mean]
            self._ready[i] = out
            if relu:
                self.means[i + 1] = mean
            after = self._follower(i, out, threads) if len(jobs) < LONGEST else None
            if after is None:
                break
            i, x, crop = after
        array = (Layer * len(jobs))(*jobs)
        self._kernels.run(ctypes.addressof(array), len(jobs), threads)

    def _follower(self, i: int, out: Tensor, threads: int) -> tuple[int, Tensor, tuple[int, int]] | None:
        """The next convolution, what it takes, and the crop before it, if it is worth computing the two together."""
        if out[0].numel() * 4 < WORTH_FUSING or i + 1 >= len(self._stages):
            return None
        at, x, crop = i + 1, out, (0, 0)
        if sources(self._stages, at) != (i + 1,):
            return None
        pad = self._stages[at].op
        if isinstance(pad, Pad) and not self._stages[at].relu and at + 1 < len(self._stages):
            if max(pad.left, pad.right, pad.top, pad.bottom) > 0 or sources(self._stages, at + 1) != (at + 1,):
                return None
            x = x[:, :, -pad.top : x.shape[2] + pad.bottom, -pad.left : x.shape[3] + pad.right]
            crop = (-pad.top, -pad.left)
            if not x.numel():
                return None
            self._ready[at] = x
            at += 1
        packed = self._layers.get(at)
        if packed is None or any(packed.op.window.padding) or packed.op.weight.shape[1] != out.shape[1]:
            return None
        rows, columns = _size(x, packed.op)
        return (at, x, crop) if rows >= HALO * threads and columns > 0 else None


def _size(x: Tensor, op: Conv) -> tuple[int, int]:
    """Of the output, padding done."""
    w = op.window
    rows, columns = (
        (x.shape[2 + a] - (w.kernel[a] - 1) * w.dilation[a] - 1) // w.stride[a] + 1 for a in (0, 1)
    )
    return rows, columns


def _channels_last(x: Tensor) -> Tensor:
    """A copy whose pixels' channels lie behind one another, also where torch takes another order to be the same."""
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _job(packed: _Packed, x: Tensor, out: Tensor, mean: Tensor, crop: tuple[int, int], relu: bool) -> Layer:
    w = packed.op.window
    pixel = x.shape[1]
    n, outputs, h, columns = out.shape
    offsets = packed.offsets(x.stride(2), pixel)
    return Layer(
        x=x.data_ptr(),
        weight=packed.weight.data_ptr(),
        bias=packed.bias.data_ptr(),
        out=out.data_ptr(),
        mean=mean.data_ptr() if relu else None,
        offset=ctypes.addressof(offsets),
        channels=pixel * packed.row_taps,
        outputs=outputs,
        h=h,
        w=columns,
        taps=len(offsets),
        frames=n,
        x_frame=x.stride(0),
        x_row=x.stride(2) * w.stride[0],
        x_pixel=pixel * w.stride[1],
        out_frame=outputs * h * columns,
        out_row=outputs * columns,
        out_pixel=outputs,
        first=crop[0],
        rows=(w.kernel[0] - 1) * w.dilation[0] + 1,
        stride=w.stride[0],
        relu=int(relu),
    )
