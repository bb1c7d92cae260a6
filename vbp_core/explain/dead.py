"""Layers that put out nothing: where the prediction is a constant, whatever a map shows."""

from __future__ import annotations

import torch

from vbp.graph.operations import Dense, bottlenecks
from vbp.graph.trace import Trace


def dead_layer(trace: Trace, n: int = 0) -> str:
    """Which ReLU layer puts out nothing but zeros on frame `n`, in words; "" where none does.

    The last one, where there are several. This is asked of every frame: a row of each map, which
    nearly always has something in it, is looked at first, and all of them cross from the device at once.
    """
    passed = bottlenecks(
        trace.stages
    )  # behind a dead layer that a skip leads past, the prediction still sees
    relus = [
        (i, trace.values[i + 1][n]) for i, stage in enumerate(trace.stages) if stage.relu and i + 1 in passed
    ]
    if not relus:
        return ""
    rows = [value[:, value.shape[1] // 2] if value.dim() == 3 else value for _, value in relus]
    alive: list[bool] = torch.stack([row.any() for row in rows]).tolist()
    dense = [i for i, _ in relus if isinstance(trace.stages[i].op, Dense)]
    for (i, value), seen in reversed(list(zip(relus, alive, strict=True))):
        if not seen and not bool(value.any()):
            return "The last hidden layer" if dense and i == dense[-1] else f"Layer {trace.stages[i].name}"
    return ""
