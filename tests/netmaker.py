"""Small networks, and folded chains as modules again, so that outside implementations can be asked about them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vbp.explain.chain import read_chain
from vbp.graph.operations import AvgPool, Conv, Dense, Flatten, Graph, MaxPool, Op, Pad
from vbp.graph.trace import Trace, trace

F64 = torch.float64


def module_of(chain: Graph) -> nn.Sequential:
    """A chain (without BatchNorms that could not be folded) as torch's own layers, each ReLU one of its own."""
    layers: list[nn.Module] = []
    for stage in chain.stages:
        layers.append(_layer(stage.op))
        if stage.relu:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers).eval()


def _layer(op: Op) -> nn.Module:
    if isinstance(op, Conv):
        out, per_group = op.weight.shape[:2]
        w = op.window
        layer: nn.Conv2d | nn.Linear = nn.Conv2d(
            per_group * op.groups, out, w.kernel, w.stride, w.padding, w.dilation, op.groups
        )
    elif isinstance(op, Dense):
        layer = nn.Linear(op.weight.shape[1], op.weight.shape[0])
    elif isinstance(op, MaxPool):
        return nn.MaxPool2d(op.window.kernel, op.window.stride, op.window.padding)
    elif isinstance(op, AvgPool):
        return nn.AvgPool2d(op.window.kernel, op.window.stride, op.window.padding)
    elif isinstance(op, Pad):
        return nn.ZeroPad2d((op.left, op.right, op.top, op.bottom))
    else:
        assert isinstance(op, Flatten), op
        return nn.Flatten()
    layer.weight, layer.bias = nn.Parameter(op.weight.clone()), nn.Parameter(op.bias.clone())
    return layer


NETWORKS = {
    "plain": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 5 * 8, 2)
    ),
    "padded": lambda: nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 6, (3, 5), (1, 2)),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, 1, 1, groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 11 * 8, 7),
        nn.ReLU(),
        nn.Linear(7, 2),
    ),
    "max-pooled": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 3 * 6, 5), nn.ReLU(), nn.Linear(5, 2),
    ),
    "average-pooled": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 3 * 6, 5), nn.ReLU(), nn.Linear(5, 2),
    ),
}  # fmt: skip


def make(name: str, seed: int = 0, frames: int = 2) -> tuple[Trace, nn.Sequential, Tensor]:
    """A network of NETWORKS with random weights: its trace in float64, its folded module, its images."""
    generator = torch.Generator().manual_seed(seed)
    net = NETWORKS[name]().eval()
    with torch.no_grad():
        for key, tensor in net.state_dict().items():
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.5 + 0.1)
    channels = next(m.num_features if isinstance(m, nn.BatchNorm2d) else m.in_channels for m in net)
    images = torch.rand(frames, channels, 13, 19, dtype=F64, generator=generator)
    chain = read_chain(net).to("cpu", F64)
    return trace(chain, images), module_of(chain), images


def scaled(maps: Tensor) -> Tensor:
    """Each frame of (N, H, W) divided by its largest magnitude; zero stays."""
    top = maps.abs().amax((1, 2), keepdim=True)
    return maps / torch.where(top > 0, top, 1.0)


class Guided(torch.autograd.Function):
    """A ReLU that lets back what is positive, where it put something out: Guided Backprop by autograd."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, grad.clamp(min=0), 0.0)


def by_signs(weights: Tensor, x: Tensor, relevance: Tensor, alpha: float) -> Tensor:
    """The alpha-beta rule: weights (out, in), x (in,), relevance (out,)."""
    brought, found = weights * x, torch.zeros_like(x)
    for part, by in ((brought.clamp(min=0), alpha), (brought.clamp(max=0), 1 - alpha)):
        z = part.sum(1)
        share = torch.where(z != 0, relevance / torch.where(z != 0, z, 1.0), 0.0)
        found += by * (part * share[:, None]).sum(0)
    return found
