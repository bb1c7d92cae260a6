"""`vbp evidence --run`: the maps of a network while it was trained, on a run that `vbp train` made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from roadmaker import tiny_spec, write_drive
from vbp.cli import main
from vbp.drives import open_drive
from vbp.engine import Engine
from vbp.evidence.measures import spearman
from vbp.models.network import build, load_checkpoint, save_checkpoint
from vbp.models.spec import CropRule


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small road, and the run that learnt it."""
    root = tmp_path_factory.mktemp("evidence")
    road = write_drive(root / "road", 40)
    save_checkpoint(build(tiny_spec(), 0), root / "tiny.safetensors")
    words = ["train", str(road), "--init", str(root / "tiny.safetensors"), "-o", str(root / "run")]
    words += ["--device", "cpu", "--epochs", "6", "--batch", "4", "--lr", "0.05", "--test-gap", "0.2"]
    assert main([*words, "--checkpoints", "0.2,1,2"]) == 0
    return road, root / "run"


def evidence(made: tuple[Path, Path], report: Path, *more: str) -> list[str]:
    words = ["evidence", str(made[0]), "--model", str(made[1] / "last.safetensors"), "--run", str(made[1])]
    words += ["--device", "cpu", "--count", "3", "--experiments", "recovery", "-o", str(report), *more]
    return words + [w for m in ("visualbackprop", "saliency", "lrp") for w in ("--method", m)]


def test_maps_of_the_checkpoints_are_compared_with_the_last(made, tmp_path: Path, capsys) -> None:
    assert main(evidence(made, tmp_path / "r.html")) == 0
    said = capsys.readouterr().out
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["networks"][0]
    rows = found["experiments"]["recovery"]["numbers"]["partly_trained"]
    assert [row["epoch"] for row in rows] == [0.2, 1.0, 2.0, 6.0]
    assert all(
        rows[-1][m]["spearman_to_last"]["value"] == pytest.approx(1.0) for m in ("visualbackprop", "lrp")
    )
    # The same, from the files and the engine alone.
    first = Engine(load_checkpoint(made[1] / "checkpoints/epoch-0.2.safetensors"), "cpu")
    last = Engine(load_checkpoint(made[1] / "checkpoints/epoch-6.safetensors"), "cpu")
    with open_drive(made[0]) as drive:
        for method in ("visualbackprop", "saliency"):
            pairs = [
                [np.abs(e.run(drive.frame(i), (method,)).map(method)) for e in (first, last)]
                for i in found["frames"]
            ]
            wanted = np.mean([spearman(*pair) for pair in pairs])
            assert rows[0][method]["spearman_to_last"]["value"] == pytest.approx(wanted, abs=1e-3)
    line = next(f for f in found["experiments"]["recovery"]["findings"] if "of the training" in f)
    assert (
        line.startswith("From epoch 0.2 to epoch 6 of the training the map hardly changes") and line in said
    )
    for title, method in (("VisualBackProp", "visualbackprop"), ("Saliency", "saliency")):
        one = rows[0][method]["spearman_to_last"]
        assert (f"{title} ({one['value']:.2f} [" in line) == (one["low"] >= 0.8)
    assert "During training, from epoch 0.2 to epoch 6" in page


def test_a_run_without_checkpoints_is_told(made, tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    shutil.copytree(made[1], run)
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    assert main(evidence((made[0], run), tmp_path / "r.html")) == 2
    assert (
        capsys.readouterr().err == f"vbp: {run} has no checkpoint yet; train for longer, or leave out --run\n"
    )
    assert main(evidence(made, tmp_path / "r.html", "--run", str(tmp_path))) == 2
    assert "is no training run" in capsys.readouterr().err


def test_one_checkpoint_or_another_crop_say_nothing(made, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made[1], run)
    for name in ("0.2", "1", "2"):
        (run / f"checkpoints/epoch-{name}.safetensors").unlink()
    save_checkpoint(build(tiny_spec(crop=CropRule()), 0), tmp_path / "whole.safetensors")
    for report, more, words in (
        ("one", ["--run", str(run)], "there is only the checkpoint of epoch 6"),
        ("crop", ["--model", str(tmp_path / "whole.safetensors")], "is of a network with another input"),
    ):
        assert main(evidence(made, tmp_path / f"{report}.html", *more)) == 0
        networks = json.loads((tmp_path / f"{report}.json").read_text(encoding="utf-8"))["networks"]
        found = networks[-1]["experiments"]["recovery"]
        assert any(words in note for note in found["notes"])
        assert not any("of the training" in f for f in found["findings"])
