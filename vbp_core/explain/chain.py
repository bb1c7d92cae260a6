"""A network as a chain of stages with folded weights: what the engine runs and the methods walk.

The weights are read from the module; the module itself is never run, hooked, or changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from vbp_core.errors import ExplainError

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Where an operation's outputs look in its input, per axis (height, width)."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)


@dataclass(frozen=True)
class Conv:
    """weight (out, in / groups, kh, kw), bias (out,)."""

    weight: Tensor
    bias: Tensor
    window: Window
    groups: int = 1


@dataclass(frozen=True)
class Dense:
    """weight (out, in), bias (out,); acts on the last axis."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Affine:
    """x * scale + shift per channel (axis 1): a BatchNorm that no neighbour could absorb exactly."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class MaxPool:
    window: Window
    ceil_mode: bool = False


@dataclass(frozen=True)
class AvgPool:
    window: Window
    ceil_mode: bool = False
    count_include_pad: bool = True


@dataclass(frozen=True)
class AdaptiveAvgPool:
    """Resolved to an AvgPool of fixed window once the input's size is known; 0 keeps the axis."""

    output: Pair


@dataclass(frozen=True)
class Pad:
    """Zeros around the picture, or, where negative, rows and columns left out."""

    left: int
    right: int
    top: int
    bottom: int


@dataclass(frozen=True)
class Flatten:
    pass


@dataclass(frozen=True)
class Identity:
    """Nothing but, maybe, a ReLU."""


Op: TypeAlias = Conv | Dense | Affine | MaxPool | AvgPool | AdaptiveAvgPool | Pad | Flatten | Identity


@dataclass(frozen=True)
class Stage:
    """One operation and, where `relu`, the ReLU after it. `name` is the module's path in the network."""

    name: str
    op: Op
    relu: bool = False


@dataclass(frozen=True)
class Chain:
    """The stages in order, all tensors of one dtype on one device."""

    stages: tuple[Stage, ...]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Chain:
        return Chain(tuple(replace(s, op=_map_tensors(s.op, device, dtype)) for s in self.stages))


def read_chain(module: nn.Module) -> Chain:
    """The chain of an nn.Sequential (nested ones included) of conv, BN, ReLU, pooling and FC layers.

    BatchNorm counts with its running statistics, as in eval mode, and is folded, in float64, into the
    convolution or the dense layer beside it where that is exact; Dropout and Identity vanish.
    The result is float32 on the CPU and shares nothing with the module. Raises ExplainError that names
    the layer.
    """
    stages: list[Stage] = []
    for name, layer in _leaves(module, ""):
        _append(stages, name, layer)
    if not stages:
        raise ExplainError("the network has no layers")
    return Chain(tuple(_fold(stages))).to("cpu", torch.float32)


def _leaves(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module).forward is nn.Sequential.forward:
        for name, child in module.named_children():
            yield from _leaves(child, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix or type(module).__name__, module


def _append(stages: list[Stage], name: str, layer: nn.Module) -> None:
    if isinstance(layer, nn.ReLU):
        if stages and not stages[-1].relu and not isinstance(stages[-1].op, Flatten):
            stages[-1] = replace(stages[-1], relu=True)
        else:
            stages.append(Stage(name, Identity(), relu=True))
    elif isinstance(layer, nn.Dropout | nn.Dropout2d | nn.Identity):
        return
    else:
        stages.append(Stage(name, _convert(name, layer)))


def _convert(name: str, layer: nn.Module) -> Op:
    if isinstance(layer, nn.Conv2d):
        if layer.padding_mode != "zeros":
            raise ExplainError(
                f"layer {name} pads with {layer.padding_mode!r}; only zero padding can be explained"
            )
        window = Window(
            _pair(layer.kernel_size), _pair(layer.stride), _conv_padding(name, layer), _pair(layer.dilation)
        )
        return Conv(_weights(layer.weight), _bias(layer.bias, layer.out_channels), window, layer.groups)
    if isinstance(layer, nn.Linear):
        return Dense(_weights(layer.weight), _bias(layer.bias, layer.out_features))
    if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
        return _norm(name, layer)
    if isinstance(layer, nn.MaxPool2d):
        if layer.return_indices:
            raise ExplainError(f"layer {name} returns indices beside its maxima, which a chain cannot carry")
        window = Window(
            _pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding), _pair(layer.dilation)
        )
        return MaxPool(window, layer.ceil_mode)
    if isinstance(layer, nn.AvgPool2d):
        if layer.divisor_override:
            raise ExplainError(f"layer {name} overrides its divisor, which cannot be explained")
        window = Window(_pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding))
        return AvgPool(window, layer.ceil_mode, layer.count_include_pad)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        size = layer.output_size
        height, width = size if isinstance(size, tuple) else (size, size)
        return AdaptiveAvgPool((height or 0, width or 0))
    if isinstance(layer, nn.ZeroPad2d):
        left, right, top, bottom = layer.padding
        return Pad(left, right, top, bottom)
    if isinstance(layer, nn.Flatten):
        if layer.start_dim != 1 or layer.end_dim != -1:
            raise ExplainError(f"layer {name} flattens other axes than all but the batch")
        return Flatten()
    raise ExplainError(
        f"layer {name} ({type(layer).__name__}) cannot be explained; "
        "accepted: a chain of Conv2d, BatchNorm, ReLU, MaxPool2d, AvgPool2d, ZeroPad2d, Flatten, Linear and Dropout"
    )


