"""A run goes on exactly where it stopped, whatever it learns and whatever ended it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from roadmaker import tiny_spec, write_drive
from runmaker import RICH, Example, Stopper, assert_same, example, in_another_process, sources, weights
from vbp.errors import VbpError
from vbp.training.folder import Run
from vbp.training.listener import Listener
from vbp.training.loop import resume, train


@pytest.fixture(scope="module", params=["steering", "classes"])
def learning(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    return example(request.param, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(learning: Example, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing interrupts."""
    run = learning.train(tmp_path_factory.mktemp("whole") / "run")
    assert run.metrics()[-1].step == 24
    return run.path


@pytest.mark.parametrize("after", [3, 7, 19])
def test_interrupted_and_resumed_is_the_same_to_the_bit(
    learning: Example, whole: Path, tmp_path: Path, after: int
) -> None:
    parts = tmp_path / "parts"
    stopper = Stopper(after)
    with pytest.raises(KeyboardInterrupt):
        learning.train(parts, stopper)
    assert stopper.said[-1] == f"stopped after step {after}; go on with: vbp train --resume {parts}"
    assert not Run(parts).finished
    with pytest.raises(KeyboardInterrupt):
        resume(parts, "cpu", Stopper(after + 4))
    torch.manual_seed(99)  # what else happened in the process must not matter
    assert resume(parts, "cpu").finished
    assert_same(whole, parts)
    before = weights(parts)["last.safetensors"]
    assert resume(parts, "cpu").finished  # nothing is left to do
    after_all = weights(parts)["last.safetensors"]
    assert all(torch.equal(before[k], after_all[k]) for k in before)


@pytest.mark.parametrize(("after", "every"), [(2, 120.0), (16, 0.0)])
def test_killed_and_resumed_is_the_same_to_the_bit(
    learning: Example, whole: Path, tmp_path: Path, after: int, every: float
) -> None:
    """Before the first state there is nothing to lose; after it, the steps since are done again."""
    parts = tmp_path / "parts"
    child = in_another_process(f"""
loop.SAVE_EVERY_S = {every}
learning = example({learning.data.name!r}, Path({str(learning.data.parent)!r}))
learning.train(Path({str(parts)!r}), Stopper({after}, signal.SIGKILL))
""")
    assert child.returncode == -signal.SIGKILL, child.stderr
    (parts / "checkpoints/.epoch-1.safetensors.1.part").write_bytes(b"half")
    assert resume(parts, "cpu").finished
    assert_same(whole, parts)
    assert not list(parts.rglob("*.part"))


def test_a_run_that_is_being_trained_is_not_trained_by_another(tmp_path: Path) -> None:
    drive, run = write_drive(tmp_path / "road"), tmp_path / "run"
    command = [sys.executable, "-m", "vbp", "train", "--resume", str(run)]
    said: list[str] = []

    class Meddler(Listener):
        def stepped(self, step: int, steps: int, epoch: float, loss: float) -> None:
            if step == 2:
                other = subprocess.run(command, capture_output=True, text=True)
                said.append(f"{other.returncode} {other.stderr.strip()}")

    assert train(sources(drive), tiny_spec(), RICH, run, "cpu", listener=Meddler()).finished
    assert len(said) == 1 and said[0].startswith("2 ") and "being trained by another process" in said[0]
    assert len(said[0].splitlines()) == 1


def test_recordings_that_changed_are_noticed(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "road", 60)
    with pytest.raises(KeyboardInterrupt):
        train(sources(drive), tiny_spec(), RICH, tmp_path / "run", "cpu", listener=Stopper(4))
    for file in (tmp_path / "run/frames").iterdir():
        file.unlink()
    assert not Run(tmp_path / "run").finished
    shutil.rmtree(drive)
    write_drive(drive, 60, seed=1)
    with pytest.raises(VbpError, match="the recordings differ from those"):
        resume(tmp_path / "run", "cpu")


def test_a_damaged_state_is_said(tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "road", 60)
    with pytest.raises(KeyboardInterrupt):
        train(sources(drive), tiny_spec(), RICH, tmp_path / "run", "cpu", listener=Stopper(4))
    state = tmp_path / "run/state/state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(VbpError, match="is damaged, so the run cannot go on"):
        resume(tmp_path / "run", "cpu")
