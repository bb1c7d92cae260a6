"""Layers that a graph has no word for: VisualBackProp passes those that keep or resample the grid, gradients pass all."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vbp.errors import ExplainError
from vbp.explain import explain
from vbp.explain.exported import read_network
from vbp.graph.operations import Opaque
from vbp.graph.trace import trace

SHAPE = (3, 33, 49)


class Middle(nn.Module):
    """Convolution and ReLU, something, convolution and ReLU, a dense layer."""

    def __init__(self, function, **parts: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.function = nn.Conv2d(3, 8, 5, 2), function
        for name, part in parts.items():
            self.add_module(name, part)
        with torch.no_grad():
            channels = function(self, self.first(torch.zeros(2, *SHAPE))).shape[1]
        self.second, self.head = nn.Conv2d(channels, 6, 3, 2), nn.LazyLinear(1)
        self.eval()
        with torch.no_grad():
            self(torch.zeros(2, *SHAPE))

    def forward(self, x):
        x = self.function(self, F.relu(self.first(x)))
        return self.head(F.relu(self.second(x)).flatten(1))


def maps(module: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    first = F.relu(module.first(images))
    return first.mean(1, keepdim=True), F.relu(module.second(module.function(module, first))).mean(
        1, keepdim=True
    )


def ones_back(mask: torch.Tensor, kernel: int, stride: int, size) -> torch.Tensor:
    """The paper's scaling up: a transposed convolution of ones, with output padding to the size before."""
    rest = [n - ((m - 1) * stride + kernel) for n, m in zip(size, mask.shape[2:], strict=True)]
    return F.conv_transpose2d(mask, torch.ones(1, 1, kernel, kernel), stride=stride, output_padding=rest)


def scaled(mask: torch.Tensor) -> torch.Tensor:
    low, high = mask.amin((1, 2, 3), keepdim=True), mask.amax((1, 2, 3), keepdim=True)
    return ((mask - low) / (high - low))[:, 0]


def gate(s, x):
    return x * torch.sigmoid(s.up(F.silu(s.down(x.mean((2, 3), keepdim=True)))))


SE = {"down": nn.Conv2d(8, 2, 1), "up": nn.Conv2d(2, 8, 1)}
# What stands in the middle, and how the mask at its output comes to the grid of its input, written by hand.
SPATIAL = {
    "squeeze and excitation": (gate, SE, lambda m, size: m),
    "group norm": (lambda s, x: F.group_norm(x, 2), {}, lambda m, size: m),
    "instance norm": (lambda s, x: F.instance_norm(x), {}, lambda m, size: m),
    "layer norm": (lambda s, x: F.group_norm(x, 1), {}, lambda m, size: m),
    "layer norm of all": (lambda s, x: F.layer_norm(x, x.shape[1:]), {}, lambda m, size: m),
    "root mean square": (
        lambda s, x: x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6),
        {},
        lambda m, size: m,
    ),
    "unit length": (lambda s, x: F.normalize(x, dim=1), {}, lambda m, size: m),
    "glu": (lambda s, x: F.glu(x, 1), {}, lambda m, size: m),
    "channel shuffle": (lambda s, x: F.channel_shuffle(x, 2), {}, lambda m, size: m),
    "nearest": (lambda s, x: F.interpolate(x, scale_factor=2), {}, lambda m, size: F.avg_pool2d(m, 2)),
    "reflection": (
        lambda s, x: F.pad(x, (0, 0, 2, 0), mode="replicate"),
        {},
        lambda m, size: torch.cat([m[:, :, :3].sum(2, keepdim=True), m[:, :, 3:]], 2),
    ),
    "transposed": (
        lambda s, x: s.up2(x),
        {"up2": nn.ConvTranspose2d(8, 4, 4, 2, 1)},
        lambda m, size: F.conv2d(m, torch.ones(1, 1, 4, 4), stride=2, padding=1),
    ),
    "pixel shuffle": (lambda s, x: F.pixel_shuffle(x, 2), {}, lambda m, size: F.avg_pool2d(m, 2)),
    "upside down": (lambda s, x: x.flip(2), {}, lambda m, size: m.flip(2)),
}


