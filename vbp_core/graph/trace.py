"""One forward pass that keeps what explanations need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp.devices import full_float32, is_of_device
from vbp.errors import ExplainError
from vbp.graph import activations
from vbp.graph.operations import (
    Activation,
    AdaptiveAvgPool,
    Add,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Graph,
    MaxPool,
    Op,
    Opaque,
    Pad,
    Stage,
    Window,
    bottlenecks,
    sources,
)


@dataclass(frozen=True)
class Trace:
    """The activations of one forward pass.

    stages: as run, adaptive pools resolved to fixed windows. values: len(stages) + 1 tensors, values[i + 1] is the
    output of stage i, after its ReLU where it has one; `inputs(i)` are what it took, in a chain values[i];
    values[0] is the network's input (N, C, H, W) and values[-1] its output (N, outputs). means: of values that stand
    behind a ReLU, the means over the channels (N, h, w) where the pass computed them on its way, by the same numbers. cache: what methods
    compute once for all passes of the same network and size of picture (`Forward` hands it on).
    """

    stages: tuple[Stage, ...]
    values: tuple[Tensor, ...]
    means: tuple[Tensor | None, ...] = ()
    cache: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    def mean(self, k: int) -> Tensor:
        """What VisualBackProp averages of values[k]: (N, h, w), of other activations than ReLU what they let be seen."""
        mean = self.means[k] if self.means else None
        if mean is not None:
            return mean
        op = self.stages[k - 1].op
        seen = activations.seen(op, self.values[k]) if isinstance(op, Activation) else self.values[k]
        return seen.mean(1)

    @property
    def input(self) -> Tensor:
        return self.values[0]

    @property
    def output(self) -> Tensor:
        return self.values[-1]

    def inputs(self, i: int) -> tuple[Tensor, ...]:
        """What stage `i` took."""
        return tuple(self.values[k] for k in sources(self.stages, i))

    def last_maps(self, back: int = 0) -> int | None:
        """The number of the value that the last convolution's maps are in, after its ReLU; `back`: convolutions before it.

        Where a skip leads past that convolution, the value where it joins. None without a convolution.
        """
        convs = [i for i, stage in enumerate(self.stages) if isinstance(stage.op, Conv)]
        if not convs:
            return None
        at = convs[max(len(convs) - 1 - back, 0)] + 1
        return min((k for k in bottlenecks(self.stages) if k >= at and self.values[k].dim() == 4), default=at)

    def frame(self, n: int) -> Trace:
        """The trace of frame `n` of the batch alone (views, no copies)."""
        means = tuple(None if m is None else m[n : n + 1] for m in self.means)
        return Trace(self.stages, tuple(v[n : n + 1] for v in self.values), means, self.cache)


StageRunner: TypeAlias = Callable[[int, Stage, list[Tensor]], Tensor | None]


@full_float32()
def trace(graph: Graph, images: Tensor, runner: StageRunner | None = None) -> Trace:
    """Run `graph` on images (N, C, H, W) of the graph's dtype and device.

    `runner(stage index, stage, inputs)` may compute a stage, its ReLU included; where it returns None, torch does.
    Raises ExplainError for sizes that do not fit.
    """
    values = [images]
    stages: list[Stage] = []
    with torch.inference_mode():
        for i, stage in enumerate(graph.stages):
            inputs = [values[k] for k in sources(graph.stages, i)]
            if isinstance(stage.op, AdaptiveAvgPool):
                stage = replace(stage, op=resolve(stage.name, stage.op, inputs[0].shape))
            stages.append(stage)
            out = runner(i, stage, inputs) if runner is not None else None
            values.append(run_stage(stage, inputs) if out is None else out)
    return Trace(tuple(stages), tuple(values))


@full_float32()
def output_of(stages: tuple[Stage, ...], images: Tensor) -> Tensor:
    """The network's output alone, for batches whose activations would not fit into memory. Stages as in a Trace."""
    last_use = {k: i for i in range(len(stages)) for k in sources(stages, i)}
    values = {0: images}
    with torch.inference_mode():
        for i, stage in enumerate(stages):
            taken = sources(stages, i)
            values[i + 1] = run_stage(stage, [values[k] for k in taken])
            for k in taken:
                if last_use[k] == i:
                    values.pop(k, None)
    return values[len(stages)]


def run_stage(stage: Stage, inputs: list[Tensor]) -> Tensor:
    op = stage.op
    try:
        out = apply(op, *inputs)
    except (RuntimeError, TypeError) as error:
        if is_of_device(error):
            raise
        shape = " and ".join("x".join(str(n) for n in x.shape[1:]) for x in inputs)
        raise ExplainError(f"layer {stage.name} cannot take an input of {shape}: {error}") from error
    if stage.relu:
        # In place only where the operation has made a new tensor.
        out = out.relu_() if isinstance(op, Conv | Dense | Affine | Add) else out.relu()
    return out


def apply(op: Op, x: Tensor, *more: Tensor) -> Tensor:
    """One operation, without its ReLU."""
    if isinstance(op, Opaque):
        return op.run(x, *more)
    if isinstance(op, Add):
        first, *rest = more
        return sum(rest, x + first)
    if isinstance(op, Concat):
        return torch.cat((x, *more), 1)
    if isinstance(op, Conv):
        w = op.window
        padding = w.padding
        if any(p > (k - 1) * d for p, k, d in zip(padding, w.kernel, w.dilation, strict=True)):
            # Where a whole window lies in the padding, oneDNN up to 3.13 may end the process (its issue 5942).
            x, padding = F.pad(x, (padding[1], padding[1], padding[0], padding[0])), (0, 0)
        return F.conv2d(x, op.weight, op.bias, w.stride, padding, w.dilation, op.groups)
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
    if isinstance(op, Activation):
        return activations.run(op, x)
    return x


def without_bias(op: Op) -> Op:
    """The linear part of a convolution, a dense layer or a scaling; any other operation as it is."""
    if isinstance(op, Conv | Dense):
        return replace(op, bias=torch.zeros_like(op.bias))
    return replace(op, shift=torch.zeros_like(op.shift)) if isinstance(op, Affine) else op


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
