"""Folding, VisualBackProp and LRP on random chains, against naive computations in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vbp.errors import ExplainError
from vbp.explain import METHODS, explain
from vbp.explain.chain import read_chain
from vbp.explain.forward import Forward
from vbp.explain.lrp import lrp
from vbp.explain.visualbackprop import levels, scale_up, visualbackprop
from vbp.graph.folding import fold
from vbp.graph.operations import Affine, AvgPool, Conv, Dense, Flatten, Graph, MaxPool, Pad, Window
from vbp.graph.trace import apply, trace

F64 = torch.float64


def randomise(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d):
            m.running_mean.copy_(torch.randn(m.num_features, generator=generator) * 0.3)
            m.running_var.copy_(torch.rand(m.num_features, generator=generator) + 0.3)
            with torch.no_grad():
                m.weight.copy_(torch.rand(m.num_features, generator=generator) + 0.5)
                m.bias.copy_(torch.randn(m.num_features, generator=generator) * 0.2)
        elif isinstance(m, nn.Conv2d | nn.Linear):
            with torch.no_grad():
                m.weight.copy_(torch.randn(m.weight.shape, generator=generator) * 0.4)
                if m.bias is not None:
                    m.bias.copy_(torch.randn(m.bias.shape, generator=generator) * 0.2)
    return module.double().eval()


@st.composite
def chains(draw, pools=("max", "avg", None), min_blocks=1):
    """A random network, and an input that fits it."""
    channels = draw(st.integers(1, 3))
    height, width = draw(st.integers(9, 20)), draw(st.integers(9, 20))
    layers: list[nn.Module] = []
    x = torch.zeros(1, channels, height, width, dtype=F64)
    for _ in range(draw(st.integers(min_blocks, 3))):
        groups = draw(st.sampled_from([1, x.shape[1]]))
        maps = groups * draw(st.integers(1, 3))
        conv = nn.Conv2d(
            x.shape[1],
            maps,
            (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
            (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
            (draw(st.integers(0, 2)), draw(st.integers(0, 2))),
            (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
            groups,
            bias=draw(st.booleans()),
        )
        block: list[nn.Module] = []
        if draw(st.booleans()):
            block.append(nn.ZeroPad2d(draw(st.tuples(*[st.integers(-1, 2)] * 4))))
        if draw(st.booleans()):
            block.append(nn.BatchNorm2d(x.shape[1]))
        block.append(conv)
        if draw(st.booleans()):
            block.append(nn.BatchNorm2d(maps))
        block.append(nn.ReLU(inplace=draw(st.booleans())))
        pool = draw(st.sampled_from(pools))
        if pool:
            kernel = draw(st.integers(1, 3))
            kind = nn.MaxPool2d if pool == "max" else nn.AvgPool2d
            block.append(kind(kernel, draw(st.integers(1, 3)), padding=draw(st.integers(0, kernel // 2))))
        try:
            with torch.no_grad():
                x = nn.Sequential(*block).double().eval()(x)
        except RuntimeError:
            break  # nothing would be left of the picture: the network ends here
        layers += block
    if not layers:
        layers = [nn.Conv2d(channels, 2, 3), nn.ReLU()]
        x = torch.zeros(1, 2, height - 2, width - 2)
    if draw(st.booleans()):
        layers.append(nn.BatchNorm2d(x.shape[1]))
    layers += [nn.Flatten(), nn.Linear(x[0].numel(), 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2)]
    seed = draw(st.integers(0, 10**6))
    network = randomise(nn.Sequential(*layers), seed)
    images = torch.rand(
        2, channels, height, width, dtype=F64, generator=torch.Generator().manual_seed(seed + 1)
    )
    return network, images


@settings(max_examples=80, deadline=None)
@given(chains())
def test_folded_forward_equals_the_module(case):
    network, images = case
    with torch.no_grad():
        expected = network(images.clone())
    got = trace(read_chain_f64(network), images).output
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def read_chain_f64(network):
    """The chain in float64. Reading rounds to float32 at the end, so fold a network whose weights are exact there."""
    from vbp.explain import chain as module

    stages = []
    for name, layer in module._leaves(network, ""):
        module._append(stages, name, layer)
    return Graph(tuple(fold(stages))).to("cpu", F64)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    data=st.data(),
)
def test_scale_up_is_the_transposed_convolution_of_ones(size, kernel, stride, dilation, data):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    # An output padding below stride or dilation is what torch accepts; those are all sizes a convolution can leave.
    rest = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=False))
    mask = torch.rand(2, *size, dtype=F64)
    try:
        expected = F.conv_transpose2d(
            mask[:, None], torch.ones(1, 1, *kernel, dtype=F64), None, stride, padding, rest, 1, dilation
        )[:, 0]
    except RuntimeError:
        return  # the padding eats the whole picture
    got = scale_up(mask, Window(kernel, stride, padding, dilation), *expected.shape[1:])
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def naive_vbp(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """As the authors' script: run the layers, then deconvolve with ones from the deepest averaged map on."""
    steps = []  # (averaged map or None, geometry or None, input size) in order
    x = images.clone()
    for layer in network:
        size = x.shape[2:] if x.dim() == 4 else None
        with torch.no_grad():
            x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            steps.append(["scale", layer, size])
        elif isinstance(layer, nn.ZeroPad2d):
            steps.append(["pad", layer.padding, None])
        elif isinstance(layer, nn.ReLU) and x.dim() == 4:
            steps.append(["map", x.mean(1, keepdim=True).clone(), None])
    mask = None
    for kind, what, size in reversed(steps):
        if kind == "map":
            mask = what if mask is None else mask * what
        elif kind == "pad":
            if mask is not None:
                left, right, top, bottom = what
                larger = F.pad(mask, (3, 3, 3, 3))
                h, w = larger.shape[2:]
                mask = larger[:, :, 3 + top : h - 3 - bottom, 3 + left : w - 3 - right]
        elif mask is not None:
            kernel, stride, padding, dilation = (
                (v, v) if isinstance(v, int) else tuple(v)
                for v in (what.kernel_size, what.stride, what.padding, getattr(what, "dilation", 1))
            )
            ones = torch.ones(1, 1, *kernel, dtype=F64)
            full = F.conv_transpose2d(mask, ones, None, stride, 0, 0, 1, dilation)
            # Rows that the layer's window never reached get nothing; those of its padding are cut off.
            room = [max(0, p + s - f) for p, s, f in zip(padding, size, full.shape[2:], strict=False)]
            full = F.pad(full, (0, room[1], 0, room[0]))
            mask = full[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]
    mask = mask[:, 0]
    low, high = mask.amin((1, 2), keepdim=True), mask.amax((1, 2), keepdim=True)
    return torch.where(high > low, (mask - low) / (high - low), torch.zeros_like(mask))


