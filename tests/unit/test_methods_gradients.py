"""Saliency, gradient x input, Guided Backprop, DeconvNet and Grad-CAM against captum, on folded networks."""

from __future__ import annotations

import warnings

import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop, InputXGradient, LayerGradCam, Saliency
from torch import Tensor, nn

from netmaker import F64, NETWORKS, make, module_of, scaled
from vbp.errors import ExplainError
from vbp.explain import explain
from vbp.explain.chain import read_chain
from vbp.graph.trace import trace
from vbp.models.registry import load_network

CLOSE = 1e-5  # of each map's maximum


def captum_map(method: str, module: nn.Sequential, images: Tensor, target: int, back: int = 0) -> Tensor:
    images = images.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method == "saliency":
            return scaled(Saliency(module).attribute(images, target, abs=True).amax(1)).detach()
        if method == "gradient-input":
            return scaled(InputXGradient(module).attribute(images, target).sum(1)).detach()
        if method == "guided-backprop":
            return scaled(GuidedBackprop(module).attribute(images, target).sum(1)).detach()
        if method == "deconvnet":
            return scaled(Deconvolution(module).attribute(images, target).sum(1)).detach()
        convs = [i for i, layer in enumerate(module) if isinstance(layer, nn.Conv2d)]
        layer = module[convs[-1 - back] + 1]  # its ReLU
        cam = LayerGradCam(module, layer).attribute(images, target, relu_attributions=True)
        return scaled(
            nn.functional.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
        ).detach()


METHODS = ("saliency", "gradient-input", "guided-backprop", "deconvnet", "grad-cam")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_they_agree_with_captum(method: str, name: str) -> None:
    alive = 0.0
    for seed in range(4):
        done, module, images = make(name, seed)
        target = (seed + 1) % 2
        got = explain(done, method, target)
        expected = captum_map(method, module, images, target)
        alive = max(alive, float(expected.abs().max()))
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert alive == pytest.approx(1), "there is something to agree about"


@pytest.mark.parametrize("method", METHODS)
def test_they_agree_with_captum_on_the_papers_network(method: str) -> None:
    """In float64: in float32 a neuron within rounding of zero is on in one implementation and off in another."""
    chain = read_chain(load_network("NetHVF").module).to("cpu", F64)
    y, x = torch.meshgrid(
        torch.linspace(0, 1, 125, dtype=F64), torch.linspace(-1, 1, 351, dtype=F64), indexing="ij"
    )
    images = (0.6 - 0.3 * y + 0.4 * ((x - 0.3 * y).abs() < 0.03))[
        None, None
    ]  # a bright line on a grey ground
    done, module = trace(chain, images), module_of(chain)
    got, expected = explain(done, method), captum_map(method, module, images, 0)
    assert expected.abs().max() == pytest.approx(1)
    assert (got - expected).abs().max() < CLOSE


def test_grad_cam_further_back() -> None:
    done, module, images = make("padded", seed=3)
    for back in (0, 1):
        got = explain(done, "grad-cam", 1, back=back)
        expected = captum_map("grad-cam", module, images, 1, back)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert torch.equal(explain(done, "grad-cam", 1, back=9), got), "before the first is the first"


@pytest.mark.parametrize("method", METHODS)
def test_depth_does_not_leave_the_range_of_numbers(method: str) -> None:
    """Forty layers, each of which makes what comes back a thousand times as large."""
    layers: list[nn.Module] = []
    for _ in range(40):
        layers += [nn.Conv2d(1, 1, 1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        for i, layer in enumerate(m for m in net if isinstance(m, nn.Conv2d)):
            layer.weight.fill_(1e3)
            layer.bias.fill_(0.0 if i % 8 else -1e20)
        net[0].bias.fill_(1.0)
        net[-1].weight.copy_(torch.arange(16.0) + 1)
    ops = read_chain(net)
    # The forward pass itself would overflow: the activations are given.
    values = [torch.ones(1, 1, 4, 4) for _ in range(41)] + [torch.ones(1, 16), torch.ones(1, 1)]
    from vbp.graph.trace import Trace

    got = explain(Trace(ops.stages, tuple(values)), method)
    assert torch.isfinite(got).all()
    if method != "grad-cam":
        expected = (torch.arange(16.0) + 1).view(1, 4, 4) / 16
        torch.testing.assert_close(got, expected)


def test_what_needs_a_convolution_says_so() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    done = trace(read_chain(net), torch.rand(1, 1, 8, 8))
    with pytest.raises(ExplainError, match="Grad-CAM needs a convolution"):
        explain(done, "grad-cam")
    assert explain(done, "saliency").max() == 1
