"""How masks are laid over pictures: each option against its own words in numpy, or OpenCV's morphology."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbp.errors import VbpError
from vbp.frames.smoothing import Smoother, smoothed_words
from vbp.overlay import DIALS, GREY, OUTLINE, OUTLINED, PAPER, Overlay, Rect, blend, lay, lay_both, ramp

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
MASK = (RNG.random((48, 64), dtype=np.float32) * 2 - 1) * RNG.random((48, 64), dtype=np.float32)


@given(
    gamma=st.floats(0.2, 5.0),
    threshold=st.floats(0.0, 0.95),
    style=st.sampled_from(("paper", "heat")),
    faded=st.floats(0.0, 1.0),
)
def test_gamma_and_threshold_are_what_they_say(gamma, threshold, style, faded):
    overlay = Overlay(style=style, gamma=gamma, threshold=threshold)
    size = np.abs(MASK).astype(np.float64)
    size = np.where(size < np.float32(threshold), 0, size) ** gamma * (size >= np.float32(threshold))
    wanted = blend(IMAGE, (np.sign(MASK) * size).astype(np.float32), None, style, 0.8 * faded)
    got = lay(IMAGE, MASK, None, overlay, faded)
    assert np.abs(got.astype(int) - wanted).max() <= 2
    assert np.array_equal(got[size == 0], IMAGE[size == 0]) or style == "heat"


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_the_outline_is_the_ring_around_what_is_marked(threshold):
    overlay = Overlay(threshold=threshold, outline=True)
    marked = (np.abs(MASK) >= (threshold or OUTLINED)).astype(np.uint8)
    ring = cv2.dilate(marked, np.ones((3, 3), np.uint8)) - marked
    without = lay(IMAGE, MASK, None, replace(overlay, outline=False))
    got = lay(IMAGE, MASK, None, overlay)
    assert ring.any() and (got[ring == 1] == OUTLINE).all()
    assert np.array_equal(got[ring == 0], without[ring == 0])
    assert np.array_equal(lay(IMAGE, MASK, None, overlay, 0.0), lay(IMAGE, MASK * 0, None, overlay, 0.0))


def test_the_ground_is_the_picture_brighter_or_none():
    rect = Rect(8, 4, 32, 40)
    for brightness in (0.25, 1.0, 4.0):
        ground = np.rint(255 * (IMAGE / 255) ** (1 / brightness))
        got = lay(IMAGE, None, rect, Overlay(brightness=brightness))
        assert np.abs(got - ground).max() <= 1
    for name, level in (("black", 0), ("grey", GREY)):
        got = lay(IMAGE, MASK, rect, Overlay(ground=name))
        outside = np.ones(IMAGE.shape[:2], dtype=bool)
        outside[4:44, 8:40] = False
        assert (got[outside] == level).all() and (got[~outside] != level).any()
    assert np.array_equal(lay(IMAGE, MASK, rect, Overlay(shown=False, ground="black")), IMAGE)
    assert np.array_equal(lay(IMAGE, MASK, rect), blend(IMAGE, MASK, rect))  # the authors', unchanged


@pytest.mark.parametrize("weighed", [((1.0, 1.0), (1.0, 1.0)), ((0.1, 1.0), (1.0, 0.5))])
def test_two_masks_are_laid_as_one_is(weighed):
    """Three colours by the shares of the two: in float64, a pixel at a time."""
    overlay = Overlay(gamma=0.7, threshold=0.1, opacity=0.6)
    colours, rects = (
        ((255, 150, 50), (120, 120, 255), (255, 255, 255)),
        (Rect(0, 0, 64, 48), Rect(8, 4, 32, 40)),
    )
    masks = np.abs(MASK), np.abs(MASK[:40, :32])
    got = lay_both(IMAGE, masks, rects, colours, overlay, weighed)
    grey = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY) // 2
    for y, x in [(0, 0), (5, 10), (20, 20), (43, 39), (44, 40), (47, 63)]:
        sizes = []
        for mask, rect, (faded, gain) in zip(masks, rects, weighed, strict=True):
            inside = 0 <= y - rect.y < rect.height and 0 <= x - rect.x < rect.width
            value = min(float(mask[y - rect.y, x - rect.x]) * gain, 1.0) if inside else 0.0
            sizes.append((value**0.7 if value >= 0.1 else 0.0) * faded**2)
        both, most = min(sizes), max(sizes)
        shares = np.array([sizes[0] - both, sizes[1] - both, both]) / max(most, 1e-9)
        paint = (shares[:, None] * np.array(colours)).sum(0)
        wanted = grey[y, x] + (paint - grey[y, x]) * np.sqrt(most) * 0.6 * (most > 0)
        assert np.abs(got[y, x] - wanted).max() <= 1
    hidden = lay_both(IMAGE, masks, rects, colours, replace(overlay, shown=False), weighed)
    assert np.array_equal(hidden, IMAGE)
    for ground, level in (("black", 0), ("grey", GREY)):
        alone = lay_both(IMAGE, masks, rects, colours, replace(overlay, ground=ground, opacity=0), weighed)
        assert (alone == level).all()
    outlined = lay_both(IMAGE, masks, rects, colours, replace(overlay, outline=True))
    assert (outlined == OUTLINE).all(2).any() and not (got == OUTLINE).all(2).any()


def test_a_colour_bar_has_the_colours_of_the_picture():
    for overlay in (PAPER, Overlay(style="heat", gamma=0.5), Overlay(threshold=0.5)):
        grey = np.full((1, 101, 3), GREY, np.uint8)
        values = np.linspace(0, 1, 101, dtype=np.float32)[None]
        assert np.array_equal(ramp(overlay, 101, 1), lay(grey, values, None, overlay))
    assert not np.array_equal(ramp(PAPER, 9, 2, signed=True)[0, 0], ramp(PAPER, 9, 2, signed=True)[0, -1])


@pytest.mark.parametrize("name", list(DIALS))
def test_numbers_out_of_range_are_refused_in_a_sentence(name):
    for value in (DIALS[name].low, DIALS[name].high):
        replace(Overlay(), **{name: value}).check()
    for value in (DIALS[name].low - 1, DIALS[name].high * 2, float("nan")):
        with pytest.raises(VbpError, match=f"{name} of .* cannot be; it is"):
            replace(Overlay(), **{name: value}).check()
    with pytest.raises(VbpError, match="no ground 'sea'"):
        Overlay(ground="sea").check()


# Over time.


def looked(steps: list[tuple[int, float]], pictures=None, **kwargs) -> tuple[Smoother, list[np.ndarray]]:
    """A smoother that saw frames (index, seconds), and their masks."""
    smoother, masks = Smoother(), []
    for k, (index, seconds) in enumerate(steps):
        masks.append(RNG.random((6, 8), dtype=np.float32))
        picture = pictures[k] if pictures else IMAGE
        smoother.add(index, int(seconds * 1e9), picture, masks[-1], **kwargs)
    return smoother, masks


@given(number=st.integers(1, 25), seen=st.integers(1, 30))
def test_smoothing_is_the_mean_of_the_last_masks(number, seen):
    smoother, masks = looked([(k, k / 20) for k in range(seen)])
    got, count = smoother.mask(Overlay(smooth=number))
    assert count == min(number, seen)
    assert np.abs(got - np.mean(masks[-count:], axis=0, dtype=np.float64)).max() < 1e-6
    assert smoothed_words(count) == (f"smoothed over {count} frames" if count > 1 else "")


def test_a_fixed_scale_smooths_what_the_masks_were_before_they_were_scaled():
    smoother, masks = Smoother(), []
    for k, strength in enumerate((2.0, 3.0, 2.5)):
        masks.append(RNG.random((6, 8), dtype=np.float32))
        smoother.add(k, k, IMAGE, masks[-1], strength)
    raw = [m * 10.0**s for m, s in zip(masks, (2.0, 3.0, 2.5), strict=True)]
    got, _ = smoother.mask(Overlay(smooth=3, fixed=True))
    assert np.abs(got - np.mean(raw, axis=0) / 10**2.5).max() < 1e-5


@pytest.mark.parametrize(
    ("after", "count"),
    [
        ((3, 0.15), 4),
        ((4, 0.2), 4),  # a frame was left out by a slow machine
        ((13, 0.65), 1),  # a jump ahead
        ((1, 0.05), 1),  # and back
        ((3, 9.0), 1),  # a hole in time
    ],
)
def test_smoothing_never_mixes_frames_across_a_jump_or_a_hole(after, count):
    smoother, masks = looked([(0, 0.0), (1, 0.05), (2, 0.1), after])
    got, found = smoother.mask(Overlay(smooth=5))
    assert found == count and (count > 1 or np.array_equal(got, masks[-1]))


def test_smoothing_never_mixes_scenes_gaps_or_networks():
    dark, bright = np.zeros_like(IMAGE), np.full_like(IMAGE, 200)
    smoother, _ = looked([(0, 0.0), (1, 0.05), (2, 0.1)], [bright, bright, dark])
    assert smoother.mask(Overlay(smooth=5))[1] == 1
    smoother, _ = looked([(0, 0.0), (1, 0.05)])
    smoother.add(2, int(1e8), IMAGE, None)
    assert smoother.mask(Overlay(smooth=5)) == (None, 0)
    smoother, masks = looked([(0, 0.0), (1, 0.05)], of="one network")
    smoother.add(2, int(1e8), IMAGE, masks[0], of="another")
    assert smoother.mask(Overlay(smooth=5))[1] == 1


@pytest.mark.parametrize(
    "behind",
    [
        *(
            (235, 235, 230),
            (225, 180, 60),
            (95, 95, 98),
            (30, 30, 32),
        ),  # white and yellow lines, asphalt, shade
        *((190, 205, 225), (90, 110, 60), (255, 0, 0)),  # sky, grass, the mask's red
        *((240, 90, 30), (175, 48, 49)),  # red half over a yellow line and over asphalt
    ],
)
def test_the_outline_is_of_no_colour_that_a_road_or_the_mask_has(behind: tuple[int, int, int]) -> None:
    pair = np.array([[OUTLINE, behind]], dtype=np.float32) / 255
    a, b = cv2.cvtColor(pair, cv2.COLOR_RGB2LAB)[0]
    assert np.linalg.norm(a - b) > 45  # a difference of 2.3 is seen (Mahy et al. 1994)
