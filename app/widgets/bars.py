"""Bars over shares of something, from small to large: a number for each, which is told where the mouse is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vbp.app import theme

MARGIN, GAP = 6, 1  # pixels: around all, and between two bars
LEAST = 2  # pixels of height of a bar of which something is known


@dataclass(frozen=True)
class Bar:
    """faint: it stands for so little that its height says not much. words: of its tip; "" of one of which nothing is known."""

    value: float
    words: str
    faint: bool = False


class Bars(QWidget):
    chosen = Signal(int)  # a bar was clicked

    def __init__(self) -> None:
        super().__init__()
        self._bars: Sequence[Bar] = ()
        self._title = self._most = ""
        self._ends: Sequence[str] = ()
        self.setFont(theme.number_font())
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_bars(self, title: str, bars: Sequence[Bar], most: str, ends: Sequence[str]) -> None:
        """most: the highest one's number, in words. ends: what is written below, evenly from left to right."""
        self._title, self._bars, self._most, self._ends = title, bars, most, ends
        self.setAccessibleName(title)
        self.update()

    @property
    def bars(self) -> Sequence[Bar]:
        return self._bars

    def sizeHint(self) -> QSize:
        return QSize(200, 2 * self.fontMetrics().height() + 36)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.sizeHint().height())

    def bar_rect(self, k: int) -> QRectF:
        """The column in which bar k stands."""
        line = self.fontMetrics().height()
        width = (self.width() - 2 * MARGIN) / max(1, len(self._bars))
        return QRectF(MARGIN + k * width, line + 4, width, self.height() - 2 * line - 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        c, painter = theme.colours(), QPainter(self)
        painter.fillRect(self.rect(), c.panel)
        line = self.fontMetrics().height()
        across = QRectF(MARGIN, 2, self.width() - 2 * MARGIN, line)
        painter.setPen(c.muted)
        room = across.width() - self.fontMetrics().horizontalAdvance(self._most) - MARGIN
        title = self.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideRight, int(room))
        painter.drawText(across, Qt.AlignmentFlag.AlignLeft, title)
        painter.drawText(across, Qt.AlignmentFlag.AlignRight, self._most)
        highest = max((bar.value for bar in self._bars), default=0.0)
        for k, bar in enumerate(self._bars):
            if not bar.words:
                continue
            room_of = self.bar_rect(k)
            height = max(LEAST, room_of.height() * bar.value / highest if highest else 0.0)
            painter.setOpacity(0.35 if bar.faint else 1.0)
            painter.fillRect(
                QRectF(room_of.x(), room_of.bottom() - height, max(1.0, room_of.width() - GAP), height),
                c.error,
            )
        painter.setOpacity(1.0)
        if self._bars:
            foot = self.bar_rect(0).bottom() + 1
            painter.setPen(c.border)
            painter.drawLine(MARGIN, int(foot), self.width() - MARGIN, int(foot))
            painter.setPen(c.muted)
            below = QRectF(MARGIN, foot + 1, self.width() - 2 * MARGIN, line)
            sides = (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight)
            for text, side in zip(self._ends, sides, strict=False):
                painter.drawText(below, side, text)
        painter.end()

    def _at(self, x: float) -> int:
        """-1 for none of which something is known."""
        k = int((x - MARGIN) * len(self._bars) // max(1, self.width() - 2 * MARGIN))
        return k if 0 <= k < len(self._bars) and self._bars[k].words else -1

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and (k := self._at(event.position().x())) >= 0:
            self.chosen.emit(k)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            k = self._at(event.pos().x())
            QToolTip.showText(event.globalPos(), self._bars[k].words if k >= 0 else "", self)
            return True
        return super().event(event)
