"""A rectangle over the picture that the mouse moves and sizes, with the shape of the network's input."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from vbp.app import theme

REACH = 12.0  # pixels around a handle that still take it
HANDLE = 9.0
LEAST = 16.0  # pixels of the picture that the narrower side keeps
Corner = tuple[int, int]  # 0 left or top, 1 right or bottom
CORNERS: tuple[Corner, ...] = ((0, 0), (1, 0), (0, 1), (1, 1))
KEYS: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


def sized(
    box: QRectF, corner: Corner, to: QPointF, aspect: float | None, width: float, height: float
) -> QRectF:
    """`box` with `corner` drawn to a point, the opposite corner where it is, inside the picture. aspect: None of any shape."""
    fixed = QPointF(box.left() if corner[0] else box.right(), box.top() if corner[1] else box.bottom())
    room_x = (width - fixed.x()) if corner[0] else fixed.x()
    room_y = (height - fixed.y()) if corner[1] else fixed.y()
    asked_x = (to.x() - fixed.x()) * (1 if corner[0] else -1)
    asked_y = (to.y() - fixed.y()) * (1 if corner[1] else -1)
    if aspect is None:
        wide, tall = min(room_x, max(asked_x, LEAST)), min(room_y, max(asked_y, LEAST))
    else:
        most = min(room_x, room_y * aspect)
        wide = min(most, max(asked_x, asked_y * aspect, LEAST * max(1.0, aspect)))
        tall = wide / aspect
    x = fixed.x() if corner[0] else fixed.x() - wide
    y = fixed.y() if corner[1] else fixed.y() - tall
    return QRectF(x, y, wide, tall)


def drawn(start: QPointF, to: QPointF, aspect: float | None, width: float, height: float) -> QRectF:
    """A new rectangle with one corner at a point and the opposite one towards another."""
    corner = (int(to.x() >= start.x()), int(to.y() >= start.y()))
    return sized(QRectF(start, start), corner, to, aspect, width, height)


def moved(box: QRectF, by: QPointF, width: float, height: float) -> QRectF:
    """`box` moved, as far as the picture reaches."""
    x = min(max(0.0, box.x() + by.x()), max(0.0, width - box.width()))
    y = min(max(0.0, box.y() + by.y()), max(0.0, height - box.height()))
    return QRectF(x, y, box.width(), box.height())


def shaped(box: QRectF, aspect: float, width: float, height: float) -> QRectF:
    """The rectangle of that shape with the width of `box` and its middle, or the largest that fits."""
    wide = min(box.width(), width, height * aspect)
    return moved(
        QRectF(box.center().x() - wide / 2, box.center().y() - wide / aspect / 2, wide, wide / aspect),
        QPointF(),
        width,
        height,
    )


class CropEditor(QWidget):
    """Lies over a picture view while a crop is set. Rectangles are in pixels of the picture.

    of_any_shape: also of another than the network's input.

    changed: it was moved or sized by hand. finished: True for Enter, False for Esc. reset: back to
    the network's own crop.
    """

    changed = Signal(QRectF)
    finished = Signal(bool)
    reset = Signal()

    def __init__(self, view: QWidget, picture_rect: Callable[[], QRectF], of_any_shape: bool = False) -> None:
        super().__init__(view)
        self._free = of_any_shape
        self._view = view
        self._picture_rect = picture_rect
        self._size = (1.0, 1.0)
        self._aspect = 1.0
        self._input = (1, 1)
        self.box = QRectF()
        self._held: Corner | str | None = None
        self._last = QPointF()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("The network's crop")
        self.bar = QWidget()  # for a place beside the picture: over it, it would hide what is chosen
        row = QHBoxLayout(self.bar)
        row.setContentsMargins(10, 4, 4, 4)
        row.setSpacing(6)
        self.text = QLabel()
        self.text.setWordWrap(True)  # a narrow picture is not made wider by it
        self.text.setFont(theme.number_font())
        self.apply = QPushButton("Apply")
        self.apply.setToolTip("Use this crop from now on, and remember it for this source (Enter)")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Keep the previous crop (Esc)")
        self.default = QPushButton("Default")
        self.default.setToolTip("Reset to the crop of the network's specification (Backspace)")
        row.addWidget(self.text, 1)
        for button in (self.default, self.cancel, self.apply):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        self.apply.clicked.connect(lambda: self.finished.emit(True))
        self.cancel.clicked.connect(lambda: self.finished.emit(False))
        self.default.clicked.connect(self.reset)
        theme.changed.connect(self._dress)
        self._dress()
        view.installEventFilter(self)
        self.hide()
        self.bar.hide()

    def begin(self, box: QRectF, size: tuple[int, int], network_input: tuple[int, int]) -> None:
        """Set `box` in a picture of `size` (width, height), for an input of (width, height)."""
        self._size = (float(size[0]), float(size[1]))
        self._input = network_input
        self._aspect = network_input[0] / network_input[1]
        self.set_box(box)
        self._held = None
        self.setGeometry(self._view.rect())
        self.bar.show()
        self.show()
        self.raise_()
        self.setFocus()

    def end(self) -> None:
        self.bar.hide()
        self.hide()

    def set_box(self, box: QRectF) -> None:
        """Emits nothing."""
        # A pixel of rounding, as in a crop that was kept, is no other shape.
        near = abs(box.width() / self._aspect - box.height()) <= 1.0 if box.height() > 0 else False
        self.box = box if near or self._free else shaped(box, self._aspect, *self._size)
        self._write()
        self.update()

    @property
    def _shape(self) -> float | None:
        """Width by height that a crop has to have."""
        return None if self._free else self._aspect

    # -- from the picture to the widget

    def on_screen(self, box: QRectF | None = None) -> QRectF:
        """Where `box` (default: the crop) lies in this widget."""
        box = self.box if box is None else box
        r = self._picture_rect()
        sx, sy = r.width() / self._size[0], r.height() / self._size[1]
        return QRectF(r.x() + box.x() * sx, r.y() + box.y() * sy, box.width() * sx, box.height() * sy)

    def _in_picture(self, pos: QPointF) -> QPointF:
        r = self._picture_rect()
        if r.isEmpty():
            return QPointF()
        return QPointF(
            (pos.x() - r.x()) / r.width() * self._size[0], (pos.y() - r.y()) / r.height() * self._size[1]
        )

    # -- the hand

    def _part_at(self, pos: QPointF) -> Corner | str | None:
        box = self.on_screen()
        near = [(c, _corner(box, c) - pos) for c in CORNERS]
        corner, away = min(near, key=lambda item: item[1].manhattanLength())
        if abs(away.x()) <= REACH and abs(away.y()) <= REACH:
            return corner
        return "move" if box.contains(pos) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = self._part_at(event.position())
            self._last = self._in_picture(event.position())
            if self._held is None and self._picture_rect().contains(event.position()):
                self._held = "new"
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        pos = event.position()
        part = self._held or self._part_at(pos)
        self.setCursor(_cursor(part, self._held is not None))
        if self._held is None:
            return
        at = self._in_picture(pos)
        if self._held == "new":
            box = drawn(self._last, at, self._shape, *self._size)
            if min(box.width(), box.height()) < LEAST:  # at the edge there is no room for one
                return
        elif isinstance(self._held, tuple):
            box = sized(self.box, self._held, at, self._shape, *self._size)
        else:
            box = moved(self.box, at - self._last, *self._size)
            self._last += box.topLeft() - self.box.topLeft()  # at an edge the hand goes on alone
        self._set(box)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._held = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Larger or smaller around its middle."""
        if steps := event.angleDelta().y() / 120:
            aspect = self._shape or self.box.width() / max(1.0, self.box.height())
            wide = max(LEAST * max(1.0, aspect), self.box.width() * 1.05**steps)
            middle = self.box.center()
            self._set(shaped(QRectF(middle.x() - wide / 2, middle.y(), wide, 0), aspect, *self._size))
        event.accept()

    def _set(self, box: QRectF) -> None:
        if box != self.box:
            self.box = box
            self._write()
            self.update()
            self.changed.emit(box)

    # -- the keys

    def event(self, event: QEvent) -> bool:
        # While a crop is set, the arrows and Enter are its own, not the window's.
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and _own(event.key())
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.finished.emit(True)
        elif key == Qt.Key.Key_Escape:
            self.finished.emit(False)
        elif key == Qt.Key.Key_Backspace:
            self.reset.emit()
        elif key in KEYS:
            step = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
            x, y = KEYS[key]
            self._set(moved(self.box, QPointF(x * step, y * step), *self._size))
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._view.rect())
        return False

    # -- paint

    def _write(self) -> None:
        b = self.box
        scale = b.width() / self._input[0]
        stretched = "" if not self._free else f", {b.height() / self._input[1]:.2f}×"
        self.text.setText(
            f"{b.width():.0f}×{b.height():.0f} at {b.x():.0f}, {b.y():.0f}"
            f"  →  {self._input[0]}×{self._input[1]} ({scale:.2f}×{stretched})"
        )
        self.text.setToolTip(
            "Drag the frame or its corners, or draw a new one beside it; the mouse wheel resizes it, the arrow keys move it by a pixel"
        )

    def _dress(self) -> None:
        c = theme.colours()
        self.bar.setStyleSheet(f"QWidget {{ background: {c.raised.name()}; }}")
        self.bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole, box = self._picture_rect(), self.on_screen()
        shade = QColor(0, 0, 0, 120)
        for part in (
            QRectF(whole.left(), whole.top(), whole.width(), box.top() - whole.top()),
            QRectF(whole.left(), box.bottom(), whole.width(), whole.bottom() - box.bottom()),
            QRectF(whole.left(), box.top(), box.left() - whole.left(), box.height()),
            QRectF(box.right(), box.top(), whole.right() - box.right(), box.height()),
        ):
            painter.fillRect(part, shade)
        accent = theme.colours().accent
        painter.setPen(QPen(QColor(0, 0, 0, 150), 4))
        painter.drawRect(box)
        painter.setPen(QPen(accent, 2))
        painter.drawRect(box)
        painter.setPen(QPen(QColor(255, 255, 255), 1.5))
        painter.setBrush(accent)
        for corner in CORNERS:
            at = _corner(box, corner)
            painter.drawRect(QRectF(at.x() - HANDLE / 2, at.y() - HANDLE / 2, HANDLE, HANDLE))
        painter.end()


def _corner(box: QRectF, corner: Corner) -> QPointF:
    return QPointF(box.right() if corner[0] else box.left(), box.bottom() if corner[1] else box.top())


def _cursor(part: Corner | str | None, held: bool) -> Qt.CursorShape:
    if isinstance(part, tuple):
        same = part[0] == part[1]
        return Qt.CursorShape.SizeFDiagCursor if same else Qt.CursorShape.SizeBDiagCursor
    if part == "new":
        return Qt.CursorShape.CrossCursor
    if part == "move":
        return Qt.CursorShape.ClosedHandCursor if held else Qt.CursorShape.OpenHandCursor
    return Qt.CursorShape.ArrowCursor


def _own(key: int) -> bool:
    return key in (
        *KEYS,
        Qt.Key.Key_Return,
        Qt.Key.Key_Enter,
        Qt.Key.Key_Escape,
        Qt.Key.Key_Backspace,
    )
