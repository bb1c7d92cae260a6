"""`vbp train` and `vbp evolution` as they are called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vbp.lettering as lettering
from roadmaker import tiny_spec, write_drive
from vbp.cli import main
from vbp.cli.train import recipe_of
from vbp.drives import open_drive
from vbp.engine import Engine
from vbp.models.network import build, save_checkpoint
from vbp.training.evolution import draw, evolve
from vbp.training.folder import Run
from vbp.training.recipe import Recipe
from vbp.training.steering import STEERING


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("cli") / "road", 60)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network to start from: the paper's own would take long."""
    path = tmp_path_factory.mktemp("start") / "tiny.safetensors"
    save_checkpoint(build(tiny_spec(), 0), path)
    return path


@pytest.fixture(scope="module")
def run(road: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    call = ["train", str(road), "--init", str(start), "-o", str(folder), "--device", "cpu"]
    options = [
        "--epochs",
        "4",
        "--batch",
        "8",
        "--lr",
        "0.05",
        "--test-gap",
        "0.2",
        "--augment",
        "flip,shift",
    ]
    assert main([*call, *options]) == 0
    return folder


def test_a_run_says_what_it_did(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Run(run)
    assert found.config.recipe.augment == ("flip", "shift")
    assert found.config.recipe.precision in ("float32", "bfloat16")
    assert [c.epoch for c in found.checkpoints()] == [0.1, 0.5, 1, 4]
    assert main(["train", "--resume", str(run), "--json", "--device", "cpu"]) == 0
    out = capsys.readouterr()
    facts = json.loads(out.out)
    assert facts["epochs"] == 4 and len(facts["checkpoints"]) == 4
    assert facts["best_rmse_rad"] == min(r.test_rmse_rad for r in found.metrics())
    assert "is trained to its end" in out.err


def test_options_make_the_recipe() -> None:
    given = {"augment": "all", "checkpoints": "0.1, 2", "test": ["1:2"], "network": "netsvf", "lr": 0.5}
    assert recipe_of(given, STEERING) == Recipe(
        augment=("flip", "shift", "light", "shadow", "blur", "noise", "erase"),
        checkpoints=(0.1, 2.0),
        test=("1:2",),
        lr=0.5,
    )
    assert recipe_of({"augment": "none"}, STEERING) == recipe_of({}, STEERING) == Recipe()
    paper = Recipe()
    assert (paper.optimizer, paper.epochs, paper.min_speed, paper.augment) == ("sgd", 32, 5, ())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the recordings to learn from"),
        (["ROAD"], "say where to"),
        (["ROAD", "-o", "NEW"], "say which network"),
        (
            ["ROAD", "-o", "NEW", "--network", "resnet"],
            "no network 'resnet' to train; accepted: NetSVF, NetHVF",
        ),
        (["ROAD", "-o", "NEW", "--network", "netsvf", "--rows", "50"], "--rows 50 does not fit"),
        (["ROAD", "-o", "NEW", "--network", "netsvf", "--init", "START"], "leave --network out"),
        (["ROAD", "-o", "NEW", "--init", "START", "--augment", "rain"], "--augment rain is not known"),
        (["ROAD", "-o", "NEW", "--init", "START", "--checkpoints", "x"], "not a list of epochs"),
        (["ROAD", "-o", "NEW", "--init", "START", "--test", ":"], "no frames would be left to train on"),
        (["ROAD", "-o", "NEW", "--init", "START", "--device", "tpu"], "no device 'tpu'"),
        (["ROAD", "-o", "NEW", "--init", "ROAD/interpolated.csv"], "is no network file"),
        (["--resume", "RUN", "--lr", "1"], "leave lr out"),
        (["--resume", "ROAD"], "is no training run"),
        (["ROAD/none", "-o", "NEW", "--init", "START"], "does not exist"),
        (["ROAD/center", "-o", "NEW", "--init", "START"], "has no measured steering angle"),
    ],
)
def test_mistakes(
    words: list[str], said: str, road: Path, start: Path, run: Path, tmp_path: Path, capsys
) -> None:
    names = {"ROAD": road, "START": start, "RUN": run, "NEW": tmp_path / "new"}
    for name, path in names.items():
        words = [w.replace(name, str(path), 1) if w.split("/")[0] == name else w for w in words]
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_ctrl_c_saves_and_ends_with_130(road: Path, start: Path, tmp_path: Path) -> None:
    """SIGINT to the command; the run then goes on."""
    folder = tmp_path / "run"
    call = [sys.executable, "-m", "vbp", "train", str(road), "--init", str(start), "-o", str(folder)]
    call += ["--device", "cpu", "--epochs", "20000", "--batch", "8", "--threads", "1"]
    child = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("epoch"):
            break
    child.send_signal(2)
    out, error = child.communicate(timeout=60)
    assert child.returncode == 130, error
    assert f"go on with: vbp train --resume {folder}" in out
    assert (folder / "state/state.safetensors").is_file()
    assert Run(folder).checkpoints()