@pytest.mark.parametrize("name", SPATIAL)
def test_visualbackprop_passes_what_keeps_or_resamples_the_grid(name):
    function, parts, back = SPATIAL[name]
    module = Middle(function, **parts)
    images = torch.rand(2, *SHAPE)
    done = trace(read_network(module, SHAPE), images)
    assert [s for s in done.stages if isinstance(s.op, Opaque)]
    with torch.no_grad():
        first, second = maps(module, images)
        middle = module.function(module, torch.rand(1, 8, *first.shape[2:])).shape[2:]
        mask = back(ones_back(second, 3, 2, middle), first.shape[2:]) * first
        wanted = scaled(ones_back(mask, 5, 2, SHAPE[1:]))
    torch.testing.assert_close(explain(done, "visualbackprop"), wanted, atol=1e-5, rtol=1e-4)
    for method in ("saliency", "gradient-input", "guided-backprop", "deconvnet"):
        assert bool(explain(done, method).any())
    assert explain(done, "grad-cam").shape == (2, *SHAPE[1:])


def test_what_mixes_the_places_is_named():
    def attention(s, x):
        flat = x.flatten(2)
        return torch.bmm(flat, torch.softmax(flat.transpose(1, 2) @ flat, 2)).view(x.shape)

    done = trace(read_network(Middle(attention), SHAPE), torch.rand(1, *SHAPE))
    with pytest.raises(ExplainError, match="can be run, but not explained"):
        explain(done, "visualbackprop")
    assert bool(explain(done, "saliency").any())


def test_rows_in_another_order_are_no_place_that_is_kept():
    """Of the same size, and yet every row lies elsewhere."""
    done = trace(
        read_network(Middle(lambda s, x: x[:, :, torch.arange(14, -1, -1)]), SHAPE), torch.rand(1, *SHAPE)
    )
    assert [s for s in done.stages if isinstance(s.op, Opaque)]
    with pytest.raises(ExplainError, match="can be run, but not explained"):
        explain(done, "visualbackprop")


def test_gradients_through_gates_and_norms_are_autograds():
    for name in SPATIAL:
        function, parts, _ = SPATIAL[name]
        module = Middle(function, **parts).double()
        images = torch.rand((2, *SHAPE), dtype=torch.float64, requires_grad=True)
        (wanted,) = torch.autograd.grad(module(images).sum(), images)
        done = trace(read_network(module, SHAPE, torch.float64), images.detach())
        size = (wanted * images.detach()).sum(1)
        size = size / size.abs().amax((1, 2), keepdim=True)
        torch.testing.assert_close(explain(done, "gradient-input"), size, atol=1e-9, rtol=1e-9)


LINEAR = {
    "transposed": lambda s, x: s.up2(x),
    "nearest": lambda s, x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda s, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "reflection": lambda s, x: F.pad(x, (1, 2, 3, 1), mode="reflect"),
    "pixel shuffle": lambda s, x: F.pixel_shuffle(x, 2),
    "channel shuffle": lambda s, x: F.channel_shuffle(x, 4),
    "turned": lambda s, x: x.permute(0, 1, 3, 2).flip(2),
}


@pytest.mark.parametrize("name", LINEAR)
def test_without_biases_lrp_of_a_tiny_eps_is_gradient_times_input(name):
    """A theorem on networks of ReLUs without biases (Ancona et al. 2018), whatever linear maps stand between."""
    module = Middle(LINEAR[name], up2=nn.ConvTranspose2d(8, 4, 4, 2, 1))
    for key, parameter in module.named_parameters():
        if key.endswith("bias"):
            nn.init.zeros_(parameter)
    module = module.double()
    images = torch.rand((2, *SHAPE), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(images).sum(), images)
    done = trace(read_network(module, SHAPE, torch.float64), images.detach())
    assert [s for s in done.stages if isinstance(s.op, Opaque)]
    wanted = (gradient * images.detach()).sum(1)
    wanted = wanted / wanted.abs().amax((1, 2), keepdim=True)
    torch.testing.assert_close(explain(done, "lrp", eps=0.0), wanted, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(explain(done, "lrp", eps=1e-12), wanted, atol=1e-4, rtol=1e-4)
