"""A network's input as a person sees it, and each of its channels as the network gets it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vbp.app import theme
from vbp.app.widgets.picture import to_qimage

GAP = 4


class InputView(QWidget):
    """The whole above, its channels in a row below; of one channel only that."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: NDArray[np.uint8] | None = None  # (h, w, 3) RGB
        self.channels: list[NDArray[np.uint8]] = []  # (h, w) each
        self._names: Sequence[str] = ()
        self._empty = ""
        self.setAccessibleName("What the network gets")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.sizeHint().height())
        theme.changed.connect(self.update)

    def set_input(
        self, shown: NDArray[np.uint8], channels: Sequence[NDArray[np.uint8]], names: Sequence[str]
    ) -> None:
        """shown: (h, w, 3) uint8 RGB; channels: (h, w) uint8 each, as the network gets them, with their names."""
        self.shown = np.ascontiguousarray(shown)
        self.channels = [np.ascontiguousarray(channel) for channel in channels]
        self._names = names
        self.update()

    def clear(self, why: str) -> None:
        self.shown, self.channels, self._empty = None, [], why
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(260, 132)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        c = theme.colours()
        if self.shown is None:
            painter.setPen(c.muted)
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(QRectF(self.rect()), flags, self._empty)
            painter.end()
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        line = self.fontMetrics().height()
        many = len(self.channels) > 1
        height, width = self.shown.shape[:2]
        row = self.height() * (0.36 if many else 0.0)
        part = _fitted(width, height, QRectF(0, 0, self.width(), self.height() - row - (GAP if many else 0)))
        painter.drawImage(part, to_qimage(self.shown))
        if many:
            each = (self.width() - GAP * (len(self.channels) - 1)) / len(self.channels)
            for k, (name, channel) in enumerate(zip(self._names, self.channels, strict=True)):
                cell = QRectF(k * (each + GAP), self.height() - row, each, row)
                label = painter.fontMetrics().horizontalAdvance(name) + 5
                painter.setPen(c.muted)
                painter.drawText(
                    QRectF(cell.x(), cell.y(), label, line), int(Qt.AlignmentFlag.AlignLeft), name
                )
                image = QImage(
                    channel.data, width, height, channel.strides[0], QImage.Format.Format_Grayscale8
                )
                painter.drawImage(_fitted(width, height, cell.adjusted(label, 0, 0, 0)), image)
        painter.end()


def _fitted(width: int, height: int, room: QRectF) -> QRectF:
    """The largest picture of that shape, in the middle of `room`."""
    scale = min(room.width() / width, room.height() / height)
    w, h = width * scale, height * scale
    return QRectF(room.x() + (room.width() - w) / 2, room.y() + (room.height() - h) / 2, w, h)
