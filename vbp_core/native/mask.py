"""VisualBackProp's own part by the kernels: from the averaged maps to the mask in one call."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from vbp_core.explain import activations
from vbp_core.explain.graph import Activation, AvgPool, Conv, MaxPool, Pad, Stage
from vbp_core.explain.trace import Trace
from vbp_core.native.build import Kernels
from vbp_core.native.layers import Step

WINDOW, PADDING = 1, 2  # `moves` of kernels.c
MAX_PLANS = 8


@dataclass(frozen=True)
class _Plan:
    """values: of each step, the number of the value whose mean it takes, or None. floats: of scratch, one thread's."""

    stages: tuple[Stage, ...]
    values: tuple[int | None, ...]
    steps: ctypes.Array[Step]
    largest_map: int
    longest_row: int


_plans: dict[tuple[int, torch.Size], _Plan] = {}


def native_mask(kernels: Kernels, trace: Trace, spatial: list[int]) -> Tensor:
    """The mask (N, H, W) in [0, 1] of a chain in float32 on a CPU.

    spatial: the stages that put out maps, from the output on, each one that `chain_mask` knows.
    """
    key = (id(trace.stages), trace.input.shape)
    plan = _plans.get(key)
    if plan is None or plan.stages is not trace.stages:
        if len(_plans) >= MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = _planned(trace, spatial)
    count, _, height, width = trace.input.shape
    threads = min(torch.get_num_threads(), count)
    with torch.inference_mode():
        means = [None if k is None else _mean(trace, k) for k in plan.values]
        out = torch.empty((count, height, width))
        scratch = torch.empty(threads * (2 * plan.largest_map + plan.longest_row))
    steps = type(plan.steps).from_buffer_copy(plan.steps)  # one's own: masks may be made side by side
    for step, mean in zip(steps, means, strict=True):
        step.mean = None if mean is None else mean.data_ptr()
    kernels.mask(
        ctypes.addressof(steps),
        len(steps),
        count,
        out.data_ptr(),
        height * width,
        scratch.data_ptr(),
        plan.largest_map,
        plan.longest_row,
        threads,
    )
    return out


def _mean(trace: Trace, k: int) -> Tensor:
    op = trace.stages[k - 1].op
    if isinstance(op, Activation):
        return activations.seen(op, trace.values[k]).mean(1).contiguous()
    return trace.mean(k).contiguous()


def _planned(trace: Trace, spatial: list[int]) -> _Plan:
    values, steps = [], []
    for i in spatial:
        stage = trace.stages[i]
        counts = stage.relu or isinstance(stage.op, Activation)
        values.append(i + 1 if counts else None)
        steps.append(_step(stage, trace.values[i + 1].shape, trace.values[i].shape))
    sizes = [trace.values[i].shape[2:] for i in (*spatial, *(i + 1 for i in spatial))]
    return _Plan(
        trace.stages,
        tuple(values),
        (Step * len(steps))(*steps),
        max(size.numel() for size in sizes),
        max(size[1] for size in sizes),
    )


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
