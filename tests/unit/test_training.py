"""Training: it learns what the recipe says, and says what it did."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vbp.training.trainer as trainer_module
from roadmaker import tiny_spec, write_drive
from runmaker import PLAIN, Stopper, assert_same, sources
from vbp.models.network import build, load_checkpoint, save_checkpoint
from vbp.training.folder import Row, Run
from vbp.training.listener import Listener
from vbp.training.loop import train


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("drives") / "road")


def test_the_papers_recipe_learns_an_angle_that_can_be_seen(drive: Path, tmp_path: Path) -> None:
    recipe = replace(PLAIN, epochs=32, test_fraction=0.25)
    run = train(sources(drive), tiny_spec(), recipe, tmp_path / "run", "cpu")
    rows = run.metrics()
    assert rows[-1].train_loss < rows[0].train_loss / 5
    actual = 0.4 * np.sin(np.arange(90, 120) * 0.37)
    assert rows[-1].test_rmse_rad < np.sqrt(np.mean(actual**2)) / 2
    assert run.finished
    assert [c.epoch for c in run.checkpoints()] == [0.1, 0.5, 1, 4, 16, 32]
    assert not (tmp_path / "run/frames").exists()
    network = load_checkpoint(tmp_path / "run/last.safetensors")
    assert "road (frames 0 to 86; held out: 90 to 119)" in network.spec.trained_on
    best = min(rows, key=lambda r: r.test_rmse_rad)
    text = load_checkpoint(tmp_path / "run/best.safetensors").spec.trained_on
    assert f"after {best.epoch:.4g} of 32 epochs" in text


def test_checkpoints_are_of_their_epochs(drive: Path, tmp_path: Path) -> None:
    recipe = replace(PLAIN, epochs=2.5, batch=8, checkpoints=(0.1, 0.5, 1, 7))
    run = train(sources(drive), tiny_spec(), recipe, tmp_path / "run", "cpu")
    steps = 105 // 8  # 120 frames: 12 to test on, and the 3 of 0.2 s before them in neither part
    assert [c.epoch for c in run.checkpoints()] == [0.1, 0.5, 1, 2.5]
    found = {r.step: r.epoch for r in run.metrics()}
    assert sorted(found) == [1, round(steps / 2), steps, 2 * steps, round(2.5 * steps)]
    assert found[1] == pytest.approx(1 / steps)
    assert found[round(2.5 * steps)] == 2.5
    first, last = (load_checkpoint(run.checkpoints()[n].path).module.state_dict() for n in (0, -1))
    fresh = build(tiny_spec(), 0).module.state_dict()
    assert int(first["features.0.num_batches_tracked"]) == 1
    assert int(last["features.0.num_batches_tracked"]) == round(2.5 * steps)
    assert not torch.equal(first["head.1.weight"], fresh["head.1.weight"])


def test_fine_tuning_starts_from_the_checkpoint(drive: Path, tmp_path: Path) -> None:
    spec = tiny_spec(output_unit="deg", output_sign="right", mean=0.3, std=0.4, trained_on="a circle")
    start = build(spec, 5)
    save_checkpoint(start, tmp_path / "start.safetensors")
    recipe = replace(PLAIN, epochs=20, optimizer="adamw", lr=5e-3)
    run = train(
        sources(drive), tiny_spec(), recipe, tmp_path / "run", "cpu", init=str(tmp_path / "start.safetensors")
    )
    spec = run.checkpoints()[-1].load().spec
    assert (spec.output_unit, spec.output_sign, spec.mean) == ("deg", "right", 0.3)
    assert "begun from start.safetensors [a circle]" in spec.trained_on
    assert run.metrics()[-1].train_loss < run.metrics()[0].train_loss / 4
    slow = replace(PLAIN, epochs=1, lr=1e-12, checkpoints=(0.1,))
    run = train(
        sources(drive), tiny_spec(), slow, tmp_path / "slow", "cpu", init=str(tmp_path / "start.safetensors")
    )
    got = run.checkpoints()[0].load().module.state_dict()
    for key, value in start.module.state_dict().items():
        if key.startswith("head"):
            torch.testing.assert_close(got[key], value, atol=1e-7, rtol=0)


def test_a_run_can_be_followed(drive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seen: list[tuple[bool, list[float], int, bool]] = []

    class Watcher(Listener):
        run: Run | None = None

        def measured(self, row: Row) -> None:
            self.run = self.run or Run(folder)
            epochs = [c.epoch for c in self.run.checkpoints()]
            seen.append((self.run.changed(), epochs, len(self.run.metrics()), self.run.finished))
            assert not self.run.changed()

    train(sources(drive), tiny_spec(), replace(PLAIN, checkpoints=(0.5,)), folder, "cpu", listener=Watcher())
    assert [s[1] for s in seen] == [[0.5], [0.5], [0.5, 2]]
    assert [s[2] for s in seen] == [1, 2, 3]
    assert [s[0] for s in seen][1:] == [True, True]
    assert [s[3] for s in seen] == [False, False, True]
    assert Run(folder).config.recipe == replace(PLAIN, checkpoints=(0.5,))


def test_several_drives_of_several_sizes(drive: Path, tmp_path: Path) -> None:
    other = write_drive(tmp_path / "wide", 60, seed=3, size=(64, 96))
    listener = Stopper(-1)
    recipe = replace(PLAIN, test=("", "10:20"), epochs=1)
    run = train(sources(drive, other), tiny_spec(), recipe, tmp_path / "run", "cpu", listener=listener)
    assert any("pictures of 48x32, 96x64: each is cropped" in text for text in listener.said)
    assert [(s.train, s.test) for s in run.config.sources] == [("0 to 119", "none"), ("0 to 59", "10 to 19")]
    assert any("164 frames to train on, 10 to test on" in text for text in listener.said)


def test_a_run_without_test_frames(drive: Path, tmp_path: Path) -> None:
    run = train(sources(drive), tiny_spec(), replace(PLAIN, test_fraction=0), tmp_path / "run", "cpu")
    assert all(np.isnan(r.test_rmse_rad) for r in run.metrics())
    assert not (tmp_path / "run/best.safetensors").exists()


def test_the_first_step_is_the_one_by_hand(drive: Path, tmp_path: Path) -> None:
    """SGD on the mean squared error of the whole set, against plain torch."""
    recipe = replace(PLAIN, epochs=1, batch=105, momentum=0, lr=0.1)
    run = train(sources(drive), tiny_spec(), recipe, tmp_path / "run", "cpu", keep_frames=True)
    from vbp.training.frames import load

    frames = load(tmp_path / "run/frames", tiny_spec())
    rows = frames.train_rows
    assert len(rows) == 105
    module = build(tiny_spec(), 0).module.train()
    images = torch.from_numpy(frames.pictures[rows])[:, None].float() / 255
    loss = (module(images)[:, 0] - torch.from_numpy(frames.targets[rows])).square().mean()
    loss.backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 0.1 * parameter.grad
    # Each weight's step, as a whole: with another order of additions a ReLU at zero may fall to the other side,
    # which moves single entries, and the scale before a BatchNorm has a gradient of nothing but rounding.
    # Another loss, rate or sign moves everything.
    start = build(tiny_spec(), 0).module.state_dict()
    whole = sum(float((v.detach() - start[k]).square().sum()) for k, v in module.named_parameters()) ** 0.5
    got = run.checkpoints()[-1].load().module.state_dict()
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            wanted = value - start[key]
            off = got[key] - value
            assert off.norm() <= 0.01 * wanted.norm() + 0.001 * whole, (key, float(off.norm()), whole)
        else:
            assert torch.equal(got[key], value), key
    assert run.metrics()[-1].train_loss == pytest.approx(loss.item(), rel=1e-4)
    module.eval()
    with torch.no_grad():
        held = frames.test_rows
        predicted = module(torch.from_numpy(frames.pictures[held])[:, None].float() / 255)[:, 0].numpy()
    rmse = np.sqrt(np.mean((predicted - frames.targets[held]) ** 2))
    assert run.metrics()[-1].test_rmse_rad == pytest.approx(float(rmse), rel=1e-3)


def test_one_look_in_sixteen_steps_finds_the_same(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the losses are read seldom; what is written must not depend on it."""
    train(sources(drive), tiny_spec(), PLAIN, tmp_path / "each", "cpu")
    collect = trainer_module.Trainer._collect_losses

    def seldom(self: trainer_module.Trainer) -> None:
        if sys._getframe(1).f_code.co_name != "step":
            collect(self)

    monkeypatch.setattr(trainer_module.Trainer, "_collect_losses", seldom)
    train(sources(drive), tiny_spec(), PLAIN, tmp_path / "seldom", "cpu")
    assert_same(tmp_path / "each", tmp_path / "seldom")
