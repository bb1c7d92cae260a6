"""Who follows a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings torch
    from vbp.training.folder import Row


class Listener:
    """What a run reports while it trains; a subclass shows it."""

    def say(self, text: str) -> None:
        """One sentence that a user should know."""

    def decoded(self, done: int, total: int) -> None:
        """Frames prepared so far."""

    def stepped(self, step: int, steps: int, epoch: float, loss: float) -> None:
        """Steps done. loss: of the batch, as `Row.train_loss`."""

    def measured(self, row: Row) -> None:
        """A row of metrics was written."""
