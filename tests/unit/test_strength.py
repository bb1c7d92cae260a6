"""How much a mask was before it was scaled, against a naive computation in float64 whose products are sums of logarithms."""

import math
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_explain_chains import chains
from torch import nn

from vbp.drives.opening import open_drive
from vbp.engine import Engine, open_network
from vbp.explain import METHODS, explain
from vbp.explain.chain import read_chain
from vbp.explain.forward import Forward
from vbp.frames import complete_frame, run_frame, run_frames
from vbp.graph.operations import AvgPool, Conv, MaxPool, Pad
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace, trace
from vbp.native import library
from vbp.results import FrameRequest, FrameResult, MapRequest, map_requests

BLACK = [944, 945, 946, 947]
ORDINARY = [1, 300, 700, 1100, 1500, 1900, 2300, 2700]
CLOSE = 1e-6


def spread(log_mask: np.ndarray, kernel, stride, size, padding=(0, 0), dilation=(1, 1)) -> np.ndarray:
    """Each value added wherever its window looks, as logarithms: the places of the window one after the other."""
    around = [
        n + p + k * d + s * c
        for n, p, k, d, s, c in zip(size, padding, kernel, dilation, stride, log_mask.shape, strict=True)
    ]
    out = np.full(around, -np.inf)
    (rows, columns), (down, right) = log_mask.shape, stride
    for i, j in np.ndindex(*kernel):
        top, left = i * dilation[0], j * dilation[1]
        part = out[top : top + rows * down : down, left : left + columns * right : right]
        np.logaddexp(part, log_mask, out=part)
    return out[padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def log_of(maps: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(maps)


def naive_strength(network: nn.Module, image: torch.Tensor) -> float:
    """log10 of the mask's largest value of (1, C, H, W) float64: by the network's own modules, no graph of ours."""
    x, layers = image, []
    with torch.inference_mode():
        for layer in network.features:
            taken, x = x.shape[2:], layer(x)
            if isinstance(layer, nn.Conv2d | nn.ZeroPad2d):
                layers.append((layer, tuple(taken), None))
            elif isinstance(layer, nn.ReLU):
                layers[-1] = (*layers[-1][:2], x.mean(1)[0].numpy().copy())
    mask = None
    for layer, taken, mean in reversed(layers):
        if mean is not None:
            mask = log_of(mean) if mask is None else mask + log_of(mean)
        if isinstance(layer, nn.ZeroPad2d):
            left, right, top, bottom = layer.padding
            assert (left, top, bottom) == (0, 0, 0) and right == -1
            mask = np.pad(mask, ((0, 0), (0, 1)), constant_values=-np.inf)
        else:
            mask = spread(mask, layer.kernel_size, layer.stride, taken)
    return float(mask.max() / math.log(10))


@pytest.mark.parametrize("name", ["NetSVF", "NetHVF"])
def test_black_and_ordinary_frames_of_a_real_drive(name, both_ways, shared):
    network = open_network(name)
    engine = Engine(network, "cpu")
    if both_ways == "kernels":
        engine.trace(np.zeros((1, network.spec.input_height, network.spec.input_width), np.uint8))
        engine.wait_until_tuned()
    exact = open_network(name).module.double().eval()
    found, wanted = [], []
    with (
        open_drive(shared / "data" / "udacity-ch2-video") as drive,
        closing(run_frames(drive, [engine], FrameRequest(), BLACK + ORDINARY)) as frames,
    ):
        for frame in frames:
            found.append(frame.result.strength)
            image = torch.tensor(frame.result.input[None, None] / 255.0)
            wanted.append(naive_strength(exact, image))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=CLOSE)
    assert max(found[:4]) < min(found[4:]) - 4


def graph_strength(done: Trace) -> list[float]:
    """By the activations of a chain, place by place."""
    found = []
    for n in range(len(done.input)):
        mask = None
        for i in range(len(done.stages) - 1, -1, -1):
            stage, value = done.stages[i], done.values[i + 1]
            if value.dim() != 4:
                continue
            if stage.relu:
                mean = log_of(value[n].double().mean(0).numpy())
                mask = mean if mask is None else mask + mean
            size = tuple(done.values[i].shape[2:])
            if mask is None:
                continue
            if isinstance(stage.op, Conv | MaxPool | AvgPool):
                w = stage.op.window
                mask = spread(mask, w.kernel, w.stride, size, w.padding, w.dilation)
            elif isinstance(stage.op, Pad):
                pad = stage.op
                around = np.pad(mask, 9, constant_values=-np.inf)  # what a Pad left out comes back as nothing
                top, left = 9 + pad.top, 9 + pad.left
                mask = around[top : top + size[0], left : left + size[1]]
        found.append(float(mask.max() / math.log(10)))
    return found


@settings(max_examples=25, deadline=None)
@given(chains(), st.floats(-25, 25), st.booleans())
def test_small_networks_whose_products_leave_the_range_of_float32(both_ways, case, decades, double):
    network, images = case
    done = trace(read_chain(network), torch.cat([images, images * 3]).float())
    dtype = torch.float64 if double else torch.float32  # by torch; by OpenCV or the kernels
    factor = 10.0**decades
    done = Trace(done.stages, tuple((v * factor).to(dtype) for v in done.values))
    strength = Strength()
    explain(done, "visualbackprop", None, strength)
    np.testing.assert_allclose(strength.log10(), graph_strength(done), rtol=0, atol=CLOSE)


def values_before_scaling(network: nn.Module, images: torch.Tensor, method: str) -> torch.Tensor:
    """By autograd in float64."""
    x = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[:, 0].sum(), x)
    if method == "saliency":
        return slope.abs().amax(1)
    return (slope * x).sum(1).detach()


