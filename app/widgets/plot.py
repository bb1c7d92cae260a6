"""Angle and error over the drive, joined to the player."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app import theme


class AnglePlot(QWidget):
    seek_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._times: NDArray[np.float64] = np.zeros(0)
        self._driven: NDArray[np.float64] = np.zeros(0)
        self._predicted: NDArray[np.float64] = np.zeros(0)
        self._plot = pg.PlotWidget()
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._plot)
        theme.changed.connect(self.update)

    def set_drive(self, times_s: NDArray[np.float64] | None, driven_deg: NDArray[np.float64]) -> None:
        self._driven = np.asarray(driven_deg, dtype=np.float64)
        self._times = np.arange(len(self._driven), dtype=np.float64) if times_s is None else np.asarray(times_s)
        self._predicted = np.full(len(self._driven), np.nan)

    def set_predicted(self, i: int, deg: float) -> None:
        if 0 <= i < len(self._predicted):
            self._predicted[i] = deg

    def set_predicted_many(self, first: int, deg: NDArray[np.float64]) -> None:
        part = self._predicted[max(0, first) : max(0, first) + len(deg)]
        part[:] = deg[: len(part)]

    def clear_predicted(self) -> None:
        self._predicted[:] = np.nan

    def set_cursor(self, i: int) -> None:
        """Move the cursor; emits nothing."""

    def set_marks(self, a: int | None, b: int | None) -> None:
        """Show the part between A and B."""
