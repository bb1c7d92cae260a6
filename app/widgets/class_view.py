"""What a classifier takes a picture for: the class, how sure it is, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vbp.app import theme

SHOWN = 5
MARGIN = 12.0
WIDEST = 460.0  # a number far from its name is hard to read


class ClassView(QWidget):
    """The most probable classes as bars; the true one, where it is known, has the driver's colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._frame = self._time = ""
        self._rows: list[tuple[str, float, bool]] = []
        self._truth = ""
        self._right = True
        self.setMinimumSize(150, round(5.5 * self.fontMetrics().height()))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    def set_classes(
        self, names: Sequence[str], probabilities: NDArray[np.float64] | None, truth: int = -1
    ) -> None:
        """names and probabilities (classes,); None: there is no prediction. truth: the true class, -1 where it is not known."""
        self._rows = []
        self._truth = names[truth] if 0 <= truth < len(names) else ""
        if probabilities is not None and np.isfinite(probabilities).all():
            order = np.argsort(-probabilities, kind="stable")[:SHOWN]
            self._rows = [(names[k], float(probabilities[k]), int(k) == truth) for k in order]
            self._right = bool(order[0] == truth)
        self.setAccessibleDescription(self.text())
        self.update()

    def set_frame(self, index: int, total: int, time_text: str) -> None:
        self._frame = f"frame {index} / {total}" if total > 0 else f"frame {index}" if time_text else ""
        self._time = time_text
        self.update()

    def text(self) -> str:
        """The same in words: the predicted class, its probability, and the true class."""
        if not self._rows:
            return ""
        name, probability, _ = self._rows[0]
        return f"{name}, {_percent(probability)}" + (f"; true class: {self._truth}" if self._truth else "")

    def sizeHint(self) -> QSize:
        return QSize(280, 300)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint(painter)
        painter.end()

    def _paint(self, painter: QPainter) -> None:
        """The name above the bars, or left of them where the widget is low and wide."""
        row = self.fontMetrics().height() * 1.5
        head, bars = row * 3.6, row * SHOWN
        width, height = self.width() - 2 * MARGIN, float(self.height())
        if head + bars > height and width > 2.2 * WIDEST / 2:
            left = (width - min(width, 2 * WIDEST)) / 2 + MARGIN
            half = min(width, 2 * WIDEST) / 2 - MARGIN
            self._paint_head(painter, QRectF(left, (height - head) / 2, half, head), row)
            bars = min(bars, height - MARGIN / 2)
            self._paint_bars(
                painter, QRectF(left + half + 2 * MARGIN, (height - bars) / 2, half, bars), bars / SHOWN
            )
            return
        wide = min(width, WIDEST)
        left = (width - wide) / 2 + MARGIN
        top = max(MARGIN / 2, (height - head - bars) / 2)
        self._paint_head(painter, QRectF(left, top, wide, head), row)
        self._paint_bars(painter, QRectF(left, top + head, wide, height - top - head), row)

    def _paint_head(self, painter: QPainter, area: QRectF, row: float) -> None:
        c = theme.colours()
        painter.setFont(theme.number_font())
        painter.setPen(c.muted)
        line = QRectF(area.x(), area.y(), area.width(), row)
        painter.drawText(line, _LEFT, self._frame)
        painter.drawText(line, _RIGHT, self._time)
        if not self._rows:
            return
        large = QFont(self.font())
        large.setBold(True)
        large.setPointSizeF(large.pointSizeF() * 1.45)
        painter.setFont(large)
        painter.setPen(c.text)
        self._elided(painter, QRectF(area.x(), area.y() + row, area.width(), row * 1.4), self._rows[0][0])
        verdict, colour = "true class not known", c.muted
        if self._truth:
            verdict, colour = ("✓ right", c.driven) if self._right else (f"✗ it is: {self._truth}", c.error)
        painter.setFont(self.font())
        painter.setPen(colour)
        self._elided(painter, QRectF(area.x(), area.y() + row * 2.4, area.width(), row), verdict)

    def _paint_bars(self, painter: QPainter, area: QRectF, row: float) -> None:
        c = theme.colours()
        painter.setFont(theme.number_font())
        metrics = painter.fontMetrics()
        figures = metrics.horizontalAdvance("99.9 %") + 8.0
        widest = max((metrics.horizontalAdvance(name) for name, _, _ in self._rows), default=0)
        names = min(area.width() * 0.5, widest + 12.0)
        for k, (name, probability, true) in enumerate(self._rows):
            line = QRectF(area.x(), area.y() + k * row, area.width(), row)
            if line.bottom() > self.height() + 1:
                break
            painter.setPen(c.text if true else c.muted)
            self._elided(painter, QRectF(line.x(), line.y(), names - 8, row), name)
            bar = QRectF(line.x() + names, line.y() + row * 0.3, line.width() - names - figures, row * 0.4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(c.raised)
            painter.drawRoundedRect(bar, 2, 2)
            bar.setWidth(max(2.0, bar.width() * probability))
            painter.setBrush(c.driven if true else c.predicted)
            painter.drawRoundedRect(bar, 2, 2)
            painter.setPen(c.text)
            painter.drawText(line, _RIGHT, _percent(probability))

    @staticmethod
    def _elided(painter: QPainter, area: QRectF, text: str) -> None:
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(area.width()))
        painter.drawText(area, _LEFT, shown)


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %" if probability < 0.9995 else "100 %"


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
