"""How sure the bench is of its figures: of made samples, whose truth is known; and what is said of two runs."""

from __future__ import annotations

import copy
import json
import math
import os
from dataclasses import asdict

import numpy as np
import pytest

from vbp.bench import load
from vbp.bench.compare import ALIKE, BETTER, FORM, UNKNOWN, WORSE, Change, compared
from vbp.bench.load import Load, Meter
from vbp.bench.machine import Limits, best_seen
from vbp.bench.pipeline import latency, rate
from vbp.bench.report import as_markdown, as_text, disturbed, tables
from vbp.bench.targets import results
from vbp.bench.timing import Estimate, Rounds, quantile, typical
from vbp.cli import main


@pytest.mark.parametrize(("share", "count"), [(0.5, 12), (0.5, 101), (0.95, 100), (0.9, 60)])
def test_a_quantiles_interval_holds_the_true_one_as_often_as_is_said(share, count):
    """Of a distribution with a long tail, as times have."""
    draws = np.random.default_rng(1).lognormal(size=(2000, count))
    true = np.quantile(np.random.default_rng(2).lognormal(size=2_000_000), share)
    found = [quantile(row, share) for row in draws]
    held = np.mean([one.low <= true <= one.high for one in found])
    assert 0.945 < held < 0.99
    assert all(one.low <= one.value <= one.high for one in found)


def test_of_twelve_the_third_from_either_end_bounds_the_median():
    found = quantile([float(n) for n in range(12)])
    assert (found.low, found.value, found.high) == (2.0, 5.5, 9.0)
    assert math.isnan(quantile([1.0] * 5).low)  # 2 of 32 times all lie on one side
    few = quantile([float(n) for n in range(60)], 0.95)
    assert math.isnan(few.high) and few.low < few.value  # none of 60 need be beyond it
    assert not few.measured


def test_what_lasts_for_many_rounds_widens_the_interval():
    """A disturbance in stretches, as another program makes it, tells less than as many rounds that it hits at random."""
    rng = np.random.default_rng(0)
    stretch = np.repeat(rng.permutation([10.0, 20.0] * 6), 20) + rng.normal(0, 0.1, 240)
    scattered = rng.permutation(stretch)

    def width(samples):
        found = typical(samples)
        return found.high - found.low

    assert width(stretch) > 9 and width(scattered) < width(stretch)


def _rounds(noise: float, drift: float, seed: int = 0) -> Rounds:
    """120 rounds of a task of 10 ms and of one of 10.5 ms, with noise of their own and a speed that both share."""
    rng = np.random.default_rng(seed)
    speed = 1 + drift * np.sin(np.linspace(0, 9, 120))
    less, more = (speed * (ms + rng.normal(0, noise, 120)) for ms in (10.0, 10.5))
    return Rounds({"forward": less, "pair": more, "mask": more - less})


def test_a_difference_of_pairs_is_seen_through_a_drift_that_hides_it_in_the_sums():
    rounds = _rounds(noise=0.05, drift=0.5)
    both = [rounds.estimate(name) for name in ("forward", "pair")]
    assert both[0].low < both[1].low < both[0].high  # they overlap
    assert rounds.estimate("mask").measured
    ratios = [_rounds(0.05, 0.5, seed).ratio("mask", "forward") for seed in range(200)]
    assert all(one.measured for one in ratios)
    assert np.mean([one.low <= 0.05 <= one.high for one in ratios]) > 0.92


def test_what_noise_hides_is_not_measured():
    rounds = _rounds(noise=8.0, drift=0.0)
    ratio = rounds.ratio("forward", "mask")
    assert not rounds.ratio("mask", "forward").measured and not ratio.measured
    assert not Rounds({"a": [1.0] * 9, "b": [0.0] * 9}).ratio("a", "b").measured
    facts = _facts()
    (network,) = facts["networks"]
    network["ratios"]["captum LRP / mask"] = asdict(Estimate(-1374.0, -90_000.0, 60_000.0, 20))
    network["ratios"]["mask / forward"] = asdict(Estimate(0.05, 0.04, 0.055, 20))
    text = as_text(facts)
    assert "not measured (-90000.000 to 60000.000)" in text and "-1374" not in text
    assert "0.050 (0.040 to 0.055)" in text
    said = {result.what: result.words()[1:] for result in results(facts)}
    assert said["NetSVF: captum LRP / mask"] == ["not measured", "at least 100", ""]
    assert said["NetSVF: mask / forward"] == ["0.05", "at most 0.06", "met"]


def _facts(forward_ms: float = 10.0, off: float = 0.2, others: float = 0.0) -> dict:
    timings = {
        name: asdict(Estimate(ms, ms - off, ms + off, 60))
        for name, ms in (("forward", forward_ms), ("plain forward", 20.0), ("mask", 0.5), ("LRP", 15.0))
    }
    return {
        "form": FORM,
        "machine": {"processor": "a", "threads": "2", "device": "cpu", "torch": "2"},
        "notes": [],
        "networks": [
            {
                "name": "NetSVF",
                "batch": 1,
                "timings": timings,
                "path": "own kernels (AVX2)",
                "ratios": {},
                "works": {k: {"operations": 1e9, "bytes": 1e6} for k in ("forward", "mask", "LRP")},
                "limits_ms": dict.fromkeys(("forward", "mask", "LRP"), 1.0),
            }
        ],
        "limits": {"operations_s": 1e12, "bytes_s": 1e10},
        "window": {"window_ms": 900.0, "first_mask_ms": 2000.0, "platform": "x", "rss_mib": 1.0},
        "load": {"networks, NetSVF": asdict(Load(1.9, others, 2, 60.0))},
    }


