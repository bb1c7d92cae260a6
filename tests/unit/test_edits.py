"""Edits against naive computations; what lies outside of a region stays; as JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.edits import Adjust, Box, Edits, Erase, Pixels, Stroke, apply
from vbp.edits.apply import AROUND, SIDE, Applier
from vbp.edits.baseline import baseline
from vbp.edits.edit import ADJUSTMENTS, FILLS
from vbp.edits.follow import Follower
from vbp.edits.regions import bitmap, moved, pixels_of, strongest
from vbp.errors import VbpError

H, W = 40, 56


def picture(seed: int = 0, height: int = H, width: int = W) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def erased(region, fill: str, outside: bool = False, image: np.ndarray | None = None) -> np.ndarray:
    return apply(Edits((Erase(region, fill, outside),)), picture() if image is None else image)


def naive_stroke(points, radius: float, height: int, width: int) -> np.ndarray:
    found = np.zeros((height, width), dtype=bool)
    for y in range(height):
        for x in range(width):
            at = complex(x + 0.5, y + 0.5)
            for a, b in zip(points, points[1:] or points, strict=False):
                a, b = complex(*a), complex(*b)
                t = ((at - a) * (b - a).conjugate()).real / abs(b - a) ** 2 if a != b else 0.0
                if abs(at - (a + min(max(t, 0.0), 1.0) * (b - a))) <= radius:
                    found[y, x] = True
    return found


numbers = st.floats(-1e6, 1e6, allow_nan=False).map(float)
regions = st.one_of(
    st.builds(
        Stroke, st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4).map(tuple), st.floats(0, 4096)
    ),
    st.builds(Box, numbers, numbers, st.floats(0, 1e6), st.floats(0, 1e6)),
    st.builds(
        Pixels,
        st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99), st.integers(1, 99)), max_size=5).map(
            tuple
        ),
    ),
)
erasures = st.builds(Erase, regions, st.sampled_from(list(FILLS)), st.booleans())
adjustments = st.sampled_from(list(ADJUSTMENTS)).flatmap(
    lambda kind: st.builds(
        Adjust, st.just(kind), st.floats(*ADJUSTMENTS[kind][:2]), st.integers(0, 2**32 - 1)
    )
)
edit_lists = st.lists(st.one_of(erasures, adjustments), max_size=5).map(tuple)
near = st.floats(-20, 70)
near_regions = st.one_of(
    st.builds(Stroke, st.lists(st.tuples(near, near), min_size=1, max_size=3).map(tuple), st.floats(0.5, 12)),
    st.builds(Box, near, near, st.floats(0, 40), st.floats(0, 40)),
)


@settings(max_examples=25, deadline=None)
@given(st.builds(Edits, edit_lists, st.booleans()))
def test_they_come_back_from_their_json(edits: Edits) -> None:
    assert Edits.from_text(edits.to_text()) == edits
    assert Edits.from_text(edits.to_text()).to_text() == edits.to_text()


@settings(max_examples=40, deadline=None)
@given(near_regions, st.sampled_from(list(FILLS)), st.booleans())
def test_outside_of_its_region_not_a_pixel_changes(region, fill: str, outside: bool) -> None:
    image = picture()
    kept = image.copy()
    found = erased(region, fill, outside, image)
    marked = bitmap(region, H, W) != outside
    assert (found[~marked] == image[~marked]).all()
    assert (image == kept).all() and found.dtype == np.uint8 and found.shape == image.shape
    assert (erased(region, fill, outside, image) == found).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(near, near), min_size=1, max_size=3), st.floats(0.5, 9))
def test_a_stroke_is_what_lies_near_its_line(points, radius: float) -> None:
    found = bitmap(Stroke(tuple(points), radius), 20, 26)
    assert (found != naive_stroke(points, radius, 20, 26)).sum() <= 1  # where rounding decides


def test_a_long_stroke_is_the_same_whole_and_as_it_grows() -> None:
    points = [tuple(p) for p in np.random.default_rng(2).uniform(0, 26, (30, 2)).tolist()]
    for count in (1, 8, 9, 10, 16, 17, 18, 30):
        wanted = naive_stroke(points[:count], 1.3, 20, 26)
        assert (bitmap(Stroke(tuple(points[:count]), 1.3), 20, 26) == wanted).all(), count


def test_a_box_is_the_pixels_whose_middle_it_has() -> None:
    box = Box(3.4, 5.6, 4.2, 3.0)
    wanted = [[3.4 <= x + 0.5 < 7.6 and 5.6 <= y + 0.5 < 8.6 for x in range(W)] for y in range(H)]
    assert (bitmap(box, H, W) == np.array(wanted)).all()
    assert (bitmap(pixels_of(bitmap(box, H, W)), H, W) == np.array(wanted)).all()


def test_the_fills_are_what_they_are_said_to_be() -> None:
    image, box = picture(), Box(20, 12, 9, 7)
    marked = bitmap(box, H, W)
    ring = np.zeros((H, W), dtype=bool)
    for y in range(H):
        for x in range(W):
            ring[y, x] = (
                not marked[y, x] and 20 - AROUND <= x < 29 + AROUND and 12 - AROUND <= y < 19 + AROUND
            )
    assert (erased(box, "mean")[marked] == np.rint(image[ring].mean(0))).all()
    blurred = image.astype(float)
    for _ in range(3):
        far = np.pad(blurred, ((SIDE // 2,) * 2, (SIDE // 2,) * 2, (0, 0)), "reflect")
        blurred = np.lib.stride_tricks.sliding_window_view(far, (SIDE, SIDE), (0, 1)).mean((-2, -1))
    assert np.abs(erased(box, "blur")[marked] - blurred[marked]).max() <= 2  # each time it is rounded
    flat = np.full((H, W, 3), 90, dtype=np.uint8)
    flat[marked] = 255
    painted = erased(box, "inpaint", image=flat)
    assert np.abs(painted[marked].astype(int) - 90).max() <= 2  # OpenCV's rounding
    flat[marked] = 0  # what lay there before does not show through
    assert (erased(box, "inpaint", image=flat) == painted).all()
    assert (erased(Box(0, 0, W, H), "inpaint") == np.rint(image.mean((0, 1)))).all()


def test_only_what_is_outside_is_erased() -> None:
    box = Box(20, 12, 9, 7)
    found, marked = erased(box, "mean", outside=True), bitmap(box, H, W)
    assert (found[marked] == picture()[marked]).all() and len(np.unique(found[~marked], axis=0)) == 1


def test_the_picture_wide_ones_are_what_they_are_said_to_be() -> None:
    image = picture()
    wide = image.astype(float)

    def made(kind: str, value: float, seed: int = 0) -> np.ndarray:
        return apply(Edits((Adjust(kind, value, seed),)), image)

    assert (made("brightness", 30) == np.clip(wide + 30, 0, 255)).all()
    assert (made("brightness", -300 + 45) == 0).all()
    assert (made("contrast", 0.5) == np.rint((wide - 128) * 0.5 + 128)).all()
    assert (made("shift", 7)[:, 7:] == image[:, :-7]).all()
    assert (made("shift", 7)[:, :7] == image[:, :1]).all()
    assert (made("shift", -7)[:, :-7] == image[:, 7:]).all()
    assert (made("roll", 180) == image[::-1, ::-1]).mean() > 0.99
    square = np.zeros((41, 41, 3), dtype=np.uint8)
    square[20, 35] = 255  # at the right; counter-clockwise it goes up
    assert np.argwhere(apply(Edits((Adjust("roll", 90),)), square)[:, :, 0] == 255).tolist() == [[5, 20]]
    noisy = made("noise", 9, 4).astype(float) - wide
    middle = (image > 50) & (image < 200)
    assert abs(noisy[middle].std() - 9) < 0.6 and abs(noisy[middle].mean()) < 0.6
    assert (made("noise", 9, 4) == made("noise", 9, 4)).all() and (
        made("noise", 9, 4) != made("noise", 9, 5)
    ).any()
    assert np.abs(made("blur", 2) - cv2.GaussianBlur(wide, (0, 0), 2)).max() < 2
    for kind, (_, _, neutral) in ADJUSTMENTS.items():
        assert (made(kind, neutral) == image).all(), kind


def test_they_are_made_in_their_order() -> None:
    box, shift = Erase(Box(20, 12, 9, 7), "mean"), Adjust("shift", 5)
    first, second = apply(Edits((box, shift)), picture()), apply(Edits((shift, box)), picture())
    assert (first == apply(Edits((shift,)), apply(Edits((box,)), picture()))).all()
    assert (first != second).any()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{" * 5000,
        '{"edits": {}}',
        '{"edits": [3]}',
        '{"follow": 1}',
        '{"other": 1}',
        '{"edits": [{"erase": "circle"}]}',
        '{"edits": [{"erase": ["box"]}]}',
        '{"edits": [{"erase": "stroke", "points": [], "radius": 3}]}',
        '{"edits": [{"erase": "stroke", "points": [[1]], "radius": 3}]}',
        '{"edits": [{"erase": "stroke", "points": [[1, NaN]], "radius": 3}]}',
        '{"edits": [{"erase": "stroke", "points": [[1, 2]], "radius": -3}]}',
        '{"edits": [{"erase": "stroke", "points": 7, "radius": 3}]}',
        '{"edits": [{"erase": "box", "x": 1, "y": 1e99, "width": 3, "height": 3}]}',
        '{"edits": [{"erase": "box", "x": 1, "y": true, "width": 3, "height": 3}]}',
        '{"edits": [{"erase": "box", "x": 1, "y": 1, "width": 3, "height": 3, "fill": "red"}]}',
        '{"edits": [{"erase": "box", "x": 1, "y": 1, "width": 3, "height": 3, "more": 1}]}',
        '{"edits": [{"erase": "pixels", "runs": [[1, 2, 0]]}]}',
        '{"edits": [{"adjust": "hue", "value": 1}]}',
        '{"edits": [{"adjust": "brightness", "value": 999}]}',
        '{"edits": [{"adjust": "noise", "value": 9, "seed": -1}]}',
        '{"edits": [{"adjust": "noise", "value": 9, "seed": 0.5}]}',
    ],
)
def test_what_is_no_list_of_edits_is_refused(text: str) -> None:
    with pytest.raises(VbpError, match="the edits are not understood"):
        Edits.from_text(text)


def test_the_strongest_of_a_mask_is_its_share_of_the_crop() -> None:
    mask = np.random.default_rng(1).random((10, 20)).astype(np.float32)
    marked = bitmap(strongest(-mask, 8, 4, 40, 30, 0.1), H, W)
    laid = cv2.resize(mask, (40, 30), interpolation=cv2.INTER_LINEAR)
    assert marked.sum() == 120 and not marked[:4].any() and not marked[:, :8].any()
    assert laid[marked[4:34, 8:48]].min() >= laid[~marked[4:34, 8:48]].max()
    with pytest.raises(VbpError, match="the mask is empty"):
        strongest(np.zeros((10, 20), dtype=np.float32), 8, 4, 40, 30, 0.1)


def test_words_say_what_was_done() -> None:
    box = Erase(Box(1, 2, 3, 4))
    assert Edits().words == "" and not Edits()
    assert Edits((box,)).words == "edited: 1 place erased"
    two = Edits((box, box, Adjust("roll", -3.0)), follow=True)
    assert two.words == "edited: 2 places erased, roll -3, following the picture"
    assert Edits((replace(box, outside=True),)).words == "edited: all erased but a part"
    assert json.loads(two.to_text())["follow"] is True


def test_the_baseline_is_of_the_same_shape_at_other_places_of_the_crop() -> None:
    image = np.full((H, W, 3), 100, dtype=np.uint8)
    image[20:24, 30:34] = 200  # the one thing there is
    edits = Edits((Adjust("brightness", 5.0), Erase(Box(29, 19, 6, 6), "mean")))
    seen: list[np.ndarray] = []

    def respond(picture: np.ndarray) -> float:
        seen.append(picture)
        return float((picture > 150).sum())

    found = baseline(edits, image, (4, 10, 48, 28), respond)
    assert found.change == -48 and len(found.changes) == 20
    assert found.smaller == int((np.abs(found.changes) < 48).sum()) and found.share >= 0.95
    assert found.words == f"larger than {found.smaller} of 20 random places of the same shape"
    assert (baseline(edits, image, (4, 10, 48, 28), respond).changes == found.changes).all()
    noise = picture(3)
    seen.clear()
    baseline(Edits((Erase(Box(29, 19, 6, 6), "mean"),)), noise, (4, 10, 48, 28), respond)
    for one in seen[2:]:
        changed = (one != noise).any(2)
        y, x = np.nonzero(changed)
        assert changed.sum() >= 30 and y.max() - y.min() < 6 and x.max() - x.min() < 6
        assert y.min() >= 10 and x.min() >= 4 and y.max() < 38 and x.max() < 52
    with pytest.raises(VbpError, match="nothing that the network sees is erased"):
        baseline(Edits((Erase(Box(0, 0, 4, 4)),)), image, (4, 10, 48, 28), respond)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.builds(Edits, st.lists(st.one_of(erasures, adjustments), max_size=3).map(tuple)), max_size=6),
    st.lists(st.integers(0, 1), min_size=6, max_size=6),
)
def test_edits_made_one_after_the_other_are_those_made_at_once(steps, of) -> None:
    """What is kept of the picture before is of no other picture, and of no other edits."""
    pictures, made = [picture(0), picture(1)], Applier()
    for edits, k in zip(steps, of, strict=False):
        for grown in (edits, replace(edits, items=(*edits.items, Erase(Box(3, 4, 9, 9), "mean")))):
            assert np.array_equal(made(grown, pictures[k]), apply(grown, pictures[k]))
    assert np.array_equal(pictures[0], picture(0)) and np.array_equal(pictures[1], picture(1))


def test_what_follows_goes_along_with_the_picture() -> None:
    ground = cv2.GaussianBlur(picture(5, 200, 320), (0, 0), 4)
    ground = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)
    frames = [np.ascontiguousarray(ground[20 : 20 + 120, 3 * k : 3 * k + 160]) for k in range(6)]
    box, stroke = Erase(Box(80, 40, 30, 20)), Erase(Stroke(((70.0, 90.0), (90.0, 90.0)), 8.0))
    edits, follower = Edits((box, stroke), follow=True), Follower()
    for k, frame in enumerate(frames):
        lying = follower.follow(edits, k, frame)
        assert lying.items[0].region.x == pytest.approx(80 - 3 * k, abs=1.5)
        assert lying.items[1].region.points[0] == pytest.approx((70 - 3 * k, 90), abs=1.5)
    assert follower.follow(edits, 5, frames[5]) == lying  # the same frame again
    assert follower.follow(edits, 50, frames[0]) == lying  # not one that follows: it stays
    new = replace(edits, items=(*edits.items, Erase(Box(1, 1, 5, 5))))
    assert follower.follow(new, 50, frames[0]).items == (*lying.items, new.items[2])
    assert follower.follow(replace(edits, follow=False), 51, frames[1]).items == edits.items
    assert moved(Pixels(((1, 2, 3),)), 0.6, -1.2) == Pixels(((0, 3, 3),))
