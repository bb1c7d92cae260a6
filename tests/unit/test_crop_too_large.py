"""A crop rule that asks for more rows than the pictures have: the network sees all of them, and that is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exportmaker import frames_of, make_drive, make_job
from roadmaker import tiny_spec, write_drive
from vbp.cli import main
from vbp.engine import Engine
from vbp.models.network import build, save_checkpoint
from vbp.models.spec import CropRule
from vbp.overlay import Rect
from vbp.preprocess import crop_warning

RULE = CropRule("bottom", rows=40, of_width=48)
SAYS = (
    "tiny looks at the bottom 40 rows of a picture 48 wide and this one has 32, so it sees the whole picture"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(build(tiny_spec(crop=RULE), 0), path)
    return path


def test_only_a_rule_that_does_not_fit_is_told() -> None:
    spec = tiny_spec(crop=RULE)
    assert crop_warning(spec, 32, 48).startswith(SAYS)
    assert crop_warning(spec, 64, 96).startswith("tiny looks at the bottom 80 rows of a picture 96 wide")
    assert crop_warning(spec, 40, 48) == crop_warning(spec, 80, 96) == ""
    assert crop_warning(spec, 24, 48) == ""  # the network's own input, which is never cropped
    assert crop_warning(replace(spec, crop=CropRule()), 32, 48) == ""


def test_the_window_says_it_of_the_frame_and_the_log_once(caplog) -> None:
    engine, frame = Engine(build(tiny_spec(crop=RULE), 0), "cpu"), np.zeros((32, 48, 3), np.uint8)
    frame[3:9] = 200
    for _ in range(2):
        done = engine.run(frame)
    assert done.warning.startswith(SAYS) and done.crop == Rect(0, 0, 48, 32)
    assert len(caplog.messages) == 1
    assert engine.run(frame, crop=Rect(0, 8, 48, 24)).warning == ""
    assert Engine(build(tiny_spec(crop=RULE), 0), "cpu", crop=Rect(0, 8, 48, 24)).run(frame).warning == ""


def test_the_command_line_says_it(model: Path, tmp_path: Path, capsys) -> None:
    road = write_drive(tmp_path / "road", 12)
    of = ["--model", str(model), "--device", "cpu"]
    assert main(["predict", str(road), *of, "-o", str(tmp_path / "angles.csv")]) == 0
    assert capsys.readouterr().err.count(f"vbp: {SAYS}") == 1
    assert main(["check-model", *of, "--drive", str(road), "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert [note for note in notes if note.startswith(SAYS)] == notes[:1]
    words = ["train", str(road), "--init", str(model), "-o", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*words, "--epochs", "1", "--batch", "4", "--test-gap", "0.1"]) == 0
    assert SAYS in capsys.readouterr().out


def test_an_export_says_it_of_each_frame(model: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    drive = make_drive(wide, 3)  # 320x240, of which 267 rows are asked
    frames = frames_of(replace(make_job(drive, Path("x.mp4"), 0, 2), model=str(model)))
    assert all(
        "bottom 267 rows of a picture 320 wide and this one has 240" in a.result.warning for a in frames
    )
