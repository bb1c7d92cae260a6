"""How a run learned: its error on train and test frames over the epochs, with a mark for each checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QSize, Qt, Signal

from vbp.app import theme
from vbp.app.widgets.line_plot import ROWS, LinePlot, nice_step
from vbp.app.widgets.series import Floats

GRAB = 14.0  # pixels around a mark
EMPTY = "The first measurement<br>appears here"


@dataclass(frozen=True)
class Curves:
    """epochs (N,), what is measured on train and test frames (N,), NaN where there is none; `last`: the run's length.

    quantity, unit: what that is called, and what stands behind its numbers.
    """

    epochs: Floats
    train: Floats
    test: Floats
    last: float
    quantity: str = "RMSE"
    unit: str = "°"


class LossPlot(LinePlot):
    """A click on a mark, or above or below it, chooses that checkpoint."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._curves = Curves(np.zeros(0), np.zeros(0), np.zeros(0), 1.0)
        self._marks: Floats = np.zeros(0)
        self._in_use = self._hovered = -1
        self._dots = pg.ScatterPlotItem(antialias=True)
        self._dots.setZValue(20)
        self._line = pg.InfiniteLine(angle=90)
        self._bottom.name = "epoch"
        self.setMinimumSize(150, 84)
        self.setAccessibleName("Train and test error over the epochs")
        self._view.scene().sigMouseMoved.connect(self._moved)
        self._view.scene().sigMouseClicked.connect(self._clicked)
        self._dress()

    def set_curves(self, curves: Curves, marks: list[float]) -> None:
        """marks: the epochs of the checkpoints, in order."""
        self._curves, self._marks = curves, np.asarray(marks, dtype=np.float64)
        self.draw()

    def set_in_use(self, k: int) -> None:
        if k != self._in_use:
            self._in_use = k
            self._draw_marks()

    def top(self) -> float:
        """The value at the upper edge. A wild beginning must not flatten all that came after."""
        values = np.concatenate([self._curves.train, self._curves.test])
        values = values[np.isfinite(values)]
        if not len(values):
            return 1.0
        most = min(float(values.max()), 4 * float(values.min()))
        step = nice_step(most * 1.05, ROWS)
        return max(step, math.ceil(most * 1.05 / step) * step)

    def mark_value(self, k: int) -> float:
        """Where the mark of checkpoint `k` is: on the test curve, or on the other one where there is no test."""
        c, epoch = self._curves, float(self._marks[k])
        for values in (c.test, c.train):
            known = np.isfinite(values)
            if known.any():
                return min(float(np.interp(epoch, c.epochs[known], values[known])), self.top())
        return 0.0

    def mark_point(self, k: int) -> QPointF:
        """That mark in pixels of this widget."""
        return self.point(float(self._marks[k]), self.mark_value(k))

    # The mouse.

    def _mark_at(self, scene_pos: QPointF) -> int:
        """The mark under the mouse: anywhere above or below it will do."""
        box = self._plot.vb
        if not len(self._marks) or not box.sceneBoundingRect().contains(scene_pos):
            return -1
        away = [abs(box.mapViewToScene(QPointF(e, 0.0)).x() - scene_pos.x()) for e in self._marks]
        k = int(np.argmin(away))
        return k if away[k] <= GRAB else -1

    def _moved(self, scene_pos: QPointF) -> None:
        self._hover(self._mark_at(scene_pos))

    def _hover(self, k: int) -> None:
        if k != self._hovered:
            self._hovered = k
            shape = Qt.CursorShape.PointingHandCursor if k >= 0 else Qt.CursorShape.ArrowCursor
            self._view.viewport().setCursor(shape)
            self._draw_marks()

    def _clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and (k := self._mark_at(event.scenePos())) >= 0:
            self.chosen.emit(k)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._hover(-1)
        return super().eventFilter(watched, event)

    def tip(self, pos: QPointF) -> str:
        c = self._curves
        if not len(c.epochs):
            return ""
        k = int(np.argmin(np.abs(c.epochs - pos.x())))
        parts = [f"epoch {c.epochs[k]:.3g}"]
        for name, values, note in (("test", c.test, ""), ("train", c.train, ", on augmented frames")):
            if np.isfinite(values[k]):
                value = f"{values[k]:.3g}"
                if c.unit == "°":
                    value = f"{values[k]:.1f}° ({math.radians(values[k]):.3f} rad)"
                parts.append(f"{name} {c.quantity} {value}{note}")
        return "\n".join(parts)

    def sizeHint(self) -> QSize:
        return QSize(260, 130)

    def draw(self) -> None:
        c, colours = self._curves, theme.colours()
        self._plot.clear()
        self.say("" if len(c.epochs) else EMPTY)
        if not len(c.epochs):
            return
        self._left.unit = c.unit
        self.show_range((0.0, max(1e-9, c.last)), (0.0, self.top()))
        self.add_curve(c.epochs, c.train, colours.muted)
        self.add_curve(c.epochs, c.test, colours.error)
        entries = [(colours.error, f"test {c.quantity}", False), (colours.muted, "train", False)]
        self.set_legend(entries if np.isfinite(c.test).any() else entries[1:])
        self._plot.addItem(self._line, ignoreBounds=True)
        self._plot.addItem(self._dots)
        self._draw_marks()

    def _draw_marks(self) -> None:
        c = theme.colours()
        marks = range(len(self._marks))
        used = [k == self._in_use for k in marks]
        near = [k == self._hovered for k in marks]
        self._dots.setData(
            x=self._marks,
            y=[self.mark_value(k) for k in marks],
            size=[10 if u or n else 8 for u, n in zip(used, near, strict=True)],
            pen=[
                pg.mkPen(c.accent if u or n else c.error, width=1.5) for u, n in zip(used, near, strict=True)
            ],
            brush=[pg.mkBrush(c.accent if u else c.panel) for u in used],
        )
        self._line.setVisible(any(used))
        if any(used):
            self._line.setPen(c.accent)
            self._line.setValue(float(self._marks[self._in_use]))
