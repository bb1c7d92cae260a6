"""Somebody else's nn.Module, read through torch.export: the same outputs, the same gradients, and left as it was."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from vbp_core.explain import explain
from vbp_core.explain.exported import read_network
from vbp_core.explain.graph import Add, Affine, Concat, Conv, Dense, Opaque
from vbp_core.explain.trace import trace

F64 = torch.float64


def settle(module: nn.Module, seed: int = 0) -> nn.Module:
    """BatchNorms as after a training, and float64."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d) and part.running_mean is not None:
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
    return module.double()


def check(module: nn.Module, shape: tuple[int, int, int], explained: bool = True):
    """Outputs for several batch sizes, and the gradient, against the module itself. Returns the stages."""
    module = settle(module).train()
    graph = read_network(module, shape, F64)
    module.eval()
    for n in (1, 2, 5):
        images = torch.rand((n, *shape), dtype=F64, requires_grad=True)
        wanted = module(images)
        wanted = torch.cat([w.reshape(n, -1) for w in wanted], 1) if isinstance(wanted, tuple) else wanted
        done = trace(graph, images.detach())
        assert done.output.dim() == 2
        assert torch.allclose(done.output, wanted.detach().reshape(n, -1), rtol=0, atol=1e-9)
        if explained:
            (grad,) = torch.autograd.grad(wanted.reshape(n, -1)[:, 0].sum(), images)
            size = grad.abs().amax(1)
            size = size / size.amax((1, 2), keepdim=True).clamp_min(1e-30)
            assert torch.allclose(explain(done, "saliency"), size, rtol=0, atol=1e-9)
    return graph.stages


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.two = nn.Conv2d(channels, channels, 3, padding="same")

    def forward(self, x):
        y = self.two(self.act(self.norm(self.one(x))))
        y += x
        return self.act(y)  # one ReLU that serves twice


class Skips(nn.Module):
    """What somebody writes: scaling inside, functional padding and ReLUs, skips, a view by the batch's size."""

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.3, 0.4, 0.5]).view(3, 1, 1))
        self.stem = nn.Conv2d(3, 8, 5, stride=2)
        self.blocks = nn.ModuleList(Block(8) for _ in range(2))
        self.side = nn.Conv2d(8, 4, 1)
        self.fc = nn.Linear(12 * 4 * 6, 16)
        self.heads = nn.ModuleList(nn.Linear(16, 1 + k) for k in range(heads))

    def forward(self, x):
        x = x / 0.5 - 1
        x = x - self.mean
        x = F.relu(self.stem(F.pad(x, (2, 2, 2, 2))))
        for block in self.blocks:
            x = block(x)
        x = torch.cat([x, F.elu(self.side(x))], 1)
        x = F.max_pool2d(x, 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(F.relu(self.fc(x), inplace=True), 0.5, self.training)
        out = tuple(head(x) for head in self.heads)
        return out if len(out) > 1 else out[0].squeeze(-1)


def test_a_network_with_skips_in_place_and_functional_operations():
    stages = check(Skips(), (3, 16, 24))
    kinds = [type(stage.op) for stage in stages]
    assert kinds.count(Add) == 2 and kinds.count(Concat) == 1 and Opaque not in kinds
    assert [s.name for s in stages if isinstance(s.op, Conv | Dense)] == [
        "stem", "blocks.0.one", "blocks.0.two", "blocks.1.one", "blocks.1.two", "side", "fc", "heads.0",
    ]  # fmt: skip
    assert not any(isinstance(s.op, Affine) for s in stages if s.name.startswith("blocks"))  # folded


def test_several_outputs_stand_behind_one_another():
    assert check(Skips(heads=2), (3, 16, 24))[-1].op == Concat()
