"""Training: it learns, it goes on exactly where it stopped, and it says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vbp.training.trainer as trainer_module
from roadmaker import tiny_spec, write_drive
from vbp.errors import VbpError
from vbp.models.network import build, load_checkpoint, save_checkpoint
from vbp.training import Recipe, Run, train
from vbp.training.folder import Row, Source
from vbp.training.loop import Listener, resume

# What has randomness and memory of every kind: order, augmentation, dropout, AdamW, the mean of weights.
RICH = Recipe(
    epochs=4,
    optimizer="adamw",
    lr=3e-3,
    schedule="onecycle",
    batch=16,
    weight_decay=0.01,
    dropout=0.1,
    ema=0.9,
    clip=5,
    angle_weighting=0.5,
    augment=("flip", "shift", "light", "shadow", "blur", "noise", "erase"),
    test_gap_s=0.2,
    precision="float32",
)
PLAIN = Recipe(epochs=2, lr=0.05, batch=16, test_gap_s=0.2, precision="float32")


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("drives") / "road")


def sources(*paths: Path) -> list[Source]:
    return [Source(str(p)) for p in paths]


class Stopper(Listener):
    """Asks for an end after some steps, as Ctrl-C does, or kills the process at once."""

    def __init__(self, after: int, number: int = signal.SIGINT) -> None:
        self.after, self.number, self.said = after, number, []

    def stepped(self, step: int, steps: int, epoch: float, loss: float) -> None:
        if step == self.after:
            os.kill(os.getpid(), self.number)

    def say(self, text: str) -> None:
        self.said.append(text)


def weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {f.name: load_file(f) for f in sorted(run.rglob("*.safetensors"))}


def assert_same(a: Path, b: Path) -> None:
    """The same files with the same weights, to the bit, and the same measurements."""
    one, two = weights(a), weights(b)
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].keys() == two[name].keys()
        for key in one[name]:
            assert torch.equal(one[name][key], two[name][key]), (name, key)
    rows = [[replace(r, seconds=0.0) for r in Run(f).metrics()] for f in (a, b)]
    assert rows[0] == rows[1]


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


@pytest.mark.parametrize("after", [3, 7, 19])
def test_interrupted_and_resumed_is_the_same_to_the_bit(drive: Path, tmp_path: Path, after: int) -> None:
    train(sources(drive), tiny_spec(), RICH, tmp_path / "whole", "cpu")
    stopper = Stopper(after)
    with pytest.raises(KeyboardInterrupt):
        train(sources(drive), tiny_spec(), RICH, tmp_path / "parts", "cpu", listener=stopper)
    assert (
        stopper.said[-1] == f"stopped after step {after}; go on with: vbp train --resume {tmp_path / 'parts'}"
    )
    assert not Run(tmp_path / "parts").finished
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "parts", "cpu", Stopper(after + 4))
    torch.manual_seed(99)  # what else happened in the process must not matter
    assert resume(tmp_path / "parts", "cpu").finished
    assert_same(tmp_path / "whole", tmp_path / "parts")
    before = weights(tmp_path / "parts")["last.safetensors"]
    assert resume(tmp_path / "parts", "cpu").finished  # nothing is left to do
    after_all = weights(tmp_path / "parts")["last.safetensors"]
    assert all(torch.equal(before[k], after_all[k]) for k in before)


def test_a_run_that_is_being_trained_is_not_trained_by_another(drive: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
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


PATHS = [str(folder) for folder in Path(__file__).parents[:3]]
KILLED = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from test_training import RICH, Stopper, sources
from roadmaker import tiny_spec
import signal, torch
import vbp.training.loop as loop
torch.set_num_threads({threads})
loop.SAVE_EVERY_S = {every}
loop.train(sources(Path({drive!r})), tiny_spec(), RICH, Path({run!r}), "cpu", listener=Stopper({after}, signal.SIGKILL))
"""


@pytest.mark.parametrize(("after", "every"), [(2, 120.0), (16, 0.0)])
def test_killed_and_resumed_is_the_same_to_the_bit(
    drive: Path, tmp_path: Path, after: int, every: float
) -> None:
    """Before the first state there is nothing to lose; after it, the steps since are done again."""
    train(sources(drive), tiny_spec(), RICH, tmp_path / "whole", "cpu")
    code = KILLED.format(
        paths=PATHS,
        drive=str(drive),
        run=str(tmp_path / "parts"),
        after=after,
        every=every,
        threads=torch.get_num_threads(),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (tmp_path / "parts/checkpoints/.epoch-1.safetensors.1.part").write_bytes(b"half")
    assert resume(tmp_path / "parts", "cpu").finished
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert not list((tmp_path / "parts").rglob("*.part"))


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
    code = KILLED.split("loop.train")[0].format(
        paths=PATHS,
        threads=1,
        every=120.0,
    )
    code += f"""
import resource
from vbp.errors import VbpError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (40_000, 80_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        loop.train(sources(Path({str(drive)!r})), tiny_spec(), RICH, Path({str(tmp_path)!r}) / str(limit), "cpu")
    except VbpError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.count("cannot be written: File too large") == 2, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert not list(tmp_path.rglob("*.part"))
    assert not list((tmp_path / "40000/checkpoints").iterdir())
    kept = Run(tmp_path / "80000").checkpoints()
    assert len(kept) >= 2
    for checkpoint in kept:
        checkpoint.load()


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


def test_a_damaged_state_is_said(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(sources(drive), tiny_spec(), RICH, tmp_path / "run", "cpu", listener=Stopper(4))
    state = tmp_path / "run/state/state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(VbpError, match="is damaged, so the run cannot go on"):
        resume(tmp_path / "run", "cpu")


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
    loss = (module(images)[:, 0] - torch.from_numpy(frames.angle_rad[rows])).square().mean()
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
    rmse = np.sqrt(np.mean((predicted - frames.angle_rad[held]) ** 2))
    assert run.metrics()[-1].test_rmse_rad == pytest.approx(float(rmse), rel=1e-3)


def test_frames_that_do_not_fit_on_the_disk(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vbp.training.frames as frames_module

    monkeypatch.setattr(frames_module, "KEEP_FREE", 2**62)
    with pytest.raises(VbpError, match="GiB free, and the 117 prepared frames need"):
        train(sources(drive), tiny_spec(), PLAIN, tmp_path / "run", "cpu")


def test_one_look_in_sixteen_steps_finds_the_same(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the losses are read seldom; what is written must not depend on it."""
    train(sources(drive), tiny_spec(), PLAIN, tmp_path / "each", "cpu")
    look = trainer_module.Trainer._look

    def seldom(self: trainer_module.Trainer) -> None:
        if sys._getframe(1).f_code.co_name != "step":
            look(self)

    monkeypatch.setattr(trainer_module.Trainer, "_look", seldom)
    train(sources(drive), tiny_spec(), PLAIN, tmp_path / "seldom", "cpu")
    assert_same(tmp_path / "each", tmp_path / "seldom")
