"""A report on a network: its layers, the attribution methods that work on it and their cost, and likely mistakes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.drives.base import Image
from vbp.engine import Engine
from vbp.errors import VbpError
from vbp.explain.registry import METHODS
from vbp.graph.operations import (
    Activation,
    Affine,
    AvgPool,
    Conv,
    Dense,
    MaxPool,
    Op,
    Opaque,
    Pad,
    Stage,
    Window,
    sources,
)
from vbp.graph.trace import Trace
from vbp.readable import signed
from vbp.results import MapRequest, NetworkResult
from vbp.scores import steady_text

REPEATS = 5  # of which the fastest counts: the machine may have had other things to do
MANY_DEAD = 0.25  # of a layer's channels
FULL_TURN_DEG = 720.0  # of a steering wheel; further than any car's


@dataclass(frozen=True)
class Layer:
    """One stage. output: its size without the batch. field: receptive field in input pixels (height, width), capped at the input.

    inputs: names of the layers it takes, where that is not the one before. parameters: after folding.
    """

    name: str
    operation: str
    output: tuple[int, ...]
    parameters: int
    field: tuple[int, int] | None
    inputs: tuple[str, ...] = ()
    window: Window | None = None


@dataclass(frozen=True)
class MethodCheck:
    """ms: of one frame; None where it was not measured or does not work. reason: why it does not work, else ""."""

    name: str
    title: str
    works: bool
    ms: float | None
    of_forward: float | None
    reason: str = ""


@dataclass(frozen=True)
class ModelCheck:
    layers: tuple[Layer, ...]
    methods: tuple[MethodCheck, ...]
    forward_ms: float
    notes: tuple[str, ...]
    outputs: tuple[tuple[float, float], ...]  # the smallest and the largest of each over the pictures


def check_model(engine: Engine, frames: Sequence[Image] = ()) -> ModelCheck:
    """Run the network and every method on `frames` ((H, W, 3) uint8 RGB; none: on noise). Raises VbpError where it cannot run."""
    shown = list(frames) or _noise(engine)
    passes = [engine.run(frame, maps=()) for frame in shown]
    traces = [result.trace for result in passes if result.trace is not None]
    forward = min(engine.run(shown[0], maps=()).stages_ms["forward"] for _ in range(REPEATS))
    outputs = np.stack([t.output[0].cpu().double().numpy() for t in traces])
    return ModelCheck(
        layers_of(traces[0]),
        tuple(_method(engine, shown[0], name, forward) for name in METHODS),
        forward,
        (
            *_crop_notes(engine, shown),
            *_steady(passes if frames else ()),
            *_notes(engine, traces, outputs, bool(frames)),
        ),
        tuple((float(low), float(high)) for low, high in zip(outputs.min(0), outputs.max(0), strict=True)),
    )


def _noise(engine: Engine) -> list[Image]:
    random = np.random.default_rng(0)
    size = (engine.spec.input_height, engine.spec.input_width, 3)
    return [random.integers(0, 256, size, dtype=np.uint8) for _ in range(4)]


def layers_of(trace: Trace) -> tuple[Layer, ...]:
    size = (trace.input.shape[2], trace.input.shape[3])
    fields: list[tuple[int, int] | None] = [(1, 1)]  # of each value, and how far its neighbours are apart
    jumps = [(1, 1)]
    found = []
    for i, stage in enumerate(trace.stages):
        taken = sources(trace.stages, i)
        field = _widest([fields[k] for k in taken])
        jump = jumps[taken[0]]
        window = getattr(stage.op, "window", None)
        if window is not None and field is not None:
            reach = [(k - 1) * d * j for k, d, j in zip(window.kernel, window.dilation, jump, strict=True)]
            field = (min(field[0] + reach[0], size[0]), min(field[1] + reach[1], size[1]))
            jump = (jump[0] * window.stride[0], jump[1] * window.stride[1])
        elif isinstance(stage.op, Dense):
            field = size
        elif isinstance(stage.op, Opaque):
            field = None
        fields.append(field)
        jumps.append(jump)
        names = tuple(trace.stages[k - 1].name if k else "input" for k in taken) if taken != (i,) else ()
        output = tuple(int(n) for n in trace.values[i + 1].shape[1:])
        found.append(Layer(stage.name, operation(stage), output, _parameters(stage.op), field, names, window))
    return tuple(found)


def _widest(fields: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [f for f in fields if f is not None]
    return (max(f[0] for f in known), max(f[1] for f in known)) if len(known) == len(fields) else None


def operation(stage: Stage) -> str:
    """A stage in words: "conv 5x5 /2, ReLU"."""
    op = stage.op
    words = {
        Conv: "conv",
        MaxPool: "max pool",
        AvgPool: "average pool",
        Dense: "dense",
        Affine: "scale and shift",
    }
    text = words.get(type(op), type(op).__name__.lower())
    if isinstance(op, Conv | MaxPool | AvgPool):
        text += _window(op.window)
        if isinstance(op, Conv) and op.groups > 1:
            text += f", {op.groups} groups"
    elif isinstance(op, Activation):
        text = op.kind
    elif isinstance(op, Pad):
        text = "pad" if max(op.left, op.right, op.top, op.bottom) > 0 else "cut"
        text += f" {op.left} {op.right} {op.top} {op.bottom}"
    elif isinstance(op, Opaque):
        text = op.what.removeprefix("aten.")
    if text == "identity":
        return "ReLU" if stage.relu else "identity"
    return f"{text}, ReLU" if stage.relu else text


def _window(w: Window) -> str:
    parts = [f" {w.kernel[0]}x{w.kernel[1]}"]
    for sign, pair, usual in (("/", w.stride, 1), ("padding ", w.padding, 0), ("dilation ", w.dilation, 1)):
        if pair != (usual, usual):
            parts.append(sign + (f"{pair[0]}" if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"))
    return " ".join(parts)


def _parameters(op: Op) -> int:
    if isinstance(op, Conv | Dense):
        return op.weight.numel() + op.bias.numel()
    return op.scale.numel() + op.shift.numel() if isinstance(op, Affine) else 0


def _method(engine: Engine, frame: Image, name: str, forward: float) -> MethodCheck:
    """`slow` methods are not run: they take the network's own passes, which work."""
    method = METHODS[name]
    if method.slow:
        return MethodCheck(name, method.title, True, None, None)
    try:
        result = engine.run(frame, maps=())
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            engine.explain(result, MapRequest(name))
            times.append((time.perf_counter() - start) * 1e3)
    except VbpError as error:
        return MethodCheck(name, method.title, False, None, None, str(error))
    return MethodCheck(name, method.title, True, min(times), min(times) / max(forward, 1e-9))


