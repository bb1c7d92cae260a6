"""Layers of Keras become a Program of ATen operations, in PyTorch's order of axes from the first to the last.

Keras keeps the channels last, PyTorch first. Instead of transposing, each value remembers which of Keras's axes is where,
and a flattened one which of Keras's numbers; the dense layer behind it has its weights in that order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.keras_config import Layer
from vbp.models.keras_weights import Entry, read_array, shape_of
from vbp.models.program import Node, Ref, call

MAX_PARAMETERS = 500_000_000
MAX_VALUES = 2**28  # of one layer's output, for one picture
MAX_NODES = 100_000


@dataclass(frozen=True, eq=False)
class Value:
    """What a layer puts out. name: in the program. meta: a tensor without data, shaped as the program has it, two frames.

    axes: the place of Keras's axes (without the batch): axis i + 1 of the tensor is Keras's axes[i]. order: of a
    flattened value, the tensor's number i is Keras's number order[i]; None: the same. flat: what it was before.
    """

    name: str
    meta: Tensor
    axes: tuple[int, ...]
    order: NDArray[np.int64] | None = None
    flat: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """By Keras's axes."""
        return keras_shape(tuple(self.meta.shape[1:]), self.axes)

    @property
    def rank(self) -> int:
        return len(self.axes)

    def at(self, axis: int) -> int:
        """The tensor's axis that is Keras's axis `axis`, which counts the batch or is negative."""
        rank = self.rank
        if isinstance(axis, bool) or not isinstance(axis, int) or not (-rank <= axis <= rank) or axis == 0:
            raise ModelError(f"an axis {str(axis)[:40]} of {rank + 1} is not there, or is the batch")
        return self.axes.index(axis - 1 if axis > 0 else rank + axis) + 1


def keras_shape(sizes: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sizes[axes.index(k)] for k in range(len(axes)))


def channels_first(rank: int) -> tuple[int, ...]:
    """The axes of a value whose channels Keras has last, and the program first."""
    return (rank - 1, *range(rank - 1))


def wanted_axes(rank: int, config: dict[str, Any]) -> tuple[int, ...]:
    return tuple(range(rank)) if config.get("data_format") == "channels_first" else channels_first(rank)


