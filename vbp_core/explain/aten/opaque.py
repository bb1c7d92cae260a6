"""What runs an operation that a graph has no word for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vbp.models.program import call

# These ask how numbers lie in memory, and convolutions here lay channels last.
BY_LAYOUT = ("view", "_unsafe_view", "as_strided")


@dataclass(frozen=True)
class Slot:
    """An argument that is the input of that number."""

    number: int


@dataclass(frozen=True)
class OfFrames:
    """A whole number that depends on how many frames there are: start + growth * frames."""

    start: float
    growth: float


@dataclass(eq=False)
class Call:
    """Runs one operation. arguments: by name, with Slots for the stage's inputs.

    counted, rows, frames: which input's first axis was so long for so many frames, from which frames are counted;
    rows 0: none's, and nobody asks.
    take: which of several results.
    """

    op: str
    arguments: dict[str, Any]
    counted: int
    rows: int
    frames: int
    take: int | None = None
    _moved: dict[tuple[int, torch.device, torch.dtype], Tensor] = field(default_factory=dict)

    def __call__(self, *inputs: Tensor) -> Tensor:
        frames = inputs[self.counted].shape[0] * self.frames // self.rows if self.rows else 1
        if self.op.split(".")[1] in BY_LAYOUT:
            inputs = tuple(x.contiguous() for x in inputs)
        result = call(self.op, self._filled(self.arguments, inputs, frames))
        found: Tensor = result if self.take is None else result[self.take]
        return found

    def _filled(self, value: Any, inputs: tuple[Tensor, ...], frames: int) -> Any:
        if isinstance(value, dict):
            return {k: self._filled(v, inputs, frames) for k, v in value.items()}
        if isinstance(value, list):
            return [self._filled(v, inputs, frames) for v in value]
        if isinstance(value, Slot):
            return inputs[value.number]
        if isinstance(value, OfFrames):
            return round(value.start + value.growth * frames)
        if isinstance(value, torch.device):
            return inputs[0].device
        if isinstance(value, Tensor):
            return self._beside(value, inputs[0])
        return value

    def _beside(self, constant: Tensor, x: Tensor) -> Tensor:
        """The constant on the device of x, and where both are floats, of its dtype."""
        floats = constant.is_floating_point() and x.is_floating_point()
        key = (id(constant), x.device, x.dtype)
        if key not in self._moved:
            with torch.inference_mode(False):  # autograd may want it too
                self._moved[key] = constant.to(x.device, x.dtype if floats else constant.dtype)
        return self._moved[key]


@dataclass(frozen=True)
class Grouped:
    """Runs what was written for a fixed number of frames on any number, group by group; the last is filled up."""

    run: Call
    frames: int

    def __call__(self, *inputs: Tensor) -> Tensor:
        wanted = inputs[0].shape[0]
        groups = [
            self.run(*(_filled_up(x[at : at + self.frames], self.frames) for x in inputs))
            for at in range(0, max(wanted, 1), self.frames)
        ]
        # Of one group all is kept: its first axis may be steps, and not frames.
        return groups[0] if wanted == self.frames else torch.cat(groups)[:wanted]


def _filled_up(x: Tensor, frames: int) -> Tensor:
    missing = frames - x.shape[0]
    if not missing:
        return x
    last = x[-1:] if x.shape[0] else x.new_zeros((1, *x.shape[1:]))
    return torch.cat([x, last.expand(missing, *x.shape[1:])])
