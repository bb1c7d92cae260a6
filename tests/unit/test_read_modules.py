"""Somebody else's nn.Module, read through torch.export: the same outputs, the same gradients, and left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from vbp.errors import ExplainError
from vbp.explain import explain
from vbp.explain.exported import read_network
from vbp.graph.operations import Add, Affine, Concat, Conv, Dense, Opaque
from vbp.graph.trace import trace

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


class Between(nn.Module):
    """A convolution, a function of its maps, and a dense layer."""

    def __init__(self, function, **parts: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 8, 3, 2)
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)
        with torch.no_grad():
            size = function(self, self.conv(torch.zeros(2, 3, 16, 20))).flatten(1).shape[1]
        self.head = nn.Linear(size, 1)

    def forward(self, x):
        return self.head(self.function(self, F.relu(self.conv(x))).flatten(1))


EXPLAINED = {
    "in place, and used again": lambda s, x: x.clone().mul_(2).sub_(0.3).add_(x),
    "a copy, in place": lambda s, x: x.clone().sub_(0.2).relu_() + x,
    "what is subtracted": lambda s, x: 1 - x - 2 * x,
    "divided by each channel": lambda s, x: x / torch.arange(1.0, 9).view(8, 1, 1).to(x),
    "parts of the channels": lambda s, x: torch.cat([F.relu(p - 0.2) for p in x.split([3, 5], 1)][::-1], 1),
    "channels in another order": lambda s, x: x[:, [2, 0, 1]] + x.flip(1)[:, 1:7:2],
    "a part of the picture": lambda s, x: x[..., 2:-1].narrow(2, 1, 5),
    "no zeros around it": lambda s, x: F.pad(x, (1, 2, 0, 1), value=0.5),
    "even kernel, same size": lambda s, x: s.part(x),
    "means": lambda s, x: torch.cat([x.mean((2, 3)), x.mean((-2, -1), True).flatten(1), x.amax((2, 3))], 1),
    "sums": lambda s, x: x.sum(dim=(2, 3)),
    "largest anywhere": lambda s, x: F.adaptive_max_pool2d(x, 1),
    "pooling with indices": lambda s, x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True)[0],
    "averages without the border": lambda s, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "a slope for each channel": lambda s, x: s.slopes(x - 0.2),
    "activations": lambda s, x: torch.tanh(F.gelu(x)) + F.leaky_relu(x - 0.3, 0.2) + F.elu(x - 0.4, 0.7),
    "hardsigmoid": lambda s, x: F.hardsigmoid(x - 1),  # by itself: torch's own slope is 1/6 of float32, a factor here
    "held between bounds": lambda s, x: x.clamp(0.1, 0.6) + x.clamp(min=0),
    "no gradients": lambda s, x: torch.no_grad()(lambda y: y * 2)(x),
    "another type and back": lambda s, x: x.to(torch.float64).contiguous(),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_can_be_written(name):
    torch.manual_seed(2)
    parts = {"part": nn.Conv2d(8, 4, 4, padding="same"), "slopes": nn.PReLU(8)}
    nn.init.uniform_(parts["slopes"].weight, 0.1, 0.5)
    stages = check(Between(EXPLAINED[name], **parts), (3, 16, 20), explained=name != "no gradients")
    assert not [s.op.what for s in stages if isinstance(s.op, Opaque)]


RUN_ONLY = {
    "mul": lambda s, x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
    "upsample_bilinear2d": lambda s, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "group_norm": lambda s, x: F.group_norm(x, 2),
    "pad": lambda s, x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "slice_scatter": lambda s, x: (y := x.clone(), y.__setitem__((slice(None), slice(0, 2)), 0.0))[0],
    "bmm": lambda s, x: torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)),
    "lstm": lambda s, x: s.lstm(x.flatten(2).transpose(1, 2))[0][:, -1],
    "add": lambda s, x: x + torch.linspace(0, 1, x.shape[3]).to(x),  # a place's number, not a channel's
    "mean": lambda s, x: x.view(-1, 8, x.shape[2] * x.shape[3]).mean(2),
    "view": lambda s, x: (x.permute(0, 2, 3, 1).reshape(x.shape[0] * 2, -1).relu()).view(x.shape[0], -1),
}


@pytest.mark.parametrize("name", RUN_ONLY)
def test_what_has_no_rule_has_its_gradient_by_autograd(name):
    def make() -> nn.Module:
        return Between(RUN_ONLY[name], lstm=nn.LSTM(8, 5, batch_first=True))

    stages = check(make(), (3, 16, 20))  # saliency against autograd's own
    assert f"aten.{name}" in [s.op.what for s in stages if isinstance(s.op, Opaque)]
    done = trace(read_network(make(), (3, 16, 20)), torch.rand(1, 3, 16, 20))
    for method in ("gradient-input", "guided-backprop", "deconvnet", "grad-cam"):
        assert bool(explain(done, method).isfinite().all())


def test_opaque_parts_of_another_output_are_no_obstacle():
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.steer, self.weather = nn.Conv2d(3, 4, 3), nn.Linear(4, 1), nn.Linear(4, 3)

        def forward(self, x):
            y = F.relu(self.conv(x))
            f = y.mean((2, 3))
            return {
                "map": y[:, :1],
                "steer": 2 * torch.atan(self.steer(f))[:, 0],
                "weather": self.weather(f).softmax(-1),
            }

    module = settle(Heads()).eval()
    graph = read_network(module, (3, 12, 14), F64, scores=False)
    images = torch.rand((3, 3, 12, 14), dtype=F64, requires_grad=True)
    out = module(images)
    done = trace(graph, images.detach())
    assert torch.allclose(
        done.output, torch.cat([out["steer"][:, None], out["weather"]], 1), rtol=0, atol=1e-12
    )
    (grad,) = torch.autograd.grad(out["steer"].sum(), images)
    want = grad.abs().amax(1)
    assert torch.allclose(
        explain(done, "saliency"), want / want.amax((1, 2), keepdim=True), rtol=0, atol=1e-9
    )
    with pytest.raises(ExplainError, match="softmax"):
        explain(done, "fbi", 1)
    # of a classifier the scores before the softmax are explained
    assert not any(isinstance(s.op, Opaque) for s in read_network(module, (3, 12, 14)).stages)


@given(st.integers(0, 2**31))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_networks(seed):
    check(RandomNet(seed), (2, 14, 18))


class RandomNet(nn.Module):
    """Layers, skips and functions chosen by a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.steps: list[tuple[str, str]] = []
        random = np.random.default_rng(seed)
        channels = 2
        for i in range(random.integers(2, 6)):
            kind = random.choice(["conv", "block", "pool", "scale", "cat"])
            name = f"part{i}"
            if kind == "conv":
                out = int(random.integers(1, 5)) * 2
                options = {"padding": int(random.integers(0, 2)), "groups": int(random.choice([1, 2]))}
                part = nn.Sequential(
                    nn.Conv2d(
                        channels, out, int(random.integers(1, 4)), bias=bool(random.integers(2)), **options
                    ),
                    nn.BatchNorm2d(out, affine=True),
                )
                self.add_module(name, part)
                channels = out
            elif kind == "block":
                self.add_module(name, Block(channels))
            elif kind == "cat":
                self.add_module(name, nn.Conv2d(channels, 3, 1))
                channels += 3
                if channels % 2:
                    channels += 1
            self.steps.append((str(kind), name))
        self.head = nn.LazyLinear(2)
        self.eval()
        with torch.no_grad():
            self(torch.zeros(2, 2, 14, 18))

    def forward(self, x):
        for kind, name in self.steps:
            if kind == "conv":
                x = F.relu_(getattr(self, name)(x))
            elif kind == "block":
                x = getattr(self, name)(x)
            elif kind == "pool":
                x = F.max_pool2d(x, 2, ceil_mode=True) if x.shape[2] > 2 else F.avg_pool2d(x, 1)
            elif kind == "scale":
                x = x.mul(1.5).sub_(0.2) + x
            else:
                x = torch.cat([x, getattr(self, name)(x)], 1)
                if x.shape[1] % 2:
                    x = torch.cat([x, x[:, :1]], 1)
        return self.head(x.reshape(len(x), -1))


