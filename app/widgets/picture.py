"""A picture that keeps its shape: zoom, pan, the network's crop, gaps and captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vbp.app import theme
from vbp.app.theme.colours import DARK

if TYPE_CHECKING:  # a type only: widgets do not pull in OpenCV
    from vbp.overlay import Rect

MAX_ZOOM = 32.0


def to_qimage(rgb: NDArray[np.uint8]) -> QImage:
    """A QImage over the memory of `rgb` (H, W, 3); the caller keeps the array alive."""
    height, width = rgb.shape[:2]
    return QImage(rgb.data, width, height, rgb.strides[0], QImage.Format.Format_RGB888)


class PictureView(QWidget):
    """Shows one picture. `activated`: double-clicked while not zoomed (zoomed, it fits the picture again)."""

    activated = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rgb: NDArray[np.uint8] | None = None
        self._image: QImage | None = None  # over the memory of _rgb
        self._drawn: QImage | None = None  # the same in the screen's format, made when it is painted
        self._crop: Rect | None = None
        self._gap: str | None = None
        self._left = self._right = ""
        self._warning: str | None = None
        self._empty = ""
        self._old = ""
        self._zoom = 1.0
        self._centre = QPointF(0.5, 0.5)  # the point of the picture (0..1) in the middle of the view
        self._grab: QPointF | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 60)
        theme.changed.connect(self.update)

    # -- what it shows

    def set_picture(self, rgb: NDArray[np.uint8] | None) -> None:
        """Show `rgb`, uint8 (H, W, 3), or nothing. The array is read while it is shown, never written."""
        self._hold(rgb)
        self.update()

    def _hold(self, rgb: NDArray[np.uint8] | None) -> None:
        """The same without asking to be painted: for what is made while painting, which would be painted twice."""
        if rgb is None or rgb.ndim != 3 or rgb.size == 0:
            self._rgb = self._image = None
        else:
            rgb = np.ascontiguousarray(rgb, dtype=np.uint8)  # a copy only where it is a cut of another
            self._rgb, self._image = rgb, to_qimage(rgb)
        self._drawn = None

    def set_crop(self, rect: Rect | None) -> None:
        """Outline the part that the network sees, in pixels of the picture."""
        if rect != self._crop:
            self._crop = rect
            self.update()

    def set_gap(self, text: str | None) -> None:
        """Mark the frame as missing, and say why."""
        if text != self._gap:
            self._gap = text
            self.update()

    def set_caption(self, left: str, right: str = "") -> None:
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.update()

    def set_warning(self, text: str | None) -> None:
        if text != self._warning:
            self._warning = text
            self.update()

    def set_old(self, text: str) -> None:
        """Mark the picture as one that is no longer the newest, and say why; "" for one that is."""
        if text != self._old:
            self._old = text
            self.update()

    def set_empty(self, text: str) -> None:
        """What to say while there is no picture."""
        self._empty = text
        self.update()

    # -- where it lies

    def _header(self) -> int:
        return self.fontMetrics().height() + 8 if self._left or self._right else 0

    def viewport(self) -> QRectF:
        """The part of the widget that the picture may fill."""
        top = self._header()
        return QRectF(0, top, self.width(), max(0, self.height() - top))

    def picture_rect(self) -> QRectF:
        """Where the whole picture lies in the widget, beyond its edges when zoomed in."""
        view = self.viewport()
        if self._image is None or view.isEmpty():
            return QRectF()
        scale = self._fit_scale() * self._zoom
        w, h = self._image.width() * scale, self._image.height() * scale
        x = self._place(view.x(), view.width(), w, self._centre.x())
        y = self._place(view.y(), view.height(), h, self._centre.y())
        return QRectF(x, y, w, h)

    def _fit_scale(self) -> float:
        """Widget pixels per picture pixel when the whole picture is shown."""
        view = self.viewport()
        if self._image is None or self._image.isNull():
            return 1.0
        return min(view.width() / self._image.width(), view.height() / self._image.height())

    @staticmethod
    def _place(start: float, room: float, size: float, centre: float) -> float:
        if size <= room:
            return start + (room - size) / 2
        return min(start, max(start + room - size, start + room / 2 - centre * size))

    def reset_zoom(self) -> None:
        self._zoom, self._centre = 1.0, QPointF(0.5, 0.5)
        self.update()

    def pixel_at(self, pos: QPointF) -> tuple[int, int] | None:
        """The picture's pixel (x, y) under a point of the widget."""
        rect = self.picture_rect()
        if self._image is None or rect.isEmpty() or not rect.contains(pos):
            return None
        x = int((pos.x() - rect.x()) / rect.width() * self._image.width())
        y = int((pos.y() - rect.y()) / rect.height() * self._image.height())
        return min(x, self._image.width() - 1), min(y, self._image.height() - 1)

    # -- the hand

    def wheelEvent(self, event: QWheelEvent) -> None:
        rect = self.picture_rect()
        if rect.isEmpty() or not event.angleDelta().y():
            return
        pos = event.position()
        u, v = (pos.x() - rect.x()) / rect.width(), (pos.y() - rect.y()) / rect.height()
        before = self._zoom
        self._zoom = min(MAX_ZOOM, max(1.0, self._zoom * 1.2 ** (event.angleDelta().y() / 120)))
        view = self.viewport().center()
        w, h = rect.width() / before * self._zoom, rect.height() / before * self._zoom
        # the point under the hand stays under the hand
        self._centre = QPointF(u - (pos.x() - view.x()) / w, v - (pos.y() - view.y()) / h)
        self.update()
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._zoom > 1:
            self._grab = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        rect = self.picture_rect()
        if self._grab is None or rect.isEmpty():
            return
        moved = event.position() - self._grab
        self._grab = event.position()
        self._centre -= QPointF(moved.x() / rect.width(), moved.y() / rect.height())
        self._centre = QPointF(min(1.0, max(0.0, self._centre.x())), min(1.0, max(0.0, self._centre.y())))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grab = None
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._zoom > 1:
            self.reset_zoom()
        else:
            self.activated.emit()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            at = self.pixel_at(QPointF(event.pos()))
            if at is not None and self._rgb is not None:
                r, g, b = (int(v) for v in self._rgb[at[1], at[0]])
                QToolTip.showText(event.globalPos(), f"x {at[0]}  y {at[1]}   R {r}  G {g}  B {b}", self)
                return True
        return super().event(event)

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

    # -- paint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        c = theme.colours()
        painter.fillRect(self.rect(), c.window)
        view = self.viewport()
        rect = self.picture_rect()
        painter.save()
        painter.setClipRect(view)
        if self._image is not None and not rect.isEmpty():
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._smooth(rect))
            if self._drawn is None:  # scaling it is twice as fast as scaling three bytes a pixel
                self._drawn = self._image.convertToFormat(QImage.Format.Format_RGB32)
            painter.drawImage(rect, self._drawn)
            self._paint_crop(painter, rect)
        ground = rect.intersected(view) if not rect.isEmpty() else view.adjusted(8, 8, -8, -8)
        if self._gap:
            self._paint_gap(painter, ground)
        elif self._image is None and self._empty:
            painter.setPen(c.muted)
            painter.drawText(ground, _CENTRE, self._empty)
        elif self._image is not None and self._old:
            painter.fillRect(ground, QColor(0, 0, 0, 140))
            self._paint_plate(painter, ground, self._old, c.warning)
        if self._warning:
            self._paint_warning(painter, ground)
        painter.restore()
        self._paint_caption(painter)
        painter.end()

    def _smooth(self, rect: QRectF) -> bool:
        # far in, the pixels themselves are what one wants to see
        if self._image is None:
            return True
        return rect.width() * self.devicePixelRatioF() / self._image.width() < 6

    def _paint_crop(self, painter: QPainter, rect: QRectF) -> None:
        if self._crop is None or self._image is None:
            return
        sx, sy = rect.width() / self._image.width(), rect.height() / self._image.height()
        k = self._crop
        box = QRectF(rect.x() + k.x * sx, rect.y() + k.y * sy, k.width * sx, k.height * sy)
        box.adjust(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(0, 0, 0, 110), 3))  # a dark edge, so that the line shows on bright ground
        painter.drawRect(box)
        painter.setPen(QPen(QColor(255, 255, 255, 200), 1))
        painter.drawRect(box)

    def _paint_gap(self, painter: QPainter, ground: QRectF) -> None:
        c = theme.colours()
        veil = QColor(c.panel)
        veil.setAlpha(225)
        painter.fillRect(ground, veil)
        painter.fillRect(ground, QBrush(c.gap, Qt.BrushStyle.BDiagPattern))
        self._paint_plate(painter, ground, self._gap or "", c.text)

    def _paint_plate(self, painter: QPainter, ground: QRectF, text: str, colour: QColor) -> None:
        inner = ground.adjusted(16, 8, -16, -8)
        box = painter.boundingRect(inner, _CENTRE, text).adjusted(-12, -6, 12, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colours().panel)
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(colour)
        painter.drawText(inner, _CENTRE, text)

    def _paint_warning(self, painter: QPainter, ground: QRectF) -> None:
        text, flags = self._warning or "", _LEFT | int(Qt.TextFlag.TextWordWrap)
        room = ground.adjusted(8, 4, -8, -4)
        needed = min(painter.boundingRect(room, flags, text).height(), room.height())
        line = QRectF(ground.x(), ground.bottom() - needed - 8, ground.width(), needed + 8)
        painter.fillRect(line, QColor(0, 0, 0, 175))
        painter.setPen(DARK.warning)  # the strip is dark in both schemes
        painter.drawText(line.adjusted(8, 4, -8, -4), flags, text)

    def _paint_caption(self, painter: QPainter) -> None:
        height = self._header()
        if not height:
            return
        c = theme.colours()
        line = QRectF(8, 0, self.width() - 16, height)
        painter.setFont(theme.number_font())
        right = self.fontMetrics().horizontalAdvance(self._right) + 12 if self._right else 0
        painter.setPen(c.text)
        left = self.fontMetrics().elidedText(
            self._left, Qt.TextElideMode.ElideRight, max(0, int(line.width()) - right)
        )
        painter.drawText(line, _LEFT, left)
        painter.setPen(c.muted)
        painter.drawText(line, _RIGHT, self._right)


_CENTRE = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
