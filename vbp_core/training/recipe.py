"""How a network is trained: every choice in one place, stored with the run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from vbp.errors import VbpError

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "cosine", "onecycle")
PRECISIONS = ("auto", "float32", "bfloat16")
AUGMENTATIONS = ("flip", "shift", "light", "shadow", "blur", "noise", "erase")
CLASS_EPOCHS = 100.0  # of a classifier, where nothing is said
CHECKPOINTS = (0.1, 0.5, 1.0, 4.0, 16.0, 32.0)  # Figures 5 and 14

# The paper names neither; these learn at the default batch without diverging (RMSE of held-out frames).
LEARNING_RATES = {"sgd": 0.02, "adamw": 3e-4}


@dataclass(frozen=True)
class Recipe:
    """The paper's recipe (sections 4 and 5) by default: SGD, mean squared error, 32 epochs, speed above 5 m/s.

    lr 0: the optimizer's own default. batch: frames per step, over all processes together.
    test_fraction: the last part of each drive that is kept out of training; test: "A:B" for each drive
    instead. test_gap_s: seconds on either side of the test frames that are in neither part.
    augment: names of AUGMENTATIONS. shift: largest sideways shift, as a share of the width.
    shift_angle: radians of the wheel that a shift by the whole width stands for.
    angle_weighting: 0 weighs all frames the same, 1 a frame of twice the mean |angle| about twice as much.
    ema: decay per step of the running mean of the weights that is tested and saved; 0: the weights themselves.
    """

    epochs: float = 32.0
    optimizer: str = "sgd"
    lr: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    batch: int = 32
    clip: float = 0.0
    dropout: float = 0.0
    ema: float = 0.0
    seed: int = 0
    min_speed: float = 5.0
    test_fraction: float = 0.1
    test: tuple[str, ...] = ()
    test_gap_s: float = 2.0
    augment: tuple[str, ...] = ()
    shift: float = 0.03
    shift_angle: float = 0.0
    angle_weighting: float = 0.0
    precision: str = "auto"
    checkpoints: tuple[float, ...] = CHECKPOINTS

    def __post_init__(self) -> None:
        """Raises VbpError for a value that makes no sense."""
        _one_of("--optimizer", self.optimizer, OPTIMIZERS)
        _one_of("--schedule", self.schedule, SCHEDULES)
        _one_of("--precision", self.precision, PRECISIONS)
        for name in self.augment:
            _one_of("--augment", name, AUGMENTATIONS)
        _within("--epochs", self.epochs, 0, 1e6, open_low=True)
        _within("--batch", self.batch, 1, 1e6)
        _within("--lr", self.lr, 0, 1e6)
        _within("--momentum", self.momentum, 0, 0.9999)
        _within("--weight-decay", self.weight_decay, 0, 1e3)
        _within("--clip", self.clip, 0, 1e9)
        _within("--dropout", self.dropout, 0, 0.95)
        _within("--ema", self.ema, 0, 0.99999)
        _within("--seed", self.seed, 0, 2**31 - 1)
        _within("--min-speed", self.min_speed, -1e6, 1e6)
        _within("--test-fraction", self.test_fraction, 0, 0.95)
        _within("--test-gap", self.test_gap_s, 0, 1e6)
        _within("--shift", self.shift, 0, 0.5)
        _within("--shift-angle", self.shift_angle, -1e3, 1e3)
        _within("--angle-weighting", self.angle_weighting, 0, 100)
        for epoch in self.checkpoints:
            _within("--checkpoints", epoch, 0, 1e6, open_low=True)

    @property
    def learning_rate(self) -> float:
        return self.lr or LEARNING_RATES[self.optimizer]

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of step `step` (0..steps-1). A pure function, so that a resumed run needs no state.

        "cosine" falls from the learning rate to a hundredth of it; "onecycle" rises to it over the first
        quarter from a twentieth, and falls along a cosine to a thousandth.
        """
        top = self.learning_rate
        at = step / max(1, steps - 1)
        if self.schedule == "cosine":
            return _cosine(top, top / 100, at)
        if self.schedule == "onecycle":
            rise = 0.25
            return (
                _cosine(top / 20, top, at / rise)
                if at < rise
                else _cosine(top, top / 1000, (at - rise) / (1 - rise))
            )
        return top

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Recipe:
        """Raises VbpError for fields that are unknown or no recipe's."""
        names = {f.name for f in fields(cls)}
        if unknown := set(data) - names:
            raise VbpError(f"a recipe has no {', '.join(sorted(unknown))}; it is of another version of vbp")
        listed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**listed)

    def describe(self) -> str:
        """One line for the model's card."""
        words = [
            f"{self.epochs:g} epochs",
            f"{'SGD' if self.optimizer == 'sgd' else 'AdamW'} {self.learning_rate:g} {self.schedule}",
            f"batch {self.batch}",
            f"seed {self.seed}",
        ]
        if self.weight_decay:
            words.append(f"weight decay {self.weight_decay:g}")
        if self.dropout:
            words.append(f"dropout {self.dropout:g}")
        if self.ema:
            words.append(f"EMA {self.ema:g}")
        if self.augment:
            shift = f" {self.shift:g} at {self.shift_angle:g} rad" if "shift" in self.augment else ""
            words.append(f"augmented by {' '.join(self.augment)}{shift}")
        if self.angle_weighting:
            words.append(f"angle weighting {self.angle_weighting:g}")
        return ", ".join(words)


def _cosine(start: float, end: float, at: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, at))) / 2


def _one_of(option: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise VbpError(f"{option} {value} is not known; accepted: {', '.join(accepted)}")


def _within(option: str, value: float, low: float, high: float, open_low: bool = False) -> None:
    # A recipe read from a file may hold anything.
    number = isinstance(value, int | float) and math.isfinite(value)
    if not number or not low <= value <= high or (open_low and value == low):
        above = f"above {low:g}" if open_low else f"from {low:g}"
        raise VbpError(f"{option} {value} makes no sense; accepted: {above} to {high:g}")
