"""Layer-wise relevance propagation, the epsilon rule (Samek et al. 2016, Eq. 6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp_core.errors import ExplainError
from vbp_core.explain.chain import Affine, AvgPool, Conv, Dense, Flatten, MaxPool, Pad, Stage, Window
from vbp_core.explain.trace import Trace, unpad

EPS = 100.0
MIN_EPS, MAX_EPS = 1e-30, 1e30  # float32 ends at 1e-38 and 3e38
FEW_TAPS = 32  # inputs x kernel height x width, below which a matrix product beats a transposed convolution


def lrp(trace: Trace, target: int | None = None, eps: float = EPS, bias: bool = True) -> Tensor:
    """Relevance (N, H, W) of the network's input, summed over its channels, scaled to max |r| = 1.

    R_i = sum_j z_ij / (z_j + eps sign(z_j)) R_j with z_ij = a_i w_ij, sign(0) = +1, on every
    convolution and every dense layer, starting from the output `target` (default 0). `bias` True divides by the
    layer's output, as the code of the rule's authors; False leaves the bias out of z_j. ReLU passes
    relevance through; max-pooling gives it to the winner; average-pooling shares it by contribution.
    R is divided by its maximum per frame after every layer: the rule is linear in R, and at eps = 100
    float32 would reach zero before the input.

    The hidden activations suffice: behind a ReLU, a_j > 0 is z_j, and where a_j = 0 there is no
    relevance to hand down. Where the last hidden layer is dead the map is all zero.
    Raises ExplainError for an eps that is negative, beyond 1e30 or not a number, or an output that does not exist.
    """
    if not 0 <= eps <= MAX_EPS:
        raise ExplainError(f"LRP needs an eps from 0 to {MAX_EPS:g}, not {eps:g}")
    if eps < MIN_EPS:
        eps = 0.0  # which has rules of its own for a z_j of 0
    outputs = trace.output.shape[1]
    index = 0 if target is None else target
    if not 0 <= index < outputs:
        raise ExplainError(f"the network has {outputs} outputs; there is no output {index}")
    with torch.inference_mode():
        relevance = torch.zeros_like(trace.output)
        relevance[:, index] = trace.output[:, index]
        for i in range(len(trace.stages) - 1, -1, -1):
            relevance = _step(trace.stages[i], trace.values[i], trace.values[i + 1], relevance, eps, bias)
            relevance = by_largest(relevance)
        summed: Tensor = relevance.sum(1)
        return by_largest(summed)


def _step(stage: Stage, x: Tensor, z: Tensor, relevance: Tensor, eps: float, bias: bool) -> Tensor:
    op = stage.op
    if isinstance(op, Conv | Dense | Affine):
        if not bias:
            offset = op.shift if isinstance(op, Affine) else op.bias
            z = z - offset.view((1, -1) + (1,) * (z.dim() - 2))
        # Behind a ReLU, with the bias in, z_j is never negative where it counts.
        plain = stage.relu and bias
        denominator = z + eps if plain else torch.where(z >= 0, z + eps, z - eps)  # in the precision of z
        share = relevance / denominator if eps > 0 else _divide(relevance, denominator)
        return x * _transposed(op, share, x)
    if isinstance(op, MaxPool):
        return _to_winners(op, x, relevance)
    if isinstance(op, AvgPool):
        w = op.window
        z = F.avg_pool2d(x, w.kernel, w.stride, w.padding, op.ceil_mode, op.count_include_pad)
        grad: Tensor = torch.ops.aten.avg_pool2d_backward(
            _divide(relevance, z), x, w.kernel, w.stride, w.padding, op.ceil_mode, op.count_include_pad, None
        )
        return x * grad
    if isinstance(op, Pad):
        return unpad(op, relevance)
    if isinstance(op, Flatten):
        return relevance.view(x.shape)
    return relevance


def _divide(relevance: Tensor, by: Tensor) -> Tensor:
    """relevance / by, and 0 where there is no relevance or nothing to divide by."""
    return torch.where((relevance != 0) & (by != 0), relevance / torch.where(by != 0, by, 1.0), 0.0)


def _transposed(op: Conv | Dense | Affine, share: Tensor, x: Tensor) -> Tensor:
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


def _to_winners(op: MaxPool, x: Tensor, relevance: Tensor) -> Tensor:
    w = op.window
    _, winners = F.max_pool2d(x, w.kernel, w.stride, w.padding, w.dilation, op.ceil_mode, return_indices=True)
    flat = torch.zeros_like(x, memory_format=torch.contiguous_format).flatten(2)
    flat.scatter_add_(2, winners.flatten(2), relevance.reshape(winners.shape).flatten(2))
    return flat.view(x.shape)


def by_largest(maps: Tensor) -> Tensor:
    """Divide each frame of (N, ...) by its largest magnitude; all zero stays zero."""
    top = maps.abs().amax(tuple(range(1, maps.dim())), keepdim=True)
    return maps / torch.where(top > 0, top, torch.ones_like(top))
