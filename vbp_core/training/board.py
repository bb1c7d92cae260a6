"""TensorBoard's event files, where the tensorboard package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vbp.training.folder import Row

MISSING = "tensorboard is not installed: metrics.csv only (pip install 'vbp[train]' adds event files)"


class Board:
    """Writes rows of metrics to RUN/events; does nothing without the package (`missing`)."""

    def __init__(self, folder: Path, step: int) -> None:
        """step: where the run stands; later events, of a run that was interrupted, are struck out."""
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder / "events"), purge_step=step)

    @property
    def missing(self) -> bool:
        return self._writer is None

    def add(self, row: Row) -> None:
        if self._writer is None:
            return
        values = {
            "loss/train": row.train_loss,
            "test/rmse_rad": row.test_rmse_rad,
            "test/mae_deg": row.test_mae_deg,
            "lr": row.lr,
        }
        for name, value in values.items():
            if value == value:
                self._writer.add_scalar(name, value, row.step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
