"""A colour bar in one line: what the colours over a picture mean."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from vbp.app.widgets.picture import to_qimage
from vbp.overlay import Overlay, ramp

WIDTH, HEIGHT, SPACE = 44, 8, 6
EDGE = QColor(128, 128, 128, 160)


@dataclass(frozen=True)
class Scale:
    """low, high: the words at the two ends; signed: whether it is of a map with two sides."""

    overlay: Overlay
    low: str
    high: str
    signed: bool

    def width(self, metrics: QFontMetricsF) -> float:
        """Of the bar with its words."""
        words = [w for w in (self.low, self.high) if w]
        return WIDTH + sum(metrics.horizontalAdvance(w) + SPACE for w in words)

    def short(self) -> Scale:
        """Without its words, for where there is no room."""
        return Scale(self.overlay, "", "", self.signed)

    def paint(self, painter: QPainter, at: QPointF, height: float, colour: QColor) -> None:
        """At the left upper corner of a line of that height, the words in `colour`."""
        x, metrics = at.x(), QFontMetricsF(painter.font())
        painter.setPen(colour)
        middle = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        if self.low:
            wide = metrics.horizontalAdvance(self.low) + SPACE
            painter.drawText(QRectF(x, at.y(), wide, height), middle, self.low)
            x += wide
        colours = ramp(self.overlay, 4 * WIDTH, 1, self.signed)  # sharp where a screen has more pixels
        box = QRectF(round(x), round(at.y() + (height - HEIGHT) / 2), WIDTH, HEIGHT)
        painter.drawImage(box, to_qimage(colours))
        painter.setPen(EDGE)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5))
        if self.high:
            painter.setPen(colour)
            wide = metrics.horizontalAdvance(self.high) + 2
            painter.drawText(QRectF(x + WIDTH + SPACE, at.y(), wide, height), middle, self.high)
