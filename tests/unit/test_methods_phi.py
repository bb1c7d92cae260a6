"""phi against the sum over every path, and the transformation of Lemma 2, in float64."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from netmaker import F64, scaled
from pathmaker import Graph, network
from vbp.demo import demo_drive
from vbp.drives.opening import open_drive
from vbp.engine import Engine
from vbp.errors import ExplainError
from vbp.explain import METHODS, explain
from vbp.explain.chain import read_chain
from vbp.graph.trace import Trace, trace
from vbp.models.registry import load_network


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_the_sweep_is_the_sum_over_every_path(seed: int, stride: int, bias: bool) -> None:
    done, _ = network(seed, stride, bias)
    expected = []
    for n in range(2):
        graph = Graph(done, n)
        expected.append(graph.paths(graph.lemma_3).view(5, 6))
        assert graph.count >= 64
    torch.testing.assert_close(explain(done, "phi"), scaled(torch.stack(expected)), rtol=0, atol=1e-9)


def test_without_biases_phi_is_gradient_x_input_of_the_last_maps() -> None:
    """Definition 1: gamma(X) sum over paths of the product of weights."""
    done, images = network(9, bias=False)  # of which no gamma is near zero
    net = [torch.nn.functional.conv2d, torch.relu]
    x = images.clone().requires_grad_()
    value = x
    for stage in done.stages[:3]:
        value = net[1](net[0](value, stage.op.weight, None, stage.op.window.stride))
    (grad,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(explain(done, "phi"), scaled((grad * images).sum(1)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [0, 3])
def test_lemma_2_gives_the_same_activations(seed: int) -> None:
    """The bias-free image: an edge carries a(v) gamma_e / gamma(v) (Remark 3), and v sums what comes in."""
    done, _ = network(seed)
    for n in range(2):
        graph = Graph(done, n)
        new = {v: value for v, value in graph.value.items() if v[0] == 0}
        for part in range(1, graph.parts + 1):
            for v in [v for v in graph.value if v[0] == part]:
                gamma = graph.gamma(v)
                if graph.value[v] == 0:  # dead: no part of the graph
                    new[v] = 0.0
                    continue
                # The weight of an edge is w_e a(v) / gamma(v): multiplied by the flow of v' it is a(v) gamma_e / gamma(v).
                new[v] = sum(w * graph.value[v] / gamma * new[u] for u, w in graph.edges[v])
        for v, value in graph.value.items():
            assert new[v] == pytest.approx(value, rel=1e-9, abs=1e-12), v


def exact(weights: list[float], bias: float, pixels: list[float]) -> list[Fraction]:
    """Lemma 3 of one convolution of 1 x n over a row of pixels, in rational arithmetic; gamma = 0 hands nothing down."""
    w, b, x = ([Fraction(v) for v in values] for values in (weights, [bias], pixels))
    found = [Fraction(0)] * len(x)
    for k in range(len(x) - len(w) + 1):
        flows = [w[i] * x[k + i] for i in range(len(w))]
        gamma = sum(flows)
        active = max(gamma + b[0], Fraction(0))
        for i, flow in enumerate(flows):
            found[k + i] += flow * active / gamma if gamma else 0
    return found


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    ("weights", "bias", "pixels"),
    [
        ([1, -1], 0.1, [0.3, 0.3, 0.15, 0.075]),
        ([1, -2, 1], 0.25, [0.5, 0.25, 0, 0.75, 0.75, 0.75, 0.125]),
        ([0.5, 0.25, -0.75], 0.7, [0.1, 0.1, 0.1, 0.9, 0.3]),
    ],
)
def test_where_nothing_flows_in_nothing_is_handed_down(
    weights: list[float], bias: float, pixels: list[float], dtype: torch.dtype
) -> None:
    """Taken as z - b, a gamma of 0 was 1e-17 in double and 3e-9 in single precision, and was divided by."""
    net = nn.Sequential(nn.Conv2d(1, 1, (1, len(weights))), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
    images = torch.tensor(pixels, dtype=dtype).view(1, 1, 1, -1)
    with torch.no_grad():
        net(images.float())
        net[0].weight.copy_(torch.tensor(weights).view(1, 1, 1, -1))
        net[0].bias.fill_(bias)
    found = explain(trace(read_chain(net).to("cpu", dtype), images), "phi")[0, 0].tolist()
    expected = exact(weights, bias, pixels)
    largest = max(map(abs, expected))
    assert found == pytest.approx([float(v / largest) for v in expected], abs=1e-6)


def test_single_precision_gives_what_double_gives() -> None:
    """On a network as it ships, whose BatchNorm is folded: its biases are of both signs."""
    network = load_network("NetSVF")
    folder = demo_drive()
    assert folder is not None
    with open_drive(folder) as drive:
        frames = [drive.frame(i) for i in (100, 700)]
    single, double = (Engine(network, "cpu", dtype) for dtype in (torch.float32, F64))
    for frame in frames:
        maps = [np.asarray(engine.run(frame, ("phi",)).map("phi")) for engine in (single, double)]
        assert np.abs(maps[0] - maps[1]).max() < 1e-3


def test_single_precision_gives_what_double_gives_for_every_method() -> None:
    """Up to single pixels of the gradients: there a ReLU's input is zero within rounding, and its slope is 0 or 1."""
    network = load_network("NetHVF")
    with open_drive(demo_drive()) as drive:
        frame = drive.frame(700)
    quick = [name for name, method in METHODS.items() if not method.slow]
    single, double = (Engine(network, "cpu", dtype).run(frame, quick) for dtype in (torch.float32, F64))
    for name in quick:
        a, b = (np.asarray(done.map(name), dtype=np.float64).ravel() for done in (single, double))
        assert np.abs(a - b).mean() < 1e-5 and np.corrcoef(a, b)[0, 1] > 0.9999, name
        if name not in ("saliency", "gradient-input"):
            assert np.abs(a - b).max() < 1e-3, name


def test_what_phi_is_in_words() -> None:
    """It ends at the last convolution: the head, the target and what follows do not matter."""
    done, _ = network(1)
    assert torch.equal(explain(done, "phi", 0), explain(done, "phi"))
    dead = Trace(done.stages, (*done.values[:-1], torch.zeros_like(done.output)))
    assert torch.equal(explain(dead, "phi"), explain(done, "phi"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(ExplainError, match="phi needs a convolution"):
        explain(trace(read_chain(net), torch.rand(1, 1, 8, 8)), "phi")
