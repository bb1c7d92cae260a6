"""ATen operations that are linear layers: convolutions, dense layers, normalisation by running statistics."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.explain.aten.builder import Builder
from vbp.explain.aten.common import Arguments, Rule, double, pair, taken, whole
from vbp.explain.aten.flow import Flow
from vbp.graph.folding import batch_norm
from vbp.graph.operations import Conv, Dense, Pad, Window
from vbp.models.program import Node


def _bias(bias: Tensor | None, size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.float64) if bias is None else double(bias)


def _conv2d(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, weight, bias = taken(a), a["weight"], a.get("bias")
    if not whole(weight, bias) or not isinstance(x, Flow) or len(x.shape) != 4 or weight.dim() != 4:
        return None
    if a.get("transposed"):
        return None
    meta = r.follow(node, a)
    kernel, stride, dilation = (weight.shape[2], weight.shape[3]), pair(a["stride"]), pair(a["dilation"])
    padding = a["padding"]
    if isinstance(padding, str):
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
        padding = [t // 2 for t in total]
        if any(t % 2 for t in total):  # one row or column more at the far side
            far = Pad(0, total[1] % 2, 0, total[0] % 2)
            x = r.stage(node, far, x, meta=x.meta, name=f"{node.layer}.pad")
    window = Window(kernel, stride, pair(padding), dilation)
    op = Conv(double(weight), _bias(bias, weight.shape[0]), window, int(a["groups"]))
    return r.stage(node, op, x, meta=meta)


def _linear(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, weight, bias = taken(a), a["weight"], a.get("bias")
    if not whole(weight, bias) or not isinstance(x, Flow) or len(x.shape) != 2 or weight.dim() != 2:
        return None
    op = Dense(double(weight), _bias(bias, weight.shape[0]))
    return r.stage(node, op, x, meta=r.follow(node, a))


def _addmm(r: Builder, node: Node, a: Arguments) -> Flow | None:
    bias, x, weight = a["self"], a["mat1"], a["mat2"]
    if not isinstance(x, Flow) or not whole(bias, weight) or bias.dim() != 1:
        return None
    op = Dense(
        double(weight).T.contiguous() * float(a["alpha"]),
        double(bias).expand(weight.shape[1]).clone() * float(a["beta"]),
    )
    return r.stage(node, op, x, meta=r.follow(node, a))


def _matmul(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, weight = a["self"], a["mat2"] if "mat2" in a else a["other"]
    if not (isinstance(x, Flow) and isinstance(weight, Tensor) and len(x.shape) == weight.dim() == 2):
        return None
    op = Dense(double(weight).T.contiguous(), _bias(None, weight.shape[1]))
    return r.stage(node, op, x, meta=r.follow(node, a))


def _batch_norm(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """By its running statistics, also in a program that was exported without .eval()."""
    x, mean, variance = taken(a), a["running_mean"], a["running_var"]
    weight, bias = a["weight"], a["bias"]
    if not isinstance(x, Flow) or mean is None or variance is None:
        return None
    if not whole(mean, variance, weight, bias):
        return None
    r.follow(node, a)
    return r.stage(node, batch_norm(mean, variance, weight, bias, float(a["eps"])), x, meta=x.meta)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("conv2d", "convolution", "_convolution"), _conv2d),
    "linear": _linear,
    "addmm": _addmm,
    **dict.fromkeys(("mm", "matmul"), _matmul),
    "batch_norm": _batch_norm,
}  # fmt: skip
