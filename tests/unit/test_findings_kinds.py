"""What is found in arrays that are short, empty, unlabelled or not known; and how kinds in one place become one finding."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbp.cli import main
from vbp.errors import VbpError
from vbp.findings.find import find
from vbp.findings.finding import Observed
from vbp.findings.kinds import KINDS
from vbp.findings.observe import observed_of
from vbp.findings.table import COLUMNS, peak_words, rows_of
from vbp.frames.strengths import sample_of
from vbp.frames.table import FrameTable


def made(predicted, driven=None, hz: float = 20.0, **known) -> Observed:
    count = len(predicted)
    none = np.full(count, np.nan)
    fields = {
        "indices": np.arange(count, dtype=np.int64) + 100,
        "timestamps_ns": (np.arange(count) * 1e9 / hz).astype(np.int64),
        "driven_deg": none if driven is None else np.asarray(driven, dtype=float),
        "predicted_deg": np.asarray(predicted, dtype=float),
        "speed_mps": none,
        "strength": none,
        "spread": none,
        "moved": none,
        "unlike": none,
        "dead": np.zeros(count, dtype=bool),
    }
    return Observed(**(fields | known))


WAVE = 20 * np.sin(np.arange(400) / 30)


def places(found):
    return sorted((f.kind, f.start - 100, f.end - 100) for f in found.found)


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(st.just(float("nan")), st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, 90.0])), max_size=40
    ),
    st.integers(0, 2**32 - 1),
)
def test_any_drive_has_findings_that_lie_in_it_and_can_be_written(predicted, seed):
    rng = np.random.default_rng(seed)
    count = len(predicted)
    noise = rng.normal(size=(5, count)) * np.where(rng.random((5, count)) < 0.2, np.nan, 1.0)
    strength = np.where(rng.random(count) < 0.1, -np.inf, noise[1])
    times = np.cumsum(rng.choice([0, 5e7, 5e7, 5e9], count)).astype(np.int64)
    seen = made(
        predicted,
        noise[0],
        timestamps_ns=times,
        strength=strength,
        spread=np.abs(noise[4]),
        moved=np.abs(noise[2]),
    )
    for one in find(seen).found:
        assert 100 <= one.start <= one.peak <= one.end < 100 + count
        assert one.start_ns <= one.peak_ns <= one.end_ns and one.seconds >= 0 and one.weight >= 0
        assert one.kind in KINDS and one.kind not in one.also and peak_words(one)
    for row in rows_of(find(seen).found, "drive", "model"):
        assert len(row) == len(COLUMNS)
        json.dumps(row, allow_nan=False)


def test_without_labels_only_those_that_need_none():
    predicted = WAVE.copy()
    predicted[100] += 15
    predicted[200:240] = 5.0
    found = find(made(predicted))
    assert set(found.left_out) == {"label", "range", "error", "weak", "scattered", "attention"}
    assert found.left_out["error"] == "the drive has no measured angles here"
    assert [k for k, *_ in places(found)] == ["constant", "step"]
    assert np.isnan(found.found[0].driven_deg) and np.isnan(found.found[0].curvature)


def test_of_a_classifier_the_error_is_in_per_cent():
    """100 where the true class is known, and what the network gives it."""
    given_to_it = np.full(60, 95.0)
    given_to_it[20:30] = 10.0
    seen = replace(made(given_to_it, np.full(60, 100.0)), of_classes=True)
    found = find(seen)
    assert places(found) == [("error", 20, 29)] and found.found[0].unit == "%"
    assert peak_words(found.found[0]) == "+90.0 %"
    assert found.left_out["step"] == "the network predicts classes and no angle"
    unknown = find(replace(seen, driven_deg=np.full(60, np.nan)))
    assert unknown.left_out["error"] == "the true classes are not known" and not unknown.found


def test_short_and_empty_drives():
    assert find(made([])).found == []
    assert find(made([np.nan], [3.0])).found == []
    one = find(made([0.0], [30.0]), thresholds={"error": 10.0}).found
    assert [(f.start, f.end, f.value, f.seconds) for f in one] == [(100, 100, 30.0, 0.0)]
    assert find(made(np.full(400, np.nan), WAVE)).found == []


def test_nearly_constant_output_is_said_unless_the_car_stands():
    still = 3.14 + 0.001 * np.sin(np.arange(400.0))
    assert places(find(made(still, WAVE), ["constant"])) == [("constant", 0, 399)]
    assert find(made(still, WAVE, speed_mps=np.zeros(400)), ["constant"]).found == []
    assert find(made(still[:8], WAVE[:8]), ["constant"]).found == []  # too short to say so
    dead = np.zeros(400, dtype=bool)
    dead[50] = True
    assert places(find(made(WAVE, dead=dead), ["constant"])) == [("constant", 50, 50)]


def test_weak_masks_are_told_from_ordinary_ones():
    strength = np.random.default_rng(0).normal(8, 0.2, 400)
    strength[100:104] = 2.0
    found = find(made(WAVE, WAVE, strength=strength)).found
    assert [(f.kind, f.start, f.end) for f in found] == [("weak", 200, 203)]
    assert found[0].value == pytest.approx(6, abs=0.1) and peak_words(found[0]) == "1/1,000,000 of the median"
    strength[100:104] = 6.8
    assert find(made(WAVE, WAVE, strength=strength)).found == []


def test_a_moment_is_one_finding_and_a_long_one_hides_none_in_it():
    driven, predicted = np.zeros(1200), np.zeros(1200)
    predicted[100:400] = 10.0 + np.sin(np.arange(300))  # 15 s, not constant
    predicted[300] = 40.0
    predicted[600:630] = 10.0
    found = find(made(predicted, driven), ["error", "step"], {"error": 5.0, "step": 20.0})
    assert places(found) == [("error", 100, 399), ("error", 600, 629), ("step", 300, 301)]
    found = find(made(predicted, driven), ["error", "step"], {"error": 5.0, "step": 6.0})
    assert ("step", 600, 630) in places(found)
    assert next(f for f in found.found if f.start == 700).also == ("error",)


def test_the_driver_may_step():
    driven, predicted = np.zeros(400), np.zeros(400)
    driven[200:] = predicted[202:] = 30.0
    assert find(made(predicted, driven), ["step", "label"]).found == []
    assert places(find(made(predicted, np.zeros(400)), ["step", "label"])) == [("step", 202, 202)]
    assert places(find(made(np.zeros(400), driven), ["step", "label"])) == [("label", 200, 200)]
    unlike = np.ones(400)
    unlike[200] = 90.0  # it is another road from there on
    assert find(made(np.zeros(400), driven, unlike=unlike), ["label"]).found == []


def test_what_cannot_be_is_said():
    with pytest.raises(
        VbpError, match="there is no kind 'wrong' of findings; accepted: weak, scattered, label, "
    ):
        find(made(WAVE), ["wrong"])
    with pytest.raises(VbpError, match="a threshold of -1 for step cannot be"):
        find(made(WAVE), thresholds={"step": -1.0})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kinds", "error,wrong"), "there is no kind 'wrong'; accepted: weak, scattered, label"),
        (("--threshold", "0"), "0 is no threshold; give a number above 0"),
        (("--threshold", "120%"), "120% is no percentile"),
        (("--threshold", "speed=3"), "there is no kind 'speed'"),
        (("--threshold", "step=fast"), "'fast' is not a number"),
    ],
)
def test_wrong_options_are_one_line(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["findings", "nowhere", "--model", "NetSVF", *words])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and said in told and told.count("\n") == 1


def test_a_mask_that_lies_on_everything_is_found_where_it_is_not_weak():
    strength, spread = np.full(400, 5.0), np.full(400, 0.01)
    strength += np.random.default_rng(1).normal(0, 0.1, 400)
    spread[100:120] = 0.25
    spread[300:310], strength[300:310] = 0.5, -3.0
    spread[200] = 0.09  # nine times the median
    found = find(made(WAVE, strength=strength, spread=spread))
    assert places(found) == [("scattered", 100, 119), ("weak", 300, 309)]
    assert found.found[0].mask_spread in (0.25, 0.5)
    (one,) = (f for f in found.found if f.kind == "scattered")
    assert (one.value, one.unit, one.threshold) == (pytest.approx(25), "times", 10)
    assert peak_words(one) == "25 times the median"
    assert "scattered" in find(made(WAVE)).left_out


class Drive(SimpleNamespace):
    def __len__(self):
        return len(self.timestamps_ns)


def test_what_was_played_does_not_say_what_is_usual():
    """A drive in sun and shade, of which a sample is known and a sunny part: its shade is not weak."""
    count = 2000
    none = np.full(count, np.nan)
    drive = Drive(timestamps_ns=np.arange(count) * 50_000_000, angle_rad=none, speed_mps=none)
    table = FrameTable(drive)
    strength = 6.0 + 1.2 * np.sin(np.arange(count) / 50) + np.random.default_rng(2).normal(0, 0.05, count)
    known = np.union1d(sample_of(count), np.flatnonzero(strength[:1500] > 7.1))
    table.predicted[known], table.strength[known], table.spread[known] = 0.0, strength[known], 0.01
    seen = observed_of(drive, table)
    assert find(seen, ["weak"]).found == [] and find(replace(seen, usual=None), ["weak"]).found
    table.predicted[:], table.strength[:], table.spread[:] = 0.0, strength, 0.01
    table.strength[700:710] = -2.0
    (one,) = find(observed_of(drive, table), ["weak"]).found
    assert (one.start, one.end) == (700, 709) and observed_of(drive, table).usual is None
