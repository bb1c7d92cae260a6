"""VisualBackProp of a chain in float32 on a CPU: a frame's small maps, whole slices at a time, in memory that is kept.

A mask is ten little maps. As torch operations they cost some 160 calls, each dearer than its arithmetic; here a
layer takes four, and where the kernels are (`vbp.native`) all of them take one. The channel means, the only large
read, come with the pass from there, and else from torch, whose threads have just written the maps.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.graph.operations import Activation, Affine, AvgPool, Conv, Identity, MaxPool, Pad, Window
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace
from vbp.native.library import loaded_kernels
from vbp.native.mask import native_mask

Map = NDArray[np.float32]

SAFE = (1e-15, 1e15)  # maxima of which the product, and the inverse of that, stay well within float32
PASSED = (Conv, MaxPool, AvgPool, Pad, Affine, Identity, Activation)
KEPT = 64  # buffers of a thread; a network has about ten


Step = tuple[NDArray[np.float32] | None, Conv | MaxPool | AvgPool | Pad | None, tuple[int, int]]


def chain_mask(trace: Trace, strength: Strength | None = None) -> Tensor | None:
    """The mask (N, H, W) in [0, 1]; None where it is not a chain in float32 on a CPU, or there is nothing to explain.

    strength: is told how much it was before it was scaled.
    """
    if trace.input.device.type != "cpu" or trace.input.dtype != torch.float32:
        return None
    kernels = loaded_kernels()
    mask = native_mask(kernels, trace, _spatial, strength) if kernels is not None else None
    if mask is not None:
        return mask
    spatial = _spatial(trace)
    if not spatial:
        return None
    steps = _steps(trace, spatial)
    count = len(trace.input)
    out = np.empty((count, *trace.input.shape[2:]), np.float32)
    logs = torch.empty(count, dtype=torch.float64)
    for n in range(count):
        unscaled, divided = _frame_mask(steps, n)
        logs[n] = divided + _log10(_min_max(unscaled, out[n]))
    if strength is not None:
        strength.add(logs)
    return torch.from_numpy(out)


def _spatial(trace: Trace) -> list[int]:
    """The stages that put out maps, from the output on.

    None where it is no chain of operations that are known here, or has no ReLU: there is nothing to explain.
    """
    spatial = []
    for i in range(len(trace.stages) - 1, -1, -1):
        stage = trace.stages[i]
        if stage.inputs and stage.inputs != (i,):
            return []
        if trace.values[i + 1].dim() == 4:
            if not isinstance(stage.op, PASSED):
                return []
            spatial.append(i)
    return spatial if any(trace.stages[i].is_activated for i in spatial) else []


def _steps(trace: Trace, spatial: list[int]) -> list[Step]:
    """From the output on: the averaged maps (N, h, w) where there is a ReLU, the operation, the size of its input."""
    found: list[Step] = []
    with torch.inference_mode():
        for i in spatial:
            stage = trace.stages[i]
            op, average = stage.op, None
            if stage.is_activated:
                average = trace.mean(i + 1).contiguous().numpy()
            height, width = trace.values[i].shape[2:]
            moves = op if isinstance(op, Conv | MaxPool | AvgPool | Pad) else None
            found.append((average, moves, (height, width)))
    return found


def _frame_mask(steps: list[Step], n: int) -> tuple[Map, float]:
    """The mask of frame `n` before its min-max, and the logarithm of what it was divided by.

    It may lie in memory that the next call writes over.
    """
    mask: Map | None = None
    divided = 0.0
    scale = 1.0  # what the mask is still to be multiplied with, so that its largest value is 1
    for averages, op, size in steps:
        if averages is not None:
            average = averages[n]
            largest, inside = _largest(average)
            divided += inside
            if mask is None:
                mask, scale = average, 1.0 / largest
            else:
                divided -= _log10(scale / largest)
                mask = cv2.multiply(mask, average, average, scale / largest)  # type: ignore[assignment]
                largest, inside = _largest(mask)
                divided += inside
                scale = 1.0 / largest
        if mask is None or op is None:
            continue
        if isinstance(op, Pad):
            mask = _unpad(op, mask)
        else:
            mask = _scale_up(mask, op.window, size)
    assert mask is not None
    return mask, divided


def _largest(values: Map) -> tuple[float, float]:
    """The largest value, as what to divide by; values whose largest is near the ends of float32 are divided here: by the
    power of 10 that comes with it."""
    top = float(values.max())
    if SAFE[0] < top < SAFE[1]:
        return top, 0.0
    if top > 0:
        with np.errstate(
            invalid="ignore"
        ):  # inf / inf, of a network that overflows: its mask comes out as no number
            np.divide(values, np.float32(top), out=values)
        return 1.0, _log10(top)
    return 1.0, 0.0


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else math.nan if math.isnan(value) else -math.inf


def _scale_up(mask: Map, window: Window, size: tuple[int, int]) -> Map:
    """Transposed convolution of ones: the mask among zeros, `stride` apart, then a box sum over the window."""
    height, width = (
        max((n - 1) * stride + (kernel - 1) * dilation + 1, padding + wanted)
        for n, stride, kernel, dilation, padding, wanted in zip(
            mask.shape, window.stride, window.kernel, window.dilation, window.padding, size, strict=True
        )
    )
    (rows, columns), (sh, sw), (ph, pw) = mask.shape, window.stride, window.padding
    among, out = _buffers.zeros((height, width), mask.shape, window.stride), _buffers.result((height, width))
    among[: (rows - 1) * sh + 1 : sh, : (columns - 1) * sw + 1 : sw] = mask
    kh, kw = window.kernel
    if window.dilation == (1, 1):
        cv2.boxFilter(among, -1, (kw, kh), out, (kw - 1, kh - 1), False, cv2.BORDER_CONSTANT)
    else:
        x, y = (_dilated(k, d) for k, d in zip((kw, kh), window.dilation[::-1], strict=True))
        cv2.sepFilter2D(among, -1, x, y, out, (len(x) - 1, len(y) - 1), 0.0, cv2.BORDER_CONSTANT)
    return out[ph : ph + size[0], pw : pw + size[1]]


def _dilated(kernel: int, dilation: int) -> Map:
    ones = np.zeros((kernel - 1) * dilation + 1, np.float32)
    ones[::dilation] = 1
    return ones


def _unpad(op: Pad, mask: Map) -> Map:
    """What the Pad added is dropped, what it left out comes back as zeros."""
    top, bottom, left, right = op.top, op.bottom, op.left, op.right
    height, width = mask.shape
    inner = mask[max(top, 0) : height - max(bottom, 0), max(left, 0) : width - max(right, 0)]
    if min(top, bottom, left, right) >= 0:
        return inner
    around = ((max(-top, 0), max(-bottom, 0)), (max(-left, 0), max(-right, 0)))
    return np.pad(inner, around)


def _min_max(mask: Map, out: Map) -> float:
    """`mask` to [0, 1]; returns its largest value before."""
    low, high = mask.min(), mask.max()
    span = high - low
    np.subtract(mask, low, out=out)
    if span > 0:
        np.divide(out, span, out=out)
    return float(high)


class _Buffers(threading.local):
    """Maps that are kept between frames, a thread's own."""

    def __init__(self) -> None:
        self._zeros: OrderedDict[tuple[object, ...], Map] = OrderedDict()
        self._result = np.empty(0, np.float32)

    def zeros(self, size: tuple[int, int], count: tuple[int, ...], stride: tuple[int, int]) -> Map:
        """Zeros, but for the places that have been filled before, which are always the same."""
        key = (size, count, stride)
        found = self._zeros.get(key)
        if found is None:
            while len(self._zeros) >= KEPT:
                self._zeros.popitem(last=False)
            found = self._zeros[key] = np.zeros(size, np.float32)
        return found

    def result(self, size: tuple[int, int]) -> Map:
        """One for all layers: what is in it has been read before the next layer writes."""
        count = size[0] * size[1]
        if self._result.size < count:
            self._result = np.empty(count, np.float32)
        return self._result[:count].reshape(size)


_buffers = _Buffers()
