"""Holes in a plot's time: where it was jumped, as dashed lines, and how long each hole is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QColor, QFontMetricsF

from vbp.app import theme
from vbp.app.widgets.plot_parts import thin_pen
from vbp.app.widgets.series import Floats
from vbp.readable import how_long

APART = 8  # pixels between two lines, at least
MOST_LABELS = 12
Holes = Sequence[tuple[int, float]]  # (the frame before it, how many seconds it is long)


def parts_of(n: int, starts: Sequence[int]) -> np.ndarray:
    """(n,) which part of the recording each frame belongs to, where a new one begins at each of `starts`."""
    begins = np.zeros(n, dtype=np.int64)
    np.add.at(begins, np.asarray(starts, dtype=np.int64), 1)
    return np.cumsum(begins)


class HoleMarks:
    """Of plots that share their time axis; the lengths stand in the first."""

    def __init__(self, plots: Sequence[Any]) -> None:
        self._plots = plots
        self._at: Floats = np.zeros(0)
        self._words: list[str] = []
        self._lines = [pg.PlotCurveItem(connect="pairs") for _ in plots]
        for plot, lines in zip(plots, self._lines, strict=True):
            lines.setZValue(-5)
            plot.addItem(lines, ignoreBounds=True)
        self._labels = [pg.TextItem(anchor=(0, 0)) for _ in range(MOST_LABELS)]
        for label in self._labels:
            label.hide()
            plots[0].addItem(label, ignoreBounds=True)

    def set_holes(self, times_s: Floats, holes: Holes) -> list[tuple[float, float]]:
        """The holes of frames that are drawn at `times_s`. Returns the clock's parts, as `clock_ticks` takes them."""
        self._at = np.array([(times_s[i] + times_s[i + 1]) / 2 for i, _ in holes])
        self._words = [how_long(seconds) for _, seconds in holes]
        ahead = np.cumsum([seconds - (times_s[i + 1] - times_s[i]) for i, seconds in holes])
        return [(0.0, 0.0), *zip(self._at.tolist(), ahead.tolist(), strict=True)]

    def shown(self) -> list[str]:
        """What stands beside the lines in view."""
        return [label.toPlainText() for label in self._labels if label.isVisible()]

    def place(self, x0: float, x1: float, pixels: float) -> None:
        """Draw those between x0 and x1, which are so many pixels apart."""
        first, last = np.searchsorted(self._at, (x0, x1))
        scale = max(1.0, pixels) / max(1e-9, x1 - x0)
        columns = np.floor((self._at[first:last] - x0) * scale / APART)
        kept = first + np.flatnonzero(np.diff(columns, prepend=-1.0))
        for plot, lines in zip(self._plots, self._lines, strict=True):
            low, high = plot.vb.viewRange()[1]
            lines.setData(np.repeat(self._at[kept], 2), np.tile([low, high], len(kept)))
        top = self._plots[0].vb.viewRange()[1][1]
        metrics, free, used = QFontMetricsF(theme.number_font()), x0, 0
        for k in kept:
            width = (metrics.horizontalAdvance(self._words[k]) + 10) / scale
            if used < MOST_LABELS and self._at[k] >= free and self._at[k] + width <= x1:
                self._labels[used].setText(self._words[k])
                self._labels[used].setPos(float(self._at[k]), top)
                free, used = self._at[k] + width, used + 1
        for n, label in enumerate(self._labels):
            label.setVisible(n < used)

    def dress(self) -> None:
        """The colours in force."""
        c = theme.colours()
        for lines in self._lines:
            lines.setPen(thin_pen(c.muted, dashed=True))
        ground = QColor(c.panel)
        ground.setAlpha(190)  # curves run behind the words, and are still seen
        for label in self._labels:
            label.setColor(c.muted)
            label.fill = pg.mkBrush(ground)
            label.setFont(theme.number_font())
