"""VGG-16, the ResNets and PilotNet: their layers as published, explained rightly, and alive with fresh weights."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import LRP, Deconvolution, GuidedBackprop, LayerGradCam
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor, nn

from graphmaker import GraphModule
from netmaker import F64, scaled
from vbp.engine import Engine
from vbp.errors import ModelError
from vbp.explain import METHODS, explain
from vbp.explain.exported import read_network
from vbp.graph.operations import Affine, Conv
from vbp.graph.trace import trace
from vbp.models.known import SPECS
from vbp.models.network import Network, build
from vbp.models.spec import NetworkSpec

SIDE = 48  # of pictures that are small enough for many methods on a deep network

# As torchvision and timm print them; of PilotNet its paper says "about 250 thousand".
PARAMETERS = {
    "VGG-16": 138_357_544,
    "VGG-16-BN": 138_365_992,
    "ResNet-18": 11_689_512,
    "ResNet-50": 25_557_032,
    "ResNetV2-50": 25_549_352,
    "PilotNet": 252_219,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_as_many_parameters_as_published(name: str) -> None:
    with torch.device("meta"):
        module = build(SPECS[name]()).module
    assert sum(p.numel() for p in module.parameters()) == PARAMETERS[name]


def test_resnet_200_has_two_hundred_layers() -> None:
    with torch.device("meta"):
        module = build(SPECS["ResNet-200"]()).module
    skips = [name for name, _ in module.named_modules() if name.endswith("downsample")]
    weights = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(skips) == 4 and len(weights) - len(skips) == 200


def test_pilotnets_maps_are_those_of_figure_4() -> None:
    network = build(SPECS["PilotNet"]())
    done = trace(read_network(network.module, (3, 66, 200)), torch.zeros(1, 3, 66, 200))
    sizes = [tuple(v.shape[1:]) for v in done.values[1:]]
    assert sizes[:5] == [(24, 31, 98), (36, 14, 47), (48, 5, 22), (64, 3, 20), (64, 1, 18)]
    assert sizes[6:] == [(100,), (50,), (10,), (1,)]


def small(name: str, side: int = 64, classes: int = 10) -> Network:
    """The network with fewer classes and a smaller input, BatchNorms as if they had learnt something."""
    spec = SPECS[name]()
    spec = replace(
        spec, input_height=side, input_width=side, arguments={**spec.arguments, "classes": classes}
    )
    network = build(spec)
    generator = torch.Generator().manual_seed(1)
    for m in network.module.modules():
        if isinstance(m, nn.BatchNorm2d):
            with torch.no_grad():
                for tensor, low in ((m.weight, 0.8), (m.running_var, 0.8)):
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.4 + low)
                for tensor in (m.bias, m.running_mean):
                    tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return network


def picture(side: int, frames: int = 1) -> Tensor:
    """Something with edges and plain parts, about as large as normalised pictures are."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(frames, 3, 5, 5, generator=generator)
    return F.interpolate(coarse, (side, side), mode="nearest") + 0.1 * torch.randn(
        frames, 3, side, side, generator=generator
    )