@settings(max_examples=80, deadline=None)
@given(chains())
def test_visualbackprop_equals_the_naive_computation(case):
    network, images = case
    expected = naive_vbp(network, images)
    got = visualbackprop(trace(read_chain_f64(network), images))
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-7)


def naive_lrp(stages, values, eps, bias, target):
    """Eq. 6 spelled out with each layer's Jacobian matrix."""
    relevance = torch.zeros_like(values[-1])
    relevance[:, target] = values[-1][:, target]
    for stage, x in reversed(list(zip(stages, values, strict=False))):
        op = stage.op
        out = []
        for n in range(x.shape[0]):
            one = x[n : n + 1].clone()
            if isinstance(op, Conv | Dense | Affine | MaxPool | AvgPool | Pad):
                jacobian = torch.autograd.functional.jacobian(lambda v, op=op: apply(op, v), one)
                z_all = apply(op, one).reshape(-1)
                w = jacobian.reshape(z_all.numel(), -1)
                zij = w * one.reshape(1, -1)
                r = relevance[n].reshape(-1)
                if isinstance(op, MaxPool | Pad):
                    share = (w.T @ r).reshape(one.shape)
                elif isinstance(op, Conv | Dense | Affine):
                    z = z_all if bias else zij.sum(1)
                    sign = torch.where(z >= 0, 1.0, -1.0)
                    # What a ReLU has stopped carries no relevance.
                    share = (zij * (r / (z + eps * sign))[:, None]).sum(0).reshape(one.shape)
                else:
                    z = zij.sum(1)
                    share = (zij * torch.where(z != 0, r / torch.where(z != 0, z, 1.0), 0.0)[:, None]).sum(0)
                    share = share.reshape(one.shape)
            else:
                share = relevance[n].reshape(one.shape)
            out.append(share)
        relevance = torch.cat(out)
    summed = relevance.sum(1)
    top = summed.abs().amax((1, 2), keepdim=True)
    return torch.where(top > 0, summed / torch.where(top > 0, top, 1.0), summed)


@settings(max_examples=40, deadline=None)
@given(chains(), st.sampled_from([1e-2, 1.0, 100.0]), st.booleans(), st.integers(0, 1))
def test_lrp_equals_the_jacobian_computation(case, eps, bias, target):
    network, images = case
    done = trace(read_chain_f64(network), images)
    expected = naive_lrp(done.stages, done.values, eps, bias, target)
    got = lrp(done, target, eps, bias)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eps_of_any_size_gives_numbers_in_range(dtype):
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1)
    )
    chain = read_chain(module).to("cpu", dtype)
    for images in (torch.rand(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), (torch.rand(1, 1, 8, 8) > 0.9)):
        done = trace(chain, images.to(dtype))
        for bias in (True, False):
            for eps in (0, 1e-300, 1e-50, 1e-40, 1e-20, 1e10, 1e30):
                got = lrp(done, eps=eps, bias=bias)
                assert torch.isfinite(got).all() and got.abs().max() <= 1, (eps, bias)
    with pytest.raises(ExplainError, match="eps"):
        lrp(done, eps=1e300)


