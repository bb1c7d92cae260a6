"""LRP's epsilon rule through convolutions by the kernels, each activation read once.

What a convolution hands down is s = R / (a + eps), which its own transpose takes; so between two convolutions stands one
number a neuron, R_i / (a_i + eps) = a_i / (a_i + eps) sum_j w_ij s_j, and R itself is only needed at the picture. A transposed
convolution is a convolution for each place of the stride, on s among zeros.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from vbp.graph.adjoint import normalise
from vbp.graph.operations import Conv, Pad, Stage, bottlenecks, sources
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace
from vbp.native.layers import FLOAT_BYTES, packed, transformed, whole_vectors, winograd_pays
from vbp.native.library import Kernels
from vbp.native.structures import Layer

FEW = 4  # channels of a picture that the last step takes at once
KEY = "native lrp"  # in `Trace.cache`


def deepest_covered(trace: Trace) -> int | None:
    """The value behind the convolutions that `native_lrp` passes, counted from the picture; None where there are none.

    They are a chain of convolutions that are each followed by a ReLU, and of Pads, and no skip leads past them.
    """
    if trace.input.device.type != "cpu" or trace.input.dtype != torch.float32 or trace.input.shape[1] > FEW:
        return None
    deepest = None
    pads: list[Pad] = []
    for i, stage in enumerate(trace.stages):
        op = stage.op
        if sources(trace.stages, i) != (i,):
            break
        if isinstance(op, Conv) and stage.relu and op.groups == 1 and _channels_last(trace.values[i + 1]):
            ph, pw = op.window.padding
            if not _add_up([*pads, Pad(pw, pw, ph, ph)]):
                break
            deepest, pads = i + 1, []
        elif isinstance(op, Pad) and not stage.relu:
            pads.append(op)
        else:
            break
    return deepest if deepest is not None and deepest in bottlenecks(trace.stages) else None


def _add_up(pads: list[Pad]) -> bool:
    """Whether Pads behind one another are one Pad: no side loses rows that come back as zeros."""
    sides = zip(*((p.left, p.right, p.top, p.bottom) for p in pads), strict=True)
    return all(min(side) >= 0 or max(side) <= 0 for side in sides)


def _channels_last(x: Tensor) -> bool:
    return x.numel() > 0 and x.stride(1) == 1 and x.stride(3) == x.shape[1]


def native_lrp(
    kernels: Kernels, trace: Trace, relevance: Tensor, at: int, eps: float, strength: Strength | None = None
) -> Tensor:
    """Relevance (N, H, W) of the picture, times a positive number for each frame, of which `strength` is told.

    at: what `deepest_covered` says; relevance: shaped as values[at].
    """
    plan = trace.cache.get(KEY)
    if not isinstance(plan, _Plan) or plan.at != at:
        plan = trace.cache[KEY] = _Plan(kernels, trace, at)
    with plan.lock, torch.inference_mode():
        return plan.run(kernels, trace, relevance, eps, strength)


@dataclass(frozen=True)
class _Phases:
    """An axis of a transposed convolution, for one place of the stride.

    start: the first input there; count: how many there are, `stride` apart; taps: (place in the kernel, output that the
    first input takes there).
    """

    start: int
    count: int
    taps: tuple[tuple[int, int], ...]


def _phases(size: int, kernel: int, stride: int, padding: int, dilation: int) -> list[_Phases]:
    """Input y gets from output (y + padding - k dilation) / stride, for every k where that is a whole number."""
    found = []
    for place in range(stride):
        start = (place - padding) % stride
        taps = tuple(
            (k, (start + padding - k * dilation) // stride)
            for k in range(kernel)
            if (k * dilation - place) % stride == 0
        )
        count = -(-(size - start) // stride)
        if taps and count > 0:
            found.append(_Phases(start, count, tuple(sorted(taps, key=lambda tap: tap[1]))))
    return found


class _Shares:
    """s of a convolution's output, among as many zeros as its transpose reads around it."""

    def __init__(self, lanes: int, shape: torch.Size, axes: list[list[_Phases]]) -> None:
        _, channels, *size = shape
        around = []
        for phases, count in zip(axes, size, strict=True):
            before = max([-q for p in phases for _, q in p.taps] + [0])
            after = max([p.count - 1 + q - (count - 1) for p in phases for _, q in p.taps] + [0])
            around.append((before, after))
        (top, bottom), (left, right) = around
        self.channels = channels
        self.pixel = -(-channels // lanes) * lanes
        self.row = (size[1] + left + right) * self.pixel
        self.memory = torch.zeros((size[0] + top + bottom, size[1] + left + right, self.pixel))
        self.inside = self.memory[top : top + size[0], left : left + size[1], :channels]
        self.start = self.inside.data_ptr()


class _Plan:
    """Every transposed convolution, at one size of picture, and the memory between them: one run at a time (`lock`)."""

    def __init__(self, kernels: Kernels, trace: Trace, at: int) -> None:
        self.at = at
        self.lock = threading.Lock()
        stages = trace.stages
        self._kept: list[object] = []  # what the layers point to
        layers: list[Layer] = []
        self._below: list[tuple[int, int]] = []  # of each layer: the value, and where in it, in floats
        counts: list[int] = []
        convs = [i for i in range(at) if isinstance(stages[i].op, Conv)]
        chain = [_geometry(stages, i, trace) for i in convs]
        shares = [
            _Shares(kernels.lanes, trace.values[i + 1].shape, g.axes)
            for i, g in zip(convs, chain, strict=True)
        ]
        self._first = shares[-1]
        self._map = torch.zeros(trace.input.shape[2:])
        for number in range(len(convs) - 1, -1, -1):
            made = self._transposed(
                kernels, chain[number], shares[number], shares[number - 1] if number else None, trace
            )
            counts.append(len(made))
            layers += made
        self._layers = (Layer * len(layers))(*layers)
        self._counts = (ctypes.c_long * len(counts))(*counts)
        self._kept += [shares, chain]

    def run(
        self, kernels: Kernels, trace: Trace, relevance: Tensor, eps: float, strength: Strength | None
    ) -> Tensor:
        a = trace.values[self.at]
        share = normalise(torch.where(a > 0, relevance / (a + eps), 0.0), strength).permute(0, 2, 3, 1)
        threads = torch.get_num_threads()
        scratch = torch.empty(threads * kernels.scratch)
        values = {k: trace.values[k] for k, _ in self._below}
        values[0] = values[0].permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        out = torch.empty((len(relevance), *self._map.shape))
        logs = torch.zeros(len(relevance), dtype=torch.float64)
        for n in range(len(relevance)):
            for layer, (k, offset) in zip(self._layers, self._below, strict=True):
                value = values[k]
                layer.below = value.data_ptr() + FLOAT_BYTES * (n * value.stride(0) + offset)
                layer.eps = eps
            self._first.inside.copy_(share[n])
            logs[n] = kernels.lrp(
                ctypes.addressof(self._layers),
                ctypes.addressof(self._counts),
                len(self._counts),
                threads,
                scratch.data_ptr(),
            )
            out[n] = self._map
        if strength is not None:
            strength.add(logs)
        return out

    def _transposed(
        self, kernels: Kernels, g: _Geometry, taken: _Shares, given: _Shares | None, trace: Trace
    ) -> list[Layer]:
        """The layers of one convolution. given: where the shares of the convolution below it go; None: the picture."""
        weight = g.conv.weight  # outputs, channels, kh, kw
        channels, lanes = weight.shape[1], kernels.lanes
        x = trace.values[g.value]
        row, pixel = (x.stride(2), x.stride(3)) if g.value else (x.shape[3] * channels, channels)
        sh, sw = g.conv.window.stride
        into, into_row, into_pixel = (
            (given.start, given.row, given.pixel) if given else (self._map.data_ptr(), self._map.shape[1], 1)
        )
        made = []
        for down in g.axes[0]:
            for across in g.axes[1]:
                layer = Layer(
                    x=taken.start,
                    out=into + FLOAT_BYTES * (down.start * into_row + across.start * into_pixel),
                    channels=taken.channels,
                    outputs=channels,
                    h=down.count,
                    w=across.count,
                    frames=1,
                    x_row=taken.row,
                    x_pixel=taken.pixel,
                    out_row=into_row * sh,
                    out_pixel=into_pixel * sw,
                    below_row=row * sh,
                    below_pixel=pixel * sw,
                    factor=1.0,
                )
                self._below.append((g.value, down.start * row + across.start * pixel))
                taps = [
                    (ky, kx, qy * taken.row + qx * taken.pixel)
                    for ky, qy in down.taps
                    for kx, qx in across.taps
                ]
                flipped = weight.flip(2, 3).transpose(0, 1)
                if given is None:
                    laid = torch.stack([weight[:, :, ky, kx].T for ky, kx, _ in taps], 1)
                    laid = whole_vectors(laid, lanes).contiguous()
                elif g.conv.window.stride == g.conv.window.dilation == (1, 1) and winograd_pays(
                    flipped, lanes
                ):
                    laid = transformed(flipped, lanes)
                    layer.winograd = 1
                    layer.x = taken.start + FLOAT_BYTES * min(q for _, _, q in taps)
                else:
                    laid = packed(torch.stack([weight[:, :, ky, kx] for ky, kx, _ in taps]), lanes)
                    if taken.channels == taken.pixel and _neighbours(across):
                        # Taps of a row lie behind one another: they count as one tap of more channels.
                        layer.channels = taken.channels * len(across.taps)
                        taps = taps[:: len(across.taps)]
                offsets = (ctypes.c_long * len(taps))(*(q for _, _, q in taps))
                bias = torch.zeros(-(-channels // lanes) * lanes)
                top = torch.zeros(down.count * across.count)
                layer.taps = len(taps)
                layer.weight, layer.bias, layer.top = laid.data_ptr(), bias.data_ptr(), top.data_ptr()
                layer.offset = ctypes.addressof(offsets)
                self._kept += [laid, bias, top, offsets]
                made.append(layer)
        return made


def _neighbours(axis: _Phases) -> bool:
    places = [q for _, q in axis.taps]
    return places == list(range(places[0], places[0] + len(places)))


@dataclass(frozen=True)
class _Geometry:
    """A convolution, the Pads before it counted as its own padding. value: what it takes, before those Pads."""

    conv: Conv
    value: int
    axes: list[list[_Phases]]


def _geometry(stages: tuple[Stage, ...], i: int, trace: Trace) -> _Geometry:
    conv = stages[i].op
    assert isinstance(conv, Conv)
    w = conv.window
    top, left = w.padding
    value = i
    while value > 0:
        pad = stages[value - 1].op
        if not isinstance(pad, Pad):
            break
        top, left = top + pad.top, left + pad.left
        value -= 1
    size = trace.values[value].shape[2:]
    axes = [_phases(size[a], w.kernel[a], w.stride[a], (top, left)[a], w.dilation[a]) for a in (0, 1)]
    return _Geometry(conv, value, axes)
