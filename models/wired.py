"""Networks with skips that say how their layers are joined: what runs them is what explains them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Wire:
    """One step. kind: "layer" (`owner` is run), "relu", or "sum", of which `owner` is the part of the network it is in.

    inputs: the values it takes, by number: 0 is the network's input, k + 1 what step k puts out.
    """

    kind: str
    owner: nn.Module
    inputs: tuple[int, ...]


class Wiring:
    """The steps one after another; each call adds some and gives the number of the value that they put out."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []

    def layer(self, layer: nn.Module, value: int) -> int:
        """One of torch's layers, or an nn.Sequential of them."""
        if isinstance(layer, nn.Sequential):
            for part in layer:
                value = self.layer(part, value)
            return value
        return self._add(Wire("layer", layer, (value,)))

    def relu(self, owner: nn.Module, value: int) -> int:
        return self._add(Wire("relu", owner, (value,)))

    def sum(self, owner: nn.Module, one: int, other: int) -> int:
        return self._add(Wire("sum", owner, (one, other)))

    def _add(self, wire: Wire) -> int:
        self.wires.append(wire)
        return len(self.wires)


class WiredNetwork(nn.Module):
    """A module whose forward pass is its wires, so that its graph can be read without following its code."""

    def wires(self) -> list[Wire]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        wires = self.wires()
        uses = Counter(k for wire in wires for k in wire.inputs)
        values = {0: x}
        for i, wire in enumerate(wires):
            taken = [values[k] for k in wire.inputs]
            if wire.kind == "layer":
                values[i + 1] = wire.owner(taken[0])
            else:
                values[i + 1] = F.relu(taken[0]) if wire.kind == "relu" else taken[0] + taken[1]
            for k in wire.inputs:
                uses[k] -= 1
                if not uses[k]:
                    values.pop(k, None)
        return values[len(wires)]