def test_two_processes_train_one_network(road: Path, start: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    call += ["-m", "vbp", "train", str(road), "--init", str(start), "-o", str(tmp_path / "two")]
    call += ["--device", "cpu", "--epochs", "2", "--batch", "8", "--threads", "1", "--precision", "float32"]
    done = subprocess.run(call, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained 2 epochs") == 1
    found = Run(tmp_path / "two")
    assert [c.epoch for c in found.checkpoints()] == [0.1, 0.5, 1, 2]
    two = load_file(tmp_path / "two/last.safetensors")
    assert all(bool(torch.isfinite(v.float()).all()) for v in two.values())


def test_masks_of_the_evolution_are_the_engines(run: Path, road: Path) -> None:
    checkpoints = Run(run).checkpoints()
    with open_drive(road) as drive:
        frames, usual = evolve(checkpoints, drive, [3, 40], "cpu")
        assert [c.epoch for c in checkpoints] == [0.1, 0.5, 1, 4]
        for frame in frames:
            for result, checkpoint in zip(frame.results, checkpoints, strict=True):
                expected = Engine(checkpoint.load(), "cpu").run(drive.frame(frame.index))
                np.testing.assert_allclose(result.map(), expected.map(), atol=1e-5)
                assert result.angle_rad == pytest.approx(expected.angle_rad, abs=1e-5)
                np.testing.assert_array_equal(result.input, expected.input)
        assert frames[0].driven_rad == drive.angle_rad[3]
    picture = draw(frames, [0.1, 0.5, 1, 4], "a title")
    weak = draw(frames, [0.1, 0.5, 1, 4], "a title", replace(usual, low=100.0))  # all are, by that
    same = draw(frames, [0.1, 0.5, 1, 4], "a title", replace(usual, low=-100.0, spread=0.0))
    assert np.array_equal(picture, same) and not np.array_equal(picture, weak)
    red = [int((shown[..., 0].astype(int) - shown[..., 1] > 90).sum()) for shown in (picture, weak)]
    assert red[0] > 20 and red[1] == 0
    # Six tiles in two rows of three per frame; the first tile is the input, the second the first mask.
    inputs = np.repeat(frames[0].results[0].input[..., None], 3, axis=2)
    assert any(np.array_equal(picture[y : y + 24, 12:60], inputs) for y in range(30, 80)), (
        "the input is not in the picture"
    )


def test_evolution_writes_a_picture(run: Path, road: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "figure.png"
    call = ["evolution", str(run), str(road), "--frame", "3", "--device", "cpu", "-o", str(out)]
    assert main(call) == 0
    assert "after 0.1, 0.5, 1, 4 epochs" in capsys.readouterr().out
    first = cv2.imread(str(out))
    assert main([*call, "--epochs", "0.1,4", "--frame", "7", "--force", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["epochs"] == [0.1, 4] and len(facts["frames"]) == 2
    assert cv2.imread(str(out)).shape == (facts["height"], facts["width"], 3) != first.shape
    for words, said in (
        (call, "exists and was not written by vbp"),
        ([*call, "--force", "--frame", "60"], "there is no frame 60"),
        ([*call, "--force", "--epochs", "2"], "has no checkpoint of epoch 2; it has 0.1, 0.5, 1, 4"),
        ([*call, "--force", "--epochs", "x"], "not a list of epochs"),
        ([*call[:-1], str(tmp_path / "f.jpg")], "give a name that ends in .png"),
        (["evolution", str(road), *call[2:]], "is no training run"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_letters_are_drawn_with_any_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in (False, True):
        if missing:
            monkeypatch.delattr(cv2, "FontFace", raising=False)
        picture = np.full((40, 300, 3), 255, np.uint8)
        lettering.write(picture, "1 epoch, +3.4° −1", 5, 28, 16, (0, 0, 0))
        ink = np.flatnonzero((picture < 128).any((0, 2)))
        assert ink[0] >= 4 and 60 < ink[-1] < 260
        rows = np.flatnonzero((picture < 128).any((1, 2)))
        assert rows[0] >= 8 and rows[-1] <= 34
