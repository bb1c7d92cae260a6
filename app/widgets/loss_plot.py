"""How a run learned: its error on train and test frames over the epochs, with a mark for each checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vbp.app import theme

Floats = NDArray[np.float64]
GRAB = 14.0  # pixels around a mark
STEPS = (1, 2, 5)
EMPTY = "The first measurement appears here"


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


def nice_step(most: float, wanted: float) -> float:
    """The smallest of 1, 2, 5, 10, ... (and their tenths) that makes at most `wanted` steps of `most`."""
    if not (math.isfinite(most) and most > 0):
        return 1.0
    rough = most / max(1.0, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(s * power for s in (*STEPS, 10) if s * power >= rough * 0.999))


class LossPlot(QWidget):
    """A click on a mark chooses that checkpoint."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._curves = Curves(np.zeros(0), np.zeros(0), np.zeros(0), 1.0)
        self._marks: Floats = np.zeros(0)
        self._in_use = self._hovered = -1
        self.setMouseTracking(True)
        self.setMinimumSize(150, 84)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Train and test error over the epochs")
        theme.changed.connect(self.update)

    def set_curves(self, curves: Curves, marks: list[float]) -> None:
        """marks: the epochs of the checkpoints, in order."""
        self._curves, self._marks = curves, np.asarray(marks, dtype=np.float64)
        self.update()

    def set_in_use(self, k: int) -> None:
        if k != self._in_use:
            self._in_use = k
            self.update()

    # Where things lie.

    def _frame(self) -> QRectF:
        m = self.fontMetrics()
        left = m.horizontalAdvance("epoch") + 14  # of the figures and of the word below them
        top, bottom = m.height() + 8, m.height() + 8
        return QRectF(left, top, max(10, self.width() - left - 14), max(10, self.height() - top - bottom))

    def top(self) -> float:
        """The value at the upper edge. A wild beginning must not flatten all that came after."""
        values = np.concatenate([self._curves.train, self._curves.test])
        values = values[np.isfinite(values)]
        if not len(values):
            return 1.0
        most = min(float(values.max()), 4 * float(values.min()))
        step = nice_step(most * 1.05, 4)
        return max(step, math.ceil(most * 1.05 / step) * step)

    def _point(self, epoch: float, degrees: float) -> QPointF:
        f = self._frame()
        y = f.bottom() - f.height() * degrees / self.top()
        return QPointF(f.x() + f.width() * epoch / max(1e-9, self._curves.last), y)

    def mark_point(self, k: int) -> QPointF:
        """Where the mark of checkpoint `k` is: on the test curve, or on the other one where there is no test."""
        c, epoch = self._curves, float(self._marks[k])
        for values in (c.test, c.train):
            known = np.isfinite(values)
            if known.any():
                degrees = min(float(np.interp(epoch, c.epochs[known], values[known])), self.top())
                return self._point(epoch, degrees)
        return self._point(epoch, 0.0)

    def _mark_at(self, pos: QPointF) -> int:
        """The mark under the mouse: anywhere above or below it will do."""
        if not len(self._marks) or not self._frame().adjusted(-GRAB, -GRAB, GRAB, GRAB).contains(pos):
            return -1
        away = [abs(self.mark_point(k).x() - pos.x()) for k in range(len(self._marks))]
        k = int(np.argmin(away))
        return k if away[k] <= GRAB else -1

    # The hand.

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._mark_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def _hover(self, k: int) -> None:
        if k != self._hovered:
            self._hovered = k
            self.setCursor(Qt.CursorShape.PointingHandCursor if k >= 0 else Qt.CursorShape.ArrowCursor)
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and (k := self._mark_at(event.position())) >= 0:
            self.chosen.emit(k)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._tip(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def _tip(self, pos: QPointF) -> str:
        c, f = self._curves, self._frame()
        if not len(c.epochs):
            return ""
        k = int(np.argmin(np.abs(c.epochs - (pos.x() - f.x()) / f.width() * c.last)))
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

    # Paint.

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.number_font())
        c = theme.colours()
        painter.fillRect(self.rect(), c.panel)
        if not len(self._curves.epochs):
            painter.setPen(c.muted)
            painter.drawText(QRectF(self.rect()).adjusted(8, 8, -8, -8), _WRAPPED, EMPTY)
            painter.end()
            return
        self._paint_axes(painter)
        self._paint_legend(painter)
        painter.save()
        painter.setClipRect(self._frame().adjusted(-1, -1, 1, 1))
        for values, colour in ((self._curves.train, c.muted), (self._curves.test, c.error)):
            painter.setPen(QPen(colour, 1.5))
            known = np.isfinite(values)
            points = [
                self._point(e, v) for e, v in zip(self._curves.epochs[known], values[known], strict=True)
            ]
            painter.drawPolyline(QPolygonF(points))
            if len(points) == 1:
                painter.drawPoint(points[0])
        painter.restore()
        self._paint_marks(painter)
        painter.end()

    def _paint_axes(self, painter: QPainter) -> None:
        c, f, top = theme.colours(), self._frame(), self.top()
        step = nice_step(top, max(1.0, f.height() / 26))
        for n in range(int(top / step + 1e-6) + 1):
            y = self._point(0, n * step).y()
            painter.setPen(QPen(c.border, 1))
            painter.drawLine(QPointF(f.x(), round(y) + 0.5), QPointF(f.right(), round(y) + 0.5))
            painter.setPen(c.muted)
            painter.drawText(QRectF(0, y - 10, f.x() - 6, 20), _RIGHT, f"{n * step:g}{self._curves.unit}")
        last = self._curves.last
        step = nice_step(last, max(1.0, f.width() / 56))
        said = "epoch"
        for n in range(int(last / step + 1e-6) + 1):
            x = self._point(n * step, 0).x()
            text = f"{n * step:g}"
            painter.drawText(
                QRectF(x - 40, f.bottom() + 3, 80, self.fontMetrics().height() + 2), _CENTRE, text
            )
        painter.drawText(QRectF(0, f.bottom() + 3, f.x() - 9, self.fontMetrics().height() + 2), _RIGHT, said)

    def _paint_legend(self, painter: QPainter) -> None:
        c, m = theme.colours(), self.fontMetrics()
        x, y = self._frame().x(), 3.0
        parts = [(f"test {self._curves.quantity}", c.error), ("train", c.muted)]
        if not np.isfinite(self._curves.test).any():
            parts = parts[1:]
        for text, colour in parts:
            if x + 18 + m.horizontalAdvance(text) > self.width():
                return  # no room; the tooltip says it
            painter.setPen(QPen(colour, 2))
            middle = y + m.height() / 2 + 1
            painter.drawLine(QPointF(x, middle), QPointF(x + 12, middle))
            painter.setPen(c.muted)
            painter.drawText(QRectF(x + 18, y, 200, m.height() + 2), _LEFT, text)
            x += 18 + m.horizontalAdvance(text) + 18

    def _paint_marks(self, painter: QPainter) -> None:
        c, f = theme.colours(), self._frame()
        for k in range(len(self._marks)):
            at, used = self.mark_point(k), k == self._in_use
            if used:
                painter.setPen(QPen(c.accent, 1))
                painter.drawLine(QPointF(at.x(), f.y()), QPointF(at.x(), f.bottom()))
            painter.setPen(QPen(c.accent if used or k == self._hovered else c.error, 1.5))
            painter.setBrush(c.accent if used else c.panel)
            radius = 5.0 if k == self._hovered or used else 4.0
            painter.drawEllipse(at, radius, radius)


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_CENTRE = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
_WRAPPED = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
