"""The steering wheel: how the driver held it, how the network would, and the numbers below."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme
from app.widgets.format import UNKNOWN, signed

NAN = float("nan")


class SteeringView(QWidget):
    """Angles are wheel angles in radians, positive to the left: counter-clockwise on the screen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._driven = self._predicted = self._speed = NAN
        self._frame = ""
        self._time = ""
        self.setMinimumSize(150, 150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    def set_angles(self, driven_rad: float, predicted_rad: float) -> None:
        """NaN where unknown."""
        self._driven, self._predicted = float(driven_rad), float(predicted_rad)
        self.update()

    def set_speed(self, mps: float) -> None:
        self._speed = float(mps)
        self.update()

    def set_frame(self, index: int, total: int, time_text: str) -> None:
        self._frame = f"{index} / {total}" if total > 0 else ""
        self._time = time_text
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(280, 300)

    def lines(self) -> list[tuple[str, str, str, QColor]]:
        """The numbers shown: label, number, unit, colour of the label's mark."""
        c = theme.colours()
        error = self._driven - self._predicted  # actual - predicted, the paper's definition
        speed = f"{self._speed:.1f}" if math.isfinite(self._speed) else UNKNOWN
        return [
            ("driven", signed(math.degrees(self._driven)), "°", c.driven),
            ("predicted", signed(math.degrees(self._predicted)), "°", c.predicted),
            ("error", signed(math.degrees(error)), "°", c.error),
            ("speed", speed, "m/s", QColor(0, 0, 0, 0)),
        ]

    # -- paint

    def wheel_rect(self) -> QRectF:
        """The square of the drawn wheel."""
        area, _ = self._areas()
        side = max(0.0, min(area.width(), area.height()))
        return QRectF(area.center().x() - side / 2, area.center().y() - side / 2, side, side)

    def _areas(self) -> tuple[QRectF, QRectF]:
        """Of the wheel and of the numbers: below each other, or beside where the widget is wide."""
        m = 10.0
        row = self.fontMetrics().height() * 1.5
        numbers = row * 5
        w, h = float(self.width()), float(self.height())
        column = self.fontMetrics().averageCharWidth() * 30.0
        if w - column > h - numbers and w > column + 80:
            return QRectF(m, m, w - column - 2 * m, h - 2 * m), QRectF(
                w - column, max(m, (h - numbers) / 2), column - m, numbers
            )
        return QRectF(m, m, w - 2 * m, h - numbers - 2 * m), QRectF(
            m, h - numbers - m / 2, w - 2 * m, numbers
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = self.wheel_rect()
        if rect.width() > 24:
            self._paint_wheel(painter, rect)
        self._paint_numbers(painter, self._areas()[1])
        painter.end()

    def _paint_wheel(self, painter: QPainter, rect: QRectF) -> None:
        c = theme.colours()
        r = rect.width() / 2
        rim = max(3.0, r * 0.13)
        painter.save()
        painter.translate(rect.center())
        known = math.isfinite(self._driven)
        if known:
            painter.save()
            painter.rotate(-math.degrees(self._driven))  # Qt turns clockwise
            self._wheel(painter, r - rim / 2, rim, c.driven)
            painter.restore()
        else:
            ghost = QColor(c.border)
            self._wheel(painter, r - rim / 2, rim, ghost)
        if math.isfinite(self._predicted):
            painter.rotate(-math.degrees(self._predicted))
            self._needle(painter, r, rim, c.predicted)
        painter.restore()

    @staticmethod
    def _wheel(painter: QPainter, r: float, rim: float, colour: QColor) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, rim))
        painter.drawEllipse(QPointF(0, 0), r, r)
        painter.setPen(QPen(colour, rim * 0.9, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        for x, y in ((-r, 0.0), (r, 0.0), (0.0, r)):
            painter.drawLine(QPointF(0, 0), QPointF(x, y))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(QPointF(0, 0), rim * 1.3, rim * 1.3)

    @staticmethod
    def _needle(painter: QPainter, r: float, rim: float, colour: QColor) -> None:
        painter.setPen(QPen(colour, max(2.0, r * 0.04), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(0, 0), QPointF(0, -(r - rim)))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(
            QPolygonF(
                [QPointF(0, -r), QPointF(-rim * 0.7, -r + rim * 1.6), QPointF(rim * 0.7, -r + rim * 1.6)]
            )
        )

    def _paint_numbers(self, painter: QPainter, area: QRectF) -> None:
        c = theme.colours()
        font = theme.number_font()
        painter.setFont(font)
        row = area.height() / 5
        y = area.y()
        painter.setPen(c.muted)
        line = QRectF(area.x(), y, area.width(), row)
        painter.drawText(line, _LEFT, f"frame {self._frame}" if self._frame else "")
        painter.drawText(line, _RIGHT, self._time)
        unit = painter.fontMetrics().horizontalAdvance("m/s") + 6.0
        for label, number, units, mark in self.lines():
            y += row
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(mark)
            painter.drawRoundedRect(QRectF(area.x(), y + row / 2 - 4, 8, 8), 2, 2)
            painter.setPen(c.muted)
            painter.drawText(QRectF(area.x() + 16, y, area.width() - 16, row), _LEFT, label)
            painter.drawText(QRectF(area.right() - unit + 4, y, unit, row), _LEFT, units)
            painter.setPen(c.text)
            painter.drawText(QRectF(area.x(), y, area.width() - unit, row), _RIGHT, number)


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
