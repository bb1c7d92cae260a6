"""Where one change lies among those of random places: a dot for each of them, and a line."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from vbp.app import theme
from vbp.readable import signed


class BaselinePlot(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.change: float | None = None
        self.others: tuple[float, ...] = ()
        self._unit = "°"
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(2 * self.fontMetrics().height() + 8)
        theme.changed.connect(self.update)

    def set_changes(self, change: float | None, others: Sequence[float] = (), unit: str = "°") -> None:
        self.change, self.others, self._unit = change, tuple(others), unit
        self.setToolTip(
            "The line: this change. The dots: the same shape erased at random places." if others else ""
        )
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.change is None or not self.others:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        c, font = theme.colours(), self.fontMetrics()
        reach = max(abs(self.change), *map(abs, self.others), 1e-9) * 1.1
        left, right = 8.0, self.width() - 8.0
        ground = self.height() - font.height() - 2.0

        def x(value: float) -> float:
            return left + (value / reach + 1) / 2 * (right - left)

        painter.setPen(QPen(c.border, 1))
        painter.drawLine(QPointF(left, ground), QPointF(right, ground))
        painter.drawLine(QPointF(x(0), 2), QPointF(x(0), ground))
        dot = QColor(c.muted)
        dot.setAlpha(150)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(dot)
        for k, value in enumerate(sorted(self.others)):
            painter.drawEllipse(QPointF(x(value), ground - 4 - 5 * (k % 3)), 2.5, 2.5)
        painter.setPen(QPen(c.predicted, 2))
        painter.drawLine(QPointF(x(self.change), 2), QPointF(x(self.change), ground))
        painter.setPen(c.muted)
        painter.setFont(theme.number_font())
        below = QRectF(left, ground + 2, right - left, font.height())
        painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), signed(-reach) + self._unit)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter), "0")
        painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), signed(reach) + self._unit)
        painter.end()
