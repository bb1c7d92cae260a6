"""The stages of an nn.Sequential, BatchNorm folded.

The weights are read from the module; the module itself is never run, hooked, or changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from vbp.errors import ExplainError
from vbp.graph.folding import batch_norm, fold
from vbp.graph.operations import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    Graph,
    Identity,
    MaxPool,
    Op,
    Pad,
    Pair,
    Stage,
    Window,
)


def is_chain(module: nn.Module) -> bool:
    """Nothing but layers of torch.nn behind one another, as they are: no code of the user's own, no hooks."""
    hooks = any(
        getattr(part, name, None)
        for part in module.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks")
    )
    return not hooks and all(
        type(layer).forward.__module__.startswith("torch.nn.modules.") for _, layer in _leaves(module, "")
    )


def read_chain(module: nn.Module, dtype: torch.dtype = torch.float32) -> Graph:
    """The chain of an nn.Sequential (nested ones included) of conv, BN, ReLU, pooling and FC layers.

    BatchNorm counts with its running statistics, as in eval mode, and is folded, in float64, into the
    convolution or the dense layer beside it where that is exact; Dropout and Identity vanish.
    The result is of `dtype` on the CPU and shares nothing with the module. Raises ExplainError that names
    the layer.
    """
    stages: list[Stage] = []
    for name, layer in _leaves(module, ""):
        _append(stages, name, layer)
    if not stages:
        raise ExplainError("the network has no layers")
    return Graph(tuple(fold(stages))).to("cpu", dtype)


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
        stages.append(Stage(name, convert(name, layer)))


def convert(name: str, layer: nn.Module) -> Op:
    """One of torch's layers, its weights in float64. Raises ExplainError for one that cannot be explained."""
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
        mean, variance = layer.running_mean, layer.running_var
        if mean is None or variance is None:
            raise ExplainError(
                f"layer {name} keeps no running statistics, so it has no fixed meaning at inference"
            )
        return batch_norm(mean, variance, layer.weight, layer.bias, layer.eps)
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


def _weights(parameter: Tensor) -> Tensor:
    """A copy, of its own precision: BatchNorms are float64, and what they are folded into becomes it."""
    return parameter.detach().cpu().clone()


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
