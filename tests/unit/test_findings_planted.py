"""A drive with 12 planted faults: those are found, and nothing else; by the library and by the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import vbp.cli.findings as command
from faultmaker import STEP_NS, Faulty, are_those_planted, follower, with_faults
from roadmaker import T0
from vbp.cli import main
from vbp.drives import open_drive
from vbp.export.job import Job
from vbp.findings.find import find
from vbp.findings.finding import Observed
from vbp.findings.observe import observe, request_for
from vbp.findings.table import core_words
from vbp.frames import run_frames
from vbp.frames.table import FrameTable
from vbp.overlay import Overlay


@pytest.fixture(scope="module")
def faulty() -> type[Faulty]:
    return with_faults()


@pytest.fixture(scope="module")
def seen(faulty_drive: Path, faulty: type[Faulty]) -> Observed:
    network = follower()
    with open_drive(faulty_drive) as opened:
        frames = run_frames(opened, [faulty(network, "cpu")], request_for(masks=True))
        return observe(opened, FrameTable(opened, network.spec), frames)


def test_what_was_planted_is_found_and_nothing_else(seen: Observed) -> None:
    found = find(seen)
    assert found.left_out == {}
    assert [f.weight for f in found.found] == sorted((f.weight for f in found.found), reverse=True)
    of = are_those_planted(found.found)
    for one in of:
        assert one.start_ns == T0 + one.start * STEP_NS and one.peak_ns == T0 + one.peak * STEP_NS
        assert one.seconds == pytest.approx((one.end - one.start + 1) / 20)
        assert one.speed_mps == 10 and one.weight > 0 and one.area >= 0
    black, label = of[1], of[2]
    assert "error" in black.also and np.isinf(black.value)
    assert black.cores == ((100, 119),) and core_words(black) == ""  # as dark all along
    assert black.key == f"weak@{T0 + 100 * STEP_NS}"
    assert label.value == pytest.approx(30, abs=1) and label.peak == 160 and label.also == ("error",)
    assert label.error_deg == pytest.approx(30, abs=1)
    assert label.curvature == pytest.approx(np.tan(np.radians(label.driven_deg) / 14.8) / 2.85)
    # So many frames are wrong that the 95th percentile of the errors is among them: it is not what is usual.
    assert found.thresholds["error"] == 1.0
    are_those_planted(find(seen, thresholds={"error": 5.0}).found)


def test_one_kind_alone(seen: Observed) -> None:
    assert [(f.start, f.end) for f in sorted(find(seen, ["weak"]).found, key=lambda f: f.start)] == [
        (100, 119),
        (520, 539),
    ]
    errors = find(seen, ["error"], {"error": 20.0}).found
    assert {f.kind for f in errors} == {"error"} and all(abs(f.error_deg) >= 20 for f in errors)
    lowest = find(seen, ["error"], percentile=99.0)
    error = np.abs(seen.driven_deg - seen.predicted_deg)
    assert lowest.thresholds == {"error": pytest.approx(np.percentile(error, 99))}


def test_the_command(
    faulty_drive: Path,
    faulty: type[Faulty],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("vbp.engine.Engine", faulty)
    monkeypatch.setattr("vbp.engine.open_network", lambda _: follower())
    table = tmp_path / "found.csv"
    call = ["findings", str(faulty_drive), "--model", "NetSVF", "--device", "cpu", "--frames", "90:170"]
    assert main([*call, "--json", "--csv", str(table)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [(f["kind"], f["start"]) for f in facts["findings"]] == [("weak", 100), ("label", 160)]
    assert facts["frames"] == 80 and facts["gaps"] == 0 and facts["findings"][0]["value"] is None
    assert facts["thresholds"]["error"]["unit"] == "°"
    with table.open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    for row, one in zip(written, facts["findings"], strict=True):
        assert int(row["frame"]) == one["start"] and int(row["peak_timestamp_ns"]) == one["peak_ns"]
        assert float(row["weight"]) == one["weight"] and row["also"] == " ".join(one["also"])
    assert main([*call, "--csv", str(table), "--kinds", "weak, label", "--threshold", "label=20"]) == 0
    words = capsys.readouterr().out
    assert "00:05.0" in words and "Weak mask" in words and "all zero" in words and "+30.0°" in words
    assert "looked for, from: weak 2 decades, label 20°" in words
    jobs: list[Job] = []
    monkeypatch.setattr(command, "export", lambda job, progress: jobs.append(job))
    assert main([*call, "--reel", str(tmp_path / "reel.mp4"), "--smooth", "5", "--gamma", "0.5"]) == 0
    (job,) = jobs
    assert [(p.first, p.last) for p in job.parts] == [(60, 140), (120, 181)] and job.output.name == "reel.mp4"
    assert job.settings.overlay == Overlay(smooth=5, gamma=0.5)
    assert job.parts[0].title[:2] == ("1 of 2: Weak mask", "00:05.0, frame 100; 1.0 s long")
    assert "driven" in job.parts[1].title[3] and job.parts[1].title[4] == "also: Error"
    assert main([*call, "--reel", str(tmp_path / "reel.csv")]) == 2
    assert "cannot be a reel" in capsys.readouterr().err
    table.write_text("mine\n")
    assert main([*call, "--csv", str(table)]) == 2
    assert "was not written by vbp" in capsys.readouterr().err and table.read_text() == "mine\n"
    steering = tmp_path / "road_steering.csv"  # as it lies beside a simulated video, with much the same head
    steering.write_text("frame,timestamp_ns,steering_wheel_angle_rad,speed_mps\n0,0,0.1,10\n")
    for words in (["--csv", str(steering)], ["--output", str(steering)]):
        name = "findings" if words[0] == "--csv" else "predict"
        assert main([name, *call[1:], *words]) == 2
        assert "was not written by vbp" in capsys.readouterr().err and "0.1" in steering.read_text()


def test_a_longer_stretch_says_where_it_is_worst() -> None:
    """As a road in the shade that is twice black."""
    count = 400
    none = np.full(count, np.nan)
    strength = np.zeros(count) + np.random.default_rng(1).normal(0, 0.1, count)
    strength[100:200] = -4
    strength[120:130] = -6
    strength[160:164] = -5.8
    times = np.arange(count, dtype=np.int64) * STEP_NS
    moving = np.sin(np.arange(count) / 3)
    seen = Observed(
        np.arange(count),
        times,
        none,
        moving,
        none,
        strength,
        none,
        none,
        none,
        np.zeros(count, dtype=np.bool_),
    )
    (one,) = find(seen, ["weak"]).found
    assert (one.start, one.end) == (100, 199) and 120 <= one.peak < 130
    assert one.cores == ((120, 129), (160, 163)) and core_words(one) == "120–129, 160–163"
