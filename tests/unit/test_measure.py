"""`vbp measure` on the demo drive, against a count pixel by pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vbp.cli import main
from vbp.demo import demo_drive
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.simulate import load_truth


def test_shares_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    source = demo_drive()
    assert source is not None
    truth = load_truth(source)
    first = next(i for i in truth.frames if i >= 40)
    frames = [i for i in range(first, first + 200, 50) if truth.has(i)]
    command = ["measure", str(source), "--model", "NetHVF", "--device", "cpu", "--json"]
    assert main([*command, "--frames", f"{first}:{first + 200}", "--every", "50"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert got["frames"] == len(frames) and got["left_out"] == 0
    lit: dict[str, list[float]] = {}
    area: dict[str, list[float]] = {}
    with open_drive(source) as drive:
        engine = Engine(open_network("NetHVF"), "cpu")
        for i in frames:
            done = engine.run(drive.frame(i))
            mask, rect, classes = done.map("visualbackprop"), done.crop, truth.classes(i)
            height, width = mask.shape
            names = np.empty((height, width), dtype=object)
            for y in range(height):
                for x in range(width):
                    row = rect.y + int((y + 0.5) * rect.height / height)
                    column = rect.x + int((x + 0.5) * rect.width / width)
                    names[y, x] = truth.names[classes[row, column]]
            for name in truth.names:
                lit.setdefault(name, []).append(float(mask[names == name].sum() / mask.sum()))
                area.setdefault(name, []).append(float((names == name).mean()))
    by_name = {share["name"]: share for share in got["shares"]}
    seen = [name for name in truth.names if np.mean(area[name]) > 0]
    assert set(by_name) - {"lane markings", "in shadow"} == set(seen)
    for name in seen:
        assert by_name[name]["area"] == pytest.approx(np.mean(area[name]))
        assert by_name[name]["energy"] == pytest.approx(np.mean(lit[name]), abs=1e-6)
    lanes = sum(np.mean(lit[name]) for name in truth.lane_markings)
    assert by_name["lane markings"]["energy"] == pytest.approx(lanes, abs=1e-6)
    assert by_name["lane markings"]["times"] == pytest.approx(
        lanes / sum(np.mean(area[name]) for name in truth.lane_markings), rel=1e-4
    )
    # Every pixel is of one class: shares sum up to the whole.
    for column in ("area", "energy", "strongest", "pointed"):
        assert sum(by_name[name][column] for name in seen) == pytest.approx(1.0)


def test_a_drive_without_truth_is_told(shared, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(shared / "data" / "udacity-ch2")]) == 2
    assert "has no ground truth" in capsys.readouterr().err


def test_frames_without_classes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    source = demo_drive()
    assert source is not None
    truth = load_truth(source)
    without = next(i for i in range(1000) if not truth.has(i))
    assert main(["measure", str(source), "--frames", str(without)]) == 2
    assert "has no ground truth of these frames" in capsys.readouterr().err
