"""What flows through an ONNX graph while it is read: constants, and what depends on the picture, with its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.program import Node, Ref, call

LARGEST = 2**28  # values of a constant, or of one frame's map; more fits into no memory
MAX_NODES = 100_000


@dataclass(frozen=True)
class Known:
    """A tensor that does not depend on the picture, at each batch size that the graph is followed with."""

    values: tuple[Tensor, ...]

    @property
    def fixed(self) -> Tensor:
        """The tensor, which is the same at each batch size. Raises ModelError where it is not."""
        first = self.values[0]
        if any(v.shape != first.shape or not torch.equal(v, first) for v in self.values[1:]):
            raise ModelError("computes with how many pictures there are, which cannot be followed")
        return first

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(v.shape) for v in self.values)


@dataclass(frozen=True)
class Data:
    """What depends on the picture. name: of what holds it. meta: without data, as it lies there, at each batch size.

    axes: where each axis of the file's own tensor lies; a Transpose only changes this, so that none is ever run for the
    sake of another layout. order: of a row of numbers, where each of the file's own lies (None: in its place).
    """

    name: str
    meta: tuple[Tensor, ...]
    axes: tuple[int, ...]
    order: Tensor | None = None

    @property
    def plain(self) -> bool:
        return self.order is None and self.axes == tuple(range(len(self.axes)))

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(m.shape[a] for a in self.axes) for m in self.meta)


Value: TypeAlias = Known | Data


def raw(x: Data) -> Data:
    """The tensor as it lies there."""
    return Data(x.name, x.meta, tuple(range(len(x.axes))))


@dataclass
class Builder:
    """Collects the nodes of a Program. batches: the batch sizes followed; what differs between them depends on it."""

    batches: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    layer: str = ""  # that the nodes now made belong to
    held: dict[str, Data] = field(default_factory=dict)  # what each node puts out, by its name
    _makers: dict[str, Node] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)  # of the tensors, by identity

    def call(self, op: str, /, *, like: Data | None = None, **arguments: Any) -> Any:
        """One ATen operation of arguments among which are Values. Of constants alone it is computed now.

        like: the result has the layout of this. Where the operation puts out several, so does this. Raises ModelError.
        """
        name = f"aten.{op}"
        many = op.split(".")[0] in ("split_with_sizes", "unbind")
        if not any(isinstance(v, Data) for v in _leaves(arguments)):
            found = [call(name, self._at(arguments, k)) for k in range(len(self.batches))]
            return (
                tuple(Known(tuple(parts)) for parts in zip(*found, strict=True))
                if many
                else Known(tuple(found))
            )
        if len(self.nodes) >= MAX_NODES:
            raise ModelError(f"holds more than {MAX_NODES} operations")
        results = [call(name, self._at(arguments, k, meta=True)) for k in range(len(self.batches))]
        count = len(results[0]) if many else 1
        label = f"v{len(self.nodes)}"
        outputs = tuple(f"{label}.{i}" for i in range(count)) if many else (label,)
        self.nodes.append(Node(name, self._plain(arguments), outputs, self.layer, many))
        made = []
        for i, output in enumerate(outputs):
            meta = tuple(r[i] if many else r for r in results)
            if any(m.numel() > LARGEST * n for m, n in zip(meta, self.batches, strict=True)):
                raise ModelError(
                    f"puts out {meta[0].numel() // self.batches[0]:,} numbers for one picture, which is too many"
                )
            same = like is not None and meta[0].dim() == len(like.axes)
            axes = like.axes if like is not None and same else tuple(range(meta[0].dim()))
            made.append(Data(output, meta, axes, like.order if like is not None and same else None))
            self.held[output] = Data(output, meta, tuple(range(meta[0].dim())))
            self._makers[output] = self.nodes[-1]
        return tuple(made) if many else made[0]

    def maker(self, name: str) -> Node | None:
        """The node that puts this out."""
        return self._makers.get(name)

    def needed(self, outputs: Sequence[str]) -> list[Node]:
        """The nodes that these depend on, in their order."""
        wanted, kept = set(outputs), []
        for node in reversed(self.nodes):
            if wanted & set(node.outputs):
                _each(node.arguments, lambda v: wanted.add(v.name) if isinstance(v, Ref) else None)
                kept.append(node)
        return kept[::-1]

    def materialised(self, value: Value) -> Value:
        """The value with its axes in the file's own order."""
        if isinstance(value, Known) or value.plain:
            return value
        if value.order is not None:
            raw = Data(value.name, value.meta, value.axes)
            chosen: Data = self.call("index_select.default", self=raw, dim=1, index=value.order)
            return chosen
        raw = Data(value.name, value.meta, tuple(range(len(value.axes))))
        turned: Data = self.call("permute.default", self=raw, dims=list(value.axes))
        return turned

    def _at(self, arguments: Any, k: int, meta: bool = False) -> Any:
        def at(value: Any) -> Any:
            if isinstance(value, Data):
                return value.meta[k]
            found = value.values[k] if isinstance(value, Known) else value
            return found.to("meta") if meta and isinstance(found, Tensor) else found

        return _each(arguments, at)

    def _plain(self, arguments: Any) -> Any:
        def plain(value: Any) -> Any:
            if isinstance(value, Data):
                return Ref(value.name)
            found = value.fixed if isinstance(value, Known) else value
            return self.constant(found) if isinstance(found, Tensor) else found

        return _each(arguments, plain)

    def constant(self, tensor: Tensor) -> Ref:
        """The name under which the program keeps it; the same tensor once."""
        if id(tensor) not in self._names:
            self._names[id(tensor)] = name = f"constant_{len(self.tensors)}"
            self.tensors[name] = tensor
        return Ref(self._names[id(tensor)])


def _each(value: Any, function: Any) -> Any:
    if isinstance(value, dict):
        return {k: _each(v, function) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_each(v, function) for v in value]
    return function(value)


def _leaves(value: Any) -> list[Any]:
    found: list[Any] = []
    _each(value, found.append)
    return found


def numbers(value: Value | None) -> list[int]:
    """A constant vector as whole numbers. Raises ModelError where it depends on the batch or the picture."""
    if not isinstance(value, Known):
        raise ModelError("takes sizes that depend on the picture, which cannot be followed")
    return [int(v) for v in value.fixed.reshape(-1).tolist()]


def known(value: Value | None, what: str) -> Tensor:
    """A constant. Raises ModelError."""
    if not isinstance(value, Known):
        raise ModelError(f"takes {what} that depends on the picture, which cannot be followed")
    return value.fixed


def sequence(sizes: Sequence[Sequence[int]]) -> list[int]:
    """Sizes at each batch size as one list, with -1 for the one that grows with the batch. Raises ModelError."""
    if len({len(s) for s in sizes}) != 1:
        raise ModelError("changes its number of axes with the batch, which cannot be followed")
    found = [same[0] if len(set(same)) == 1 else -1 for same in zip(*sizes, strict=True)]
    if found.count(-1) > 1:
        raise ModelError("computes several sizes from the batch, which cannot be followed")
    return found
