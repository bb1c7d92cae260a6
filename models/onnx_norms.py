"""ONNX operators that normalise, and what exporters write for those that an older opset has no operator for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vbp.errors import ModelError
from vbp.models.onnx_node import OnnxNode, Rule
from vbp.models.onnx_values import Builder, Data, Known, Value, known
from vbp.models.program import Node, Ref


def _batch_norm(b: Builder, n: OnnxNode) -> Value:
    if n.attribute("training_mode", 0):
        raise ModelError("was exported in training mode; export the network after .eval()")
    scale, shift, mean, variance = (known(n.value(i), "its statistics") for i in range(1, 5))
    out: Value = b.call(
        "batch_norm.default",
        input=b.materialised(n.value(0)),
        weight=scale,
        bias=shift,
        running_mean=mean,
        running_var=variance,
        training=False,
        momentum=0.1,
        eps=float(n.attribute("epsilon", 1e-5)),
        cudnn_enabled=False,
    )
    return out


def _instance_norm(b: Builder, n: OnnxNode) -> Value:
    out: Value = b.call(
        "instance_norm.default",
        input=b.materialised(n.value(0)),
        weight=known(n.value(1), "a weight"),
        bias=known(n.value(2), "a bias"),
        running_mean=None,
        running_var=None,
        use_input_stats=True,
        momentum=0.1,
        eps=float(n.attribute("epsilon", 1e-5)),
        cudnn_enabled=False,
    )
    return out


def _layer_norm(b: Builder, n: OnnxNode) -> Value:
    x = b.materialised(n.value(0))
    shape = x.shapes[0]
    axis = int(n.attribute("axis", -1)) % len(shape)
    size = list(shape[axis:])
    weight = known(n.value(1), "a weight").expand(size)
    bias = known(n.value(2), "a bias").expand(size) if n.optional(2) is not None else None
    out: Value = b.call(
        "layer_norm.default",
        input=x,
        normalized_shape=size,
        weight=weight.contiguous(),
        bias=None if bias is None else bias.contiguous(),
        eps=float(n.attribute("epsilon", 1e-5)),
    )
    return out


def _group_norm(b: Builder, n: OnnxNode) -> Value:
    x, groups = b.materialised(n.value(0)), int(n.attribute("num_groups", 1))
    weight, bias = known(n.value(1), "a weight"), known(n.value(2), "a bias")
    channels = x.shapes[0][1]
    if weight.numel() == groups != channels:  # of opset 18, a number for each group
        weight, bias = (t.repeat_interleave(channels // groups) for t in (weight, bias))
    out: Value = b.call(
        "group_norm.default",
        input=x,
        num_groups=groups,
        weight=weight,
        bias=bias,
        eps=float(n.attribute("epsilon", 1e-5)),
    )
    return out


def regrouped(b: Builder, x: Data, sizes: Sequence[Sequence[int]]) -> Value | None:
    """x as a GroupNorm, where it is one that is put back into its shape; else None.

    Before opset 21 exporters write (N, C, H, W) to (N, groups, rest), InstanceNormalization, and back, in which no map
    keeps its places.
    """
    norm = b.maker(x.name)
    parts = b.maker(_ref(norm, "input")) if norm is not None and norm.kind == "instance_norm" else None
    before = b.held.get(_ref(parts, "self")) if parts is not None and parts.kind == "reshape" else None
    if norm is None or before is None or len(x.axes) != 3 or list(before.shapes) != [tuple(s) for s in sizes]:
        return None
    groups, channels = x.shapes[0][1], before.shapes[0][1]
    if channels % groups or any(
        s[0] != own[0] or math.prod(s[1:]) != math.prod(own[1:])
        for s, own in zip(before.shapes, x.shapes, strict=True)
    ):
        return None
    weight, bias = (
        b.tensors[_ref(norm, name)].repeat_interleave(channels // groups) for name in ("weight", "bias")
    )
    out: Value = b.call(
        "group_norm.default",
        input=before,
        num_groups=groups,
        eps=norm.arguments["eps"],
        weight=weight,
        bias=bias,
    )
    return out


def with_affine(b: Builder, op: str, x: Value, y: Value) -> Value | None:
    """A GroupNorm with the weight or the bias of each channel that exporters put behind it; None for anything else."""
    data, constant = (x, y) if isinstance(x, Data) else (y, x)
    norm = b.maker(data.name) if isinstance(data, Data) and data.plain else None
    if norm is None or norm.kind != "group_norm" or not isinstance(constant, Known):
        return None
    assert isinstance(data, Data)
    channels, rank = data.shapes[0][1], len(data.axes)
    if constant.shapes[0] not in ((channels, *[1] * (rank - 2)), (1, channels, *[1] * (rank - 2))):
        return None
    number = constant.fixed.reshape(-1)
    weight, bias = (b.tensors[_ref(norm, name)] for name in ("weight", "bias"))
    each = (weight * number, bias * number) if op == "mul.Tensor" else (weight, bias + number)
    out: Value = b.call(
        "group_norm.default",
        input=b.held[_ref(norm, "input")],
        num_groups=norm.arguments["num_groups"],
        eps=norm.arguments["eps"],
        weight=each[0],
        bias=each[1],
    )
    return out


def _ref(node: Node | None, argument: str) -> str:
    found = node.arguments.get(argument) if node is not None else None
    return found.name if isinstance(found, Ref) else ""


RULES: dict[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
}
