"""The operations backwards: what all methods that go from the output to the input share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp.devices import full_float32
from vbp.errors import OpaqueLayerError
from vbp.graph import activations
from vbp.graph.operations import (
    Activation,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Op,
    Opaque,
    Pad,
    Stage,
    Window,
    sources,
)
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, apply, unpad

FEW_TAPS = 32  # inputs x kernel height x width, below which a matrix product beats a transposed convolution
SMALL = 100_000  # values of a frame's map

ROUNDING, CERTAIN = (
    1e-3,
    1e-2,
)  # of a sum's sizes: what single precision says of less is noise, and of more is right


def adjoint(op: Op, x: Tensor, grad: Tensor) -> Tensor:
    """The transposed Jacobian of `op` at its input x, applied to grad (shaped as op's output); shaped as x.

    A maximum belongs to the place that holds it. The ReLU of the stage is no part of this.
    """
    if isinstance(op, Conv | Dense | Affine):
        return transposed(op, grad, x)
    if isinstance(op, MaxPool):
        return max_pool_backward(op, x, grad)
    if isinstance(op, AvgPool):
        return avg_pool_backward(op, x, grad)
    if isinstance(op, Pad):
        return unpad(op, grad)
    if isinstance(op, Flatten):
        return grad.reshape(x.shape)
    if isinstance(op, Activation):
        return grad * activations.slope(op, x)
    return grad


def divide_(relevance: Tensor, by: Tensor) -> Tensor:
    """relevance / by in place, and 0 where there is no relevance or nothing to divide by."""
    return relevance.div_(by).nan_to_num_(0.0, 0.0, 0.0)


def divide_beyond_rounding_(relevance: Tensor, gamma: Tensor, flow: Tensor) -> Tensor:
    """relevance / gamma in place, where gamma is more than the rounding of what it is the sum of.

    flow: the sum of the sizes of what gamma is the sum of. Up to ROUNDING of it nothing is handed down, from CERTAIN of it
    on all, and between the two a part that grows evenly: with one bound, single and double precision would part at each
    neuron that lies next to it.
    """
    part = (gamma.abs() / flow.clamp(min=torch.finfo(flow.dtype).tiny) - ROUNDING) / (CERTAIN - ROUNDING)
    return divide_(relevance.mul_(part.clamp_(0.0, 1.0)), gamma.where(part > 0, 0.0))


def normalise(maps: Tensor, strength: Strength | None = None) -> Tensor:
    """Divide each frame of (N, ...) by its largest magnitude; all zero stays zero. strength: is told by what."""
    return maps / _max_magnitude(maps, strength)


def normalise_(maps: Tensor, strength: Strength | None = None) -> Tensor:
    """The same in place: a map that is as large as a layer costs more to allocate than to divide."""
    return maps.div_(_max_magnitude(maps, strength))


def _max_magnitude(maps: Tensor, strength: Strength | None) -> Tensor:
    axes = tuple(range(1, maps.dim()))
    top = torch.maximum(maps.amax(axes, keepdim=True), -maps.amin(axes, keepdim=True))
    if strength is not None:
        strength.divided(top)
    return torch.where(top > 0, top, torch.ones_like(top))


Rule: TypeAlias = Callable[[Stage, Tensor, Tensor, Tensor], Tensor]
Share: TypeAlias = Callable[[Stage, tuple[Tensor, ...], Tensor, Tensor], list[Tensor]]
OpaqueShare: TypeAlias = Callable[[Stage, tuple[Tensor, ...], Tensor, Tensor], list[Tensor] | None]


def gradient_to_inputs(stage: Stage, inputs: tuple[Tensor, ...], out: Tensor, grad: Tensor) -> list[Tensor]:
    """The gradient where several values join: a sum hands all of it to each, a concatenation to each its channels."""
    if isinstance(stage.op, Concat):
        return [part.contiguous() for part in torch.split(grad, [x.shape[1] for x in inputs], 1)]
    return [grad, *(grad.clone() for _ in inputs[1:])]


def propagate(
    trace: Trace,
    start: Tensor,
    rule: Rule,
    share: Share = gradient_to_inputs,
    scale: Callable[[Tensor], Tensor] = normalise_,
    first: int | None = None,
    stop: int = 0,
    opaque: OpaqueShare | None = None,
) -> Tensor:
    """Propagate `start`, shaped as values[first] (default: the output), down to values[stop].

    rule(stage, its input, its output, what the output got) -> what its input gets; may write over what it is given.
    share, the same for stages of several inputs. Where a value was taken by several stages, what comes back is added.
    opaque, the same for what the graph has no word for; it gives None where the method has no rule for that.
    `scale` may multiply each frame by a positive number of its own; it is asked wherever all there is stands in one
    tensor, so that no depth of network leaves the range of numbers. Raises ExplainError at what cannot be explained.
    """
    top = len(trace.stages) if first is None else first
    waiting = {top: start}
    # Between operations that the graph has no word for, a value's first axis may not be the frames.
    unknown = [i for i, stage in enumerate(trace.stages) if isinstance(stage.op, Opaque)] or [top]
    between = range(unknown[0] + 1, unknown[-1] + 1)
    for i in range(top - 1, stop - 1, -1):
        got = waiting.pop(i + 1, None)
        if got is None:
            continue
        stage, inputs = trace.stages[i], trace.inputs(i)
        if isinstance(stage.op, Opaque):
            if not bool(got.any()):
                continue  # nothing comes back to the head of another output, whatever it does
            found = opaque(stage, inputs, trace.values[i + 1], got) if opaque is not None else None
            if found is None:
                raise opaque_layer_error(stage)
            parts = found
        elif len(inputs) == 1:
            parts = [rule(stage, inputs[0], trace.values[i + 1], got)]
        else:
            parts = share(stage, inputs, trace.values[i + 1], got)
        for k, part in zip(sources(trace.stages, i), parts, strict=True):
            waiting[k] = waiting[k] + part if k in waiting else part
        if len(waiting) == 1 and next(iter(waiting)) not in between:
            waiting = {k: scale(part) for k, part in waiting.items()}
    return waiting[stop] if stop in waiting else torch.zeros_like(trace.values[stop])


def opaque_layer_error(stage: Stage) -> OpaqueLayerError:
    what = stage.op.what if isinstance(stage.op, Opaque) else type(stage.op).__name__
    return OpaqueLayerError(f"{stage.name} ({what})")


@full_float32()
def backward(
    trace: Trace,
    grad: Tensor,
    relu: Callable[[Tensor, Tensor], Tensor],
    stop: int = 0,
    strength: Strength | None = None,
) -> Tensor:
    """Propagate `grad`, shaped as the output, down to values[stop], with a rule for the ReLUs: relu(grad, its output).

    Each frame's result may come times a positive number of its own: where maps are small enough for it to cost
    nothing, they are divided by their largest value, of which `strength` is told.
    """

    def rule(stage: Stage, x: Tensor, out: Tensor, grad: Tensor) -> Tensor:
        return adjoint(stage.op, x, relu(grad, out) if stage.relu else grad)

    def share(stage: Stage, inputs: tuple[Tensor, ...], out: Tensor, grad: Tensor) -> list[Tensor]:
        return gradient_to_inputs(stage, inputs, out, relu(grad, out) if stage.relu else grad)

    def opaque(stage: Stage, inputs: tuple[Tensor, ...], out: Tensor, grad: Tensor) -> list[Tensor]:
        return vector_jacobian(stage.op, inputs, relu(grad, out) if stage.relu else grad)

    scale = partial(_scale_small, strength=strength)
    return propagate(trace, grad, rule, share, scale, stop=stop, opaque=opaque)


def _scale_small(grad: Tensor, strength: Strength | None) -> Tensor:
    return normalise(grad, strength) if grad[:1].numel() <= SMALL else grad


def vector_jacobian(op: Op, inputs: tuple[Tensor, ...], grad: Tensor) -> list[Tensor]:
    """The transposed Jacobian of any operation, by autograd: its derivative needs no rule of ours. Zero where there is none."""
    with torch.inference_mode(False), torch.enable_grad():
        xs = [x.clone().requires_grad_(x.is_floating_point() or x.is_complex()) for x in inputs]
        out = apply(op, *xs)
        if not out.requires_grad:  # as of what counts or compares
            return [grad.new_zeros(x.shape) for x in inputs]
        wanted = [x for x in xs if x.requires_grad]
        found = iter(torch.autograd.grad(out, wanted, grad.clone(), allow_unused=True))
    parts = [next(found) if x.requires_grad else None for x in xs]
    return [grad.new_zeros(x.shape) if p is None else p for p, x in zip(parts, inputs, strict=True)]


def relu_gradient(grad: Tensor, out: Tensor) -> Tensor:
    """What a ReLU lets through by its derivative: grad where it put something out."""
    passed: Tensor = torch.ops.aten.threshold_backward(grad, out, 0)
    return passed


def transposed(op: Conv | Dense | Affine, share: Tensor, x: Tensor) -> Tensor:
    """The layer's linear map, transposed, applied to `share`; the result has the shape of x."""
    if isinstance(op, Dense):
        return share @ op.weight
    if isinstance(op, Affine):
        return share * op.scale.view((1, -1) + (1,) * (share.dim() - 2))
    w = op.window
    if op.groups == 1 and op.weight[0].numel() <= FEW_TAPS:
        return _transposed_by_taps(op, share, x)
    rest = [_unseen(x.shape[2 + a], share.shape[2 + a], w, a) for a in (0, 1)]
    return F.conv_transpose2d(share, op.weight, None, w.stride, w.padding, rest, op.groups, w.dilation)


def _transposed_by_taps(op: Conv, share: Tensor, x: Tensor) -> Tensor:
    """The same for a layer with few inputs, such as the first of a grey network: one matrix product, then shifts.

    Convolution kernels want many channels on both sides; with one, they take ten times as long as this.
    """
    w = op.window
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = w.kernel, w.stride, w.padding, w.dilation
    n, outputs, rows, columns = share.shape
    inputs = op.weight.shape[1]
    flat = share.permute(0, 2, 3, 1).reshape(n, rows * columns, outputs)
    taps = (op.weight.reshape(outputs, -1).T @ flat.transpose(1, 2)).view(n, inputs, kh, kw, rows, columns)
    height = max(ph + x.shape[2], (rows - 1) * sh + (kh - 1) * dh + 1)
    width = max(pw + x.shape[3], (columns - 1) * sw + (kw - 1) * dw + 1)
    out = share.new_zeros((n, inputs, height, width))
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            out[:, :, top : top + (rows - 1) * sh + 1 : sh, left : left + (columns - 1) * sw + 1 : sw] += (
                taps[:, :, i, j]
            )
    return out[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]]


def _unseen(size: int, count: int, window: Window, axis: int) -> int:
    """Rows at the far end of the input that no output of the layer looks at."""
    covered = (count - 1) * window.stride[axis] + (window.kernel[axis] - 1) * window.dilation[axis] + 1
    return size - (covered - 2 * window.padding[axis])


def max_pool_backward(op: MaxPool, x: Tensor, relevance: Tensor) -> Tensor:
    """What each window of a max-pooling got, at the place of its maximum."""
    w = op.window
    _, winners = F.max_pool2d(x, w.kernel, w.stride, w.padding, w.dilation, op.ceil_mode, return_indices=True)
    flat = torch.zeros_like(x, memory_format=torch.contiguous_format).flatten(2)
    flat.scatter_add_(2, winners.flatten(2), relevance.reshape(winners.shape).flatten(2))
    return flat.view(x.shape)


def avg_pool_backward(op: AvgPool, x: Tensor, grad: Tensor) -> Tensor:
    """The transpose of an average-pooling: what each window got, shared equally by its places."""
    w = op.window
    back: Any = torch.ops.aten.avg_pool2d_backward
    out: Tensor = back(grad, x, w.kernel, w.stride, w.padding, op.ceil_mode, op.count_include_pad, None)
    return out
