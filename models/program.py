"""A network as the list of operations that torch.export finds in it: pure data, which can be run and read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Ref:
    """An argument that is what a node before put out, a weight, or the input, by its name."""

    name: str


@dataclass(frozen=True)
class Node:
    """One call. op: "aten.conv2d.default", or "operator.mul" of whole numbers.

    arguments: by the names of the operation's schema; numbers, texts, dtypes, Refs, and lists of these.
    outputs: the names of what it puts out; `many` where that is a sequence, even of one. layer: for people.
    """

    op: str
    arguments: dict[str, Any]
    outputs: tuple[str, ...]
    layer: str
    many: bool = False

    @property
    def kind(self) -> str:
        """The operation without its overload, and without the underscore of the one that works in place."""
        kind = self.op.split(".")[1]
        return kind[:-1] if self.in_place else kind

    @property
    def in_place(self) -> bool:
        kind = self.op.split(".")[1]
        return self.op.startswith("aten.") and kind.endswith("_") and not kind.endswith("__")


# What is computed of sizes: on whole numbers alone.
NUMBERS: dict[str, Callable[..., Any]] = {
    **{
        f"operator.{name}": getattr(operator, name)
        for name in (
            *("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "and_", "or_", "not_"),
            *("eq", "ne", "lt", "le", "gt", "ge"),
        )
    },
    "math.trunc": int,
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_not": operator.not_,
    "torch.sym_max": max,
    "torch.sym_min": min,
}
# Checks that torch.export writes into its graphs, which compute nothing.
CHECKS = ("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range", "sym_constrain_range_for_size")


class Program(nn.Module):
    """Runs its nodes in their order. Its tensors move with it as those of any module.

    input_shape: of the input (N, C, H, W); None for a size that is free. outputs: names; several are put out as a tuple.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        tensors: dict[str, Tensor],
        input_name: str,
        input_shape: tuple[int | None, ...],
        outputs: Sequence[str],
    ) -> None:
        super().__init__()
        self.nodes = tuple(nodes)
        self.input_name, self.input_shape, self.outputs = input_name, input_shape, tuple(outputs)
        self._names = tuple(tensors)
        for i, tensor in enumerate(tensors.values()):
            self.register_buffer(f"tensor_{i}", tensor)
        self.eval()

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self, f"tensor_{i}") for i, name in enumerate(self._names)}

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        out = self._run(images.clone(), self.tensors)
        return out[0] if len(out) == 1 else out

    def to_meta(self, images: Tensor) -> tuple[Tensor, ...]:
        """What it puts out of pictures on the device "meta", where only sizes are known and nothing is computed."""
        return self._run(images, {name: tensor.to("meta") for name, tensor in self.tensors.items()})

    def _run(self, images: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        values: dict[str, Any] = {**tensors, self.input_name: images}
        for node in self.nodes:
            if node.kind in CHECKS:
                continue
            result = call(node.op, resolve(node.arguments, values.__getitem__))
            found = tuple(result) if node.many else (result,)
            values.update(zip(node.outputs, found, strict=False))
        return tuple(values[name] for name in self.outputs)


def resolve(arguments: Any, lookup: Callable[[str], Any]) -> Any:
    """Arguments with every Ref looked up, in lists too."""
    if isinstance(arguments, Ref):
        return lookup(arguments.name)
    if isinstance(arguments, dict):
        return {k: resolve(v, lookup) for k, v in arguments.items()}
    if isinstance(arguments, list | tuple):
        return [resolve(v, lookup) for v in arguments]
    return arguments


def operation(op: str) -> Any:
    """The overload of torch.ops by its name. Raises AttributeError, ValueError."""
    namespace, packet, overload = op.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), overload)


def call(op: str, arguments: dict[str, Any]) -> Any:
    return NUMBERS[op](*arguments.values()) if op in NUMBERS else operation(op)(**arguments)


def with_defaults(op: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments and, where they are not given, the defaults of the operation's schema."""
    if op in NUMBERS:
        return dict(arguments)
    found = {}
    for argument in operation(op)._schema.arguments:
        if argument.name in arguments:
            found[argument.name] = arguments[argument.name]
        elif argument.has_default_value():
            found[argument.name] = argument.default_value
    return found


def layer_name(stack: list[tuple[str, str]], name: str) -> str:
    """stack: (path, class) of the modules that a node stands in, the innermost last."""
    if not stack:
        return name
    path, kind = stack[-1]
    if path and "torch.nn.modules." in kind:
        return path
    return f"{path}.{name}" if path else name
