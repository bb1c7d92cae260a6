"""How much of a picture holds half of a mask, against sorting in float64; and noise told from a road by it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vbp.demo import demo_drive
from vbp.drives.opening import open_drive
from vbp.engine import Engine, open_network
from vbp.explain.spread import half_share
from vbp.frames import complete_frame, run_frame, run_frames
from vbp.frames.strengths import SCATTERED, usual_of
from vbp.results import FrameRequest, FrameResult, map_requests

pytestmark = pytest.mark.usefixtures("both_ways")


def naive(values: np.ndarray) -> tuple[int, int]:
    """The fewest values, the largest first, that hold half of the sum of |values|; and, as half may be all but reached, one more."""
    sizes = np.sort(np.abs(values.astype(np.float64)).ravel())[::-1]
    upto = np.cumsum(sizes)
    return tuple(int(np.searchsorted(upto, upto[-1] / 2 * part)) + 1 for part in (1 - 1e-9, 1 + 1e-9))


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(-1, 1, width=32)
    ),
    st.sampled_from([1, 3, 20]),
)
def test_is_as_many_pixels_as_sorting_says(values, power):
    values = (np.sign(values) * np.abs(values) ** power).astype(np.float32)
    if not (top := np.abs(values).max()):
        assert math.isnan(half_share(torch.from_numpy(values[None]))[0])
        return
    values /= top
    got = float(half_share(torch.from_numpy(values[None]))[0]) * values.size
    few, many = naive(values)
    assert few - 1 - 0.01 * few <= got <= many * 1.01  # the last pixel counts in part


def test_known_maps():
    one, half, nothing, broken = np.zeros((4, 10, 20), np.float32)
    one[3, 4], half[:5], broken[0, 0] = 1, 1, np.nan
    found = half_share(torch.from_numpy(np.stack([one, half, -half, nothing, broken, broken * 0 + np.inf])))
    np.testing.assert_allclose(found, [0.5 / 200, 0.25, 0.25, math.nan, math.nan, math.nan])
    assert half_share(torch.zeros(0, 4, 4)).shape == (0,)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_card_says_the_same():
    maps = torch.rand(5, 60, 70) ** 6
    maps /= maps.amax((1, 2), keepdim=True)
    np.testing.assert_allclose(half_share(maps.cuda()), half_share(maps), rtol=1e-6)


def test_noise_is_told_from_a_road():
    engine = Engine(open_network("NetHVF"), "cpu")
    rng = np.random.default_rng(0)
    with open_drive(demo_drive()) as drive:
        indices = np.linspace(0, len(drive) - 1, 24).astype(int)
        road = [(f.strength, f.spread) for f in run_frames(drive, [engine], None, indices)]
    usual = usual_of(*np.array(road).T)
    noise = FrameResult(0, 0, rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    wanted = FrameRequest(map_requests(["visualbackprop", "lrp", "saliency"]))
    done = complete_frame(run_frame(noise, [engine]), engine, wanted).result
    for request, values in done.maps.items():  # of every method
        few, many = naive(values)
        assert 0.99 * (few - 1) <= done.spreads[request] * values.size <= 1.01 * many
    assert usual.times(done.spread) > SCATTERED > 2 * max(usual.times(spread) for _, spread in road)
