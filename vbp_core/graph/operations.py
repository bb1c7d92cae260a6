"""A network as a graph of stages with folded weights: what the engine runs and the methods walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Activation:
    """A function of each number alone, other than ReLU: a name of `activations.FUNCTIONS`, and what it takes."""

    kind: str
    arguments: tuple[float, ...] = ()


@dataclass(frozen=True)
class Add:
    """The sum of all its inputs, which are of one shape: where a skip joins."""


@dataclass(frozen=True)
class Concat:
    """Its inputs behind one another along the channels (axis 1)."""


@dataclass(frozen=True)
class Opaque:
    """Something that is run and cannot be explained. what: in words, for the user ("aten.grid_sampler")."""

    run: Callable[..., Tensor]
    what: str


Op: TypeAlias = (
    Conv
    | Dense
    | Affine
    | MaxPool
    | AvgPool
    | AdaptiveAvgPool
    | Pad
    | Flatten
    | Identity
    | Activation
    | Add
    | Concat
    | Opaque
)


@dataclass(frozen=True)
class Stage:
    """One operation and, where `relu`, the ReLU after it. `name` is the module's path in the network.

    inputs: the values it takes, by number: 0 is the network's input, k + 1 what stage k puts out. Empty: the one
    before it, as in a chain.
    """

    name: str
    op: Op
    relu: bool = False
    inputs: tuple[int, ...] = ()

    @property
    def is_activated(self) -> bool:
        """An activation function stands at its end, whose output VisualBackProp averages."""
        return self.relu or isinstance(self.op, Activation)


@dataclass(frozen=True)
class Graph:
    """The stages in an order in which they can be run, all tensors of one dtype on one device. The last is the output."""

    stages: tuple[Stage, ...]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Graph:
        return Graph(tuple(replace(s, op=_map_tensors(s.op, device, dtype)) for s in self.stages))


def sources(stages: tuple[Stage, ...], i: int) -> tuple[int, ...]:
    """The numbers of the values that stage `i` takes."""
    return stages[i].inputs or (i,)


def bottlenecks(stages: tuple[Stage, ...]) -> frozenset[int]:
    """The values through which everything passes on its way to the output; in a chain, all of them."""
    return _bottlenecks(tuple(stage.inputs for stage in stages))


@lru_cache(maxsize=32)  # asked for every frame
def _bottlenecks(inputs: tuple[tuple[int, ...], ...]) -> frozenset[int]:
    found = []
    earliest = len(inputs)  # that a stage after it takes
    for value in range(len(inputs), -1, -1):
        if earliest >= value:
            found.append(value)
        if value:
            earliest = min(earliest, *(inputs[value - 1] or (value - 1,)))
    return frozenset(found)


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
