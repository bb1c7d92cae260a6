"""Copies of a network with other weights or other layers. The user's module and the engine's graph stay as they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from vbp.devices import is_of_device
from vbp.errors import ExplainError
from vbp.graph.operations import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    Graph,
    MaxPool,
    Stage,
    Window,
    sources,
)
from vbp.graph.trace import apply, resolve

__all__ = [
    "convolutions",
    "fully_connected",
    "layers",
    "random_network",
    "redrawn",
    "shallow",
    "toggle_pooling",
    "with_outputs",
]

HIDDEN = 256  # units of the fully connected network


def layers(graph: Graph) -> list[int]:
    """The stages that have weights to draw, from the input to the output."""
    return [i for i, stage in enumerate(graph.stages) if isinstance(stage.op, Conv | Dense)]


def redrawn(graph: Graph, which: Collection[int], seed: int) -> Graph:
    """The graph with new weights in the stages `which`, as large as they were.

    Weights and biases are drawn from N(0, their own mean square in that layer), BatchNorm folded, so that activations
    stay of the size that the other layers were trained for; a mean other than zero would kill most ReLUs. A layer's
    draw depends on its number and the seed alone: cascading and independent randomisation put the same weights into it.
    """
    stages = list(graph.stages)
    for i in which:
        stage = stages[i]
        if isinstance(stage.op, Conv | Dense):
            generator = torch.Generator().manual_seed(seed * 1009 + i)
            op = replace(
                stage.op, weight=_like(stage.op.weight, generator), bias=_like(stage.op.bias, generator)
            )
            stages[i] = replace(stage, op=op)
    return Graph(tuple(stages))


def _like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return (tensor.double().square().mean().sqrt() * drawn.to(tensor.device)).to(tensor.dtype)


def random_network(graph: Graph, image: Tensor, seed: int, times: float = 1.0) -> Graph:
    """The same layers with He's random weights, N(0, 2 / fan in), and no biases, for inputs like image (1, C, h, w).

    times: how many times as many maps a convolution puts out, at least one. Layers whose input has changed, as behind
    another pooling, get as many weights as they need.
    Raises ExplainError where the layers do not fit together.
    """
    generator = torch.Generator().manual_seed(seed)
    stages: list[Stage] = []
    values = [image]
    with torch.inference_mode():
        for i, stage in enumerate(graph.stages):
            inputs = [values[k] for k in sources(graph.stages, i)]
            op = stage.op
            if isinstance(op, Conv | Dense):
                shape = list(op.weight.shape)
                if isinstance(op, Dense):
                    shape[1] = inputs[0].shape[-1]
                elif times != 1.0:
                    shape[:2] = max(1, round(times * shape[0])), inputs[0].shape[1] // op.groups
                fan = 1
                for n in shape[1:]:
                    fan *= n
                weight = torch.randn(shape, generator=generator) * (2.0 / fan) ** 0.5
                op = replace(
                    op, weight=weight.to(image.device, image.dtype), bias=op.bias.new_zeros(shape[0])
                )
                stage = replace(stage, op=op)
            stages.append(stage)
            if isinstance(op, AdaptiveAvgPool):
                op = resolve(stage.name, op, inputs[0].shape)
            try:
                out = apply(op, *inputs)
            except RuntimeError as error:
                if is_of_device(error):
                    raise
                raise ExplainError(
                    f"layer {stage.name} does not fit after the layers before it: {error}"
                ) from error
            values.append(out.relu() if stage.relu else out)
    return Graph(tuple(stages))


def convolutions(graph: Graph) -> int:
    return sum(isinstance(stage.op, Conv) for stage in graph.stages)


def shallow(graph: Graph, count: int, outputs: int) -> Graph:
    """The first `count` convolutions of a chain, and one dense layer from their maps to the outputs; the weights are to be drawn.

    Raises ExplainError where it is no chain.
    """
    if any(stage.inputs and stage.inputs != (i,) for i, stage in enumerate(graph.stages)):
        raise ExplainError("its layers are no chain")
    last = [i for i, stage in enumerate(graph.stages) if isinstance(stage.op, Conv)][count - 1]
    weight = next(stage.op.weight for stage in graph.stages if isinstance(stage.op, Conv))
    head = Dense(weight.new_zeros((outputs, 1)), weight.new_zeros(outputs))
    return Graph((*graph.stages[: last + 1], Stage("flatten", Flatten()), Stage("output", head)))


def with_outputs(graph: Graph, outputs: int) -> Graph:
    """The same layers with another number of outputs; the weights are to be drawn. Raises ExplainError: the last layer is not dense."""
    last = graph.stages[-1]
    if not isinstance(last.op, Dense):
        raise ExplainError("the last layer is not a fully connected one")
    op = replace(last.op, weight=last.op.weight.new_zeros((outputs, 1)), bias=last.op.bias.new_zeros(outputs))
    return Graph((*graph.stages[:-1], replace(last, op=op)))


def toggle_pooling(graph: Graph) -> tuple[Graph, str]:
    """The layers with max-pooling where there is none, and without where there is; and which of the two, in words.

    With: each convolution of a stride above 1 takes every step, and a max-pooling of that stride follows it (behind its
    ReLU, rounding up: the sizes stay). Without: each max-pooling becomes the average of the same window, which has no winner. The weights
    are those of the graph, and do not fit behind it: draw them with `random_network`.
    """
    if any(isinstance(stage.op, MaxPool) for stage in graph.stages):
        return Graph(tuple(_averaged(stage) for stage in graph.stages)), "without max-pooling"
    stages: list[Stage] = []
    number = {0: 0}  # of each value, among the new ones
    for i, stage in enumerate(graph.stages):
        inputs = tuple(number[k] for k in stage.inputs)
        op = stage.op
        if isinstance(op, Conv) and max(op.window.stride) > 1:
            stride = op.window.stride
            stages.append(
                replace(stage, op=replace(op, window=replace(op.window, stride=(1, 1))), inputs=inputs)
            )
            stages.append(
                Stage(f"{stage.name}.pool", MaxPool(Window(stride, stride, (0, 0)), ceil_mode=True))
            )
        else:
            stages.append(replace(stage, inputs=inputs))
        number[i + 1] = len(stages)
    return Graph(tuple(stages)), "with max-pooling"


def _averaged(stage: Stage) -> Stage:
    if not isinstance(stage.op, MaxPool):
        return stage
    return replace(stage, op=AvgPool(replace(stage.op.window, dilation=(1, 1)), stage.op.ceil_mode))


def fully_connected(image: Tensor, outputs: int, seed: int) -> Graph:
    """A random network without local connections: every pixel to 256 units with ReLU, those to 256, those to the outputs."""
    generator = torch.Generator().manual_seed(seed)
    fans = [image[0].numel(), HIDDEN, HIDDEN, outputs]
    stages = [Stage("flatten", Flatten())]
    for k, (fan, units) in enumerate(pairwise(fans)):
        weight = torch.randn((units, fan), generator=generator) * (2.0 / fan) ** 0.5
        op = Dense(weight.to(image.device, image.dtype), image.new_zeros(units))
        stages.append(Stage(f"dense {k + 1}", op, relu=k < 2))
    return Graph(tuple(stages))
