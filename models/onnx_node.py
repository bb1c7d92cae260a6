"""One node of an ONNX graph, with what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from vbp.errors import ModelError
from vbp.models.onnx_values import Builder, Value


@dataclass(frozen=True)
class OnnxNode:
    """op: the operator ("Conv"). inputs: None for one that is left out. attributes: numbers, texts, tensors, and lists of them."""

    op: str
    inputs: Sequence[Value | None]
    outputs: Sequence[str]
    attributes: dict[str, Any]
    opset: int

    def optional(self, position: int) -> Value | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def value(self, position: int) -> Value:
        """Raises ModelError where there is none."""
        found = self.optional(position)
        if found is None:
            raise ModelError(f"has no input {position}")
        return found

    def attribute(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)


Rule: TypeAlias = Callable[[Builder, OnnxNode], Value | tuple[Value, ...]]