def test_eps_counts_in_the_precision_of_the_trace():
    module = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[2].weight.fill_(1.0)
    done = trace(
        read_chain(module).to("cpu", torch.float64), torch.tensor([1.0, 0.25]).double().view(1, 1, 1, 2)
    )
    # Both reach the sum with their own value; the first layer takes eps off each of them.
    expected = 0.25 * (0.25 / (0.25 + 0.1)) / (1 / (1 + 0.1))
    assert lrp(done, eps=0.1)[0, 0, 1].item() == pytest.approx(expected, rel=1e-14)


def test_eps_zero_without_bias_conserves_relevance():
    """With nothing absorbed by eps or bias, what arrives at the input is what the output held."""
    net = randomise(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 1)), 5)
    images = torch.rand(3, 1, 8, 8, dtype=F64)
    done = trace(read_chain_f64(net), images)
    got = lrp(done, eps=0, bias=False)
    assert torch.isfinite(got).all()
    expected = naive_lrp(done.stages, done.values, 1e-12, False, 0)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_or_constant_network_gives_zeros_not_nan(method):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 1)).eval()
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.fill_(-1)
    done = trace(read_chain(net), torch.rand(2, 1, 8, 8))
    with np.errstate(all="raise"):
        got = explain(done, method)
    assert got.shape == (2, 8, 8)
    assert (got == 0).all()


@settings(max_examples=25, deadline=None)
@given(chains())
def test_ranges_shapes_and_levels(case):
    network, images = case
    done = trace(read_chain(network), images.float())
    vbp, relevance = explain(done, "visualbackprop"), explain(done, "lrp")
    assert vbp.shape == relevance.shape == (2, *images.shape[2:])
    assert vbp.min() >= 0 and vbp.max() <= 1
    assert relevance.abs().max() <= 1
    found = levels(done)
    relus = [s for s, v in zip(done.stages, done.values[1:], strict=False) if s.relu and v.dim() == 4]
    assert [f.name for f in found] == [s.name for s in relus]
    for level in found:
        assert level.mask.shape == level.feature_map.shape
        assert torch.isfinite(level.mask).all()


def test_the_packed_forward_equals_the_plain_one():
    from vbp.models.registry import load_network

    network = load_network("NetHVF")
    chain = read_chain(network.module)
    forward = Forward(chain)
    for batch in (1, 3, 1):
        images = torch.rand(batch, 1, 125, 351)
        got, expected = forward(images), trace(chain, images)
        assert len(got.values) == len(expected.values)
        for a, b in zip(got.values, expected.values, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(got.output, network.module(images), rtol=1e-4, atol=1e-5)


def test_the_users_module_is_left_alone():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 1))
    net.train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    done = trace(read_chain(net), torch.rand(1, 1, 8, 8))
    for method in METHODS:
        explain(done, method)
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in net.modules())


BAD = {
    "unknown layer": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softsign()), "1 (Softsign)"),
    "odd padding": (nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="reflect", padding=1)), "'reflect'"),
    "one-sided padding": (nn.Sequential(nn.Conv2d(1, 2, 2, padding="same")), "one side"),
    "no statistics": (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), "no running statistics"),
    "empty": (nn.Sequential(), "no layers"),
    "uneven pool": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4)), "uneven windows"),
    "wrong size": (nn.Sequential(nn.Flatten(), nn.Linear(3, 1)), "cannot take an input"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_explained_names_the_layer(name):
    network, word = BAD[name]
    with pytest.raises(ExplainError) as error:
        trace(read_chain(network.eval()), torch.rand(1, 1, 8, 8))
    assert word in str(error.value)


def test_methods_that_do_not_apply():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    done = trace(read_chain(net), torch.rand(1, 1, 8, 8))
    with pytest.raises(ExplainError, match="convolution"):
        explain(done, "visualbackprop")
    with pytest.raises(ExplainError, match="2 outputs"):
        explain(done, "lrp", 2)
    with pytest.raises(ExplainError, match="eps"):
        explain(done, "lrp", eps=float("nan"))
    with pytest.raises(ExplainError, match="visualbackprop, lrp"):
        explain(done, "magic")
    with pytest.raises(ExplainError, match="LRP takes no 'tau'"):
        explain(done, "lrp", tau=1)


def test_folding_leaves_no_batchnorm_in_the_papers_networks():
    from vbp.models.registry import load_network

    for name in ("NetSVF", "NetHVF"):
        ops = [s.op for s in read_chain(load_network(name).module).stages]
        assert [type(o) for o in ops if not isinstance(o, Pad)] == [Conv] * 10 + [Flatten] + [Dense] * 3
