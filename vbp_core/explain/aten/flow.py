"""What flows through a program while it is followed: values that depend on the picture, and where they stand in arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class PerBatch:
    """A number that depends on how many frames there are: its value at each of the batch sizes followed."""

    values: tuple[Any, ...]


@dataclass(eq=False)
class Flow:
    """A value that depends on the picture. number: in the graph.

    meta: tensors without data, shaped as the program takes it, at each batch size. squeezed: it is (N, 1) in the graph and (N,) in
    the program. storage: equal for views of one tensor.
    """

    number: int
    meta: tuple[Tensor, ...]
    storage: int
    squeezed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.meta[0].shape)


def each(value: Any, function: Any) -> Any:
    """The function of every leaf of nested lists and tables."""
    if isinstance(value, dict):
        return {k: each(v, function) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [each(v, function) for v in value]
    return function(value)


def flows_in(arguments: Any) -> list[Flow]:
    """In order, each once."""
    found: dict[int, Flow] = {}
    each(arguments, lambda v: found.setdefault(id(v), v) if isinstance(v, Flow) else None)
    return list(found.values())


def has(arguments: Any, kind: type) -> bool:
    found: list[bool] = []
    each(arguments, lambda v: found.append(isinstance(v, kind)))
    return any(found)


def at_batch(k: int) -> Any:
    """Of batch-dependent leaves, what they are at the k-th batch size."""

    def at(value: Any) -> Any:
        if isinstance(value, PerBatch):
            return value.values[k]
        return value.meta[k] if isinstance(value, Flow) else value

    return at