def _norm(name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Affine:
    if layer.running_mean is None or layer.running_var is None:
        raise ExplainError(
            f"layer {name} keeps no running statistics, so it has no fixed meaning at inference"
        )
    scale = (layer.running_var.detach().double().cpu() + layer.eps).rsqrt()
    if layer.weight is not None:
        scale = scale * _weights(layer.weight)
    shift = -layer.running_mean.detach().double().cpu() * scale
    if layer.bias is not None:
        shift = shift + _weights(layer.bias)
    return Affine(scale, shift)


def _fold(stages: list[Stage]) -> list[Stage]:
    """Absorb each Affine into the linear layer before it, or else after it, where that is exact."""
    out: list[Stage] = []
    for stage in stages:
        last = out[-1] if out else None
        if isinstance(stage.op, Affine) and last and not last.relu and isinstance(last.op, Conv | Dense):
            out[-1] = Stage(last.name, _fold_after(last.op, stage.op), stage.relu)
            continue
        out.append(stage)
        _fold_into_last(out)
    return out


def _fold_after(op: Conv | Dense, norm: Affine) -> Conv | Dense:
    shape = (-1,) + (1,) * (op.weight.dim() - 1)
    return replace(op, weight=op.weight * norm.scale.view(shape), bias=op.bias * norm.scale + norm.shift)


def _fold_into_last(out: list[Stage]) -> None:
    """Fold an Affine right before the last stage into it; before Flatten + Dense, into the Dense."""
    op = out[-1].op
    at = len(out) - 2
    if isinstance(op, Dense) and at >= 0 and isinstance(out[at].op, Flatten) and not out[at].relu:
        at -= 1
    if at < 0 or not isinstance(out[at].op, Affine) or out[at].relu:
        return
    norm = out[at].op
    assert isinstance(norm, Affine)
    if isinstance(op, Dense):
        repeats, rest = divmod(op.weight.shape[1], len(norm.scale))
        if rest:
            return
        scale, shift = norm.scale.repeat_interleave(repeats), norm.shift.repeat_interleave(repeats)
        folded: Op = replace(op, weight=op.weight * scale, bias=op.bias + op.weight @ shift)
    elif isinstance(op, Conv) and (op.window.padding == (0, 0) or not bool(norm.shift.any())):
        # With padding the border sees zeros instead of `shift`: exact only without a shift.
        groups, per_group = op.groups, op.weight.shape[1]
        scale = norm.scale.view(groups, 1, per_group).expand(-1, op.weight.shape[0] // groups, -1)
        shift = norm.shift.view(groups, 1, per_group).expand(-1, op.weight.shape[0] // groups, -1)
        scale, shift = (t.reshape(op.weight.shape[0], per_group, 1, 1) for t in (scale, shift))
        folded = replace(op, weight=op.weight * scale, bias=op.bias + (op.weight * shift).sum((1, 2, 3)))
    else:
        return
    out[-1] = replace(out[-1], op=folded)
    del out[at]


def _map_tensors(op: Op, device: torch.device | str, dtype: torch.dtype) -> Op:
    if isinstance(op, Conv):
        # Channels last is what CPU and CUDA kernels like best.
        weight = op.weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        return replace(op, weight=weight, bias=op.bias.to(device, dtype))
    if isinstance(op, Dense):
        return replace(op, weight=op.weight.to(device, dtype), bias=op.bias.to(device, dtype))
    if isinstance(op, Affine):
        return replace(op, scale=op.scale.to(device, dtype), shift=op.shift.to(device, dtype))
    return op


def _weights(parameter: Tensor) -> Tensor:
    return parameter.detach().double().cpu().clone()


def _bias(bias: Tensor | None, size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.float64) if bias is None else _weights(bias)


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _conv_padding(name: str, layer: nn.Conv2d) -> Pair:
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if any(t % 2 for t in total):
            raise ExplainError(f"layer {name} pads one side more than the other, which cannot be explained")
        return total[0] // 2, total[1] // 2
    assert not isinstance(layer.padding, str)
    return _pair(layer.padding)
