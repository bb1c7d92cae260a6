"""The shift test, against a second one written with loops over pixels."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import pytest
import torch

from vbp.demo import demo_drive
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.evidence import shift
from vbp.evidence.subject import Subject, load_frames
from vbp.preprocess import to_tensor

METHODS = ("visualbackprop", "saliency")


@pytest.fixture(scope="module")
def subject() -> Subject:
    network = open_network("NetHVF")
    engine = Engine(network, "cpu")
    with open_drive(demo_drive()) as drive:
        frames = load_frames(drive, engine, (60, 300, 500, 700))
    made = Subject(network, engine, frames, METHODS, seed=0)
    made.prepare(lambda amount: None)
    return made


@pytest.fixture(scope="module")
def numbers(subject: Subject) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shift, "OFFSETS", (-0.05, 0.1))  # the same code, in less time
        return shift.run(subject, lambda amount: None).numbers


def naive_marks(relevance: np.ndarray) -> np.ndarray:
    """Disc by disc, the strongest pixel first, until the next one would take more than 15 %."""
    height, width = relevance.shape
    radius = round(0.02 * width)
    # OpenCV's disc: of each row the columns within sqrt(r^2 - dy^2), rounded.
    disc = [
        (dy, dx)
        for dy in range(-radius, radius + 1)
        for dx in range(-radius, radius + 1)
        if abs(dx) <= round((radius**2 - dy**2) ** 0.5)
    ]
    size = np.abs(relevance.astype(np.float64)).ravel().tolist()
    marked: set[tuple[int, int]] = set()
    for at in sorted(range(len(size)), key=lambda k: -size[k]):
        y, x = divmod(at, width)
        more = {(y + dy, x + dx) for dy, dx in disc if 0 <= y + dy < height and 0 <= x + dx < width} | marked
        if size[at] == 0 or len(more) > 0.15 * height * width:
            break
        marked = more
    found = np.zeros((height, width), bool)
    for place in marked:
        found[place] = True
    return found


def naive_shift(image: np.ndarray, marked: np.ndarray, right: int, what: str) -> np.ndarray:
    """Pixel by pixel; what: "marked", "rest" or "all"."""
    height, width = marked.shape
    made, hole = np.zeros_like(image), np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            source = x - right if 0 <= x - right < width else None
            on = marked[y, x]
            from_marked = source is not None and marked[y, source]
            from_rest = source is not None and not marked[y, source]
            if what == "all":
                moved, stays = source is not None, False
            elif what == "marked":
                moved, stays = from_marked, not on
            else:
                moved, stays = from_rest and not on, bool(on)
            if moved:
                made[y, x] = image[y, source]
            elif stays:
                made[y, x] = image[y, x]
            else:
                made[y, x], hole[y, x] = image[y, x], 1
    return cv2.inpaint(made, hole, 3.0, cv2.INPAINT_TELEA) if hole.any() else made


def test_a_second_implementation_gives_the_same_numbers(subject: Subject, numbers: dict, monkeypatch) -> None:
    n = 2
    image = subject.frames.inputs[n]
    steps = [-18, 35]  # of 351 pixels
    assert numbers["offsets"] == steps and numbers["frames"] == [60, 300, 500, 700]

    def size(marked: np.ndarray, what: str) -> float:
        total = 0.0
        for right in steps:
            changed = naive_shift(image, marked, right, what)
            with torch.inference_mode():
                out = subject.run(to_tensor(changed[None], subject.spec, torch.device("cpu"))).output
            total += abs(
                float(np.degrees(subject.spec.angle_of(out[0].double().tolist()))) - subject.angles[n]
            )
        return total / len(steps)

    marked = naive_marks(subject.map("visualbackprop", n))
    one = numbers["maps"]["visualbackprop"]
    for what in ("marked", "rest"):
        assert one[what][n] == pytest.approx(size(marked, what), abs=1e-6)
    s, b = sum(one["marked"]), sum(one["rest"])
    assert one["share"]["value"] == pytest.approx(s / (s + b), abs=1e-12)
    monkeypatch.setattr(shift, "OFFSETS", (-0.05, 0.1))
    whole = shift.changes(subject, n, np.ones(image.shape[:2], bool))
    assert np.abs(whole).mean() == pytest.approx(size(marked, "all"), abs=1e-6)


def test_it_tells_a_good_map_from_a_bad_one(numbers: dict) -> None:
    share = {name: one["share"]["value"] for name, one in numbers["maps"].items()}
    assert share["visualbackprop"] > 0.8 > 0.4 > share["saliency"] and share[shift.RANDOM] < 0.4
    # Shifted to the right, the wheel turns the same way as where everything is shifted.
    everything = numbers["everything"]["curve"]
    assert everything[0] > 1 > -1 > everything[-1]
    assert np.corrcoef(everything, numbers["maps"]["visualbackprop"]["curve_marked"])[0, 1] > 0.9


def test_what_is_said_follows_from_the_numbers(numbers: dict) -> None:
    changed = copy.deepcopy(numbers)
    changed["maps"]["saliency"]["over_random"]["p_corrected"] = 0.2
    before = [line for line in shift.findings(changed) if "Saliency" in line and "random" in line]
    assert len(before) == 1 and before[0].startswith("The share is not significantly different")
    changed["maps"]["saliency"]["over_random"] |= {"p_corrected": 0.01, "value": 0.3}
    changed["maps"]["saliency"]["share"] |= {"value": 0.5, "low": 0.4, "high": 0.6}
    after = [line for line in shift.findings(changed) if "Saliency" in line and "random" in line]
    assert after[0].startswith("More of the change comes from what the map marks than from random marks")
    assert "Saliency 0.50 [0.40, 0.60]" in after[0]


def test_no_more_is_marked_than_there_is_and_an_empty_map_marks_nothing() -> None:
    relevance = np.zeros((40, 60), np.float32)
    assert not shift.salient(relevance).any()
    relevance[20, 30] = -1.0
    assert shift.salient(relevance).sum() == 5  # a disc of radius 1
    full = np.random.default_rng(0).random((40, 60))
    assert np.array_equal(shift.salient(full), naive_marks(full))
    assert 0.14 < shift.salient(full).mean() <= 0.15


def test_what_leaves_the_picture_is_gone_and_all_of_it_can_leave() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(3, 8)
    part = np.zeros((3, 8), bool)
    part[:, 6:] = True
    assert shift.shifted(image, part, 3)[:, :6].tolist() == image[:, :6].tolist()
    assert shift.shifted(image, part, 100).shape == image.shape
