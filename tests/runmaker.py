"""Small training runs: what is learnt, what interrupts it, and whether two runs are the same to the bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from roadmaker import tiny_spec, write_drive, write_signs
from vbp.models.spec import CropRule, NetworkSpec
from vbp.training.folder import Run, Source
from vbp.training.listener import Listener
from vbp.training.loop import train
from vbp.training.recipe import Recipe

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
RICH_CLASSES = replace(
    RICH, epochs=6, batch=6, angle_weighting=0, augment=tuple(n for n in RICH.augment if n != "flip")
)
PLAIN_CLASSES = replace(PLAIN, epochs=6, batch=6)


def sources(*paths: Path) -> list[Source]:
    return [Source(str(p)) for p in paths]


def sign_spec() -> NetworkSpec:
    """A classifier that trains in a second; its classes are those of the folder that it learns from."""
    return tiny_spec(
        arguments={"widths": [6, 8], "strides": [2, 2], "hidden": [16], "outputs": 2},
        input_height=24,
        input_width=24,
        channels=3,
        crop=CropRule(),
        output="class",
        classes=("yes", "no"),
    )


@dataclass(frozen=True)
class Example:
    """What a run learns from, and how: 24 steps that have randomness and memory of every kind."""

    data: Path
    spec: NetworkSpec
    recipe: Recipe

    def train(self, run: Path, listener: Listener | None = None) -> Run:
        return train(sources(self.data), self.spec, self.recipe, run, "cpu", listener=listener)


def example(kind: str, folder: Path) -> Example:
    """ "steering" or "classes"; the data are made where they are not there yet."""
    data = folder / kind
    if kind == "steering":
        return Example(data if data.exists() else write_drive(data), tiny_spec(), RICH)
    names = ["cat", "cow", "dog"]
    return Example(data if data.exists() else write_signs(data, names), sign_spec(), RICH_CLASSES)


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


def in_another_process(code: str) -> subprocess.CompletedProcess[str]:
    """Python code that may import what the tests share, with as many threads as this process."""
    start = f"""
import sys
sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
import signal
import subprocess
import sys
from pathlib import Path
import torch
import vbp.training.loop as loop
from runmaker import RICH, Stopper, example, sources
torch.set_num_threads({torch.get_num_threads()})
"""
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True)
