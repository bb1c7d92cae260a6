"""Relevance and phi in networks with skips and branches, against naive computations and captum, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor

from graphmaker import GraphModule, Maker, gradients, make, residual
from netmaker import F64, scaled
from vbp.explain import explain
from vbp.graph.operations import (
    Activation,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Graph,
    MaxPool,
    Op,
)
from vbp.graph.trace import Trace, trace

CLOSE = 1e-9  # of each map's maximum


# --- relevance


Rule = Callable[[Op, Tensor, Tensor, Tensor, Tensor], Tensor]


def weights_of(module: GraphModule, i: int, taken: tuple[Tensor, ...]) -> Tensor:
    """What each input number of stage i adds to each output number, (out, in): the stage run on unit vectors."""
    if isinstance(module.ops[i], MaxPool):
        jacobian = torch.autograd.functional.jacobian(
            lambda x: module.compute(i, x), taken[0], vectorize=True
        )
        return jacobian.reshape(-1, taken[0].numel())
    sizes = [x.numel() for x in taken]
    units = torch.eye(sum(sizes), dtype=F64).split(sizes, 1)
    with torch.no_grad():
        out = module.compute(i, *(u.reshape(-1, *x.shape[1:]) for u, x in zip(units, taken, strict=True)))
        return (out - module.compute(i, *(torch.zeros_like(x) for x in taken))).reshape(sum(sizes), -1).T


def naive(done: Trace, module: GraphModule, rule: Rule, start: Tensor, first: int | None = None) -> Tensor:
    """Relevance neuron by neuron: rule(op, weights (out, in), inputs (in,), biases (out,), R (out,)) -> R (in,).

    The inputs of a stage that takes several values are one vector; the weights are its Jacobian there.
    """
    first = len(done.stages) if first is None else first
    frames = []
    for n in range(len(done.input)):
        found = {k: torch.zeros_like(done.values[k][n]) for k in range(first + 1)}
        found[first] = start[n].clone()
        for i in range(first - 1, -1, -1):
            taken = tuple(done.values[k][n : n + 1].clone() for k in module.sources[i])
            flat = torch.cat([x.reshape(-1) for x in taken])
            weights = weights_of(module, i, taken)
            outputs = found[i + 1].numel()
            linear = isinstance(module.ops[i], Conv | Dense | Affine)
            bias = torch.zeros(outputs, dtype=F64)
            if linear:
                bias = module.compute(i, *(torch.zeros_like(x) for x in taken)).detach().reshape(-1)
            got = rule(module.ops[i], weights, flat, bias, found[i + 1].reshape(-1))
            for k, part in zip(module.sources[i], got.split([x.numel() for x in taken]), strict=True):
                found[k] = found[k] + part.view(found[k].shape)
        frames.append(found[0].sum(0))
    return torch.stack(frames)


def divided(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(b != 0, a / torch.where(b != 0, b, 1.0), 0.0)


def passes(op: Op, weights: Tensor, x: Tensor, r: Tensor) -> Tensor | None:
    """What the rules have no formula for: to the winner, to the place it came from, through an activation."""
    if isinstance(op, Activation):
        return torch.where(x != 0, r, 0.0)
    if isinstance(op, Conv | Dense | Affine | AvgPool) or type(op).__name__ == "Add":
        return None
    return weights.T @ r


def epsilon_rule(eps: float, bias: bool) -> Rule:
    def rule(op: Op, weights: Tensor, x: Tensor, b: Tensor, r: Tensor) -> Tensor:
        passed = passes(op, weights, x, r)
        if passed is not None:
            return passed
        zij = weights * x
        z = zij.sum(1) + (b if bias else 0)
        share = divided(r, z)
        if eps and not isinstance(op, AvgPool):
            share = r / (z + eps * torch.where(z >= 0, 1.0, -1.0).to(F64))
        return (zij * share[:, None]).sum(0)

    return rule


def alpha_beta_rule(alpha: float, bias: bool) -> Rule:
    def rule(op: Op, weights: Tensor, x: Tensor, b: Tensor, r: Tensor) -> Tensor:
        passed = passes(op, weights, x, r)
        if passed is not None:
            return passed
        zij, b = weights * x, b if bias else b * 0
        plus, minus = zij.clamp(min=0), zij.clamp(max=0)
        to_plus = divided(r, plus.sum(1) + b.clamp(min=0))
        to_minus = divided(r, minus.sum(1) + b.clamp(max=0))
        return (alpha * plus * to_plus[:, None] - (alpha - 1) * minus * to_minus[:, None]).sum(0)

    return rule


def start_of(done: Trace, target: int) -> Tensor:
    start = torch.zeros_like(done.output)
    start[:, target] = done.output[:, target]
    return start


@pytest.mark.parametrize("seed", range(8))
def test_epsilon_equals_the_naive_computation(seed: int) -> None:
    eps, bias = (0.01, 1.0, 100.0)[seed % 3], seed % 2 == 0
    done, module, _ = make(seed, steps=7, largest=6)
    expected = scaled(naive(done, module, epsilon_rule(eps, bias), start_of(done, 1)))
    torch.testing.assert_close(explain(done, "lrp", 1, eps=eps, bias=bias), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_alpha_beta_equals_the_naive_computation(seed: int) -> None:
    alpha, bias = (1.0, 2.0, 3.5)[seed % 3], seed % 2 == 0
    done, module, _ = make(seed, steps=7, largest=6)
    expected = scaled(naive(done, module, alpha_beta_rule(alpha, bias), start_of(done, 0)))
    got = explain(done, "lrp-alpha-beta", 0, alpha=alpha, bias=bias)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("eps", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_epsilon_on_residual_networks_agrees_with_captum(seed: int, eps: float) -> None:
    graph, images = residual(seed)
    done, module = trace(graph, images), GraphModule(graph.stages)
    for layer in module.layers.values():
        layer.rule = EpsilonRule(eps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = scaled(LRP(module).attribute(images.clone(), 1).sum(1)).detach()
    assert expected.abs().amax((1, 2)).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(explain(done, "lrp", 1, eps=eps), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_relevance_is_conserved_where_skips_join(seed: int) -> None:
    """alpha = 1 and no bias: what the output held arrives at the input, neither more nor less."""
    graph, images = residual(seed, bias=0.0)
    done, module = trace(graph, images), GraphModule(graph.stages)
    unscaled = naive(done, module, alpha_beta_rule(1.0, False), start_of(done, 0))
    output = done.output[:, 0]
    # Relevance that a neuron hands down has somewhere to go, as images are not negative and it is alive.
    torch.testing.assert_close(unscaled.sum((1, 2)), output, rtol=1e-9, atol=1e-12)
    got = explain(done, "lrp-alpha-beta", 0, alpha=1, bias=0)
    torch.testing.assert_close(got, scaled(unscaled), rtol=0, atol=CLOSE)
    torch.testing.assert_close(
        got * unscaled.abs().amax((1, 2), keepdim=True),
        unscaled,
        rtol=0,
        atol=CLOSE * float(output.abs().max()),
    )


# --- phi


def every_path(done: Trace, module: GraphModule, n: int, last: int) -> tuple[Tensor, int]:
    """The sum over all paths from the pixels of frame n to the neurons of value `last`, each walked by itself.

    A sum has edges of weight 1 from each of its inputs; gamma is a neuron's input without its bias.
    """
    edges: dict[tuple[int, int], list[tuple[tuple[int, int], float]]] = {}
    flow: dict[tuple[int, int], float] = {}
    for i in range(last):
        taken = tuple(done.values[k][n : n + 1].clone() for k in module.sources[i])
        weights = weights_of(module, i, taken)
        places = [(k, u) for k, x in zip(module.sources[i], taken, strict=True) for u in range(x.numel())]
        flows = weights @ torch.cat([x.reshape(-1) for x in taken])
        for j, row in enumerate(weights):
            edges[(i + 1, j)] = [(places[u], float(row[u])) for u in row.nonzero().flatten().tolist()]
            flow[(i + 1, j)] = float(flows[j])
    values = [v[n].reshape(-1).tolist() for v in done.values]
    found = torch.zeros(done.input[n].numel(), dtype=F64)
    count = 0

    def walk(k: int, v: int, product: float) -> None:
        nonlocal count
        if k == 0:
            count += 1
            found[v] += product * values[0][v]
            return
        if values[k][v] == 0 or flow[(k, v)] == 0:
            return
        product *= values[k][v] / flow[(k, v)]
        for (source, u), weight in edges[(k, v)]:
            walk(source, u, product * weight)

    for v in range(len(values[last])):
        walk(last, v, 1.0)
    return found.view(done.input[n].shape).sum(0), count


@pytest.mark.parametrize("seed", range(1, 5))
def test_phi_is_the_sum_over_every_path_of_a_residual_network(seed: int) -> None:
    maker = Maker(seed, 1, 4, 4)
    x = maker.conv(0, 2, (2, 2), padding=(0, 0), relu=True)
    inner = maker.conv(x, 2, (2, 2), padding=(0, 0), relu=True)
    inner = maker.conv(inner, 2, (2, 2), padding=(1, 1))
    x = maker.sum(inner, x, relu=True)
    graph, images = maker.head(x), maker.images(1)
    done = trace(graph, images)
    assert done.last_maps() == x
    expected, paths = every_path(done, GraphModule(graph.stages), 0, x)
    assert paths > 100 and expected.abs().max() > 0
    torch.testing.assert_close(explain(done, "phi"), scaled(expected[None]), rtol=0, atol=CLOSE)


def test_flattened_branches_pass_relevance_too() -> None:
    """Two flattened branches of different sizes into one dense layer."""
    maker = Maker(4, 1, 6, 6)
    x = maker.conv(0, 2, relu=True)
    small = maker.pool(x, AvgPool, 3, 3, 0)
    parts = [maker.add(Flatten(), k, shape=(torch.Size(maker.shapes[k]).numel(),)) for k in (x, small)]
    joined = maker.add(Concat(), *parts, shape=(72 + 8,))
    maker.add(Dense(maker.randn(2, 80), maker.randn(2)), joined, shape=(2,))
    graph, images = Graph(tuple(maker.stages)), maker.images()
    done, module = trace(graph, images), GraphModule(graph.stages)
    for method, expected in zip(("saliency", "gradient-input"), gradients(module, images, 0), strict=True):
        torch.testing.assert_close(explain(done, method, 0), expected, rtol=0, atol=CLOSE)
    relevance = scaled(naive(done, module, epsilon_rule(0.1, True), start_of(done, 0)))
    torch.testing.assert_close(explain(done, "lrp", 0, eps=0.1), relevance, rtol=0, atol=CLOSE)
