"""What the experiments measure with, against naive float64 loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vbp.evidence import intervals, measures, perturbation, theory
from vbp.evidence.plots import ticks

RNG = np.random.default_rng(5)


def naive_ranks(values: list[float]) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_ranks_share_ties(values: list[int]) -> None:
    assert measures.ranks(values).tolist() == naive_ranks([float(v) for v in values])


def test_correlations_against_numpy() -> None:
    a, b = RNG.normal(size=(2, 7, 9))
    assert measures.pearson(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    ranked = [naive_ranks(v.ravel().tolist()) for v in (a, b)]
    assert measures.spearman(a, b) == pytest.approx(np.corrcoef(*ranked)[0, 1])
    assert measures.spearman(a, np.exp(a)) == pytest.approx(1.0)
    assert math.isnan(measures.pearson(a, np.ones_like(a)))


def test_ssim_against_a_loop_over_windows() -> None:
    a = RNG.random((15, 17))
    b = np.clip(a + 0.2 * RNG.normal(size=a.shape), 0, 1)
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    values = []
    for y in range(15 - 10):
        for x in range(17 - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
            cov = (weights * (p - mp) * (q - mq)).sum()
            top = (2 * mp * mq + 0.01**2) * (2 * cov + 0.03**2)
            values.append(top / ((mp**2 + mq**2 + 0.01**2) * (vp + vq + 0.03**2)))
    assert measures.ssim(a, b) == pytest.approx(np.mean(values), rel=1e-9)
    assert measures.ssim(a, a) == pytest.approx(1.0)


def test_area() -> None:
    assert measures.area([0, 1, 3], [0.0, 2.0, 4.0]) == pytest.approx((1 + 6) / 3)


def test_edges_of_a_step() -> None:
    image = np.zeros((5, 6), np.uint8)
    image[:, 3:] = 10
    assert measures.edges(image)[2].tolist() == [0, 0, 40, 40, 0, 0]  # Sobel's column weighs 1 + 2 + 1


def test_regions_are_cut_off_at_the_edges() -> None:
    relevance = -np.arange(20, dtype=np.float64).reshape(4, 5)
    got = perturbation.region_values(relevance, side=3)
    want = [
        np.abs(relevance[:3, :3]).mean(),
        np.abs(relevance[:3, 3:]).mean(),
        np.abs(relevance[3:, :3]).mean(),
        np.abs(relevance[3:, 3:]).mean(),
    ]
    assert got.tolist() == pytest.approx(want)
    image = torch.arange(20.0).reshape(1, 1, 4, 5)
    changed = perturbation.replaced(image, np.array([1, 2]), torch.full_like(image, -1.0), side=3)
    assert changed[0, 0].tolist() == [
        [0, 1, 2, -1, -1],
        [5, 6, 7, -1, -1],
        [10, 11, 12, -1, -1],
        [-1, -1, -1, 18, 19],
    ]


def test_aopc_is_the_mean_over_the_steps() -> None:
    counts = [0, 1, 2, 3, 4, 5]
    changes = np.array([0.0, 3.0, 1.0, 4.0, 1.0, 5.0])
    assert perturbation.aopc(counts, changes, steps=3) == pytest.approx((0 + 3 + 1 + 4) / 4)
    assert perturbation.aopc(counts, changes, steps=100) == pytest.approx(14 / 6)
    assert len([k for k in perturbation.counts_for(1008) if 0 < k <= 100]) > 20
    # Between what was asked the curve is straight.
    assert perturbation.aopc([0, 4], np.array([0.0, 8.0]), steps=4) == pytest.approx(4.0)


def test_half_of_a_map() -> None:
    assert theory.half(np.array([[0.0, -8.0], [4.0, 3.0]])) == 0.25
    assert theory.half(np.ones((2, 5))) == 0.5
    assert math.isnan(theory.half(np.zeros((2, 2))))


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_ticks_hold_the_range(low: float, span: float) -> None:
    got = ticks(low, low + span)
    assert got[0] <= low + 1e-6 * (1 + abs(low)) and got[-1] >= low + span - 1e-6 * (1 + abs(low) + span)
    assert 2 <= len(got) <= 8


def test_an_interval_is_students_of_the_means_of_blocks() -> None:
    values = np.random.default_rng(2).normal(3.0, 1.0, 40)
    blocks = values.reshape(10, 4).mean(1)
    half = 2.262157 * blocks.std(ddof=1) / np.sqrt(10)  # t of 9 degrees of freedom, from a table
    found = intervals.estimate([*values, float("nan")])
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-6)
    on_the_edge = intervals.estimate(values, by_chance=found.low)
    assert on_the_edge.p == pytest.approx(0.05, abs=1e-6)
    assert intervals.estimate([2.0, 2.0]) == intervals.Estimate(2.0, 2.0, 2.0, 0.0)
    alone = intervals.estimate([2.0, float("nan")])  # one frame says nothing of others
    assert alone.value == 2.0 and np.isnan([alone.low, alone.high, alone.p]).all()
    assert alone.words() == "2.00" and found.words().startswith(f"{found.value:.2f} [")
    assert math.isnan(intervals.estimate([]).value)


def test_neighbouring_frames_that_are_alike_make_no_narrower_interval() -> None:
    once = np.random.default_rng(3).normal(size=10)
    one, many = intervals.estimate(once), intervals.estimate(np.repeat(once, 8))
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_an_interval_holds_the_ratio_of_two_sums() -> None:
    rng, inside = np.random.default_rng(4), 0
    for _ in range(300):
        a = rng.gamma(2.0, 1.0, 30)
        rows = np.stack((a, a + rng.gamma(2.0, 0.5, 30)), 1)  # means 2 and 3
        found = intervals.estimate(rows, lambda r: float(r[:, 0].sum() / r[:, 1].sum()))
        inside += found.low <= 2 / 3 <= found.high
    assert 0.9 < inside / 300 < 0.98


@pytest.mark.parametrize(("t", "freedom", "p"), [(12.706205, 1, 0.05), (4.302653, 2, 0.05), (3.182446, 3, 0.05),
                                                 (2.364624, 7, 0.05), (2.228139, 10, 0.05), (3.169273, 10, 0.01)])  # fmt: skip
def test_students_t_against_a_table(t: float, freedom: int, p: float) -> None:
    assert intervals.two_sided(t, freedom) == pytest.approx(p, abs=1e-7)
    assert intervals.two_sided(0.0, freedom) == pytest.approx(1.0)


def test_many_tests_count_together() -> None:
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_none = intervals.holm([float("nan"), 0.5, 0.9])
    assert math.isnan(with_none[0]) and with_none[1:] == [1.0, 1.0]
