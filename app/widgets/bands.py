"""Stretches of a recording as thin bands, over the timeline and the plot, and what each is in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject, QPointF, QRectF
from PySide6.QtGui import QCursor, QPainter, QPen
from PySide6.QtWidgets import QToolTip

from vbp.app import theme
from vbp.app.widgets.series import Floats

THICK = 3  # pixels
SHORTEST = 3.0  # pixels of width
REACH = 10.0  # pixels below the plot's upper edge in which a band says what it is
MOST_WORDS = 3  # of bands that lie over each other


@dataclass(frozen=True)
class Band:
    """Frames first to last. colour: a name of the theme's. text: what it is."""

    first: int
    last: int
    colour: str
    text: str


def paint_bands(painter: QPainter, bands: Sequence[Band], x_of: Callable[[int], float], top: float) -> None:
    for band in bands:
        left = x_of(band.first)
        width = max(SHORTEST, x_of(band.last) - left)
        painter.fillRect(QRectF(left, top, width, THICK), getattr(theme.colours(), band.colour))


def words_at(bands: Sequence[Band], first: int, last: int) -> list[str]:
    """What lies over frames first to last."""
    found = [band.text for band in bands if band.first <= last and band.last >= first]
    return found[:MOST_WORDS] + [f"and {len(found) - MOST_WORDS} more"] * (len(found) > MOST_WORDS)


class PlotBands(QObject):
    """Along the upper edge of a plot. times: seconds of each frame, as they are drawn."""

    def __init__(self, parent: QObject, plot: Any, times: Callable[[], Floats]) -> None:
        super().__init__(parent)
        self._plot, self._times = plot, times
        self._bands: Sequence[Band] = ()
        self._curves: dict[str, Any] = {}
        plot.vb.sigRangeChanged.connect(lambda *_: self._place())
        plot.vb.sigResized.connect(lambda *_: self._place())
        plot.scene().sigMouseMoved.connect(self._hover)
        theme.changed.connect(self._place)

    def set(self, bands: Sequence[Band]) -> None:
        self._bands = bands
        self._place()

    def words(self, x: float) -> list[str]:
        """What lies within a few pixels of x seconds."""
        times = self._times()
        if not len(times):
            return []
        slack = SHORTEST * self._pixel()
        first, last = np.searchsorted(times, (x - slack, x + slack))
        return words_at(self._bands, int(first), max(int(first), int(last) - 1))

    def _pixel(self) -> float:
        x0, x1 = self._plot.vb.viewRange()[0]
        return float(x1 - x0) / max(1.0, float(self._plot.vb.width()))

    def _place(self) -> None:
        times, shortest = self._times(), SHORTEST * self._pixel()
        low, high = self._plot.vb.viewRange()[1]
        y = high - (high - low) * THICK / 2 / max(1.0, float(self._plot.vb.height()))
        for name in {*self._curves, *(band.colour for band in self._bands)}:
            if name not in self._curves:
                self._curves[name] = pg.PlotCurveItem(connect="pairs")
                self._curves[name].setZValue(15)
                self._plot.addItem(self._curves[name], ignoreBounds=True)
            spans = [
                (times[b.first], times[b.last])
                for b in self._bands
                if b.colour == name and b.last < len(times)
            ]
            xs = np.array([(a, max(b, a + shortest)) for a, b in spans], dtype=np.float64).ravel()
            pen = QPen(getattr(theme.colours(), name), THICK)
            pen.setCosmetic(True)
            self._curves[name].setPen(pen)
            self._curves[name].setData(xs, np.full(len(xs), y))

    def _hover(self, at: QPointF) -> None:
        box = self._plot.vb.sceneBoundingRect()
        if not self._bands or not box.contains(at) or at.y() > box.top() + REACH:
            return
        if text := "\n".join(self.words(float(self._plot.vb.mapSceneToView(at).x()))):
            QToolTip.showText(QCursor.pos(), text)
