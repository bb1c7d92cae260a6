"""Targets, for every method; and what all methods promise about their maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from netmaker import NETWORKS, make, scaled
from vbp.errors import ExplainError
from vbp.explain import METHODS, Target, explain, parse_target
from vbp.explain.chain import read_chain
from vbp.explain.target import KINDS, gradient, relevance, value
from vbp.graph.trace import Trace, trace

TARGETED = [m for m in METHODS if METHODS[m].targeted]
DRIVEN = torch.tensor([0.3, -0.2])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_value(kind: str, sign: float) -> None:
    output = torch.tensor([[0.7, -0.4], [-0.9, 0.1]], dtype=torch.float64, requires_grad=True)
    target = Target(kind, 1, sign, DRIVEN)
    (expected,) = torch.autograd.grad(value(output, target).sum(), output)
    torch.testing.assert_close(gradient(output.detach(), target), expected)
    torch.testing.assert_close(relevance(output.detach(), target), expected * output.detach())


@pytest.mark.parametrize("kind", ["output", "negative", "magnitude", "error", "error-magnitude"])
def test_the_gradient_of_bins_is_that_of_their_mean(kind: str) -> None:
    """Of the mean by probability, of scores 1 to 3 of five; what explains the likeliest bin is its score."""
    scores = torch.tensor(
        [[0.1, 0.7, -0.4, 1.3, 2.0], [0.0, -0.9, 0.1, 0.2, -5.0]], dtype=torch.float64, requires_grad=True
    )
    bins = (-0.8, 0.1, 0.5)
    target = Target(kind, 1, -1.0, DRIVEN, bins=bins)
    mean = torch.softmax(scores[:, 1:4], 1) @ torch.tensor(bins, dtype=torch.float64)
    if kind == "output":
        torch.testing.assert_close(value(scores, target), -mean)
    (expected,) = torch.autograd.grad(value(scores, target).sum(), scores)
    torch.testing.assert_close(gradient(scores.detach(), target), expected)
    largest = Target("output", 1, bins=bins, largest=True)
    assert value(scores, largest).tolist() == [0.5, 0.5]
    assert gradient(scores.detach(), largest).tolist() == [[0, 0, 0, 1, 0]] * 2
    with pytest.raises(ExplainError, match="no 3 bins from output 3 on: the network has 5"):
        value(scores, Target("output", 3, bins=bins))


def test_values() -> None:
    output = torch.tensor([[0.7], [-0.9]])
    v = {k: value(output, Target(k, driven=DRIVEN)).tolist() for k in KINDS}
    assert v["output"] == v["class"] == pytest.approx([0.7, -0.9])
    assert v["negative"] == pytest.approx([-0.7, 0.9])
    assert v["magnitude"] == pytest.approx([0.7, 0.9])
    assert v["error"] == pytest.approx([-0.4, 0.7])  # driven - predicted
    assert v["error-magnitude"] == pytest.approx([0.4, 0.7])
    right = value(output, Target("error", sign=-1.0, driven=DRIVEN))  # an output whose right is positive
    assert right.tolist() == pytest.approx([0.3 + 0.7, -0.2 - 0.9])


def test_a_class_is_the_predicted_one_or_any() -> None:
    output = torch.tensor([[0.1, 2.0, 0.3], [3.0, -1.0, 0.0]])
    assert gradient(output, parse_target("class")).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert gradient(output, parse_target("class:2")).tolist() == [[0, 0, 1], [0, 0, 1]]
    assert gradient(output, 1).tolist() == [[0, 1, 0], [0, 1, 0]]
    assert gradient(output, None).tolist() == [[1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("method", TARGETED)
def test_signs_of_the_targets(method: str) -> None:
    done, _, _ = make("padded", seed=1)
    out = {k: explain(done, method, Target(k, 1, driven=DRIVEN)) for k in KINDS if k != "class"}
    sign = done.output[:, 1].sign().float()[:, None, None]
    if method in ("saliency",):
        for maps in out.values():
            torch.testing.assert_close(maps, out["output"])
    elif method not in (
        "deconvnet",
        "guided-backprop",
        "fbi",
        "grad-cam",
    ):  # these are not linear in the start
        torch.testing.assert_close(out["negative"], -out["output"])
        torch.testing.assert_close(out["error"], -out["output"])
        torch.testing.assert_close(out["magnitude"], out["output"] * sign)
    else:
        pick = torch.where(sign > 0, out["output"], out["negative"])
        torch.testing.assert_close(out["magnitude"], pick)


@pytest.mark.parametrize("method", TARGETED)
def test_a_frame_without_a_driven_angle_has_no_error_to_explain(method: str) -> None:
    done, _, _ = make("plain", seed=1)
    for kind in ("error", "error-magnitude"):
        whole = explain(done, method, Target(kind, driven=DRIVEN))
        half = explain(done, method, Target(kind, driven=torch.tensor([0.3, float("nan")])))
        torch.testing.assert_close(half[0], whole[0])
        assert not half[1].any()
        with pytest.raises(ExplainError, match="driven"):
            explain(done, method, Target(kind))
        with pytest.raises(ExplainError, match="3 driven angles"):
            explain(done, method, Target(kind, driven=torch.zeros(3)))


@pytest.mark.parametrize("method", TARGETED)
def test_no_such_output(method: str) -> None:
    done, _, _ = make("plain")
    with pytest.raises(ExplainError, match="2 outputs"):
        explain(done, method, 2)


def test_words_for_targets() -> None:
    assert parse_target("negative") == Target("negative")
    assert parse_target(" class:12 ") == Target("class", 12)
    for bad in ("", "angle", "class:", "class:-1", "output:x", "class:1:2"):
        with pytest.raises(ExplainError, match="accepted"):
            parse_target(bad)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_ranges_and_shapes(method: str, name: str) -> None:
    done, _, images = make(name, seed=1, frames=3)
    got = explain(done, method, 0)
    assert got.shape == (3, *images.shape[2:])
    assert torch.isfinite(got).all()
    top = got.abs().amax((1, 2))
    assert ((top == 0) | ((top - 1).abs() < 1e-12)).all()
    if not METHODS[method].signed:
        assert got.min() >= 0


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_counts_alone(method: str) -> None:
    done, _, _ = make("max-pooled", seed=1, frames=3)
    together = explain(done, method, 0)
    for n in range(3):
        torch.testing.assert_close(explain(done.frame(n), method, 0)[0], together[n], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_trace_is_left_as_it_was(method: str) -> None:
    """Layers that hand on what they got, views included, must not be written over."""
    net = nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(1, 2, 3),
        nn.Flatten(),
        nn.Linear(2 * 6 * 6, 3),
        nn.ReLU(),
        nn.Linear(3, 2),
        nn.ReLU(),
    )
    done = trace(read_chain(net), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)))
    for one in (done, make("average-pooled", 1)[0]):
        before = [v.clone() for v in one.values]
        first = explain(one, method)
        assert all(torch.equal(a, b) for a, b in zip(before, one.values, strict=True))
        assert torch.equal(explain(one, method), first)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("visualbackprop", "phi")])
def test_a_dead_hidden_layer_gives_zeros(method: str) -> None:
    done, _, _ = make("padded", seed=1)
    at = next(i for i, v in enumerate(done.values) if v.shape[1:] == (7,))
    dead = list(done.values)
    dead[at] = torch.zeros_like(dead[at])
    if method == "deconvnet":
        assert explain(Trace(done.stages, tuple(dead)), method).any(), (
            "DeconvNet does not look at what passed"
        )
    elif method != "occlusion":  # which asks the network, and not this trace
        assert not explain(Trace(done.stages, tuple(dead)), method).any()


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_batch(method: str) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1))
    done = trace(read_chain(net), torch.zeros(0, 1, 8, 8))
    assert explain(done, method).shape == (0, 8, 8)


def test_scaled_is_what_the_methods_do() -> None:
    assert scaled(torch.tensor([[[2.0, -4.0]], [[0.0, 0.0]]])).tolist() == [[[0.5, -1.0]], [[0.0, 0.0]]]
