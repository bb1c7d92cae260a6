"""Remark 1's readings of Lemma 3, and Theorem 1, against the sum over every path of small networks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from netmaker import scaled
from pathmaker import Graph, network
from vbp.errors import ExplainError
from vbp.evidence import theory
from vbp.evidence.readings import INSIDE, READINGS, SOURCE, WEIGHTS, outside, reading
from vbp.explain import explain
from vbp.explain.chain import read_chain
from vbp.explain.visualbackprop import min_max
from vbp.graph.trace import trace


@pytest.mark.parametrize("seed", [0, 2, 10])
def test_each_reading_is_the_sum_over_every_path(seed: int) -> None:
    done, _ = network(seed)
    graphs = [Graph(done, n) for n in range(2)]
    biases = [b for graph in graphs for b in graph.bias.values()]
    assert min(biases) < 0 < max(biases)  # neurons inside and outside of the lemma
    for name in (INSIDE, SOURCE, WEIGHTS):
        expected = []
        for graph in graphs:

            def factor(v: tuple[int, int], w: float, graph: Graph = graph, name: str = name) -> float:
                a, gamma = graph.value[v], graph.gamma(v)
                if name == WEIGHTS:
                    return w * a
                if graph.bias[v] <= 0:
                    assert gamma >= a
                    return w * a / gamma
                return 0.0 if name == INSIDE else w  # a / a: what the bias brought stays with it

            expected.append(graph.paths(factor).view(5, 6))
        torch.testing.assert_close(reading(done, name), scaled(torch.stack(expected)), rtol=0, atol=1e-9)
    assert torch.equal(reading(done, "phi"), explain(done, "phi"))


def test_without_biases_all_neurons_are_inside_and_the_readings_are_one() -> None:
    done, _ = network(9, bias=False)
    assert outside(done)[0] == 0.0
    for name in (INSIDE, SOURCE):
        torch.testing.assert_close(reading(done, name), explain(done, "phi"), rtol=0, atol=1e-9)


def test_the_share_outside_is_counted() -> None:
    done, _ = network(0)
    active = adds = negative = 0
    for n in range(2):
        graph = Graph(done, n)
        for v, bias in graph.bias.items():
            if graph.value[v] > 0:
                active, adds, negative = active + 1, adds + (bias > 0), negative + (graph.gamma(v) < 0)
    assert outside(done) == pytest.approx((adds / active, negative / active)) and 0 < adds < active


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_theorem_1_holds_without_the_pixels_value(seed: int, stride: int) -> None:
    """VisualBackProp is the sum over paths of the products of activations, up to a constant; not times gamma(X), as Eq. 4 has it.

    So the authors' code computes it, too: the input is not multiplied in.
    """
    done, _ = network(seed, stride)
    graphs = [Graph(done, n) for n in range(2)]
    for pixels, same in ((False, True), (True, False)):
        paths = [g.paths(lambda v, w, g=g: g.value[v], pixels).view(5, 6) for g in graphs]
        expected = min_max(torch.stack(paths))
        assert torch.allclose(explain(done, "visualbackprop"), expected, rtol=0, atol=1e-9) == same


def test_a_network_without_a_convolution_has_no_reading() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(ExplainError, match="needs a convolution"):
        reading(trace(read_chain(net), torch.rand(1, 1, 8, 8)), INSIDE)


def test_what_is_said_of_remark_1_follows_from_the_numbers() -> None:
    one = {"value": 0.66, "low": 0.6, "high": 0.7, "p": 0.0}
    low = {"value": 0.1, "low": 0.0, "high": 0.2, "p": 0.1}
    names = [*READINGS, *(f"|LRP|, eps {eps:g}" for eps in theory.EPS)]
    numbers = {
        "compared": {name: {m: dict(one if name == INSIDE else low) for m in theory.MEASURES} for name in names},
        "half_of_phi": low, "half_of_vbp": low, "bias_adds": one, "gamma_negative": low,
    }  # fmt: skip
    said = theory.findings(numbers)
    assert said[0].startswith("Remark 1, VisualBackProp is related to, and no close approximation")
    assert READINGS[INSIDE] + ": 0.66 [0.60, 0.70]" in said[0] and READINGS[SOURCE] not in said[0]
    assert (
        said[1].startswith("Remark 1, VisualBackProp is not a close approximation")
        and READINGS[SOURCE] in said[1]
    )
    assert said[2].startswith(
        "The bias adds in 66 [60, 70] % of the active neurons, and gamma is negative in 10 [0, 20] %"
    )
    changed = copy.deepcopy(numbers)
    changed["compared"][INSIDE]["pearson"] |= {"value": 0.95, "low": 0.93, "high": 0.97}
    assert theory.findings(changed)[0].startswith("Remark 1, VisualBackProp is a close approximation")
    changed["compared"][INSIDE]["pearson"]["low"] = 0.8
    assert "these frames leave open" in theory.findings(changed)[1]
    changed["bias_adds"] = dict(one, value=0.0)
    assert "No active neuron is outside" in theory.findings(changed)[2]