def state(module: nn.Module):
    return (
        [(name, part.training) for name, part in module.named_modules()],
        {k: v.clone() for k, v in module.state_dict().items()},
        [(name, p.requires_grad, p.grad) for name, p in module.named_parameters()],
        [
            (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
            for part in module.modules()
        ],
        [sorted(vars(part)) for part in module.modules()],
    )


@pytest.mark.parametrize("shape", [(3, 16, 24), (2, 16, 24)])
def test_the_module_is_left_as_it_was(shape):
    class Counting(Skips):
        def forward(self, x):
            self.seen = x  # what a network of somebody's keeps of its last input
            self.mean.add_(0.1)
            return super().forward(x)

    module = Counting().train()
    module.blocks[0].norm.eval()
    module.stem.weight.requires_grad_(False)
    hook = module.fc.register_forward_hook(lambda *a: None)
    before = state(module)
    try:
        read_network(module, shape)
        assert shape[0] == 3
    except ExplainError:
        assert shape[0] == 2
    after = state(module)
    assert all(torch.equal(before[1][k], after[1][k]) for k in before[1])
    assert before[0] == after[0] and before[2:] == after[2:]
    hook.remove()


class Decides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        x = self.conv(x)
        return (x if x.sum() > 0 else -x).mean((2, 3))


class TwoInputs(nn.Module):
    def forward(self, x, speed):
        return x.mean((1, 2, 3)) + speed


@pytest.mark.parametrize(
    "module, words",
    [
        (Decides(), "an if or a loop"),
        (TwoInputs(), "several inputs"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.LeakyReLU()), "puts out maps of 2x6x6"),
        (
            nn.Sequential(nn.Conv2d(3, 2, 3), nn.LeakyReLU(), nn.Flatten()),
            "with an input of 1x8x8: .*3 channels",
        ),
    ],
)
def test_what_cannot_be_followed_is_one_sentence(module, words, capfd):
    with pytest.raises(ExplainError, match=words) as told:
        read_network(module, (1, 8, 8))
    assert "\n" not in str(told.value) and len(str(told.value)) < 600
    assert capfd.readouterr() == ("", "")


def test_a_module_for_one_frame_alone_runs_on_many():
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2 * 6 * 6, 1)

        def forward(self, x):
            return self.head(F.group_norm(self.conv(x), 2).view(1, -1)).squeeze()

    module = One()
    done = trace(read_network(module, (1, 8, 8)), images := torch.rand(3, 1, 8, 8))
    wanted = torch.stack([module(images[i : i + 1]).detach() for i in range(3)])
    assert torch.allclose(done.output[:, 0], wanted, atol=1e-6)
