"""Forward-Backward Interpretability against the paper's steps, written out with loops, in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from netmaker import NETWORKS, make, scaled
from vbp.drives import open_drive
from vbp.engine import open_network
from vbp.errors import ExplainError
from vbp.explain import Target, explain
from vbp.explain.exported import read_network
from vbp.graph.operations import Affine, AvgPool, Conv, Dense, Graph, MaxPool, Stage
from vbp.graph.trace import Trace, apply, trace
from vbp.preprocess import prepare, to_tensor


def naive(
    done: Trace,
    n: int,
    start: Tensor,
    tau: float,
    keep: float,
    every: bool,
    relative: bool,
    index: int | None,
) -> Tensor:
    """index: of the output of a regression, of which `start` is the value without its bias; None for a class."""
    back = start.clone()
    convs = [i for i, s in enumerate(done.stages) if isinstance(s.op, Conv)]
    for i in reversed(range(len(done.stages))):
        stage, a = done.stages[i], done.values[i][n].clone()
        if stage.relu:
            back = back.clamp(min=0)  # the adjoint of the ReLU
        if isinstance(stage.op, Conv) and (every or i == convs[-1]):
            totals = [float(m.sum()) for m in back]
            count = max(1, math.ceil(keep * len(totals)))
            best = sorted(range(len(totals)), key=lambda k: -totals[k])[:count]
            back = torch.stack([m if k in best else m * 0 for k, m in enumerate(back)])
        if isinstance(stage.op, Dense):
            if not back.any():  # a dead layer: nothing comes back
                return torch.zeros_like(done.input[n, 0])
            if index is not None and i == len(done.stages) - 1:
                back = stage.op.weight[index].clone() * back[index]
                back = back * float((a**2).sum()) ** 0.5 / float((back**2).sum()) ** 0.5
            else:
                back = stage.op.weight.T.clone() @ (back - stage.op.bias.clone())
        elif isinstance(stage.op, MaxPool | AvgPool):
            back = torch.minimum(a, replicated(back, stage.op.window, a))
        else:
            # The rest is linear: torch's own transpose of it.
            given = back.reshape(apply(stage.op, a[None]).shape)
            back = torch.autograd.functional.vjp(lambda v, op=stage.op: apply(op, v), a[None], given)[1][0]
        if i > 0:
            product = back * a
            limit = tau / 1000 * max(0.0, float(product.max())) if relative else tau
            back = torch.where(product > limit, back, torch.zeros_like(back))
    return back.sum(0)


def replicated(back: Tensor, window, a: Tensor) -> Tensor:
    total, count = torch.zeros_like(a), torch.zeros_like(a)
    (kh, kw), (sh, sw), (ph, pw) = window.kernel, window.stride, window.padding
    for y in range(back.shape[1]):
        for x in range(back.shape[2]):
            for i in range(kh):
                for j in range(kw):
                    r, c = y * sh - ph + i, x * sw - pw + j
                    if 0 <= r < a.shape[1] and 0 <= c < a.shape[2]:
                        total[:, r, c] += back[:, y, x]
                        count[:, r, c] += 1
    return total / count.clamp(min=1)


CASES = [(0.0, 0.5, True, False), (0.05, 0.5, True, False), (10.0, 0.5, True, True), (50.0, 0.3, False, True)]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NETWORKS)
def test_it_equals_the_papers_steps(name: str, case: tuple[float, float, bool, bool]) -> None:
    tau, keep, every, relative = case
    alive = False
    for seed in range(3):
        done, _, _ = make(name, seed)
        for index in (0, 1):
            starts = []
            for n in range(2):  # of a class: the adjoint of the softmax
                z = done.output[n].clone()
                start = torch.full_like(z, float(z.min()))
                start[index] = z.max()
                starts.append(start)
            target = Target("class", index)
            got = explain(done, "fbi", target, tau=tau, keep=keep, every=every, relative=relative)
            expected = scaled(torch.stack([naive(done, n, starts[n], *case, None) for n in range(2)]))
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)
            # Of a regression: the output without its bias.
            got = explain(done, "fbi", index, tau=tau, keep=keep, every=every, relative=relative)
            starts = [done.output[n].clone() - done.stages[-1].op.bias for n in range(2)]
            expected = scaled(torch.stack([naive(done, n, starts[n], *case, index) for n in range(2)]))
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)
            alive |= bool(expected.any())
    assert alive


def test_everything_kept_and_no_threshold_is_near_deconvnet() -> None:
    """The paper says so. Without dense layers and on a positive start it is DeconvNet but for where a neuron was dead."""
    done, _, _ = make("plain", seed=1)
    guided = explain(done, "guided-backprop", 0).flatten()
    got = explain(done, "fbi", 0, tau=0, keep=1).flatten()
    assert torch.corrcoef(torch.stack([got, guided]))[0, 1] > 0.9


def test_degrees_and_radians_have_the_same_map() -> None:
    """The last layer in degrees, or a scaling behind it; a network with a hidden layer, whose bias has a unit of its own."""
    done, _, image = make("padded", seed=1)
    *stages, last = done.stages
    larger = 180 / math.pi
    op = replace(last.op, weight=last.op.weight * larger, bias=last.op.bias * larger)
    scaling = Stage("degrees", Affine(torch.full((2,), larger).double(), torch.zeros(2).double()))
    for target in (0, "negative:1", Target("magnitude", 1)):
        wanted = explain(done, "fbi", target)
        assert wanted.any()
        for degrees in ((*stages, replace(last, op=op)), (*stages, last, scaling)):
            got = explain(trace(Graph(degrees), image), "fbi", target)
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.shared
def test_without_a_mask_and_with_all_maps_it_is_close_to_deconvnet(shared: Path) -> None:
    """ "100% of the filters, and no pointwise thresholding ... produces an output that is close to the DeconvNet algorithm"."""
    network = open_network("NetSign")
    shape = (network.spec.channels, network.spec.input_height, network.spec.input_width)
    graph = read_network(network.module, shape, torch.float32, scores=True)
    found = []
    signs = open_drive(shared / "data/gtsrb")
    for i in range(0, 1290, 300):
        image, _ = prepare(signs.frame(i), network.spec)
        one = trace(graph, to_tensor(image[None], network.spec, torch.device("cpu")))
        deconv = explain(one, "deconvnet", "class").flatten()
        found.append(
            [
                float(
                    torch.corrcoef(
                        torch.stack([explain(one, "fbi", "class", keep=1, **mask).flatten(), deconv])
                    )[0, 1]
                )
                for mask in ({"mask": 0}, {"tau": 0})
            ]
        )
    without, with_mask = torch.tensor(found).mean(0).tolist()
    assert without > 0.75 > 0.6 > with_mask


def test_fewer_maps_and_a_higher_tau_leave_less() -> None:
    done, _, _ = make("padded", seed=1)
    seen = [int((explain(done, "fbi", 0, tau=t) != 0).sum()) for t in (0.01, 100.0, 900.0)]
    assert seen[0] > seen[2] > 0
    assert not explain(done, "fbi", 0, tau=1e9, relative=0).any()


def test_parameters_out_of_range() -> None:
    done, _, _ = make("plain")
    for bad in ({"tau": -1}, {"tau": math.nan}, {"keep": 0}, {"keep": 1.2}):
        with pytest.raises(ExplainError):
            explain(done, "fbi", **bad)
