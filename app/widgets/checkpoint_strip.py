"""One frame through the checkpoints of a training run: a small picture for each, with what it predicted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vbp.app import theme
from vbp.app.theme.colours import DARK
from vbp.app.widgets.picture import to_qimage
from vbp.readable import signed

GAP = 8
EDGE = 3  # pixels of a tile around its picture
SMALLEST = 128  # a narrower picture shows nothing; the strip scrolls instead, with
ROOMY = 180  # pixels of width at the least
LARGEST = 900
SCROLL_BAR = 12


@dataclass
class Tile:
    """`picture` makes the small picture when it is painted, uint8 (h, w, 3); without it, `words` stand there."""

    name: str
    picture: Callable[[], NDArray[np.uint8]] | None = None
    words: str = ""
    predicted_deg: float = math.nan
    error_deg: float = math.nan
    class_text: str = ""
    warning: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Grid:
    """Columns, the size of one picture, and the lines of text below it."""

    columns: int
    width: float
    height: float
    lines: int


def best_grid(n: int, width: float, height: float, aspect: float, line: float, beside: float) -> Grid:
    """The columns that make `n` pictures of `aspect` (w / h) largest in width x height, or least scrolled.

    line: height of a line of text. beside: the width that a tile's shortest text needs in one line.
    """
    least = min(SMALLEST, width - 2 * GAP - 2 * EDGE)
    n = max(1, n)
    best: Grid | None = None
    for columns in range(1, n + 1):
        rows = -(-n // columns)
        room = (width - GAP * (columns + 1)) / columns - 2 * EDGE
        lines = 1 if room >= beside else 2
        tall = (height - GAP * (rows + 1)) / rows - lines * line - 2 * EDGE
        across = min(room, tall * aspect, LARGEST)
        if across >= least and (best is None or across > best.width):
            best = Grid(columns, across, across / aspect, lines)
    if best is None:
        columns = max(1, min(n, int((width - GAP) // (ROOMY + 2 * EDGE + GAP))))
        room = max(20.0, (width - GAP * (columns + 1)) / columns - 2 * EDGE)
        lines = 1 if room >= beside else 2
        tall = height - 2 * GAP - 2 * EDGE - lines * line  # so that one is seen with all of its text
        across = max(min(room, tall * aspect), min(room, SMALLEST / 2))
        best = Grid(columns, across, across / aspect, lines)
    return best


class CheckpointStrip(QWidget):
    """`chosen`: a tile was clicked, or reached with the arrow keys. `left`: Escape, back to what was before."""

    chosen = Signal(int)
    left = Signal()
    reached = Signal(int, int)  # the y and the height of a tile that should be in view

    def __init__(self) -> None:
        super().__init__()
        self.tiles: list[Tile] = []
        self._aspect = 640 / 125
        self._in_use = -1
        self._hovered = -1
        self._empty = ""
        self._room = QSize(300, 200)
        self._images: dict[int, tuple[QImage, NDArray[np.uint8]]] = {}
        self.grid = Grid(1, 100.0, 20.0, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Checkpoints")
        theme.changed.connect(self.update)

    # What it shows.

    def set_tiles(self, tiles: list[Tile], aspect: float) -> None:
        """aspect: of the pictures, width / height."""
        self.tiles, self._aspect = tiles, aspect
        self._images.clear()
        self._lay_out()

    def set_tile(self, k: int, tile: Tile) -> None:
        self.tiles[k] = tile
        self._images.pop(k, None)
        self.update(self.tile_rect(k).toAlignedRect())

    def set_in_use(self, k: int) -> None:
        """Mark the checkpoint that is the window's network; -1: none of them is."""
        if k != self._in_use:
            self._in_use = k
            self.update()
            if k >= 0:
                rect = self.tile_rect(k)
                self.reached.emit(int(rect.y()), int(rect.height()))

    def set_empty(self, text: str) -> None:
        """What to say while there is no checkpoint."""
        self._empty = text
        self.update()

    def refresh(self) -> None:
        """Make the pictures again."""
        self._images.clear()
        self.update()

    def set_room(self, room: QSize) -> None:
        """The size that is in view: the pictures are as large as fits into it, where that is large enough."""
        if room != self._room:
            self._room = room
            self._lay_out()

    # Where it lies.

    def _line(self) -> float:
        return self.fontMetrics().height() + 2.0

    def _beside(self) -> float:
        return self.fontMetrics().horizontalAdvance("epoch 0.25   −14.7°   −14.7°") + 8.0

    def _grid(self, width: int) -> Grid:
        return best_grid(
            len(self.tiles), width, self._room.height(), self._aspect, self._line(), self._beside()
        )

    def _lay_out(self) -> None:
        self.grid = self._grid(self._room.width())
        if self._needed() > self._room.height():
            self.grid = self._grid(self._room.width() - SCROLL_BAR)
        self.setMinimumHeight(self._needed())
        self.update()

    def _needed(self) -> int:
        rows = -(-len(self.tiles) // self.grid.columns)
        return int(GAP + rows * (self._tile_height() + GAP)) if rows else 0

    def _tile_height(self) -> float:
        return self.grid.height + self.grid.lines * self._line() + 2 * EDGE

    def tile_rect(self, k: int) -> QRectF:
        """Picture and text of tile `k`."""
        g = self.grid
        width = g.width + 2 * EDGE
        rows = -(-len(self.tiles) // g.columns)
        across = g.columns * (width + GAP) - GAP
        down = rows * (self._tile_height() + GAP) - GAP
        left = max(GAP, (self.width() - across) / 2)
        top = max(GAP, (self.height() - down) / 2)
        row, column = divmod(k, g.columns)
        return QRectF(
            left + column * (width + GAP), top + row * (self._tile_height() + GAP), width, self._tile_height()
        )

    def tile_at(self, pos: QPoint) -> int:
        return next((k for k in range(len(self.tiles)) if self.tile_rect(k).contains(pos)), -1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.update()

    # The hand and the keys.

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self.tile_at(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def _hover(self, k: int) -> None:
        if k != self._hovered:
            self._hovered = k
            self.setCursor(Qt.CursorShape.PointingHandCursor if k >= 0 else Qt.CursorShape.ArrowCursor)
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if (
            event.button() == Qt.MouseButton.LeftButton
            and (k := self.tile_at(event.position().toPoint())) >= 0
        ):
            self.chosen.emit(k)

    def event(self, event: QEvent) -> bool:
        override = event.type() == QEvent.Type.ShortcutOverride
        if override and isinstance(event, QKeyEvent) and self._steps(event):
            event.accept()  # with the focus here, the arrows step through checkpoints and not frames
            return True
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            k = self.tile_at(event.pos())
            QToolTip.showText(event.globalPos(), self.tiles[k].tip if k >= 0 else "", self)
            return True
        return super().event(event)

    def _steps(self, event: QKeyEvent) -> bool:
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        keys = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_Escape)
        return plain and bool(self.tiles) and event.key() in keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._steps(event):
            super().keyPressEvent(event)
            return
        last, at = len(self.tiles) - 1, self._in_use
        match event.key():
            case Qt.Key.Key_Escape:
                self.left.emit()
                return
            case Qt.Key.Key_Left:
                k = at - 1 if at >= 0 else last
            case Qt.Key.Key_Right:
                k = at + 1
            case Qt.Key.Key_Home:
                k = 0
            case _:
                k = last
        if (k := min(max(k, 0), last)) != at:
            self.chosen.emit(k)

    # Paint.

    def sizeHint(self) -> QSize:
        return QSize(420, 240)

    def minimumSizeHint(self) -> QSize:
        return QSize(SMALLEST + 2 * (GAP + EDGE), 60)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if not self.tiles:
            painter.setPen(theme.colours().muted)
            painter.drawText(QRectF(self.rect()).adjusted(8, 8, -8, -8), _WRAPPED, self._empty)
        for k, tile in enumerate(self.tiles):
            rect = self.tile_rect(k)
            if rect.intersects(QRectF(event.rect())):
                self._paint_tile(painter, k, tile, rect)
        painter.end()

    def _paint_tile(self, painter: QPainter, k: int, tile: Tile, rect: QRectF) -> None:
        c = theme.colours()
        used = k == self._in_use
        ground = QColor(c.raised)
        if used or k == self._hovered:
            edge = c.accent if used else c.border
            painter.setPen(QPen(edge, 2 if used and self.hasFocus() else 1.5 if used else 1))
            painter.setBrush(ground)
            painter.drawRoundedRect(rect.adjusted(0.75, 0.75, -0.75, -0.75), 4, 4)
        picture = QRectF(rect.x() + EDGE, rect.y() + EDGE, self.grid.width, self.grid.height)
        image = self._image(k, tile)
        if image is not None:
            painter.drawImage(picture, image)
        else:
            painter.fillRect(picture, c.window)
            painter.setPen(c.muted)
            painter.drawText(picture.adjusted(6, 2, -6, -2), _WRAPPED, tile.words)
        if tile.warning:
            side = 16.0
            spot = QRectF(picture.right() - side - 4, picture.y() + 4, side, side)
            painter.fillRect(spot.adjusted(-2, -2, 2, 2), QColor(0, 0, 0, 170))
            theme.icon("warning", DARK.warning).paint(painter, spot.toRect())
        self._paint_text(painter, tile, QRectF(rect.x() + EDGE + 2, picture.bottom(), self.grid.width - 4, 0))

    def _image(self, k: int, tile: Tile) -> QImage | None:
        if tile.picture is None:
            return None
        if k not in self._images:
            rgb = np.ascontiguousarray(tile.picture())
            self._images[k] = (to_qimage(rgb), rgb)
        return self._images[k][0]

    def _paint_text(self, painter: QPainter, tile: Tile, below: QRectF) -> None:
        c = theme.colours()
        line = self._line()
        first = QRectF(below.x(), below.y(), below.width(), line)
        painter.setFont(theme.number_font())
        painter.setPen(c.text)
        if tile.class_text or not math.isfinite(tile.predicted_deg):
            painter.drawText(first, _LEFT, tile.name)
            if tile.class_text:
                self._paint_class(painter, tile, first)
            return
        predicted = f"{signed(tile.predicted_deg)}°"
        error = f"{signed(tile.error_deg)}°" if math.isfinite(tile.error_deg) else ""
        if self.grid.lines == 1:
            m = painter.fontMetrics()
            wide = self.grid.width >= m.horizontalAdvance("epoch 0.25   −100.0°   error −100.0°") + 8
            figure = m.horizontalAdvance("   error −100.0°" if wide else "   −14.7°") if error else 0
            at_right, words = first, f"error {error}" if wide and error else error
            beside = first.adjusted(0, 0, -figure, 0)
        else:
            at_right, beside = first.translated(0, line), first
            words = f"error {error}" if error else ""
        metrics = painter.fontMetrics()
        room = beside.width() - metrics.horizontalAdvance(f"{predicted}  ")
        fits = metrics.horizontalAdvance(tile.name) <= room
        painter.drawText(beside, _LEFT, tile.name if fits else tile.name.removeprefix("epoch "))
        painter.setPen(c.error)
        painter.drawText(at_right, _RIGHT, words)
        painter.setPen(c.predicted)
        painter.drawText(beside, _RIGHT, predicted)

    def _paint_class(self, painter: QPainter, tile: Tile, first: QRectF) -> None:
        m = painter.fontMetrics()
        taken = m.horizontalAdvance(f"{tile.name}  ") if self.grid.lines == 1 else 0
        place = first.adjusted(taken, 0, 0, 0) if taken else first.translated(0, first.height())
        text = m.elidedText(tile.class_text, Qt.TextElideMode.ElideRight, int(place.width()))
        painter.setPen(theme.colours().predicted)
        painter.drawText(place, _RIGHT, text)


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_WRAPPED = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
