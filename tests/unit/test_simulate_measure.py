"""Measures of a mask against the truth, and the PNGs that the truth is kept in."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest

from vbp.overlay import Rect
from vbp.simulate import energy_on, peak_on, png
from vbp.simulate.classes import palette
from vbp.simulate.measure import numbers

RECT = Rect(0, 40, 60, 20)


@pytest.fixture
def classes():
    out = np.zeros((60, 60), np.uint8)
    out[40:60, 10:16] = 3  # a tenth of the crop
    return out


def test_a_constant_mask_scores_one(classes):
    assert energy_on(np.full((20, 60), 0.3), classes, RECT, {3}) == pytest.approx(1.0)


def test_a_mask_on_the_class_alone_scores_the_inverse_of_its_area(classes):
    mask = (classes[40:] == 3).astype(float)
    assert energy_on(mask, classes, RECT, {3}) == pytest.approx(10.0)
    assert energy_on(1 - mask, classes, RECT, {3}) == 0.0
    assert peak_on(mask, classes, RECT, {3}, 0.05) == 1.0
    assert peak_on(1 - mask, classes, RECT, {3}, 0.05) == 0.0


def test_a_mask_of_another_size_than_the_crop(classes):
    small = np.zeros((10, 30))
    small[:, 5:8] = 1.0  # the same place at half the size
    assert energy_on(small, classes, RECT, {3}) == pytest.approx(10.0)


def test_what_is_outside_the_crop_does_not_count(classes):
    classes[:40] = 3
    mask = (classes[40:] == 3).astype(float)
    assert energy_on(mask, classes, RECT, {3}) == pytest.approx(10.0)


def test_nothing_to_measure_is_nan(classes):
    assert np.isnan(energy_on(np.zeros((20, 60)), classes, RECT, {3}))
    assert np.isnan(energy_on(np.ones((20, 60)), classes, RECT, {9}))
    assert np.isnan(peak_on(np.zeros((20, 60)), classes, RECT, {3}))


def test_numbers_of_names():
    assert numbers(["a", "b", "c"], ["c", "a"]) == {0, 2}
    with pytest.raises(ValueError):
        numbers(["a"], ["z"])


def test_png_round_trip_and_what_others_see():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 53)).astype(np.uint8)
    data = png.encode(image, palette())
    assert (png.decode(data) == image).all()
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert (seen[..., ::-1] == palette()[image]).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: b"",
        lambda d: d[:20],
        lambda d: d[: len(d) // 2],
        lambda d: b"GIF89a" + d,
        lambda d: d.replace(b"\x08\x03\0\0\0", b"\x08\x02\0\0\0", 1),
        lambda d: cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes(),
    ],
)
def test_a_damaged_or_foreign_png_is_said_to_be_one(damage):
    data = png.encode(np.arange(81, dtype=np.uint8).reshape(9, 9), palette())
    with pytest.raises(ValueError):
        png.decode(damage(data))
    assert zlib.crc32(data)