class Build:
    """Collects the nodes and the weights. version: Keras's major one. said: by a layer's name, what the user says of it."""

    def __init__(
        self,
        arrays: dict[int, list[Entry]],
        version: int,
        theano: bool,
        said: dict[str, dict[str, Any]],
    ) -> None:
        self.arrays, self.version, self.theano, self.said = arrays, version, theano, said
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.parameters = 0
        self.taken: set[str] = set()
        self._weights: dict[int, list[Tensor]] = {}

    # Weights

    def weights(self, layer: Layer, *shapes: tuple[int, ...]) -> list[Tensor]:
        """The arrays of a layer, which have to be these. Raises ModelError."""
        held = self._weights.get(id(layer))
        if held is not None:
            if [tuple(t.shape) for t in held] != list(shapes):
                raise ModelError("it is used twice, on inputs of different sizes")
            return held
        self.parameters += sum(math.prod(shape) for shape in shapes)
        if self.parameters > MAX_PARAMETERS:
            raise ModelError(
                f"the network would have {self.parameters:,} weights up to here; at most {MAX_PARAMETERS:,} are accepted"
            )
        found = self.arrays.get(id(layer), [])
        if len(found) != len(shapes):
            raise ModelError(
                f"the file holds {len(found) or 'no'} arrays of weights for it, and {len(shapes)} are expected"
            )
        held = [
            torch.from_numpy(read_array(data, shape).copy())
            for data, shape in zip(found, shapes, strict=True)
        ]
        self._weights[id(layer)] = held
        return held

    def stored(self, layer: Layer) -> list[tuple[int, ...]]:
        """The shapes of a layer's arrays in the file, for what Keras 1 and 2 keep in different ways."""
        return [shape_of(entry) for entry in self.arrays.get(id(layer), [])]

    def tensor(self, tensor: Tensor) -> Ref:
        name = f"weights {len(self.tensors)}"
        self.tensors[name] = tensor
        return Ref(name)

    # Nodes

    def add(self, layer: str, op: str, /, **arguments: Any) -> tuple[str, Tensor]:
        """One node; Values and Tensors among its arguments become Refs. Raises ModelError where they do not fit."""
        if len(self.nodes) >= MAX_NODES:
            raise ModelError(f"the network has more than {MAX_NODES:,} operations")
        plain = {k: _each(v, self._ref) for k, v in arguments.items()}
        try:
            with torch.no_grad():
                meta = call(f"aten.{op}", {k: _each(v, _meta) for k, v in arguments.items()})
        except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError) as error:
            raise ModelError(f"its input does not fit: {str(error).splitlines()[0][:120]}") from error
        if meta.numel() > 2 * MAX_VALUES:
            raise ModelError(f"it puts out {meta.numel() // 2:,} numbers for one picture, which is too many")
        if meta.numel() == 0:
            raise ModelError("nothing is left of the picture: its input is too small")
        name, number = layer, 1
        while name in self.taken:
            number += 1
            name = f"{layer}.{number}"
        self.taken.add(name)
        self.nodes.append(Node(f"aten.{op}", plain, (name,), layer))
        return name, meta

    def like(self, x: Value, layer: str, op: str, /, **arguments: Any) -> Value:
        """A node that keeps the shape of x, and the places of its axes."""
        name, meta = self.add(layer, op, self=x, **arguments)
        return replace(x, name=name, meta=meta)

    def make(self, layer: str, op: str, axes: tuple[int, ...], /, **arguments: Any) -> Value:
        name, meta = self.add(layer, op, **arguments)
        return Value(name, meta, axes)

    # Places of axes

    def placed(self, x: Value, axes: tuple[int, ...], layer: str) -> Value:
        """x with its axes at these places; a transposition, if they are not there already."""
        if x.rank != len(axes):
            raise ModelError(f"it takes {len(axes)} axes, and its input has {x.rank} ({size_text(x)})")
        if x.axes == axes:
            return self.plain(x, layer)
        dims = [0, *(x.axes.index(k) + 1 for k in axes)]
        return self.make(f"{layer}.permute", "permute.default", axes, self=x, dims=dims)

    def plain(self, x: Value, layer: str) -> Value:
        """A flattened value in Keras's own order."""
        if x.order is None:
            return x
        if x.flat is not None:
            sizes, axes = x.flat
            back = self.make(f"{layer}.unflatten", "reshape.default", axes, self=x, shape=[-1, *sizes])
            back = self.placed(back, tuple(range(len(axes))), layer)
            return self.make(
                f"{layer}.flatten", "flatten.using_ints", (0,), self=back, start_dim=1, end_dim=-1
            )
        places = torch.from_numpy(np.argsort(x.order))
        return self.make(f"{layer}.order", "index_select.default", (0,), self=x, dim=1, index=places)

    def per_axis(self, numbers: Tensor, x: Value, axis: int) -> Tensor:
        """Numbers along one of Keras's axes, shaped to be multiplied with x."""
        if x.rank == 1 and x.order is not None:
            numbers = numbers[torch.from_numpy(x.order)]
        shape = [1] * (x.rank + 1)
        shape[x.at(axis)] = -1
        return numbers.reshape(shape)

    def _ref(self, value: Any) -> Any:
        if isinstance(value, Value):
            return Ref(value.name)
        return self.tensor(value) if isinstance(value, Tensor) else value


def _each(value: Any, function: Any) -> Any:
    if isinstance(value, list):
        return [_each(v, function) for v in value]
    return function(value)


def _meta(value: Any) -> Any:
    if isinstance(value, Value):
        return value.meta
    return value.to("meta") if isinstance(value, Tensor) else value


def size_text(x: Value) -> str:
    return "x".join(map(str, x.shape))


def keras_order(sizes: tuple[int, ...], axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Of a tensor of these sizes that is flattened, which of the numbers that Keras would flatten each is."""
    shape = keras_shape(sizes, axes)
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return np.ascontiguousarray(numbers.transpose(axes)).reshape(-1)
