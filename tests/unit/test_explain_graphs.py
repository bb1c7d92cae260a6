"""Networks with skips, branches and concatenations: every method against outside oracles, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LRP, Deconvolution, GuidedBackprop, LayerGradCam
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor, nn

from graphmaker import GraphModule, Maker, random_graph
from netmaker import F64, scaled
from vbp.explain import explain
from vbp.graph.folding import fold
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
    Pad,
)
from vbp.graph.trace import Trace, output_of, trace

CLOSE = 1e-9  # of each map's maximum


def make(seed: int, steps: int = 9, largest: int = 11) -> tuple[Trace, GraphModule, Tensor]:
    """A random network's trace, folded, the same as a module, and its images."""
    graph, images = random_graph(seed, steps, largest)
    folded = tuple(fold(graph.stages))
    return trace(Graph(folded), images), GraphModule(folded), images


# --- reading and folding


@pytest.mark.parametrize("seed", range(14))
def test_folding_leaves_what_is_put_out(seed: int) -> None:
    graph, images = random_graph(seed)
    with torch.no_grad():
        expected = GraphModule(graph.stages)(images)
    folded = tuple(fold(graph.stages))
    for stages in (graph.stages, folded):
        torch.testing.assert_close(trace(Graph(stages), images).output, expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(output_of(stages, images), expected, rtol=1e-10, atol=1e-10)
    assert len(folded) <= len(graph.stages)
    assert len(fold(folded)) == len(folded), "what is folded has nothing left to fold"


def kinds(graph: Graph) -> list[str]:
    return [type(stage.op).__name__ + "+ReLU" * stage.relu for stage in fold(graph.stages)]


def test_what_two_stages_take_is_not_folded_away() -> None:
    maker = Maker(0, 1, 6, 6)
    shared = maker.conv(0, 2)
    normed = maker.norm(shared, relu=True)
    maker.sum(normed, shared)  # the convolution's own output, and the BatchNorm's of it
    assert kinds(maker.head(3)) == ["Conv", "Affine+ReLU", "Add", "Flatten", "Dense+ReLU", "Dense"]

    maker = Maker(0, 1, 6, 6)
    shared = maker.conv(0, 2)
    maker.sum(maker.relu(shared), shared)
    assert kinds(maker.head(3)) == ["Conv", "Identity+ReLU", "Add", "Flatten", "Dense+ReLU", "Dense"]

    maker = Maker(0, 1, 6, 6)
    normed = maker.norm(maker.conv(0, 2), relu=True)
    again = maker.norm(normed)  # before a convolution without padding, and a skip
    small = maker.conv(again, 2, padding=(0, 0))
    cropped = maker.add(Pad(-1, -1, -1, -1), again, shape=(2, 4, 4))
    graph = maker.head(maker.sum(small, cropped))
    assert kinds(graph)[:5] == ["Conv+ReLU", "Affine", "Conv", "Pad", "Add"]


def test_what_one_stage_takes_is_folded_on_both_sides_of_a_skip() -> None:
    maker = Maker(1, 1, 6, 6)
    start = maker.norm(maker.conv(0, 2), relu=True)
    inner = maker.norm(maker.conv(start, 3), relu=True)
    branch = maker.norm(maker.conv(inner, 2))
    joined = maker.relu(maker.sum(branch, maker.norm(maker.conv(start, 2, (1, 1), padding=(0, 0)))))
    maker.conv(joined, 5)  # nobody takes this
    graph = maker.head(joined)
    assert kinds(graph) == [
        "Conv+ReLU",
        "Conv+ReLU",
        "Conv",
        "Conv",
        "Add+ReLU",
        "Flatten",
        "Dense+ReLU",
        "Dense",
    ]
    images = maker.images()
    folded = trace(Graph(tuple(fold(graph.stages))), images).output
    torch.testing.assert_close(folded, GraphModule(graph.stages)(images).detach(), rtol=1e-12, atol=1e-12)


def test_a_value_may_be_added_to_itself() -> None:
    maker = Maker(2, 1, 6, 6)
    start = maker.conv(0, 2, relu=True)
    graph = maker.head(maker.sum(start, start))
    done, images = trace(graph, maker.images()), maker.images()
    got = explain(trace(graph, images), "saliency", 1)
    torch.testing.assert_close(got, gradients(GraphModule(graph.stages), images, 1)[0], rtol=0, atol=CLOSE)
    assert done.output.shape == (2, 2)


# --- gradients


def gradients(module: nn.Module, images: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Saliency and gradient x input by autograd."""
    images = images.clone().requires_grad_()
    (grad,) = torch.autograd.grad(module(images)[:, target].sum(), images)
    return scaled(grad.abs().amax(1)), scaled((grad * images).sum(1)).detach()


@pytest.mark.parametrize("seed", range(14))
def test_gradients_agree_with_autograd(seed: int) -> None:
    target = seed % 2
    graph, images = random_graph(seed)
    expected = gradients(GraphModule(graph.stages), images, target)
    for stages in (graph.stages, tuple(fold(graph.stages))):
        done = trace(Graph(stages), images)
        for method, maps in zip(("saliency", "gradient-input"), expected, strict=True):
            torch.testing.assert_close(explain(done, method, target), maps, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("seed", range(12))
def test_guided_backprop_deconvnet_and_grad_cam_agree_with_captum(seed: int) -> None:
    target = seed % 2
    done, module, images = make(seed)
    asked = images.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method, oracle in (("guided-backprop", GuidedBackprop), ("deconvnet", Deconvolution)):
            expected = scaled(oracle(module).attribute(asked, target).sum(1)).detach()
            torch.testing.assert_close(explain(done, method, target), expected, rtol=0, atol=CLOSE)
        at = done.last_maps()
        assert at is not None
        cam = LayerGradCam(module, module.last(at)).attribute(asked, target, relu_attributions=True)
    large = F.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False)[:, 0].detach()
    torch.testing.assert_close(explain(done, "grad-cam", target), scaled(large), rtol=0, atol=CLOSE)


def test_the_random_networks_are_alive_and_of_every_kind() -> None:
    """Nothing above compares zeros with zeros, or chains alone."""
    seen: set[str] = set()
    alive = []
    for seed in range(24):
        done, _, _ = make(seed)
        seen |= {type(stage.op).__name__ for stage in done.stages}
        alive.append(float(explain(done, "saliency").amax()))
    assert seen >= {"Conv", "Affine", "Add", "Concat", "MaxPool", "AvgPool", "Pad", "Activation", "Identity"}
    assert sum(alive) > 18


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


def residual(seed: int, maps: int = 3, frames: int = 2, bias: float = 0.3) -> tuple[Graph, Tensor]:
    """Two residual blocks, the second with a convolution on its skip, as ResNets have them; ReLU after the sums."""
    maker = Maker(seed, 2, 9, 11)
    x = maker.conv(0, maps, bias=bias, relu=True)
    inner = maker.conv(x, maps, bias=bias, relu=True)
    x = maker.sum(maker.conv(inner, maps, bias=bias), x, relu=True)
    inner = maker.conv(x, maps, stride=(2, 2), bias=bias, relu=True)
    skip = maker.conv(x, 2 * maps, (1, 1), (2, 2), (0, 0), bias=bias)
    x = maker.sum(maker.conv(inner, 2 * maps, bias=bias), skip, relu=True)
    return maker.head(x, bias=bias), maker.images(frames)


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


# --- VisualBackProp


def naive_vbp(done: Trace) -> Tensor:
    """Each value's mask by transposed convolutions of ones from those who take it, each by its own maximum, averaged."""
    masks: dict[int, Tensor | None] = {}

    def by_maximum(mask: Tensor) -> Tensor:
        top = mask.amax((2, 3), keepdim=True)
        return torch.where(top > 0, mask / torch.where(top > 0, top, 1.0), mask)

    def scaled_up(op: Op, mask: Tensor, size: torch.Size) -> Tensor:
        if isinstance(op, Pad):
            larger = F.pad(mask, (3, 3, 3, 3))
            return larger[:, :, 3 + op.top : 3 + op.top + size[0], 3 + op.left : 3 + op.left + size[1]]
        if not isinstance(op, Conv | MaxPool | AvgPool):
            return mask
        w = op.window
        ones = torch.ones(1, 1, *w.kernel, dtype=F64)
        full = F.conv_transpose2d(mask, ones, None, w.stride, 0, 0, 1, w.dilation)
        full = F.pad(full, (0, size[1] + w.padding[1], 0, size[0] + w.padding[0]))
        return full[:, :, w.padding[0] :, w.padding[1] :][:, :, : size[0], : size[1]]

    def mask_of(k: int) -> Tensor | None:
        """Of value k: what comes back to it times its own averaged map, where it is one."""
        if k in masks:
            return masks[k]
        back = []
        for i, stage in enumerate(done.stages):
            for source in stage.inputs or (i,):
                if source == k and (mask := mask_of(i + 1)) is not None:
                    back.append(scaled_up(stage.op, mask, done.values[k].shape[2:]))
        merged = None
        if back:
            merged = back[0] if len(back) == 1 else sum(by_maximum(m) for m in back) / len(back)
        stage = done.stages[k - 1] if k else None
        value = done.values[k]
        if stage and value.dim() == 4 and (stage.relu or isinstance(stage.op, Activation)):
            seen = value
            if isinstance(stage.op, Activation):
                both_ends = stage.op.kind in ("tanh", "softsign")
                seen = value.abs() if both_ends else value.clamp(min=0)
            own = seen.mean(1, keepdim=True)
            merged = by_maximum(own) if merged is None else by_maximum(merged * by_maximum(own))
        masks[k] = merged
        return merged

    mask = mask_of(0)
    assert mask is not None
    mask = mask[:, 0]
    low, high = mask.amin((1, 2), keepdim=True), mask.amax((1, 2), keepdim=True)
    return torch.where(high > low, (mask - low) / (high - low), torch.zeros_like(mask))


def branching(seed: int) -> tuple[Graph, Tensor]:
    """Branches of different windows, as an Inception block has them, and a stride after it."""
    maker = Maker(seed, 3, 17, 21)
    x = maker.conv(0, 4, (3, 3), (2, 2), (0, 0), relu=True)
    one = maker.conv(x, 3, (1, 1), padding=(0, 0), relu=True)
    three = maker.conv(maker.conv(x, 2, (1, 1), padding=(0, 0), relu=True), 4, relu=True)
    five = maker.conv(
        maker.conv(x, 2, (1, 5), padding=(0, 2), relu=True), 3, (5, 1), padding=(2, 0), relu=True
    )
    pooled = maker.conv(maker.pool(x, MaxPool, 3, 1, 1), 2, (1, 1), padding=(0, 0), relu=True)
    x = maker.cat(one, three, five, pooled)
    x = maker.conv(x, 5, (3, 3), (2, 3), (1, 1), (1, 2), relu=True)
    return maker.head(x), maker.images()


@pytest.mark.parametrize("network", [residual, branching])
@pytest.mark.parametrize("seed", range(3))
def test_visualbackprop_with_skips_and_branches_equals_the_naive_computation(
    network: Callable[[int], tuple[Graph, Tensor]], seed: int
) -> None:
    graph, images = network(seed)
    done = trace(graph, images)
    got = explain(done, "visualbackprop")
    assert got.amax((1, 2)).tolist() == [1, 1]
    torch.testing.assert_close(got, naive_vbp(done), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(14))
def test_visualbackprop_on_random_networks(seed: int) -> None:
    done, _, _ = make(seed)
    if any(stage.relu or isinstance(stage.op, Activation) for stage in _pictures(done)):
        torch.testing.assert_close(explain(done, "visualbackprop"), naive_vbp(done), rtol=0, atol=1e-9)


def _pictures(done: Trace) -> list:
    return [stage for stage, value in zip(done.stages, done.values[1:], strict=True) if value.dim() == 4]


def test_a_skip_weighs_as_much_as_the_branch_it_leads_past() -> None:
    """Two branches from the input: one sees the left pixel alone, one the right; their masks are averaged."""
    maker = Maker(0, 1, 1, 4)
    left = maker.conv(0, 1, (1, 1), padding=(0, 0), relu=True)
    right = maker.conv(0, 1, (1, 1), padding=(0, 0), relu=True)
    graph = maker.head(maker.sum(left, right))
    values = trace(graph, maker.images(1)).values
    first = torch.tensor([8.0, 4.0, 0.0, 0.0], dtype=F64).view(1, 1, 1, 4)
    second = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64).view(1, 1, 1, 4)
    done = Trace(graph.stages, (values[0], first, second, *values[3:]))
    # Each by its own maximum, whatever the sizes of their activations; the sum itself has no ReLU, so it adds no map.
    assert explain(done, "visualbackprop")[0, 0].tolist() == [1.0, 0.5, 0.0, 1.0]


@pytest.mark.parametrize("method", ["fbi", "lrp-composite", "lrp", "phi", "saliency", "grad-cam"])
def test_every_method_leaves_the_trace_as_it_was(method: str) -> None:
    done, _, _ = make(7)
    before = [v.clone() for v in done.values]
    got = explain(done, method)
    assert torch.isfinite(got).all() and got.abs().amax() <= 1
    assert all(torch.equal(a, b) for a, b in zip(before, done.values, strict=True))
    assert torch.equal(explain(done, method), got)


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
