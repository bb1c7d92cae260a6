"""The graph of a network that says how its layers are joined."""

from __future__ import annotations

import torch
from torch import nn

from vbp.explain.chain import convert
from vbp.graph.folding import fold
from vbp.graph.operations import Add, Graph, Identity, Op, Stage
from vbp.models.wired import WiredNetwork


def read_wired(network: WiredNetwork, dtype: torch.dtype = torch.float32) -> Graph:
    """The graph, BatchNorm folded, on the CPU; of two hundred layers in a second, where torch.export takes a minute.

    It shares nothing with the network. Raises ExplainError that names a layer which cannot be explained.
    """
    names = {id(module): name for name, module in network.named_modules()}
    stages = []
    for wire in network.wires():
        name = names[id(wire.owner)]
        op: Op = Identity()
        if wire.kind == "sum":
            name, op = f"{name}.sum", Add()
        elif wire.kind == "relu":
            name = f"{name}.relu"
        elif not isinstance(wire.owner, nn.ReLU | nn.Dropout):
            op = convert(name, wire.owner)
        relu = wire.kind == "relu" or isinstance(wire.owner, nn.ReLU)
        stages.append(Stage(name, op, relu, wire.inputs))
    return Graph(tuple(fold(stages))).to("cpu", dtype)
