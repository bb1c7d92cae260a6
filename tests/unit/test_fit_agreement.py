"""How a network's angles agree with the measured ones, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmaker import Made
from vbp.errors import VbpError
from vbp.fitting.agreement import agree, blocks_of, correlation, drawn, resampled
from vbp.fitting.frames import choose_labelled


def test_frames_are_spread_over_the_drive_and_half_of_them_lie_in_curves():
    angles = np.where((np.arange(1000) % 100) < 20, 10.0, 0.5) * np.sign(np.sin(np.arange(1000)))
    found = choose_labelled(Made(angles, gaps=[(0, 99)], bad={500}), 100)
    assert 95 <= len(found) <= 100 and 500 not in found.indices and found.indices.min() >= 100
    assert (np.diff(found.indices) > 0).all() and found.indices.max() > 950
    assert 0.4 < (np.abs(found.angle_deg) > 5).mean() < 0.8
    assert all(image[0, 0, 0] == i % 256 for image, i in zip(found.images, found.indices))
    assert found.later(1.0)[:40] == pytest.approx(angles[found.indices[:40] + 10])
    assert np.isnan(found.later(200.0)).all() and found.unit_deg == 1


@pytest.mark.parametrize(
    "unit, degrees", [("deg", 1), ("unit", 25), ("unit:40", 40), ("rad:2", 360 / np.pi), ("", np.nan)]
)
def test_the_unit_is_the_recordings(unit, degrees):
    found = choose_labelled(Made(np.arange(30.0), unit=unit), 20)
    assert found.unit_deg == pytest.approx(degrees, nan_ok=True)


@pytest.mark.parametrize(
    "drive, words",
    [
        (Made([float("nan")] * 50), "no measured steering angles"),
        (Made([3.0] * 50), "the same angle (3°) at every frame"),
        (Made(np.arange(50.0), gaps=[(0, 39)]), "has 10 frames with a picture and a measured angle"),
    ],
)
def test_a_drive_that_nothing_can_be_compared_with_is_one_sentence(drive, words):
    with pytest.raises(VbpError) as error:
        choose_labelled(drive)
    assert words in str(error.value) and "\n" not in str(error.value)


@given(st.integers(3, 40), st.integers(0, 99))
def test_a_correlation_is_numpys(count, seed):
    rng = np.random.default_rng(seed)
    outputs, angles = rng.normal(3e5, 1, (4, count)), rng.normal(0, 7, count)
    outputs[3] = 5.0
    found = correlation(outputs, angles)
    assert found[:3] == pytest.approx([np.corrcoef(row, angles)[0, 1] for row in outputs[:3]], abs=1e-9)
    assert found[3] == 0
    assert (
        np.abs(
            resampled(
                outputs, angles, blocks_of(np.arange(count) / 2), drawn(blocks_of(np.arange(count) / 2))
            )
        )
        <= 1
    ).all()


@settings(max_examples=1)
@given(st.just(0))
def test_the_interval_holds_the_truth_as_often_as_it_says_also_where_neighbours_are_alike(seed):
    """Of 200 drives whose frames come in runs of ten alike, about 95 % of the intervals hold the true 0.6; frame by frame, fewer."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(200):
        y, noise = np.repeat(rng.normal(size=(2, 60)), 10, axis=1)
        made = agree(0.6 * y + 0.8 * noise, y, np.arange(600) * 0.5)
        held += made.interval[0] <= 0.6 <= made.interval[1]
    assert 0.88 <= held / 200 <= 0.99


def test_what_cannot_be_compared_is_nan():
    times = np.arange(30) / 10
    constant = agree(np.full(30, 2.0), np.arange(30.0), times)
    assert np.isnan(constant.correlation) and constant.rmse_deg == pytest.approx(
        np.sqrt(np.mean((np.arange(30) - 2) ** 2))
    )
    assert agree(np.full(30, np.nan), np.arange(30.0), times).frames == 0
    assert agree(np.arange(30.0), np.arange(30.0) + 1, times).rmse_deg == pytest.approx(1)