@pytest.mark.parametrize("method", ["saliency", "gradient-input"])
@settings(max_examples=10, deadline=None)
@given(case=chains())
def test_gradients_are_as_large_as_autograd_says(method, case):
    network, images = case
    strength = Strength()
    explain(trace(read_chain(network.float()), images.float()), method, None, strength)
    largest = values_before_scaling(network.double(), images, method).abs().amax((1, 2))
    got = 10 ** strength.log10()
    np.testing.assert_allclose(got, largest, rtol=1e-3, atol=1e-9)


def test_relevance_is_as_large_by_the_kernels_as_by_torch_in_float64(compiled, monkeypatch):
    """LRP's rule with eps = 0 and biases in it is gradient x input, where all activations are ReLUs."""
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 9 * 14, 1),
    ).eval()
    images = torch.rand(3, 1, 22, 32)
    images = images.contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(library, "_loaded", compiled)
    forward = Forward(read_chain(network))
    forward(images[:1])
    forward.wait_until_tuned()
    exact = trace(read_chain(network).to("cpu", torch.float64), images.double())
    for eps in (0.0, 0.01, 100.0):
        got, wanted = Strength(), Strength()
        explain(forward(images), "lrp", None, got, eps=eps)
        explain(exact, "lrp", None, wanted, eps=eps)
        np.testing.assert_allclose(got.log10(), wanted.log10(), rtol=0, atol=1e-4)
        if eps == 0:
            largest = values_before_scaling(network.double(), images.double(), "gradient-input").abs()
            np.testing.assert_allclose(10 ** wanted.log10(), largest.amax((1, 2)), rtol=1e-9)
            network.float()


def test_nothing_is_minus_infinity_and_no_number_is_none():
    graph = read_chain(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 8 * 8, 1)))
    done = trace(graph, torch.rand(2, 1, 10, 10))
    dead = Trace(
        done.stages, tuple(v * torch.tensor([1.0, 0.0]).view(2, *(1,) * (v.dim() - 1)) for v in done.values)
    )
    strength = Strength()
    explain(dead, "visualbackprop", None, strength)
    first, second = strength.log10().tolist()
    assert math.isfinite(first) and second == -math.inf


def test_every_method_says_it_alone_in_batches_and_behind():
    engine = Engine(open_network("NetSVF"), "cpu")
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (480, 640, 3), dtype=np.uint8), np.full((480, 640, 3), 60, np.uint8)]
    methods = [name for name, method in METHODS.items() if not method.slow]
    wanted = FrameRequest(map_requests(methods))
    frames = [FrameResult(0, 0, picture) for picture in pictures]
    both = engine.run_prepared([engine.prepare(picture) for picture in pictures], wanted, frames)
    for frame, of_both in zip(frames, both, strict=True):
        alone = run_frame(frame, [engine])
        behind = complete_frame(alone, engine, wanted).result
        assert set(behind.strengths) == set(of_both.strengths) == set(wanted.maps)
        assert behind.strength == alone.result.strength == behind.strengths[MapRequest()]
        for request in wanted.maps:
            assert math.isfinite(of_both.strengths[request])
            assert behind.strengths[request] == pytest.approx(of_both.strengths[request], abs=1e-4)
