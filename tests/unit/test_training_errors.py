"""What goes wrong in training, said in a sentence, and what is left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roadmaker import tiny_spec, write_drive
from runmaker import PLAIN, Stopper, in_another_process, sources
from vbp.errors import VbpError
from vbp.models.network import load_checkpoint
from vbp.training.folder import Run
from vbp.training.loop import resume, train
from vbp.training.recipe import Recipe


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("drives") / "road")


def test_a_loss_that_is_not_a_number_ends_the_run(drive: Path, tmp_path: Path) -> None:
    recipe = replace(PLAIN, epochs=4, lr=1e6, checkpoints=(0.1,))
    with pytest.raises(VbpError, match="not a number after step .*--lr than 1e\\+06"):
        train(sources(drive), tiny_spec(), recipe, tmp_path / "run", "cpu")
    for file in (tmp_path / "run").rglob("epoch-*.safetensors"):
        load_checkpoint(file)  # refuses what is not finite


def test_a_network_that_breaks_later_keeps_what_was_good(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(self: Recipe, step: int, steps: int) -> float:
        return float("inf") if step >= 9 else 0.01

    monkeypatch.setattr(Recipe, "lr_at", bad)
    with pytest.raises(VbpError, match="stay in"):
        train(sources(drive), tiny_spec(), replace(PLAIN, epochs=4), tmp_path / "run", "cpu")
    assert [c.epoch for c in Run(tmp_path / "run").checkpoints()] == [0.1, 0.5, 1]
    for checkpoint in Run(tmp_path / "run").checkpoints():
        checkpoint.load()


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """Files may be no larger than a limit: first the pictures do not fit, then the state, a checkpoint always."""
    drive = write_drive(tmp_path / "road", 40)
    child = in_another_process(f"""
import resource
from vbp.errors import VbpError
from roadmaker import tiny_spec
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (40_000, 80_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        loop.train(sources(Path({str(drive)!r})), tiny_spec(), RICH, Path({str(tmp_path)!r}) / str(limit), "cpu")
    except VbpError as error:
        print(error)
""")
    assert child.stdout.count("cannot be written: File too large") == 2, child.stderr
    assert len(child.stdout.splitlines()) == 2
    assert not list(tmp_path.rglob("*.part"))
    assert not list((tmp_path / "40000/checkpoints").iterdir())
    kept = Run(tmp_path / "80000").checkpoints()
    assert len(kept) >= 2
    for checkpoint in kept:
        checkpoint.load()


def test_bad_folders(drive: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    with pytest.raises(VbpError, match="full exists and is not empty; choose another folder"):
        train(sources(drive), tiny_spec(), PLAIN, tmp_path / "full", "cpu")
    with pytest.raises(VbpError, match="is a file"):
        train(sources(drive), tiny_spec(), PLAIN, tmp_path / "full/notes.txt", "cpu")
    for folder, word in ((tmp_path / "full", "is no training run"), (tmp_path / "none", "is no folder")):
        with pytest.raises(VbpError, match=word):
            resume(folder, "cpu")
    train(sources(drive), tiny_spec(), replace(PLAIN, epochs=0.2), tmp_path / "run", "cpu")
    with pytest.raises(VbpError, match="continue it with --resume"):
        train(sources(drive), tiny_spec(), PLAIN, tmp_path / "run", "cpu")
    config = tmp_path / "run/config.json"
    good = config.read_text()
    for bad, word in (
        ("{", "cannot be read"),
        ("[]", "is no training run"),
        (good.replace('"format": 1,\n "init"', '"format": 2,\n "init"'), "another version"),
        (good.replace('"sgd"', '"newton"'), "newton is not known"),
        (good.replace('"threads"', '"x"'), "is damaged"),
    ):
        config.write_text(bad)
        with pytest.raises(VbpError, match=word):
            Run(tmp_path / "run")


def test_too_little_to_learn_from(tmp_path: Path) -> None:
    nan = float("nan")
    cases = {
        "unlabelled": ({"angles": np.full(9, nan)}, "no measured steering angle"),
        "constant": ({"angles": np.full(9, 0.25)}, r"is \+14.32° on every frame"),
        "slow": ({"speeds": 2.0}, "no labelled frame of .* is faster than 5 m/s"),
        "one": ({"angles": np.array([0.1] + [nan] * 8)}, "one frame that can be learnt from"),
    }
    for name, (changes, word) in cases.items():
        drive = write_drive(tmp_path / name, 9, **changes)
        with pytest.raises(VbpError, match=word):
            train(sources(drive), tiny_spec(), PLAIN, tmp_path / "run", "cpu")
    short = write_drive(tmp_path / "short", 9)
    with pytest.raises(VbpError, match="no frames would be left to train on"):
        train(sources(short), tiny_spec(), replace(PLAIN, test_gap_s=5), tmp_path / "run", "cpu")
    with pytest.raises(VbpError, match="--test is given 2 times for 1 recordings"):
        train(sources(short), tiny_spec(), replace(PLAIN, test=("1", "2")), tmp_path / "run", "cpu")
    assert not (tmp_path / "run").exists()


def test_bad_frames_are_left_out_and_counted(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "road", 60)
    files = sorted((drive / "center").iterdir())
    files[7].write_bytes(b"no picture")
    files[9].unlink()
    listener = Stopper(-1)
    train(sources(drive), tiny_spec(), PLAIN, tmp_path / "run", "cpu", listener=listener)
    assert any("2 could not be decoded and are left out" in text for text in listener.said)


def test_frames_that_do_not_fit_on_the_disk(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vbp.training.frames as frames_module

    monkeypatch.setattr(frames_module, "KEEP_FREE", 2**62)
    with pytest.raises(VbpError, match="GiB free, and the 117 prepared frames need"):
        train(sources(drive), tiny_spec(), PLAIN, tmp_path / "run", "cpu")
