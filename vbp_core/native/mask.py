"""VisualBackProp's own part by the kernels: from the averaged maps to the mask in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vbp.graph.operations import AvgPool, Conv, MaxPool, Op, Pad, Stage
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace
from vbp.native.library import Kernels
from vbp.native.structures import Step

WINDOW, PADDING = 1, 2  # `moves` of mask.h
TALLEST = 128  # rows of a window; `TALLEST` of mask.h
KEY = "native mask"  # in `Trace.cache`


@dataclass(frozen=True)
class _Plan:
    """values: of each step, the number of the value whose mean it takes, or None. largest_map, rows: floats of
    the largest map, and of the rows that the largest window takes."""

    values: tuple[int | None, ...]
    steps: ctypes.Array[Step]
    largest_map: int
    rows: int


def native_mask(
    kernels: Kernels, trace: Trace, spatial: Callable[[Trace], list[int]], strength: Strength | None = None
) -> Tensor | None:
    """The mask (N, H, W) in [0, 1] of a chain in float32 on a CPU; None where a window is beyond what the kernels hold.

    spatial: gives the stages that put out maps, from the output on; none where there is nothing to explain.
    """
    plan = trace.cache.get(KEY)
    if not isinstance(plan, _Plan):
        stages = spatial(trace)
        if not stages or max(_rows(trace.stages[i].op) for i in stages) > TALLEST:
            return None
        plan = trace.cache[KEY] = _planned(trace, stages)
    return _run(kernels, trace, plan, strength)


def _run(kernels: Kernels, trace: Trace, plan: _Plan, strength: Strength | None) -> Tensor:
    count, _, height, width = trace.input.shape
    threads = torch.get_num_threads()
    with torch.inference_mode():
        means = [None if k is None else trace.mean(k).contiguous() for k in plan.values]
        out = torch.empty((count, height, width))
        logs = torch.empty(count, dtype=torch.float64)
        maps = torch.empty(min(threads, count) * 2 * plan.largest_map)
        rows = torch.empty(min(threads, count) * plan.rows)
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
        logs.data_ptr(),
        threads,
    )
    if strength is not None:
        strength.add(logs)
    return out


def _planned(trace: Trace, spatial: list[int]) -> _Plan:
    values, steps = [], []
    for i in spatial:
        stage = trace.stages[i]
        values.append(i + 1 if stage.is_activated else None)
        steps.append(_step(stage, trace.values[i + 1].shape, trace.values[i].shape))
    sizes = [(trace.values[i].shape[2:], trace.values[i + 1].shape[2:]) for i in spatial]
    return _Plan(
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
