"""Two networks on the same frames: how their masks differ, their errors with intervals, and where they differ."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faultmaker import Faulty, angles_of, follower, road, write
from vbp.comparing.errors import change_words, errors_of, level_of
from vbp.comparing.masks import masks_differ
from vbp.comparing.moments import KINDS, moments
from vbp.comparing.pair import Compared, PairTable, Side, compare_frames
from vbp.drives import open_drive
from vbp.engine import Engine
from vbp.errors import VbpError
from vbp.models.network import Network
from vbp.overlay import Rect
from vbp.results import MapRequest, NetworkResult

STEP = 50_000_000
TURN = np.degrees(1.0)


def result(mask: np.ndarray, crop: Rect) -> NetworkResult:
    request = MapRequest()
    values = np.asarray(mask, dtype=np.float32)
    return NetworkResult("n", 0.0, crop, np.zeros((1, 1), np.uint8), {request: values}, {request: 0.0})


def naive(mask: np.ndarray, crop: Rect, width: int, height: int, fine: int = 4) -> np.ndarray:
    """The mask's sum in each cell, pixel by pixel in a picture `fine` times as large, in which every edge is a whole pixel."""
    canvas = np.zeros((height * fine, width * fine))
    for y in range(crop.height * fine):
        for x in range(crop.width * fine):
            value = mask.astype(float)[
                y * mask.shape[0] // (crop.height * fine), x * mask.shape[1] // (crop.width * fine)
            ]
            canvas[crop.y * fine + y, crop.x * fine + x] = value * mask.size / (crop.height * crop.width)
    side = max(width, height) * fine // 64
    cells = np.zeros((math.ceil(height * fine / side), math.ceil(width * fine / side)))
    for y in range(height * fine):
        for x in range(width * fine):
            cells[y // side, x // side] += canvas[y, x]
    return cells


def test_how_masks_differ_is_what_counting_pixels_gives() -> None:
    """Networks that see other parts of the picture, at other sizes: a cell is two pixels, a mask's number 1.5, 2 or 3."""
    rng = np.random.default_rng(1)
    a = rng.random((8, 32)).astype(np.float32), Rect(5, 3, 96, 24)
    b = (rng.random((16, 24)) ** 4).astype(np.float32), Rect(0, 7, 36, 32)
    cells = [naive(mask, crop, 128, 40) for mask, crop in (a, b)]
    expected = sum(abs(p - q) for p, q in zip(*(c.ravel() / c.sum() for c in cells))) / 2
    assert masks_differ(result(*a), result(*b), 128, 40) == pytest.approx(expected, abs=1e-12)
    assert 0.3 < expected < 0.99


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
@settings(max_examples=30)
def test_masks_that_are_the_same_differ_by_nothing_and_none_by_more_than_all(seed: int, times: float) -> None:
    rng = np.random.default_rng(seed)
    crop, width, height = Rect(3, 5, 40, 30), 61, 47
    one, other = (result(rng.random(rng.integers(1, 50, 2)) ** 8, crop) for _ in range(2))
    assert masks_differ(one, one, width, height) == 0
    forth = masks_differ(one, other, width, height)
    assert 0 <= forth <= 1 and masks_differ(other, one, width, height) == forth
    stronger = result(other.map() * np.float32(times), crop)
    assert masks_differ(one, stronger, width, height) == pytest.approx(forth, abs=1e-5)


def test_masks_that_are_empty_apart_or_not_known() -> None:
    full, empty = np.ones((4, 4)), np.zeros((4, 4))
    left, right = Rect(0, 0, 32, 64), Rect(32, 0, 32, 64)
    assert masks_differ(result(full, left), result(full, right), 64, 64) == 1
    assert masks_differ(result(empty, left), result(empty, right), 64, 64) == 0
    assert masks_differ(result(empty, left), result(full, left), 64, 64) == 1
    unknown = replace(result(full, left), strengths={MapRequest(): math.nan})
    assert math.isnan(masks_differ(unknown, result(full, left), 64, 64))
    assert math.isnan(masks_differ(replace(unknown, maps={}), result(full, left), 64, 64))


def compared(
    driven: np.ndarray, a: np.ndarray, b: np.ndarray, masks: np.ndarray | None = None, **known: object
) -> Compared:
    count = len(driven)
    none = np.full(count, -1)
    sides = [
        Side(n, np.asarray(v, float), np.zeros(count), np.ones(count), none) for n, v in (("A", a), ("B", b))
    ]
    times = np.arange(count) * STEP
    unknown = np.full(count, np.nan)
    masks = np.zeros(count) if masks is None else masks
    seen = Compared(
        *sides, np.arange(count), times, np.asarray(driven, float), unknown, masks, none, False, {}
    )
    return replace(seen, **known)


def test_errors_are_what_their_formulas_say() -> None:
    rng = np.random.default_rng(0)
    driven, a, b = rng.normal(0, 5, (3, 2000))
    driven[100:120], a[300] = np.nan, np.nan
    errors = errors_of(compared(driven, a, b))
    squares, sizes, n = [0.0, 0.0], [0.0, 0.0], 0
    for k in range(2000):
        if driven[k] == driven[k] and a[k] == a[k]:
            n += 1
            for i, p in enumerate((a[k], b[k])):
                squares[i] += (driven[k] - p) ** 2
                sizes[i] += abs(driven[k] - p)
    assert errors.frames == n == 1979 and errors.blocks == 20 and errors.block_s == 5.0
    rmse, mean = errors.measures["rmse"], errors.measures["mean"]
    assert errors.main is rmse
    assert [rmse.a.value, rmse.b.value] == pytest.approx([math.sqrt(s / n) for s in squares])
    assert [mean.a.value, mean.b.value] == pytest.approx([s / n for s in sizes])
    assert rmse.change.value == rmse.b.value - rmse.a.value == rmse.worse_by
    for one in (rmse, mean):
        for estimate in (one.a, one.b, one.change):
            assert estimate.low < estimate.value < estimate.high


def test_the_interval_is_what_drawing_blocks_one_by_one_gives() -> None:
    """And wider than if the frames were independent of each other; in pairs, what is hard for both does not blur it."""
    rng = np.random.default_rng(3)
    hard = np.repeat(rng.normal(0, 4, 40), 100)  # what both get wrong, for 5 s each
    a, b = (-hard + rng.normal(0, 0.2, 4000) for _ in range(2))
    found = errors_of(compared(np.zeros(4000), a, b)).measures["mean"]
    parts = np.abs(a).reshape(40, 100).mean(1)
    drawn = [parts[rng.integers(0, 40, 40)].mean() for _ in range(4000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert [found.a.low, found.a.high] == pytest.approx([low, high], rel=0.1)
    alone = 2 * 1.96 * np.abs(a).std() / math.sqrt(4000)
    assert found.a.high - found.a.low > 5 * alone
    assert found.change.high - found.change.low < 0.1 * (found.a.high - found.a.low)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 40 s of errors that stay alike for half a second: two networks of which neither is better."""
    rng = np.random.default_rng(0)
    smooth = np.exp(-np.arange(60) / 10)

    def errors() -> np.ndarray:
        return np.convolve(rng.normal(0, 1, 859), smooth, "valid")

    held = 0
    for _ in range(200):
        both = 3 * errors()
        one = errors_of(compared(np.zeros(800), both + errors(), both + errors())).measures["rmse"]
        held += one.change.low <= 0 <= one.change.high
    assert 0.90 <= held / 200 <= 0.99


@pytest.mark.parametrize(("number", "t"), [(8, 2.3646), (13, 2.1788), (40, 2.0227)])
def test_few_blocks_have_wider_intervals(number: int, t: float) -> None:
    """Student's t, out of a table, and the variance's n / (n - 1), as part of a normal curve."""
    z = t * math.sqrt(number / (number - 1))
    assert level_of(number) == pytest.approx(math.erf(z / math.sqrt(2)), abs=5e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.floats(-5, 5), st.floats(0.1, 10))
@settings(max_examples=40)
def test_intervals_hold_what_they_have_to(seed: int, count: int, more: float, times: float) -> None:
    rng = np.random.default_rng(seed)
    driven, a = rng.normal(0, 3, (2, count))
    b = a + rng.normal(more, 1, count)
    seen = compared(driven, a, b)
    errors = errors_of(seen)
    swapped = errors_of(replace(seen, a=seen.b, b=seen.a))
    larger = errors_of(compared(times * driven, times * a, times * b))
    assert errors_of(seen).measures == errors.measures or not errors.blocks  # NaN is not itself
    for name, one in errors.measures.items():
        back, scaled = swapped.measures[name].change, larger.measures[name].change
        assert back.value == -one.change.value and scaled.value == pytest.approx(times * one.change.value)
        if not errors.blocks:
            assert math.isnan(one.change.low) and not one.change.shows_a_difference
            continue
        assert one.a.low <= one.a.high and one.change.low <= one.change.high and one.a.low >= 0
        assert (back.low, back.high) == pytest.approx((-one.change.high, -one.change.low))
        assert (scaled.low, scaled.high) == pytest.approx(
            (times * one.change.low, times * one.change.high), abs=1e-9
        )


def test_what_can_be_said_of_a_difference() -> None:
    rng = np.random.default_rng(5)
    driven, a = rng.normal(0, 3, (2, 2000))
    chance, sure = a + rng.normal(0, 0.1, 2000), a + np.sign(a - driven)
    words = {
        name: change_words(errors.measures["mean"], errors)
        for name, errors in {
            "same": errors_of(compared(driven, a, a)),
            "sure": errors_of(compared(driven, a, sure)),
            "better": errors_of(compared(driven, sure, a)),
            "one": errors_of(compared(driven[:1], a[:1], sure[:1])),
        }.items()
    }
    assert words["same"] == "mean |error|: no difference on 2000 frames"
    assert words["sure"] == "mean |error|: B is worse by 1°"
    assert words["better"] == "mean |error|: B is better by 1°"
    assert words["one"].endswith("by 1° on 1 frame, too little to say how sure that is")
    hidden = errors_of(compared(driven, a, chance))
    assert "no difference that these 2000 frames can show" in change_words(hidden.measures["mean"], hidden)
    none = errors_of(compared(np.full(9, np.nan), a[:9], a[:9]))
    assert none.frames == 0 and none.measures == {} and none.main is None


def test_a_classifiers_accuracy() -> None:
    labels = np.tile([0, 1, 2, -1], 100)
    right, wrong = labels.copy(), np.where(np.arange(400) < 40, 0, labels)
    seen = compared(np.full(400, 100.0), np.full(400, 90.0), np.full(400, 80.0))
    seen = replace(
        seen,
        of_classes=True,
        labels=labels,
        a=replace(seen.a, classes=right),
        b=replace(seen.b, classes=wrong),
    )
    errors = errors_of(seen)
    (accuracy,) = errors.measures.values()
    lost = sum(labels[k] > 0 for k in range(40))
    assert errors.frames == 300 and accuracy.a.value == 100
    assert accuracy.b.value == pytest.approx(100 * (300 - lost) / 300)
    assert accuracy.worse_by == pytest.approx(100 * lost / 300) and accuracy.change.low < 0
    assert "accuracy: B is worse by" in change_words(accuracy, errors) or "can show" in change_words(
        accuracy, errors
    )


def test_where_two_networks_differ() -> None:
    count = 800
    driven = angles_of(count) * TURN
    a, b, masks = driven + 0.3, driven + 0.2, np.full(count, 0.1)
    b[100:120] += 6  # worse, which is not told a second time as a difference
    a[200:210] -= 3.5  # as wrong to the other side
    b[200:210] += 3
    a[300:310] -= 8  # better
    masks[500:520] = 0.9  # another reason, the same angle
    masks[100:120] = 0.9  # the angles differ, so that this is no other reason
    b[700:703] = np.nan
    seen = compared(driven, a, b, masks)
    found = moments(seen)
    places = {(f.kind, f.start, f.end) for f in found.found}
    assert places == {
        ("worse", 100, 119), ("apart", 200, 209), ("better", 300, 309), ("reason", 500, 519),
    }  # fmt: skip
    assert [f.weight for f in found.found] == sorted((f.weight for f in found.found), reverse=True)
    assert found.thresholds["worse"] == found.thresholds["better"] == 1.0 and found.left_out == {}
    (worse,) = found.of("worse")
    assert worse.value == pytest.approx(5.9, abs=0.1) and worse.seconds == pytest.approx(1.0)
    assert worse.predicted_deg == b[worse.peak] and found.of("reason")[0].value == pytest.approx(90)
    assert seen.largest() in range(300, 310)
    assert {f.kind for f in moments(seen, {"reason": 95.0}).found} == {"worse", "better", "apart"}
    for wrong in ({"worst": 1.0}, {"worse": 0.0}, {"worse": math.nan}):
        with pytest.raises(VbpError):
            moments(seen, wrong)


def test_two_networks_that_always_differ_alike() -> None:
    driven = np.zeros(400)
    seen = compared(driven, driven, driven + 5.0)
    (worse,) = moments(seen).of("worse")
    assert (worse.start, worse.end, worse.value) == (0, 399, 5.0)
    assert not moments(seen).of("better") and not seen.is_same


def test_what_is_not_known_is_not_looked_for() -> None:
    nothing = np.full(50, np.nan)
    assert set(moments(compared(nothing, np.zeros(50), np.ones(50))).left_out) == {"worse", "better"}
    gaps = compared(np.zeros(50), nothing, nothing, nothing)
    assert set(moments(gaps).left_out) == set(KINDS) and gaps.largest() is None and not gaps.is_same
    assert moments(compared(np.zeros(1), np.zeros(1), np.full(1, 9.0))).of("worse")[0].seconds == 0
    assert moments(compared(np.zeros(0), np.zeros(0), np.zeros(0))).found == []


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    angles = angles_of(100)
    pictures = [road(angles[k], k) for k in range(100)]
    labels = angles.copy()
    labels[90:] = np.nan
    folder = write(tmp_path_factory.mktemp("two") / "drive", pictures, labels)
    pictures = sorted((folder / "center").iterdir())
    pictures[20].write_bytes(b"no picture")
    return folder


def faulty_successor() -> Network:
    """The follower with 10 degrees added to its last layer's bias."""
    network = follower()
    linear = network.module[3]
    with torch.no_grad():
        linear.bias.add_(math.radians(10))
    return network


def test_a_pass_over_a_drive(drive: Path) -> None:
    planted = type("Planted", (Faulty,), {"planted": {50: 1.0, 51: math.nan}})
    with open_drive(drive) as opened:
        a = Engine(follower(), "cpu")
        rows = np.arange(10, 100)
        engines = [a, planted(follower(), "cpu"), a, Engine(faulty_successor(), "cpu")]
        seen, same, moved = compare_frames(opened, engines, rows)
        assert len(seen) == 90 and seen.indices.tolist() == rows.tolist() and list(seen.gaps) == [20]
        assert np.isnan(seen.difference_deg).nonzero()[0].tolist() == [10, 41]  # the gap, and no number
        assert seen.largest() == 50 and seen.difference_deg[40] == pytest.approx(
            TURN - seen.a.predicted_deg[40]
        )
        assert np.isnan(seen.error_a).sum() == 11 and errors_of(seen).frames == 78
        assert same.is_same and not np.nan_to_num(same.difference_deg).any() and not moments(same).found
        assert not seen.is_same and not moved.is_same
        assert np.nanmean(moved.worse_deg) > 5 and np.nanmax(moved.masks_differ) == 0
        assert min(f.start for f in moments(moved).of("worse")) == 10


def test_frames_that_come_one_by_one_and_networks_that_cannot_be_compared(drive: Path) -> None:
    spec = follower().spec
    classes = replace(spec, name="signs", output="class", classes=("a", "b"))
    with open_drive(drive) as opened:
        with pytest.raises(VbpError, match="follower predicts an angle and signs classes"):
            PairTable(opened, spec, classes)
        with pytest.raises(VbpError, match="different classes"):
            PairTable(opened, classes, replace(classes, classes=("a", "c")))
        table = PairTable(opened, spec, spec)
        assert not np.isfinite(table.compared().difference_deg).any()
