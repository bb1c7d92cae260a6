"""What the rules for ATen operations share: what they take and give, numbers for each channel, and the simplest stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from vbp.explain.aten.builder import Builder
from vbp.explain.aten.flow import Flow
from vbp.graph.operations import Affine, Op, Pair
from vbp.models.program import Node

Arguments: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Builder, Node, Arguments], Any]  # a Flow, of several outputs a list, or None


def taken(a: Arguments) -> Any:
    """What the operation works on, whichever way it is called."""
    return a["self"] if "self" in a else a["input"]


def elementwise(r: Builder, node: Node, x: Flow, op: Op, relu: bool = False) -> Flow:
    """Shapes stay as they are."""
    out = r.stage(node, op, x, meta=x.meta, relu=relu)
    out.squeezed = x.squeezed
    return out


def whole(*tensors: Any) -> bool:
    """Weights that do not depend on the picture."""
    return all(t is None or isinstance(t, Tensor) for t in tensors)


def double(t: Tensor) -> Tensor:
    """Weights as graphs keep them: float64, on the CPU."""
    return t.detach().double().cpu()


def pair(value: Any) -> Pair:
    """PyTorch's lists of one or two numbers."""
    numbers = [int(v) for v in (value if isinstance(value, list | tuple) else [value])]
    return (numbers[0], numbers[-1])


def per_channel(value: Any, x: Flow) -> Tensor | None:
    """A number or a tensor that is one number for each channel of x, as float64 (channels,); None where it is not."""
    channels = 1 if x.squeezed else x.shape[1] if len(x.shape) > 1 else 0
    if isinstance(value, bool) or not channels:
        return None
    if isinstance(value, int | float):
        return torch.full((channels,), float(value), dtype=torch.float64)
    if not isinstance(value, Tensor) or value.is_complex() or value.dim() > len(x.shape):
        return None
    number = double(value)
    if number.numel() == 1:
        return number.reshape(1).expand(channels).clone()
    shape = (1,) * (len(x.shape) - number.dim()) + tuple(number.shape)
    if len(shape) < 2 or shape[1] != channels or number.numel() != channels:
        return None
    return number.reshape(channels).clone()


def affine(r: Builder, node: Node, x: Flow, scale: Any = 1.0, shift: Any = 0.0) -> Flow | None:
    """x * scale + shift, numbers for each channel; None where one of them is not."""
    times, plus = per_channel(scale, x), per_channel(shift, x)
    if times is None or plus is None:
        return None
    return elementwise(r, node, x, Affine(times, plus))


def nothing(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """The same tensor."""
    flow: Flow = taken(a)
    return flow


def view(x: Flow, squeezed: bool, meta: tuple[Tensor, ...]) -> Flow:
    """The same numbers in another shape."""
    return Flow(x.number, meta, x.storage, squeezed)
