"""The steering wheel: how the driver held it, how the network would, and the numbers below."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from vbp.app import theme
from vbp.readable import UNKNOWN, shown_error, signed

NAN = float("nan")
ROW = 1.1  # of the letters' height, at least


class SteeringView(QWidget):
    """Angles are wheel angles in radians, positive to the left: counter-clockwise on the screen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._driven = self._predicted = self._speed = NAN
        self._frame = ""
        self._time = ""
        self.setMinimumSize(150, round(ROW * 5 * self.fontMetrics().height()))
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
        # A camera's frames have no total; without a time there is no frame at all.
        self._frame = f"{index} / {total}" if total > 0 else str(index) if time_text else ""
        self._time = time_text
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(280, 300)

    def lines(self) -> list[tuple[str, str, str, QColor]]:
        """The numbers shown: label, number, unit, colour of the label's mark."""
        c = theme.colours()
        driven, predicted = math.degrees(self._driven), math.degrees(self._predicted)
        speed = f"{self._speed:.1f}" if math.isfinite(self._speed) else UNKNOWN
        return [
            ("driven", signed(driven), "°", c.driven),
            ("predicted", signed(predicted), "°", c.predicted),
            ("error", signed(shown_error(driven, predicted)), "°", c.error),
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
        w, h = float(self.width()), float(self.height())
        numbers = min(self.fontMetrics().height() * 1.5 * 5, h)
        column = self.fontMetrics().averageCharWidth() * 30.0
        if w - column > h - numbers and w > column + 80:
            side = min(w - column - 3 * m, h - 2 * m)
            left = (w - side - 3 * m - column) / 2 + m  # the two as one group in the middle
            top = (h - numbers) / 2
            return QRectF(left, m, side, h - 2 * m), QRectF(left + side + 2 * m, top, column - m, numbers)
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
        rim = max(3.0, r * 0.12)
        driven, predicted = -math.degrees(self._driven), -math.degrees(self._predicted)  # Qt turns clockwise
        painter.save()
        painter.translate(rect.center())
        known = math.isfinite(driven)
        painter.save()
        painter.rotate(math.fmod(driven, 360) if known else 0)
        self._wheel(painter, r - rim / 2 - 1, rim, c.driven if known else c.border)
        painter.restore()
        if math.isfinite(predicted):
            if known:
                self._arc(painter, r - rim * 1.75, rim * 0.45, driven, predicted, c.error)
            painter.rotate(math.fmod(predicted, 360))
            self._needle(painter, r - 1, rim, c.predicted)
        painter.restore()

    @staticmethod
    def _wheel(painter: QPainter, r: float, rim: float, colour: QColor) -> None:
        c = theme.colours()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, rim))
        painter.drawEllipse(QPointF(0, 0), r, r)
        painter.setPen(QPen(colour, rim * 0.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        for x, y in ((-r, 0.0), (r, 0.0), (0.0, r)):
            painter.drawLine(QPointF(0, 0), QPointF(x, y))
        painter.setPen(QPen(c.window, max(1.5, rim * 0.25), Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawLine(QPointF(0, -r - rim * 0.5), QPointF(0, -r + rim * 0.5))  # the mark at twelve
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(QPointF(0, 0), rim * 1.3, rim * 1.3)

    @staticmethod
    def _arc(painter: QPainter, r: float, width: float, start: float, end: float, colour: QColor) -> None:
        """The error, from where the driver's mark is to where the network's is."""
        if r <= 0 or abs(end - start) < 0.2:
            return
        soft = QColor(colour)
        soft.setAlpha(170)
        painter.setPen(QPen(soft, max(1.5, width), Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        span = max(-359.0, min(359.0, start - end))  # Qt's arcs count counter-clockwise from three o'clock
        painter.drawArc(
            QRectF(-r, -r, 2 * r, 2 * r), round((90 - math.fmod(start, 360)) * 16), round(span * 16)
        )

    @staticmethod
    def _needle(painter: QPainter, r: float, rim: float, colour: QColor) -> None:
        tip, base, half = -r, -r + rim * 1.7, rim * 0.75
        painter.setPen(QPen(colour, max(2.0, r * 0.035), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(0, 0), QPointF(0, base))
        painter.setPen(QPen(theme.colours().window, 1))  # parts it from the rim
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF([QPointF(0, tip), QPointF(-half, base), QPointF(half, base)]))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(QPointF(0, 0), rim * 0.5, rim * 0.5)

    def _frame_text(self, metrics: QFontMetrics, width: float) -> str:
        """Which frame it is, and of how many where the time leaves room for that."""
        if not self._frame:
            return ""
        whole = f"frame {self._frame}"
        room = width - metrics.horizontalAdvance(f"{self._time}  ")
        return whole if metrics.horizontalAdvance(whole) <= room else whole.partition(" / ")[0]

    def _paint_numbers(self, painter: QPainter, area: QRectF) -> None:
        c = theme.colours()
        font = theme.number_font()
        painter.setFont(font)
        spare = max(0.0, area.width() - painter.fontMetrics().averageCharWidth() * 42.0)
        area = area.adjusted(spare / 2, 0, -spare / 2, 0)  # a number far from its name is hard to read
        row = area.height() / 5
        y = area.y()
        painter.setPen(c.muted)
        line = QRectF(area.x(), y, area.width(), row)
        painter.drawText(line, _LEFT, self._frame_text(painter.fontMetrics(), line.width()))
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
