"""VisualBackProp's own part by the kernels: from the averaged maps to the mask in one call."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from vbp_core.explain import activations
from vbp_core.explain.graph import Activation, AvgPool, Conv, MaxPool, Op, Pad, Stage
from vbp_core.explain.trace import Trace
from vbp_core.native.build import Kernels
from vbp_core.native.layers import Step

WINDOW, PADDING = 1, 2  # `moves` of kernels.c
MAX_PLANS = 8
TALLEST = 128  # rows of a window; `TALLEST` of kernels.c


@dataclass(frozen=True)
class _Plan:
    """values: of each step, the number of the value whose mean it takes, or None. largest_map, rows: floats of
    the largest map, and of the rows that the largest window takes."""

    stages: tuple[Stage, ...]
    values: tuple[int | None, ...]
    steps: ctypes.Array[Step]
    largest_map: int
    rows: int


_plans: dict[tuple[int, torch.Size], _Plan] = {}


def planned_mask(kernels: Kernels, trace: Trace) -> Tensor | None:
    """`native_mask` of a trace like one that it has taken before; None of any other."""
    plan = _plans.get((id(trace.stages), trace.input.shape))
    return _run(kernels, trace, plan) if plan is not None and plan.stages is trace.stages else None


def can_mask(trace: Trace, spatial: list[int]) -> bool:
    """Whether `native_mask` takes it: there is a map that counts, and no window is beyond what the kernels hold."""
    ops = [trace.stages[i].op for i in spatial]
    return any(trace.stages[i].relu or isinstance(trace.stages[i].op, Activation) for i in spatial) and all(
        _rows(op) <= TALLEST for op in ops
    )


def channel_mean(trace: Trace, k: int) -> Tensor:
    """What VisualBackProp averages of values[k], behind a ReLU or another activation: (N, h, w)."""
    op = trace.stages[k - 1].op
    if isinstance(op, Activation):
        return activations.seen(op, trace.values[k]).mean(1)
    return trace.mean(k)


def native_mask(kernels: Kernels, trace: Trace, spatial: list[int]) -> Tensor:
    """The mask (N, H, W) in [0, 1] of a chain in float32 on a CPU.

    spatial: the stages that put out maps, from the output on, each one that `chain_mask` knows.
    """
    if len(_plans) >= MAX_PLANS:
        _plans.pop(next(iter(_plans)), None)
    plan = _plans[id(trace.stages), trace.input.shape] = _planned(trace, spatial)
    return _run(kernels, trace, plan)


def _run(kernels: Kernels, trace: Trace, plan: _Plan) -> Tensor:
    count, _, height, width = trace.input.shape
    threads = torch.get_num_threads()
    with torch.inference_mode():
        means = [_mean(trace, k) for k in plan.values]
        out = torch.empty((count, height, width))
        maps = torch.empty(min(threads, count) * 2 * plan.largest_map)
        rows = torch.empty(threads * plan.rows)
    steps = type(plan.steps).from_buffer_copy(plan.steps)  # one's own: masks may be made side by side
    for step, mean in zip(steps, means, strict=True):
        step.mean = None if mean is None else mean.data_ptr()
    kernels.mask(
        ctypes.addressof(steps),
        len(steps),
        count,
        out.data_ptr(),
        height * width,
        maps.data_ptr(),
        plan.largest_map,
        rows.data_ptr(),
        plan.rows,
        threads,
    )
    return out


def _mean(trace: Trace, k: int | None) -> Tensor | None:
    if k is None:
        return None
    found = trace.means[k] if trace.means else None
    return (channel_mean(trace, k) if found is None else found).contiguous()


def _planned(trace: Trace, spatial: list[int]) -> _Plan:
    values, steps = [], []
    for i in spatial:
        stage = trace.stages[i]
        counts = stage.relu or isinstance(stage.op, Activation)
        values.append(i + 1 if counts else None)
        steps.append(_step(stage, trace.values[i + 1].shape, trace.values[i].shape))
    sizes = [(trace.values[i].shape[2:], trace.values[i + 1].shape[2:]) for i in spatial]
    return _Plan(
        trace.stages,
        tuple(values),
        (Step * len(steps))(*steps),
        max(max(taken.numel(), out.numel()) for taken, out in sizes),
        max([_rows(trace.stages[i].op) * taken[1] for i, (taken, _) in zip(spatial, sizes, strict=True)]),
    )


def _rows(op: Op) -> int:
    if not isinstance(op, Conv | MaxPool | AvgPool):
        return 1
    return (op.window.kernel[0] - 1) * op.window.dilation[0] + 1


def _step(stage: Stage, out: torch.Size, taken: torch.Size) -> Step:
    op = stage.op
    step = Step(h=out[2], w=out[3], size=tuple(taken[2:]))
    if isinstance(op, Conv | MaxPool | AvgPool):
        w = op.window
        step.moves = WINDOW
        step.kernel, step.stride, step.padding, step.dilation = w.kernel, w.stride, w.padding, w.dilation
    elif isinstance(op, Pad):
        step.moves = PADDING
        step.padding = (op.top, op.left)
    return step
