"""LRP and its rules against captum and against computations neuron by neuron, on folded networks, in float64."""

from __future__ import annotations

import warnings

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import Tensor, nn

from netmaker import F64, NETWORKS, make, module_of, scaled
from vbp.errors import ExplainError
from vbp.explain import explain
from vbp.explain.chain import read_chain
from vbp.graph.operations import AvgPool, Conv, Dense, Stage
from vbp.graph.trace import Trace, apply, trace
from vbp.models.registry import load_network

CLOSE = 1e-5  # of each map's maximum


class TwoParts(nn.Module):
    """captum has no rule for a Flatten layer: this one flattens between its parts."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        at = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
        self.features, self.head = layers[:at], layers[at + 1 :]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


def captum_lrp(module: nn.Sequential, images: Tensor, target: int, conv_rule, dense_rule) -> Tensor:
    for layer in module:
        if isinstance(layer, nn.Conv2d | nn.AvgPool2d):
            layer.rule = conv_rule()
        elif isinstance(layer, nn.Linear):
            layer.rule = dense_rule()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = LRP(TwoParts(module)).attribute(images.clone(), target)
    return scaled(got.sum(1)).detach()


# captum gives its own rule to pads, which lose relevance to it: they stay out.
@pytest.mark.parametrize("eps", [1e-2, 1.0, 100.0])
@pytest.mark.parametrize("name", ["plain", "padded", "max-pooled"])
def test_epsilon_agrees_with_captum(name: str, eps: float) -> None:
    done, module, images = make(name, seed=11, frames=3)
    for target in (0, 1):
        expected = captum_lrp(module, images, target, lambda: EpsilonRule(eps), lambda: EpsilonRule(eps))
        torch.testing.assert_close(explain(done, "lrp", target, eps=eps), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["plain", "max-pooled"])
def test_alpha_one_agrees_with_captum(name: str) -> None:
    """captum clamps the weights and leaves biases as they are, or out: out is what can be compared."""

    def rule() -> Alpha1_Beta0_Rule:
        return Alpha1_Beta0_Rule(set_bias_to_zero=True)

    done, module, images = make(name, seed=11, frames=3)
    for target in (0, 1):
        expected = captum_lrp(module, images, target, rule, rule)
        got = explain(done, "lrp-alpha-beta", target, alpha=1, bias=0)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["lrp", "lrp-alpha-beta"])
def test_captum_on_the_papers_network(method: str) -> None:
    chain = read_chain(load_network("NetSVF").module).to("cpu", F64)
    images = torch.rand(1, 1, 125, 640, dtype=F64, generator=torch.Generator().manual_seed(6))
    module = module_of(chain)
    if method == "lrp":
        expected = captum_lrp(module, images, 0, lambda: EpsilonRule(100.0), lambda: EpsilonRule(100.0))
        got = explain(trace(chain, images), "lrp")
    else:
        rule = lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True)  # noqa: E731
        expected = captum_lrp(module, images, 0, rule, rule)
        got = explain(trace(chain, images), method, alpha=1, bias=0)
    assert expected.abs().max() == pytest.approx(1)
    assert (got - expected).abs().max() < CLOSE


def naive_alpha_beta(
    done: Trace, target: int, alpha: float, bias: bool, dense_eps: float | None = None
) -> Tensor:
    """Bach et al. 2015, Eq. 60, with every z_ij written out."""
    frames = []
    for n in range(done.input.shape[0]):
        r = torch.zeros_like(done.output[n])
        r[target] = done.output[n, target]
        for stage, x, out in reversed(list(zip(done.stages, done.values[:-1], done.values[1:], strict=True))):
            r = _naive_step(stage, x[n : n + 1], out[n : n + 1], r, alpha, bias, dense_eps)
        frames.append(r.sum(0))
    return scaled(torch.stack(frames))


def _naive_step(stage: Stage, x: Tensor, out: Tensor, r: Tensor, alpha, bias, dense_eps) -> Tensor:
    op, x, out, r = stage.op, x.clone(), out.clone(), r.clone()
    jacobian = torch.autograd.functional.jacobian(lambda v: apply(op, v), x).reshape(out[0].numel(), -1)
    if not isinstance(op, Conv | Dense | AvgPool):
        return (jacobian.T @ r.reshape(-1)).reshape(x.shape[1:])
    zij = jacobian * x.reshape(1, -1)
    b = torch.zeros_like(out) if isinstance(op, AvgPool) else apply(op, torch.zeros_like(x))
    b = b.reshape(-1)
    if isinstance(op, Dense) and dense_eps is not None:
        z = zij.sum(1) + b
        return (
            (zij * (r / (z + dense_eps * torch.where(z >= 0, 1.0, -1.0).to(F64)))[:, None])
            .sum(0)
            .reshape(x.shape[1:])
        )
    if not bias:
        b = b * 0
    total = torch.zeros_like(zij[0])
    for j, rj in enumerate(r.reshape(-1).tolist()):
        plus, minus = zij[j].clamp(min=0), zij[j].clamp(max=0)
        zp, zm = plus.sum() + max(0.0, float(b[j])), minus.sum() + min(0.0, float(b[j]))
        if zp > 0:
            total += alpha * plus / zp * rj
        if zm < 0:
            total -= (alpha - 1) * minus / zm * rj
    return total.reshape(x.shape[1:])


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("name", NETWORKS)
def test_alpha_beta_equals_the_naive_computation(name: str, alpha: float) -> None:
    done, _, _ = make(name, seed=2)
    for bias in (True, False):
        got = explain(done, "lrp-alpha-beta", 1, alpha=alpha, bias=bias)
        torch.testing.assert_close(got, naive_alpha_beta(done, 1, alpha, bias), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_composite_equals_the_naive_computation(name: str) -> None:
    done, _, _ = make(name, seed=4)
    got = explain(done, "lrp-composite", 0, alpha=2, eps=0.3)
    torch.testing.assert_close(got, naive_alpha_beta(done, 0, 2.0, True, 0.3), rtol=0, atol=1e-10)


def test_inputs_below_zero_are_split_by_the_sign_of_their_products() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 1)).double()
    images = torch.randn(2, 1, 6, 6, dtype=F64, generator=torch.Generator().manual_seed(3))
    done = trace(read_chain(net).to("cpu", F64), images)
    got = explain(done, "lrp-alpha-beta", alpha=2)
    torch.testing.assert_close(got, naive_alpha_beta(done, 0, 2.0, True), rtol=0, atol=1e-10)


def test_single_precision_is_close() -> None:
    chain = read_chain(load_network("NetHVF").module)
    images = torch.rand(1, 1, 125, 351, generator=torch.Generator().manual_seed(7))
    for method in ("lrp", "lrp-alpha-beta", "lrp-composite"):
        exact = explain(trace(chain.to("cpu", F64), images.double()), method)
        assert (explain(trace(chain, images), method) - exact).abs().max() < 1e-4, method


def test_parameters_out_of_range() -> None:
    done, _, _ = make("plain")
    with pytest.raises(ExplainError, match="alpha"):
        explain(done, "lrp-alpha-beta", alpha=0.5)
    with pytest.raises(ExplainError, match="eps"):
        explain(done, "lrp-composite", eps=-1)
