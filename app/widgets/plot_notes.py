"""Notes in a plot over time: a line where one begins, a light band over a range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject
from PySide6.QtGui import QColor

from vbp.app import theme
from vbp.app.widgets.plot_parts import thin_pen
from vbp.app.widgets.series import Floats

FAR = 1e6  # degrees, beyond every plot


class NoteMarks(QObject):
    """Of plots that share their time axis; it ends with the first of them."""

    def __init__(self, plots: Sequence[Any]) -> None:
        super().__init__(plots[0])
        self._lines = [pg.PlotCurveItem(connect="pairs") for _ in plots]
        self._bands = [pg.BarGraphItem(x0=[], x1=[], y0=-FAR, y1=FAR) for _ in plots]
        for plot, lines, bands in zip(plots, self._lines, self._bands, strict=True):
            lines.setZValue(-6)
            bands.setZValue(-15)
            plot.addItem(bands, ignoreBounds=True)
            plot.addItem(lines, ignoreBounds=True)
        theme.changed.connect(self.dress)
        self.dress()

    def set_notes(self, times_s: Floats, notes: Sequence[tuple[int, int]]) -> None:
        """First and last frames, of frames that are drawn at `times_s`."""
        shown = [(first, last) for first, last in notes if last < len(times_s)]
        at = np.array([times_s[first] for first, _ in shown])
        ranges = [(float(times_s[first]), float(times_s[last])) for first, last in shown if last > first]
        for lines, bands in zip(self._lines, self._bands, strict=True):
            lines.setData(np.repeat(at, 2), np.tile([-FAR, FAR], len(at)))
            bands.setOpts(x0=[a for a, _ in ranges], x1=[b for _, b in ranges], y0=-FAR, y1=FAR)

    def dress(self) -> None:
        """The colours in force."""
        fill = QColor(theme.colours().bookmark)
        fill.setAlpha(40)
        for lines, bands in zip(self._lines, self._bands, strict=True):
            lines.setPen(thin_pen(theme.colours().bookmark))
            bands.setOpts(brush=fill, pen=None)
