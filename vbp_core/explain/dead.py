"""Layers that put out nothing: where the prediction is a constant, whatever a map shows."""

from __future__ import annotations

import math

import torch

from vbp.graph.operations import Dense, bottlenecks
from vbp.graph.trace import Trace
from vbp.readable import signed


def dead_layers(trace: Trace) -> list[str]:
    """Which ReLU layer puts out nothing but zeros, in words, for each frame; "" where none does.

    The last one, where there are several. This is asked of every frame: a row of each map, which
    nearly always has something in it, is looked at first, and what is asked of them all crosses from the device at once.
    """
    passed = bottlenecks(
        trace.stages
    )  # behind a dead layer that a skip leads past, the prediction still sees
    relus = [
        (i, trace.values[i + 1]) for i, stage in enumerate(trace.stages) if stage.relu and i + 1 in passed
    ]
    frames = len(trace.output)
    if not relus or not frames:
        return [""] * frames
    rows = [value[:, :, value.shape[2] // 2] if value.dim() == 4 else value for _, value in relus]
    seen: list[list[bool]] = torch.stack([row.flatten(1).any(1) for row in rows]).tolist()
    doubtful = [(k, n) for k, alive in enumerate(seen) for n in range(frames) if not alive[n]]
    if doubtful:
        whole = torch.stack([relus[k][1][n].any() for k, n in doubtful]).tolist()
        dead = {at for at, alive in zip(doubtful, whole, strict=True) if not alive}
    else:
        dead = set()
    dense = [i for i, _ in relus if isinstance(trace.stages[i].op, Dense)]

    def of(n: int) -> str:
        for k, (i, _) in reversed(list(enumerate(relus))):
            if (k, n) in dead:
                return (
                    "The last hidden layer" if dense and i == dense[-1] else f"Layer {trace.stages[i].name}"
                )
        return ""

    return [of(n) for n in range(frames)]


def pass_warning(finite: bool, dead: str, angle_rad: float, is_classifier: bool) -> str:
    """One sentence where a prediction is no number, or a constant as a layer is `dead` (see `dead_layers`); else ""."""
    if not finite:
        return "The network's output is not a number on this frame: its weights or its input are broken"
    constant = "a constant" if is_classifier else f"the constant {signed(math.degrees(angle_rad), 2)}°"
    text = (
        f"{dead} is dead on this frame: the prediction is {constant}, whatever "
        "the picture shows, and LRP is zero; VisualBackProp paints all the same, as it ignores the head"
    )
    return text if dead else ""