def _crop_notes(engine: Engine, frames: Sequence[Image]) -> list[str]:
    """Each once: a recording may have pictures of several sizes."""
    return [text for text in dict.fromkeys(engine.prepare(frame).warning for frame in frames) if text]


def _steady(passes: Sequence[NetworkResult]) -> list[str]:
    text = steady_text(np.array([result.angle_rad for result in passes]))
    return [text] if text else []


def _notes(engine: Engine, traces: list[Trace], outputs: NDArray[np.float64], real: bool) -> list[str]:
    """What a user should look at."""
    found = []
    pictures = f"the {len(traces)} pictures" if real else "pictures of noise"
    if not engine.network.trained:
        found.append("no weights were given, so the network has random weights; give a trained network's")
    found += _without_rules(traces[0])
    if not np.isfinite(outputs).all():
        found.append(f"the output is not a number on {pictures}: its weights or its input are broken")
        return found
    if len(traces) > 1 and np.ptp(outputs, axis=0).max() == 0:
        found.append(f"the output is the same for {pictures}: it does not depend on the picture")
    for i, stage in enumerate(traces[0].stages):
        if not stage.relu:
            continue
        dead, channels = _never([t.values[i + 1] for t in traces])
        if dead == channels:
            found.append(f"layer {stage.name} outputs only zeros on {pictures}")
        elif real and dead >= MANY_DEAD * channels:
            found.append(f"layer {stage.name}: {dead} of {channels} channels output only zeros on {pictures}")
    spec = engine.spec
    if not spec.is_classifier and real:
        if spec.outputs_needed > outputs.shape[1]:
            return found
        degrees = np.degrees([spec.angle_of(row) for row in outputs.tolist()])
        found.append(
            f"the angle goes from {signed(degrees.min())}° to {signed(degrees.max())}° on {pictures}"
        )
        if np.abs(degrees).max() > FULL_TURN_DEG:
            found.append(
                "that is more than a steering wheel turns; check output_unit and output_scale in the specification"
            )
    if spec.is_classifier and spec.classes and len(spec.classes) != outputs.shape[1]:
        found.append(
            f"the specification names {len(spec.classes)} classes, and the network has {outputs.shape[1]} outputs"
        )
    return found


def _without_rules(trace: Trace) -> list[str]:
    """One sentence, whatever their number: a recurrent layer alone is hundreds."""
    layers: dict[str, list[str]] = {}
    for stage in trace.stages:
        if isinstance(stage.op, Opaque):
            layers.setdefault(stage.op.what.removeprefix("aten."), []).append(stage.name)
    named = [
        f"{what} ({names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})"
        for what, names in layers.items()
    ]
    if not named:
        return []
    return [
        f"these have no rule of their own in a graph: {', '.join(named)}; gradients pass them by autograd, and which other methods "
        "pass them stands beside the methods"
    ]


def _never(values: list[Tensor]) -> tuple[int, int]:
    """How many channels are zero everywhere, of how many."""
    alive = torch.zeros(values[0].shape[1], dtype=torch.bool, device=values[0].device)
    for value in values:
        alive |= (value[0].flatten(1) if value.dim() > 2 else value[0][:, None]).any(1)
    return int((~alive).sum()), len(alive)
