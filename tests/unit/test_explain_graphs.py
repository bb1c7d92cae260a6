"""Networks with skips, branches and concatenations: folding, gradients, VisualBackProp, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from captum.attr import Deconvolution, GuidedBackprop, LayerGradCam
from torch import Tensor

from graphmaker import GraphModule, Maker, gradients, make, random_graph, residual
from netmaker import F64, scaled
from vbp.explain import explain
from vbp.graph.folding import fold
from vbp.graph.operations import (
    Activation,
    AvgPool,
    Conv,
    Graph,
    MaxPool,
    Op,
    Pad,
)
from vbp.graph.trace import Trace, output_of, trace

CLOSE = 1e-9  # of each map's maximum


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
