"""A veil over a panel whose numbers or maps are no longer those of the moment."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from vbp.app import theme

STRENGTH = 165  # of 255


class Veil(QWidget):
    """Lies over `under`, hidden at first; the mouse goes through.

    plate: whether it bears its text, which would hide half of other words.
    """

    def __init__(self, under: QWidget, plate: bool = True) -> None:
        super().__init__(under)
        self._under, self._plate, self._text = under, plate, ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def set_text(self, text: str) -> None:
        """Why what is below is old, in a word or two; "" for what is not. Said again, it follows the panel's size."""
        if text:
            self.setGeometry(self._under.rect())
            self.raise_()
        if text != self._text:
            self._text = text
            self.setVisible(bool(text))
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        c = theme.colours()
        ground = QColor(c.window)
        ground.setAlpha(STRENGTH)
        painter.fillRect(self.rect(), ground)
        metrics = painter.fontMetrics()
        width, height = metrics.horizontalAdvance(self._text) + 16, metrics.height() + 4
        if self._plate and width <= self.width() and height <= self.height():
            plate = QRectF((self.width() - width) / 2, min(6.0, (self.height() - height) / 2), width, height)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(c.panel)
            painter.drawRoundedRect(plate, 4, 4)
            painter.setPen(c.warning)
            painter.drawText(plate, int(Qt.AlignmentFlag.AlignCenter), self._text)
        painter.end()
