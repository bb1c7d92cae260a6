"""TensorBoard's event files, where the tensorboard package is installed."""

from __future__ import annotations

from dataclasses import asdict
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
        values = {"loss/train": row.train_loss, "lr": row.lr}
        values |= {n.replace("test_", "test/"): v for n, v in asdict(row).items() if n.startswith("test_")}
        for name, value in values.items():
            if value == value:
                self._writer.add_scalar(name, value, row.step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
