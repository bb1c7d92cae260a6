"""Sixty kinds of layers, each in a small network: gradients against autograd's, relevance against what the papers say, by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from layermaker import KINDS, SHAPE, Kind, Middle
from netmaker import F64, Guided, by_signs, scaled
from vbp.engine import Engine
from vbp.errors import ExplainError
from vbp.explain import explain
from vbp.explain.exported import read_network
from vbp.graph.trace import Trace, trace
from vbp.model_check import check_model
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec

CLOSE = 1e-7  # of each map's maximum


def gradient(module: Middle, images: Tensor, seen: bool = False) -> Tensor:
    x = images.clone().requires_grad_()
    (found,) = torch.autograd.grad(module(x, seen)[:, 1].sum(), x)
    return found


def read(kind: Kind) -> tuple[Middle, Tensor, Trace]:
    module = Middle(kind).double()
    images = torch.rand(2, *SHAPE, dtype=F64, generator=torch.Generator().manual_seed(1))
    return module, images, trace(read_network(module, SHAPE, F64), images)


@pytest.mark.parametrize("name", KINDS)
def test_a_layer_is_explained(name, monkeypatch):
    kind = KINDS[name]
    module, images, done = read(kind)
    grad = gradient(module, images)
    torch.testing.assert_close(explain(done, "saliency", 1), scaled(grad.abs().amax(1)), rtol=0, atol=CLOSE)
    found = explain(done, "gradient-input", 1)
    torch.testing.assert_close(found, scaled((grad * images).sum(1)), rtol=0, atol=CLOSE)
    found = explain(done, "guided-backprop", 1)
    assert bool((found != 0).any())
    with monkeypatch.context() as patch:
        patch.setattr(F, "relu", Guided.apply)
        wanted = scaled(gradient(module, images).sum(1))
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)
    if kind.stop:
        with pytest.raises(ExplainError, match=f"{kind.stop}.*can be run, but not explained"):
            explain(done, "lrp", 1, eps=0.0)
        return
    with torch.no_grad():  # what is compared with computes the same
        torch.testing.assert_close(module(images, True), module(images), rtol=1e-6, atol=1e-9)
    relevance = gradient(module, images, True) * images
    torch.testing.assert_close(explain(done, "lrp", 1, eps=0.0), scaled(relevance.sum(1)), rtol=0, atol=CLOSE)


def itself(x: Tensor, constant: bool) -> Tensor:
    """Attention whose values are what it compares."""
    flat = x.flatten(2)
    weights = torch.softmax(flat.transpose(1, 2) @ flat / 9, 2)
    return (weights.detach() if constant else weights) @ flat.transpose(1, 2)


# One linear map each, once what weighs is constant.
MAPS = {
    **{
        name: (KINDS[name], [KINDS[name].seen or KINDS[name].run])
        for name in (
            *("GroupNorm", "InstanceNorm", "LayerNorm of channels", "RMSNorm", "transposed convolution", "grouped, stride above kernel"),
            *("dense of channels", "einsum", "bilinear upsampling", "adaptive average"),
            *("unfold and fold", "running sum", "average, rounded up", "sampled where it says"),
        )
    },
    "attention": (Kind(lambda s, x: itself(x, False)), [lambda s, x: itself(x, True)]),
}  # fmt: skip


class Alone(torch.nn.Module):
    """The layer, of inputs of both signs, and a dense one."""

    def __init__(self, middle: Middle, size: int) -> None:
        super().__init__()
        self.middle, self.head = middle, torch.nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle.kind.run(self.middle, x).flatten(1))


@pytest.mark.parametrize("name", MAPS)
def test_alpha_beta_tells_the_signs_apart_that_a_layer_is_made_of(name):
    kind, maps = MAPS[name]
    middle = Middle(kind)
    x = torch.randn(1, 8, 8, 10, dtype=F64, generator=torch.Generator().manual_seed(2))
    net = Alone(middle, kind.run(middle, x.float()).numel()).double()
    done = trace(read_network(net, (8, 8, 10), F64), x)
    with torch.no_grad():
        out = kind.run(middle, x).flatten()
        got = by_signs(net.head.weight, out, net(x)[0], 2.0)
    expected = torch.zeros(x.numel(), dtype=F64)
    for seen in maps:
        weights = torch.autograd.functional.jacobian(lambda v, f=seen: f(middle, v).flatten(), x)
        expected += by_signs(weights.reshape(len(out), -1), x.flatten(), got / len(maps), 2.0)
    wanted = scaled(expected.view(x.shape).sum(1))
    torch.testing.assert_close(explain(done, "lrp-alpha-beta", alpha=2.0), wanted, rtol=0, atol=CLOSE)


def test_what_cannot_be_passed_is_named_by_check_model():
    """At least 45 of 50 kinds are passed by the gradients, all of these here; the one that LRP cannot pass says so in a sentence."""
    (name,) = [name for name, kind in KINDS.items() if kind.stop]
    spec = NetworkSpec("Kind", "", {}, *SHAPE[1:], channels=SHAPE[0])
    found = check_model(Engine(Network(spec, Middle(KINDS[name]), trained=False), "cpu"))
    by_name = {method.name: method for method in found.methods}
    assert all(
        by_name[m].works for m in ("saliency", "gradient-input", "guided-backprop", "grad-cam", "occlusion")
    )
    for method in ("lrp", "lrp-alpha-beta", "phi", "visualbackprop"):
        assert "can be run, but not explained" in by_name[method].reason
