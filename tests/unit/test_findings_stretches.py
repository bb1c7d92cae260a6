"""Stretches of a number per frame, against what is said of them, on any numbers and times."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.drives.holes import find_holes
from vbp.findings.signals import jumps, movement
from vbp.findings.stretches import RangeExtremes, stretches

STEP = 50_000_000
numbers = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0, float("nan")]), st.floats(0, 3))
steps = st.sampled_from([0, STEP, STEP, STEP, 4 * STEP, 19 * STEP, 21 * STEP, 100 * STEP])


@st.composite
def drives(draw):
    values = draw(st.lists(numbers, max_size=60))
    moved = draw(st.lists(steps, min_size=len(values), max_size=len(values)))
    return np.cumsum(np.array(moved, dtype=np.int64)) + 10**18, np.array(values, dtype=float)


@given(drives())
def test_stretches_are_what_they_are_said_to_be(drive):
    times, values = drive
    found = stretches(times, values, 1.0, 0.6)
    inside = np.zeros(len(values), dtype=bool)
    breaks = {before for before, _ in find_holes(times)}
    for first, last in found:
        inside[first : last + 1] = True
        part = values[first : last + 1]
        assert np.nanmax(part) >= 1.0 and part[0] >= 0.6 and part[-1] >= 0.6
        assert not breaks & set(range(first, last)), "a hole is in it"
        within = np.flatnonzero(part >= 0.6)
        broken = np.diff(within) > 1
        assert (np.diff(times[first + within])[broken] <= 10**9).all(), "a break longer than a second"
    assert inside[values >= 1.0].all(), "a frame over the threshold is in none"
    for (_, last), (first, _) in itertools.pairwise(found):
        whole = not breaks & set(range(last, first))
        assert last < first and not (whole and times[first] - times[last] <= 10**9), "two that are one"
    for first, last in found:  # and each reaches as far as it can
        for beyond, step in ((first - 1, first - 1), (last + 1, last)):
            if 0 <= beyond < len(values) and step not in breaks:
                assert not values[beyond] >= 0.6


def test_merging_goes_by_time_not_by_frames():
    values = np.zeros(200)
    values[[10, 30, 60]] = 1.0
    slow, fast = (np.arange(200, dtype=np.int64) * ns for ns in (50_000_000, 10_000_000))
    assert stretches(slow, values, 1.0, 1.0) == [(10, 30), (60, 60)]
    assert stretches(fast, values, 1.0, 1.0) == [(10, 60)]
    slow[25:] += 5 * 10**9
    assert stretches(slow, values, 1.0, 1.0) == [(10, 10), (30, 30), (60, 60)]


def test_hysteresis():
    values = np.array([0.7, 0.0, 0.7, 1.2, 0.7, 0.7, 0.5, 0.9])
    assert stretches(np.arange(8) * 2 * 10**9, values, 1.0, 0.6) == [(2, 5)]


@settings(max_examples=25)
@given(drives())
def test_extremes_of_any_rows(drive):
    _, values = drive
    first, last = np.triu_indices(len(values))
    extremes = RangeExtremes(values)
    for a, b, low, high in zip(first, last, extremes.smallest(first, last), extremes.largest(first, last)):
        assert np.array_equal(low, values[a : b + 1].min(), equal_nan=True)
        assert np.array_equal(high, values[a : b + 1].max(), equal_nan=True)


@settings(max_examples=25)
@given(drives())
def test_signals_of_any_drive(drive):
    times, values = drive
    moved, jumped = movement(times, values), jumps(times, values)
    assert moved.shape == jumped.shape == values.shape
    assert not (moved < 0).any() and np.isnan(moved[np.isnan(values)]).all()


def test_a_step_is_what_stands_out_of_its_surroundings():
    times = np.arange(40, dtype=np.int64) * STEP
    turning = np.where(np.arange(40) < 20, 0.0, np.arange(40) * 8.0)  # all at once, from frame 20 on
    one = np.zeros(40)
    one[20] = 15.0
    assert np.abs(jumps(times, np.arange(40) * 10.0)[8:-8]).max() == 0  # fast, but evenly
    assert jumps(times, one)[20] == 15 and jumps(times, one)[21] == -15
    assert np.flatnonzero(np.abs(jumps(times, turning)) > 100).tolist() == [20]
    slow = np.arange(40, dtype=np.int64) * 10**9
    assert np.isnan(jumps(slow, one)).all()  # a second apart, anything may be


def test_movement_is_of_the_stillest_second_around():
    times = np.arange(100, dtype=np.int64) * STEP
    values = np.sin(np.arange(100.0))
    values[30:60] = 0.25
    moved = movement(times, values)
    assert np.flatnonzero(moved == 0).tolist() == list(range(30, 60))
    values[45] = np.nan
    assert np.isnan(movement(times, values)[45]) and (movement(times, values)[30:45] > 0).all()
    assert np.isnan(movement(np.arange(100, dtype=np.int64) * 10**9, values)).all()
