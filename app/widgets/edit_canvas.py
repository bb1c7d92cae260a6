"""Lies over the picture while something is erased in it: a round brush, or a rectangle that is dragged about and sized."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QWidget

from vbp.app import theme
from vbp.app.widgets.crop_editor import CORNERS, HANDLE, REACH, Corner, drawn, moved, sized
from vbp.app.widgets.undo_keys import UndoKeys

BRUSH, BOX = "brush", "rectangle"
SMALLEST, LARGEST = 2, 150  # of the brush's radius, pixels of the picture
STEP = 1.5  # pixels of the picture that a stroke's points are apart


class EditCanvas(UndoKeys):
    """Coordinates are pixels of the picture.

    stroked: the points so far, of the stroke that is being drawn. boxed: the rectangle as it is; new: it was drawn
    just now. begun, done: the button went down and up. sized_by_wheel: the brush's radius.
    """

    begun = Signal()
    stroked = Signal(object)
    boxed = Signal(QRectF, bool)
    done = Signal()
    sized_by_wheel = Signal(int)

    def __init__(self, view: QWidget, picture_rect: Callable[[], QRectF]) -> None:
        super().__init__(view)
        self._view, self._picture_rect = view, picture_rect
        self.tool, self.radius = "", 12
        self.box: QRectF | None = None
        self._size = (1.0, 1.0)
        self._points: list[tuple[float, float]] = []
        self._held: Corner | str | None = None
        self._last = QPointF()
        self._at: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # while it is used, Ctrl+Z is its own, not the notes'
        self.setMouseTracking(True)
        self.setAccessibleName("Erase and watch, on the picture")
        view.installEventFilter(self)
        self.hide()

    def use(self, tool: str, size: tuple[int, int]) -> None:
        """tool: "" for none. size: width and height of the picture."""
        self.tool, self._size, self._held = tool, (float(size[0]), float(size[1])), None
        self.setGeometry(self._view.rect())
        self.setVisible(bool(tool))
        if tool:
            self.raise_()
            self.setFocus()
        self.setCursor(Qt.CursorShape.CrossCursor)

    def use_size(self, size: tuple[int, int]) -> None:
        """Another picture, perhaps of another size."""
        self._size = (float(size[0]), float(size[1]))

    def set_box(self, box: QRectF | None) -> None:
        if self._held is None:
            self.box = box
            self.update()

    def set_radius(self, radius: int) -> None:
        self.radius = radius
        self.update()

    def _in_picture(self, pos: QPointF) -> QPointF:
        r = self._picture_rect()
        if r.isEmpty():
            return QPointF()
        return QPointF(
            (pos.x() - r.x()) / r.width() * self._size[0], (pos.y() - r.y()) / r.height() * self._size[1]
        )

    def on_screen(self, box: QRectF) -> QRectF:
        r = self._picture_rect()
        sx, sy = r.width() / self._size[0], r.height() / self._size[1]
        return QRectF(r.x() + box.x() * sx, r.y() + box.y() * sy, box.width() * sx, box.height() * sy)

    def _part_at(self, pos: QPointF) -> Corner | str:
        if self.box is None:
            return "new"
        box = self.on_screen(self.box)
        for corner in CORNERS:
            away = _corner(box, corner) - pos
            if abs(away.x()) <= REACH and abs(away.y()) <= REACH:
                return corner
        return "move" if box.contains(pos) else "new"

    # -- the hand

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if event.button() != Qt.MouseButton.LeftButton or not self._picture_rect().contains(event.position()):
            return
        self._last = self._in_picture(event.position())
        self._held = BRUSH if self.tool == BRUSH else self._part_at(event.position())
        self.begun.emit()
        if self._held == BRUSH:
            self._points = [(self._last.x(), self._last.y())]
            self.stroked.emit(tuple(self._points))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        before, self._at = self._at, event.position()
        at = self._in_picture(event.position())
        if self._held == BRUSH:
            if (at - self._last).manhattanLength() >= STEP:
                self._last = at
                self._points.append((at.x(), at.y()))
                self.stroked.emit(tuple(self._points))
        elif self._held == "new":
            self._set(drawn(self._last, at, None, *self._size), True)
        elif self._held == "move" and self.box is not None:
            box = moved(self.box, at - self._last, *self._size)
            self._last += box.topLeft() - self.box.topLeft()
            self._set(box, False)
        elif isinstance(self._held, tuple) and self.box is not None:
            self._set(sized(self.box, self._held, at, None, *self._size), False)
        if (
            self.tool == BRUSH and before is not None
        ):  # no more of the picture below is painted again than the circles cover
            for centre in (before, self._at):
                self.update(self._circle(centre).adjusted(-3, -3, 3, 3).toAlignedRect())
        else:
            self.update()

    def _circle(self, centre: QPointF) -> QRectF:
        """The brush there, on the screen."""
        radius = self.radius * self._picture_rect().width() / self._size[0]
        return QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius)

    def _set(self, box: QRectF, new: bool) -> None:
        if box != self.box:
            self.box = box
            self.boxed.emit(box, new)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held is not None and event.button() == Qt.MouseButton.LeftButton:
            self._held = None
            self.done.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The brush's size; with the rectangle the picture is zoomed as usual."""
        if self.tool != BRUSH or not event.angleDelta().y():
            event.ignore()
            return
        times = 1.15 ** (event.angleDelta().y() / 120)
        radius = round(self.radius * times) + (1 if times > 1 else -1) * (
            round(self.radius * times) == self.radius
        )
        self.sized_by_wheel.emit(min(max(radius, SMALLEST), LARGEST))
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        self._at = None
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._view.rect())
        return False

    # -- paint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        accent = theme.colours().accent
        dark, bright = QPen(QColor(0, 0, 0, 150), 3), QPen(accent, 1.5)
        if self.tool == BRUSH and self._at is not None:
            for pen in (dark, bright):
                painter.setPen(pen)
                painter.drawEllipse(self._circle(self._at))
        if self.tool == BOX and self.box is not None:
            box = self.on_screen(self.box)
            for pen in (dark, bright):
                painter.setPen(pen)
                painter.drawRect(box)
            painter.setBrush(accent)
            for corner in CORNERS:
                at = _corner(box, corner)
                painter.drawRect(QRectF(at.x() - HANDLE / 2, at.y() - HANDLE / 2, HANDLE, HANDLE))
        painter.end()


def _corner(box: QRectF, corner: Corner) -> QPointF:
    return QPointF(box.right() if corner[0] else box.left(), box.bottom() if corner[1] else box.top())
