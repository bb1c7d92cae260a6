"""The label track, against exact arithmetic: samples to frames, units and signs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.drives.labels import sign_factor, synchronise, to_wheel_radians, unit_scale
from vbp.errors import DriveError

NS = st.integers(-(2**60), 2**60)
NEAR = st.integers(1479425476188653632, 1479425476188653632 + 400_000_000)
SAMPLES = st.lists(st.tuples(NEAR, st.floats(-10, 10)), max_size=12)


def oracle(frame: int, samples: list[tuple[int, float]], limit: Fraction) -> set[Fraction] | None:
    """The possible answers, exactly; None for unlabelled. Samples of the same time may give several."""
    exact = {Fraction(v) for t, v in samples if t == frame}
    if exact:
        return exact
    left = [t for t, _ in samples if t < frame]
    right = [t for t, _ in samples if t > frame]
    if not left or not right:
        return None
    a, b = max(left), min(right)
    if frame - a > limit or b - frame > limit:
        return None
    w = Fraction(frame - a, b - a)
    lefts = [Fraction(v) for t, v in samples if t == a]
    rights = [Fraction(v) for t, v in samples if t == b]
    return {x * (1 - w) + y * w for x in lefts for y in rights}


@given(st.lists(NEAR, max_size=12), SAMPLES, st.sampled_from([0.01, 0.05, 0.2, 1.0]))
@settings(max_examples=400)
def test_synchronise_against_exact_arithmetic(
    frames: list[int], samples: list[tuple[int, float]], gap: float
) -> None:
    out = synchronise(
        np.array(frames, dtype=np.int64),
        np.array([t for t, _ in samples], dtype=np.int64),
        np.array([v for _, v in samples], dtype=np.float64),
        gap,
    )
    assert out.shape == (len(frames),)
    for frame, value in zip(frames, out, strict=True):
        expected = oracle(frame, samples, Fraction(gap * 1e9))
        if expected is None:
            assert np.isnan(value)
        else:
            assert min(abs(Fraction(float(value)) - e) for e in expected) <= Fraction(1, 10**13)


@given(st.lists(NS, min_size=1, max_size=8), st.randoms())
def test_synchronise_does_not_mind_the_order_or_nan(times: list[int], random) -> None:  # type: ignore[no-untyped-def]
    times = sorted(set(times))
    samples = [(t, float(k)) for k, t in enumerate(times)] + [(t + 1, float("nan")) for t in times]
    shuffled = list(samples)
    random.shuffle(shuffled)
    frames = np.array(times, dtype=np.int64)
    out = synchronise(
        frames, np.array([t for t, _ in shuffled], dtype=np.int64), np.array([v for _, v in shuffled]), 0.2
    )
    np.testing.assert_array_equal(out, np.arange(len(times)))


def test_synchronise_at_the_ends_and_the_limit() -> None:
    base = 1479425476188653632
    samples = np.array([base, base + 300_000_000], dtype=np.int64)
    frames = np.array(
        [base - 1, base, base + 100_000_000, base + 100_000_001, base + 300_000_000, base + 300_000_001]
    )
    out = synchronise(frames, samples, np.array([0.0, 3.0]), 0.2)
    np.testing.assert_allclose(out, [np.nan, 0, 1, 1.00000001, 3, np.nan])
    assert np.isnan(synchronise(frames[2:3], samples, np.array([0.0, 3.0]), 0.199)).all()
    assert np.isnan(synchronise(frames, samples[:0], np.array([]), 1)).all()


def test_units_and_signs() -> None:
    np.testing.assert_allclose(
        np.degrees(to_wheel_radians([1, -1, np.nan, np.inf], "unit", "right")), [-25, 25, np.nan, np.nan]
    )
    np.testing.assert_allclose(to_wheel_radians([180.0], "deg", "left"), [np.pi])
    assert unit_scale("unit:180") == pytest.approx(np.pi)
    for unit in ("degrees", "unit:", "unit:-3", "unit:nan", ""):
        with pytest.raises(DriveError, match="angle unit"):
            unit_scale(unit)
    with pytest.raises(DriveError, match="angle sign"):
        sign_factor("up")
