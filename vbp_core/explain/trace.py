"""One forward pass that keeps what explanations need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp_core.errors import ExplainError
from vbp_core.explain.chain import (
    AdaptiveAvgPool,
    Affine,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Op,
    Pad,
    Stage,
    Window,
)


@dataclass(frozen=True)
class Trace:
    """The activations of one forward pass.

    stages: as run, adaptive pools resolved to fixed windows. values: len(stages) + 1 tensors,
    values[i] is the input of stage i and values[i + 1] its output, after its ReLU where it has one;
    values[0] is the network's input (N, C, H, W) and values[-1] its output (N, outputs).
    """

    stages: tuple[Stage, ...]
    values: tuple[Tensor, ...]

    @property
    def input(self) -> Tensor:
        return self.values[0]

    @property
    def output(self) -> Tensor:
        return self.values[-1]

    def frame(self, n: int) -> Trace:
        """The trace of frame `n` of the batch alone (views, no copies)."""
        return Trace(self.stages, tuple(v[n : n + 1] for v in self.values))


ConvRunner: TypeAlias = Callable[[int, Conv, Tensor, bool], Tensor]


def trace(chain: Chain, images: Tensor, run_conv: ConvRunner | None = None) -> Trace:
    """Run `chain` on images (N, C, H, W) of the chain's dtype and device.

    `run_conv(stage index, conv, x, relu)` may take the convolutions over, ReLU included.
    Raises ExplainError for sizes that do not fit.
    """
    values = [images]
    stages = []
    with torch.inference_mode():
        for i, stage in enumerate(chain.stages):
            op = stage.op
            if isinstance(op, AdaptiveAvgPool):
                op = resolve(stage.name, op, values[-1].shape)
                stage = Stage(stage.name, op, stage.relu)
            stages.append(stage)
            if run_conv is not None and isinstance(op, Conv):
                values.append(run_conv(i, op, values[-1], stage.relu))
                continue
            try:
                out = apply(op, values[-1])
            except RuntimeError as error:
                shape = "x".join(str(n) for n in values[-1].shape[1:])
                raise ExplainError(f"layer {stage.name} cannot take an input of {shape}: {error}") from error
            if stage.relu:
                # In place only where the operation has made a new tensor.
                out = out.relu_() if isinstance(op, Conv | Dense | Affine) else out.relu()
            values.append(out)
    return Trace(tuple(stages), tuple(values))


def apply(op: Op, x: Tensor) -> Tensor:
    """One operation, without its ReLU."""
    if isinstance(op, Conv):
        w = op.window
        return F.conv2d(x, op.weight, op.bias, w.stride, w.padding, w.dilation, op.groups)
    if isinstance(op, Dense):
        return F.linear(x, op.weight, op.bias)
    if isinstance(op, Affine):
        return torch.addcmul(_per_channel(op.shift, x), x, _per_channel(op.scale, x))
    if isinstance(op, MaxPool):
        w = op.window
        return F.max_pool2d(x, w.kernel, w.stride, w.padding, w.dilation, op.ceil_mode)
    if isinstance(op, AvgPool):
        w = op.window
        return F.avg_pool2d(x, w.kernel, w.stride, w.padding, op.ceil_mode, op.count_include_pad)
    if isinstance(op, Pad):
        return F.pad(x, (op.left, op.right, op.top, op.bottom))
    if isinstance(op, Flatten):
        # In the order of NCHW, whatever the memory layout.
        return x.flatten(1)
    return x


def unpad(op: Pad, x: Tensor) -> Tensor:
    """The transpose of a Pad: what it added is dropped, what it left out comes back as zeros."""
    return F.pad(x, (-op.left, -op.right, -op.top, -op.bottom))


def _per_channel(vector: Tensor, x: Tensor) -> Tensor:
    return vector.view((1, -1) + (1,) * (x.dim() - 2))


def resolve(name: str, op: AdaptiveAvgPool, shape: torch.Size) -> AvgPool:
    """The fixed pool that an adaptive one is at this input size. Raises ExplainError where it is none."""
    kernel = []
    for size, wanted in zip(shape[2:], op.output, strict=True):
        wanted = wanted or size
        if size % wanted:
            raise ExplainError(
                f"layer {name} pools {size} to {wanted} with uneven windows, which cannot be explained"
            )
        kernel.append(size // wanted)
    return AvgPool(Window((kernel[0], kernel[1]), (kernel[0], kernel[1]), (0, 0)))
