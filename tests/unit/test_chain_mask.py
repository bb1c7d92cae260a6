"""The quick mask of chains in float32, against the same method by torch in float64 and against transposed convolutions."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_explain_chains import chains, randomise
from torch import nn

from vbp.errors import ExplainError
from vbp.explain.chain import read_chain
from vbp.explain.chain_mask import chain_mask
from vbp.explain.visualbackprop import visualbackprop
from vbp.graph.operations import Add, Graph, Pad, Stage
from vbp.graph.trace import Trace, trace

pytestmark = pytest.mark.usefixtures("both_ways")


def exact(done: Trace) -> torch.Tensor:
    """By torch in float64, from the same activations."""
    return visualbackprop(replace(done, values=tuple(v.double() for v in done.values)))


@settings(max_examples=80, deadline=None)
@given(chains(), st.integers(1, 3))
def test_equals_the_mask_by_torch_in_float64(case, count):
    network, images = case
    pictures = torch.cat([images.float() * (n + 1) for n in range(count)])
    done = trace(read_chain(network), pictures)
    assert chain_mask(done) is not None
    for _ in range(2):  # the second time in the buffers of the first
        torch.testing.assert_close(visualbackprop(done).double(), exact(done), rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-35, 1e-12, 1.0, 1e12, 1e34])
def test_activations_of_any_size_give_the_same_mask(factor):
    network = randomise(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, bias=False), nn.ReLU()
        ),
        0,
    )
    done = trace(read_chain(network), torch.rand(1, 1, 30, 40))
    scaled = Trace(done.stages, tuple(v * factor for v in done.values))
    torch.testing.assert_close(visualbackprop(scaled), visualbackprop(done), rtol=0, atol=1e-5)


def test_padding_left_out_and_added():
    conv = read_chain(nn.Sequential(nn.Conv2d(1, 3, 3, 2), nn.ReLU())).stages[0]
    for pad in (Pad(1, 2, 0, 1), Pad(-1, 0, 0, -2), Pad(0, -1, 2, 0)):
        done = trace(Graph((Stage("pad", pad), conv)), torch.rand(2, 1, 21, 22))
        torch.testing.assert_close(visualbackprop(done).double(), exact(done), rtol=0, atol=1e-5)


def test_dead_and_broken_maps():
    graph = read_chain(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU()))
    done = trace(graph, torch.rand(2, 1, 12, 12))
    dead = Trace(done.stages, tuple(torch.zeros_like(v) for v in done.values))
    assert not visualbackprop(dead).any()
    broken = Trace(
        done.stages, tuple(v * torch.tensor([1.0, torch.nan])[:, None, None, None] for v in done.values)
    )
    assert visualbackprop(broken)[0].isfinite().all()
    torch.testing.assert_close(visualbackprop(broken)[:1], visualbackprop(done)[:1])


def test_what_it_does_not_take_goes_by_torch():
    graph = read_chain(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()))
    assert chain_mask(trace(graph.to("cpu", torch.float64), torch.rand(1, 1, 9, 9).double())) is None
    skip = (*graph.stages, Stage("add", Add(), inputs=(1, 1)))
    assert chain_mask(trace(Graph(skip), torch.rand(1, 1, 9, 9))) is None
    with pytest.raises(ExplainError):
        visualbackprop(trace(read_chain(nn.Sequential(nn.Conv2d(1, 3, 3))), torch.rand(1, 1, 9, 9)))


def test_threads_have_buffers_of_their_own():
    network = randomise(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, 2), nn.ReLU()), 1)
    graph = read_chain(network)
    passes = [trace(graph, torch.rand(1, 1, 60, 90)) for _ in range(8)]
    wanted = [visualbackprop(done) for done in passes]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, mask in zip(pool.map(visualbackprop, passes), wanted, strict=True):
                assert torch.equal(found, mask)