@pytest.mark.parametrize(
    ("old", "new", "less_is_better", "verdict"),
    [
        ((10, 9, 11), (13, 12, 14), True, WORSE),
        ((10, 9, 11), (13, 12, 14), False, BETTER),
        ((13, 12, 14), (10, 9, 11), True, BETTER),
        # The intervals overlap, and yet the difference's does not hold 0: 1.8 less the root of 1 + 1.
        ((10, 9, 11), (11.8, 10.8, 12.8), True, WORSE),
        ((10, 9, 11), (11, 10, 12), True, ALIKE),
        ((10, 9, 11), (13, 3, 23), True, ALIKE),
        ((10, math.nan, math.nan), (13, 12, 14), True, UNKNOWN),
    ],
)
def test_better_worse_or_not_distinguishable(old, new, less_is_better, verdict):
    assert Change("a", Estimate(*old), Estimate(*new), less_is_better).verdict == verdict


def test_runs_of_one_machine_are_told_apart_as_rarely_as_is_said():
    runs = [_rounds(noise=1.0, drift=0.0, seed=n).estimate("forward") for n in range(400)]
    told = [
        Change("", a, b, True).verdict in (BETTER, WORSE) for a, b in zip(runs[::2], runs[1::2], strict=True)
    ]
    assert np.mean(told) < 0.09
    slower = [Estimate(b.value + 2, b.low + 2, b.high + 2, b.runs) for b in runs[1::2]]
    assert all(Change("", a, b, True).verdict == WORSE for a, b in zip(runs[::2], slower, strict=True))


def test_two_runs_are_compared_figure_by_figure():
    old, new = _facts(10.0), _facts(8.0)
    old = json.loads(json.dumps(old))
    found = compared(old, new)
    verdicts = {one["what"]: one["verdict"] for one in found["changes"]}
    assert verdicts["NetSVF: forward, ms"] == BETTER and verdicts["NetSVF: LRP, ms"] == ALIKE
    assert verdicts["process start to window, ms"] == UNKNOWN
    assert len(found["notes"]) == 1 and found["notes"][0].startswith("1 of ")
    new["compared"] = found
    text, markdown = as_text(new), as_markdown(new)
    assert "-20.0%" in text and "| NetSVF: LRP, ms | 15.00 (14.80 to 15.20) |" in markdown
    other = copy.deepcopy(_facts(8.0, others=1.2))
    other["machine"]["processor"] = "b"
    machine, beside, _ = compared(old, other)["notes"]
    assert machine == "the earlier run was on another machine: processor a, now b"
    assert "0.00 processors before and 1.20 processors now" in beside


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as what `vbp bench --json` prints"),
        ("[]", "is not what"),
        ('{"machine": {}}', "is of another version of vbp bench"),
        (json.dumps({"machine": {}, "form": FORM, "networks": [{"name": 3}]}), ""),
    ],
)
def test_a_file_that_is_no_run_is_refused_before_anything_is_measured(tmp_path, capsys, text, said):
    path = tmp_path / "old.json"
    path.write_text(text)
    if not said:
        from vbp.bench.compare import read_run
        from vbp.errors import VbpError

        with pytest.raises(VbpError, match="the earlier run is damaged"):
            compared(read_run(path), _facts())
        return
    assert main(["bench", "--part", "play", "--compare", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_nothing_achieves_more_than_the_limit():
    measured = Limits(operations_s=1e11, bytes_s=1e10)
    assert best_seen(measured, [(1e9, 20.0)]) == measured
    assert best_seen(measured, [(1e9, 20.0), (1e9, 5.0)]) == Limits(2e11, 1e10)
    assert best_seen(measured, [(1e9, 0.0)]) == measured  # a difference lost in noise


def test_what_belongs_together_counts_once():
    """Six strokes of 20 moves that are alike: 120 numbers that say as much as six."""
    laps = [float(ms) for ms in (10, 20, 30, 40, 50, 60) for _ in range(20)]
    apart, together = latency(laps), latency(laps, together=20)
    assert together.p50_ms.value == apart.p50_ms.value == 35.0
    assert (together.p50_ms.low, together.p50_ms.high) == (10.0, 60.0)
    assert apart.p50_ms.high - apart.p50_ms.low < 30


def test_frames_a_second_and_how_sure():
    steady = rate(np.arange(101) * 0.02)
    assert steady.value == pytest.approx(50) and steady.runs == 100
    assert steady.low == pytest.approx(50) and steady.high == pytest.approx(50)
    slow_end = rate(np.cumsum([0.0] + [0.02] * 60 + [0.04] * 40))
    assert slow_end.value == pytest.approx(100 / 2.8)
    assert slow_end.low == pytest.approx(25) and slow_end.high == pytest.approx(50)


def test_what_others_had_of_the_processors(monkeypatch):
    ours, everyone, clock = iter([1.0, 6.0]), iter([100.0, 118.0]), iter([0.0, 10.0])
    monkeypatch.setattr(load, "_ours_s", lambda: next(ours))
    monkeypatch.setattr(load, "_all_s", lambda: next(everyone))
    monkeypatch.setattr(load.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = Meter().read()
    assert found == Load(0.5, 1.3, 2, 10.0) and found.words() == "1.30 of 2"
    (sentence,) = disturbed({"networks": asdict(found), "play": asdict(Load(1.0, 0.05, 2, 1.0))})
    assert "during networks:" in sentence
    assert not disturbed({"play": asdict(Load(1.0, math.nan, 2, 1.0))})
    table = dict(tables({"machine": {}, "networks": [], "load": {"networks": asdict(found)}}))
    assert table["Processors that were busy meanwhile"][1] == ["networks", "0.50", "1.30 of 2"]
