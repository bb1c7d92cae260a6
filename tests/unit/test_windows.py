"""Convolutions and poolings of any window, against autograd and against the rules written out: gaps between windows, groups, edges."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netmaker import F64, by_signs, scaled
from vbp.explain import explain
from vbp.explain.exported import read_network
from vbp.graph.trace import trace


def layer(rng: random.Random) -> nn.Module:
    """Of 4 channels in and out, for maps of 7x8 and more."""
    kernel = (rng.randint(1, 3), rng.randint(1, 3))
    stride, dilation = (rng.randint(1, 4), rng.randint(1, 4)), (rng.randint(1, 2), rng.randint(1, 2))
    kind = rng.choice(["conv", "conv", "transposed", "average", "maximum"])
    if kind == "conv":
        mode = rng.choice(["zeros", "reflect", "replicate", "circular"])
        padding = (rng.randint(0, 2), rng.randint(0, 2))
        return nn.Conv2d(
            4, 4, kernel, stride, padding, dilation, rng.choice([1, 2, 4]), bias=False, padding_mode=mode
        )
    if kind == "transposed":
        padding = (rng.randint(0, kernel[0] - 1), rng.randint(0, kernel[1] - 1))
        groups = rng.choice([1, 2])
        return nn.ConvTranspose2d(4, 4, kernel, stride, padding, 0, groups, bias=False, dilation=dilation)
    padding, ceil = (rng.randint(0, kernel[0] // 2), rng.randint(0, kernel[1] // 2)), rng.random() < 0.5
    if kind == "average":
        return nn.AvgPool2d(kernel, stride, padding, ceil, rng.random() < 0.5)
    return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil)


class Net(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        rng = random.Random(seed)
        self.shape = (3, rng.randint(7, 9), rng.randint(8, 11))
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.middle = layer(rng)
        size = self.middle(torch.zeros(2, 4, *self.shape[1:])).flatten(1).shape[1]
        self.head = nn.Linear(size, 1, bias=False)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.middle(F.relu(self.first(x)))).flatten(1))


def backwards(net: Net, image: Tensor, alpha: float) -> Tensor:
    """Alpha-beta of one image, from the Jacobian of each layer; what a pooling takes from its maximum passes as it is."""
    x = [image, F.relu(net.first(image))]
    x.append(net.middle(x[1]))
    value = F.relu(x[2])
    relevance = by_signs(net.head.weight, value.flatten(), net(image)[0], alpha)
    middle = torch.autograd.functional.jacobian(lambda v: net.middle(v).flatten(), x[1]).flatten(1)
    middle = middle.reshape(value.numel(), -1)
    if isinstance(net.middle, nn.MaxPool2d):
        relevance = middle.T @ relevance
    else:
        relevance = by_signs(middle, x[1].flatten(), relevance, alpha)
    first = torch.autograd.functional.jacobian(lambda v: net.first(v).flatten(), image).reshape(
        x[1].numel(), -1
    )
    return by_signs(first, image.flatten(), relevance, alpha).view(image.shape).sum(1)


@pytest.mark.parametrize("seed", range(8))
def test_a_window_of_any_kind(seed):
    net = Net(seed)
    images = torch.rand(2, *net.shape, dtype=F64)
    done = trace(read_network(net, net.shape, F64), images)
    x = images.clone().requires_grad_()
    (grad,) = torch.autograd.grad(net(x).sum(), x)
    product = scaled((grad * images).sum(1))
    torch.testing.assert_close(explain(done, "gradient-input"), product, rtol=0, atol=1e-9)
    torch.testing.assert_close(explain(done, "saliency"), scaled(grad.abs().amax(1)), rtol=0, atol=1e-9)
    torch.testing.assert_close(explain(done, "lrp", eps=0.0), product, rtol=0, atol=1e-7)
    padded = getattr(net.middle, "padding_mode", "zeros") != "zeros"  # which are two linear maps
    if not padded:
        with torch.no_grad():
            wanted = scaled(torch.cat([backwards(net, image[None], 2.0) for image in images]))
        torch.testing.assert_close(explain(done, "lrp-alpha-beta", alpha=2.0), wanted, rtol=0, atol=1e-7)
    mask = explain(done, "visualbackprop")
    assert mask.shape == images[:, 0].shape and bool(torch.isfinite(mask).all())
