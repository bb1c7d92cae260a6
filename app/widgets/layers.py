"""The paper's Figure 2b for the current frame: averaged feature maps and intermediate masks, layer by layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from vbp.app import theme

Layer = tuple[str, NDArray[np.float32], NDArray[np.float32]]
GAP = 8.0
HEADINGS = (["averaged feature maps", "averaged maps", "maps"], ["intermediate masks", "masks"])
EMPTY = "Open a drive and choose a network\nto see its layers here"


def to_grey(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Smallest value black, largest white; a constant map is black; what is not finite is black."""
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2 or values.size == 0:
        return np.zeros((1, 1), np.uint8)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
    if not high > low or not np.isfinite(high - low):
        return np.zeros(values.shape, np.uint8)
    if 1e-30 < high - low < 1e36:
        scaled = (values - np.float32(low)) * np.float32(255.0 / (high - low))
    else:  # near the ends of float32: scale in double
        scaled = ((values.astype(np.float64) - low) / (high - low) * 255.0).astype(np.float32)
    return (scaled + np.float32(0.5)).astype(np.uint8)


class _Rows(QWidget):
    """The rows themselves; pictures are made when their row is painted, so hidden rows cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self._images: dict[tuple[int, int], tuple[QImage, NDArray[np.uint8]]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)

    def set_layers(self, layers: list[Layer]) -> None:
        same = len(layers) == len(self.layers)
        self.layers = layers
        self._images.clear()
        if not same:
            self.updateGeometry()
        self.update()

    def cell(self, row: int, column: int) -> QRectF:
        """Where a picture lies: column 0 the averaged maps, 1 the masks."""
        width = max(1.0, (self.width() - 3 * GAP) / 2)
        return QRectF(GAP + column * (width + GAP), self._top(row), width, self._cell_height())

    def _label(self) -> float:
        return self.fontMetrics().height() + 4.0

    def _cell_height(self) -> float:
        width = max(1.0, (self.width() - 3 * GAP) / 2)
        if not self.layers:
            return 0.0
        h, w = self.layers[0][1].shape[:2]  # every map covers the same field of view as the first
        return max(8.0, width * h / max(1, w))

    def _top(self, row: int) -> float:
        return self._label() + 4 + row * (self._label() + self._cell_height() + GAP) + self._label()

    def heightForWidth(self, width: int) -> int:
        return int(self._top(len(self.layers)))

    def sizeHint(self) -> QSize:
        return QSize(240, int(self._top(len(self.layers))))

    def minimumSizeHint(self) -> QSize:
        return QSize(140, int(self._top(len(self.layers))))

    def resizeEvent(self, event: object) -> None:
        self.updateGeometry()

    def image(self, row: int, column: int) -> QImage:
        key = (row, column)
        if key not in self._images:
            _, maps, masks = self.layers[row]
            grey = to_grey(masks if column else maps)
            h, w = grey.shape
            self._images[key] = (QImage(grey.data, w, h, w, QImage.Format.Format_Grayscale8), grey)
        return self._images[key][0]

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        c = theme.colours()
        if not self.layers:
            painter.setPen(c.muted)
            painter.drawText(QRectF(self.rect()).adjusted(12, 12, -12, -12), _CENTRE, EMPTY)
            painter.end()
            return
        for column, texts in enumerate(HEADINGS):
            cell = self.cell(0, column)
            fits = [t for t in texts if self.fontMetrics().horizontalAdvance(t) <= cell.width()] or texts[-1:]
            painter.setPen(c.text)
            painter.drawText(QRectF(cell.x(), 0, cell.width(), self._label() + 4), _LEFT, fits[0])
        for row, (name, _, _) in enumerate(self.layers):
            first = self.cell(row, 0)
            band = QRectF(0, first.y() - self._label(), self.width(), first.height() + self._label())
            if not band.intersects(QRectF(event.rect())):
                continue
            painter.setPen(c.muted)
            painter.drawText(QRectF(GAP, band.y(), self.width() - 2 * GAP, self._label()), _LEFT, name)
            for column in (0, 1):
                cell = self.cell(row, column)
                image = self.image(row, column)
                dense = image.width() > cell.width() * self.devicePixelRatioF()
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, dense)
                painter.drawImage(cell, image)
        painter.end()


class LayersView(QWidget):
    """Two columns, rows from the input (top) to the output (bottom)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = _Rows()
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self.rows)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._scroll)
        theme.changed.connect(self.rows.update)

    def set_layers(self, layers: list[Layer]) -> None:
        """(name, averaged feature map (h, w), intermediate mask (h, w)) from the input to the output."""
        self.rows.set_layers(list(layers))


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_CENTRE = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