def by_its_paper(name: str, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The forward pass written from the papers' figures, on weights by their published names."""

    def conv(key: str, x: Tensor, stride: int = 1) -> Tensor:
        w = weights[f"{key}.weight"]
        return F.conv2d(x, w, None, stride, w.shape[2] // 2)

    def norm(key: str, x: Tensor) -> Tensor:
        parts = [weights[f"{key}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts, training=False)

    def unit(key: str, x: Tensor, stride: int) -> Tensor:  # He et al. 2016
        active = F.relu(norm(f"{key}.norm1", x)) if f"{key}.norm1.weight" in weights else x
        skip = x
        if f"{key}.downsample.conv.weight" in weights:
            skip = conv(f"{key}.downsample.conv", active, stride)
        out = F.relu(norm(f"{key}.norm2", conv(f"{key}.conv1", active)))
        out = F.relu(norm(f"{key}.norm3", conv(f"{key}.conv2", out, stride)))
        return conv(f"{key}.conv3", out) + skip

    def block(key: str, x: Tensor, stride: int) -> Tensor:  # He et al. 2015
        skip = x
        if f"{key}.downsample.0.weight" in weights:
            skip = norm(f"{key}.downsample.1", conv(f"{key}.downsample.0", x, stride))
        bottleneck = f"{key}.conv3.weight" in weights
        out = F.relu(norm(f"{key}.bn1", conv(f"{key}.conv1", x, 1 if bottleneck else stride)))
        out = norm(f"{key}.bn2", conv(f"{key}.conv2", out, stride if bottleneck else 1))
        if bottleneck:
            out = norm(f"{key}.bn3", conv(f"{key}.conv3", F.relu(out)))
        return F.relu(out + skip)

    counts = {"ResNet-18": (2, 2, 2, 2), "ResNet-200": (3, 24, 36, 3)}.get(name, (3, 4, 6, 3))
    if name in ("ResNet-18", "ResNet-50"):
        x = F.relu(norm("bn1", conv("conv1", x, 2)))
        names, one = "layer{}.{}", block
    else:
        x = conv("stem.conv", x, 2)
        if name == "ResNet-200":
            x = F.relu(norm("stem.norm", x))
        names, one = "stages.{}.blocks.{}", unit
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(counts):
        for i in range(count):
            number = stage + 1 if one is block else stage
            x = one(names.format(number, i), x, 2 if stage and not i else 1)
    if one is unit:
        x = F.relu(norm("norm", x))
    head = "fc" if one is block else "head.fc"
    return F.linear(x.mean((2, 3)), weights[f"{head}.weight"], weights[f"{head}.bias"])


@pytest.mark.parametrize("name", ["ResNet-18", "ResNet-50", "ResNetV2-50", "ResNet-200"])
def test_the_residual_networks_are_those_of_their_papers(name: str) -> None:
    side = 64 if name == "ResNet-18" else 33
    module = small(name, side).module.double()
    images = picture(side, 2).double()
    with torch.no_grad():
        expected = by_its_paper(name, module.state_dict(), images)
        torch.testing.assert_close(module(images), expected, rtol=1e-10, atol=1e-10)
        graph = read_network(module, (3, side, side), F64)
        torch.testing.assert_close(trace(graph, images).output, expected, rtol=1e-9, atol=1e-9)
    # Those behind a sum or a pooling stay, one for each block and one at the end; all others are folded away.
    left = [s for s in graph.stages if isinstance(s.op, Affine)]
    assert len(left) == {"ResNet-18": 0, "ResNet-50": 0, "ResNetV2-50": 17, "ResNet-200": 66}[name]
    assert all(s.relu for s in left)
    assert len({s.name for s in graph.stages}) == len(graph.stages)


def test_vgg_16_is_read_whole() -> None:
    with torch.device("meta"):
        module = build(SPECS["VGG-16"]()).module
    convs = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    marks = "".join("M" if isinstance(m, nn.MaxPool2d) else f"{m.out_channels} " for m in convs)
    assert marks == "64 64 M128 128 M256 256 256 M512 512 512 M512 512 512 M"
    assert [tuple(m.weight.shape) for m in module.classifier if isinstance(m, nn.Linear)] == [
        (4096, 25088), (4096, 4096), (1000, 4096),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["ResNet-18", "ResNetV2-50"])
def test_captum_agrees_on_whole_residual_networks(name: str) -> None:
    graph = read_network(small(name, 48).module.double(), (3, 48, 48), F64)
    images = picture(48).double()
    done = trace(graph, images)
    module = GraphModule(done.stages)
    target = int(done.output.argmax())
    asked = images.clone().requires_grad_()
    (grad,) = torch.autograd.grad(module(asked)[:, target].sum(), asked)
    expected = {"saliency": grad.abs().amax(1), "gradient-input": (grad * images).sum(1)}
    at = done.last_maps()
    assert at is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected["guided-backprop"] = GuidedBackprop(module).attribute(asked, target).sum(1)
        expected["deconvnet"] = Deconvolution(module).attribute(asked, target).sum(1)
        cam = LayerGradCam(module, module.last(at)).attribute(asked, target, relu_attributions=True)
        expected["grad-cam"] = F.interpolate(cam, images.shape[2:], mode="bilinear", align_corners=False)[
            :, 0
        ]
        if name == "ResNet-18":  # captum's rule for BatchNorm is another one
            for layer in module.layers.values():
                layer.rule = EpsilonRule(1e-12 if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) else 0.1)
            expected["lrp"] = LRP(module).attribute(images.clone(), target).sum(1)
    for method, maps in expected.items():
        assert maps.abs().max() > 0, method
        got = explain(done, method, target, **({"eps": 0.1} if method == "lrp" else {}))
        torch.testing.assert_close(
            got, scaled(maps.detach()), rtol=0, atol=1e-7, msg=lambda m, k=method: f"{k}: {m}"
        )


def test_fresh_weights_neither_vanish_nor_explode_at_depth_200(deep: tuple[Engine, np.ndarray]) -> None:
    done = deep[0].forward(picture(SIDE, 2))
    sizes = [float(v.pow(2).mean().sqrt()) for v in done.values]
    assert min(sizes) > 0.05 and max(sizes) < 20
    # Two pictures are still two at the end.
    one, other = done.output
    assert (one - other).norm() > 0.1 * one.norm()


@pytest.mark.parametrize("method", [m for m in METHODS if m != "occlusion"])
def test_every_method_explains_resnet_200(method: str, deep: tuple[Engine, np.ndarray]) -> None:
    engine, frame = deep
    done = engine.run(frame, [method])
    found = done.map(method)
    assert (
        found.shape == (SIDE, SIDE) and np.isfinite(found).all() and np.abs(found).max() == pytest.approx(1)
    )
    # Not the same everywhere, and not one pixel alone.
    assert found.std() > 0.01 and (np.abs(found) > 0.02).mean() > 0.02


@pytest.fixture(scope="module")
def deep() -> tuple[Engine, np.ndarray]:
    spec = replace(SPECS["ResNet-200"](), input_height=SIDE, input_width=SIDE)
    frame = (picture(SIDE)[0].permute(1, 2, 0) * 60 + 128).clamp(0, 255).byte().numpy()
    return Engine(build(spec), device="cpu"), np.ascontiguousarray(frame)


def test_pilotnet_steers_by_its_turning_radius() -> None:
    network = build(SPECS["PilotNet"]())
    frame = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    done = Engine(network, device="cpu").run(frame)
    inverse_radius = float(done.trace.output[0, 0])
    assert done.crop.height == 211 and done.input.shape == (66, 200, 3)
    assert done.angle_rad == pytest.approx(14.8 * np.arctan(2.85 * inverse_radius))
    assert done.map("visualbackprop").max() == 1


BAD: dict[str, tuple[str, dict[str, object], str]] = {
    "depth": ("ResNet-200", {"arguments": {"depth": 199}}, "no ResNet of depth 199"),
    "basic blocks": ("ResNet-200", {"arguments": {"depth": 18}}, "no ResNet of depth 18"),
    "type": ("ResNet-18", {"arguments": {"depth": "18"}}, "depth of the architecture resnet is '18'"),
    "classes": ("VGG-16", {"arguments": {"classes": 0}}, "0 classes are not possible"),
    "too many": ("VGG-16", {"arguments": {"classes": 10**9}}, "classes are not possible"),
    "unknown": ("VGG-16", {"arguments": {"depth": 16}}, "has no depth"),
    "pilot": ("PilotNet", {"arguments": {"a": 1}}, "has no a"),
    "odd size": ("VGG-16", {"input_height": 225}, "multiples of 224"),
    "vast": ("ResNet-18", {"input_height": 100_000, "input_width": 100_000}, "more pixels"),
    "grey": ("ResNet-18", {"channels": 1, "mean": 0.0, "std": 1.0}, "colour"),
    "small": ("PilotNet", {"input_height": 65}, "66x200"),
}


@pytest.mark.parametrize("what", BAD)
def test_specifications_that_describe_no_network(what: str) -> None:
    name, changes, words = BAD[what]
    spec: NetworkSpec = replace(SPECS[name](), **changes)
    with pytest.raises(ModelError, match=words), torch.device("meta"):
        build(spec)


def test_a_large_network_does_not_disturb_the_callers_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = build(SPECS["PilotNet"](), seed=3).module.state_dict()
    assert torch.equal(torch.rand(3), expected)
    again = build(SPECS["PilotNet"](), seed=3).module.state_dict()
    other = build(SPECS["PilotNet"](), seed=4).module.state_dict()
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["features.0.weight"], other["features.0.weight"])
    convs = [
        s
        for s in read_network(build(SPECS["PilotNet"]()).module, (3, 66, 200)).stages
        if isinstance(s.op, Conv)
    ]
    assert len(convs) == 5
