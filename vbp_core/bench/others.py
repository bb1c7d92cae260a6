"""LRP by captum and by zennit, of the same network."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vbp.explain.lrp import EPS
from vbp.graph.operations import Conv, Dense, Flatten, Graph, Pad


class Folded(nn.Module):
    """The folded network as plain modules, which is all that captum and zennit see. Raises ImportError for others."""

    def __init__(self, chain: Graph) -> None:
        super().__init__()
        self.stages = chain.stages
        self.layers, self.relus = nn.ModuleDict(), nn.ModuleDict()
        for i, stage in enumerate(chain.stages):
            op = stage.op
            if isinstance(op, Conv):
                into = op.weight.shape[1] * op.groups
                w = op.window
                layer: nn.Module = nn.Conv2d(
                    into, op.weight.shape[0], w.kernel, w.stride, w.padding, w.dilation, op.groups
                )
            elif isinstance(op, Dense):
                layer = nn.Linear(op.weight.shape[1], op.weight.shape[0])
            elif isinstance(op, Flatten | Pad):
                continue
            else:
                raise ImportError(f"cannot take a {type(op).__name__}")
            layer.weight, layer.bias = nn.Parameter(op.weight.clone()), nn.Parameter(op.bias.clone())
            self.layers[str(i)] = layer
            if stage.relu:
                self.relus[str(i)] = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for i, stage in enumerate(self.stages):
            if isinstance(stage.op, Pad):
                x = F.pad(x, (stage.op.left, stage.op.right, stage.op.top, stage.op.bottom))
            elif isinstance(stage.op, Flatten):
                x = x.flatten(1)
            else:
                x = self.layers[str(i)](x)
            if stage.relu:
                x = self.relus[str(i)](x)
        return x


def captum_lrp(chain: Graph, images: Tensor) -> Callable[[], object]:
    """Raises ImportError where captum is not installed."""
    attr: Any = importlib.import_module("captum.attr")
    rules: Any = importlib.import_module("captum.attr._utils.lrp_rules")
    module = Folded(chain).to(images.device).eval()
    for layer in module.layers.values():
        layer.rule = rules.EpsilonRule(epsilon=EPS)
    lrp = attr.LRP(module)
    return lambda: lrp.attribute(images.clone().requires_grad_(), target=0)


def zennit_lrp(chain: Graph, images: Tensor) -> Callable[[], object]:
    """Raises ImportError where zennit is not installed."""
    attribution: Any = importlib.import_module("zennit.attribution")
    composites: Any = importlib.import_module("zennit.composites")
    rules: Any = importlib.import_module("zennit.rules")
    types: Any = importlib.import_module("zennit.types")
    module = Folded(chain).to(images.device).eval()
    composite = composites.LayerMapComposite(
        [(types.Activation, rules.Pass()), (types.Linear, rules.Epsilon(epsilon=EPS))]
    )

    def run() -> object:
        with attribution.Gradient(module, composite) as attributor:
            return attributor(images.clone(), lambda output: output)

    return run
