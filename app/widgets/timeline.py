"""The whole drive in one line: where we are, where the network errs, what is missing, what is marked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme
from app.widgets.format import clock

PAD = 12.0


class Timeline(QWidget):
    seek_requested = Signal(int)
    scrub_started = Signal()
    scrub_finished = Signal()
    marks_changed = Signal(object, object)  # A and B as frames, or None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._times: NDArray[np.float64] = np.zeros(0)
        self._gaps: list[tuple[int, int, str]] = []
        self._errors: NDArray[np.float64] = np.zeros(0)
        self._bookmarks: list[int] = []
        self._a: int | None = None
        self._b: int | None = None
        self._position = 0
        self._scrubbing = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_drive(self, times_s: NDArray[np.float64], gaps: list[tuple[int, int, str]]) -> None:
        self._times = np.asarray(times_s, dtype=np.float64)
        self._gaps = list(gaps)
        self._errors = np.full(len(self._times), np.nan)
        self._bookmarks = []
        self._a = self._b = None
        self._position = 0
        self.update()

    def set_errors(self, abs_error_deg: NDArray[np.float64]) -> None:
        self._errors[:] = np.abs(abs_error_deg)
        self.update()

    def set_error(self, i: int, deg: float) -> None:
        if 0 <= i < len(self._errors):
            self._errors[i] = abs(deg)
            self.update()

    def set_bookmarks(self, frames: list[int]) -> None:
        self._bookmarks = sorted(frames)
        self.update()

    def set_marks(self, a: int | None, b: int | None) -> None:
        self._a, self._b = a, b
        self.update()

    def set_position(self, i: int) -> None:
        self._position = i
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, 40)

    def track(self) -> QRectF:
        text = self.fontMetrics().horizontalAdvance("00:00.0 / 00:00.0") + 3 * PAD
        return QRectF(PAD, 8, max(1.0, self.width() - text - PAD), self.height() - 16)

    def x_of(self, i: int) -> float:
        t = self.track()
        return t.x() + t.width() * i / max(1, len(self._times) - 1)

    def index_at(self, x: float) -> int:
        t = self.track()
        last = max(0, len(self._times) - 1)
        return min(last, max(0, round((x - t.x()) / t.width() * last)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and len(self._times):
            self._scrubbing = True
            self.scrub_started.emit()
            self.seek_requested.emit(self.index_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._scrubbing:
            self.seek_requested.emit(self.index_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._scrubbing:
            self._scrubbing = False
            self.scrub_finished.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        c = theme.colours()
        t = self.track()
        painter.fillRect(t, c.panel)
        if len(self._times):
            x = self.x_of(self._position)
            painter.fillRect(QRectF(x - 1, 2, 2, self.height() - 4), c.accent)
            now = self._times[min(self._position, len(self._times) - 1)] - self._times[0]
            painter.setPen(c.text)
            painter.setFont(theme.number_font())
            text = f"{clock(float(now))} / {clock(float(self._times[-1] - self._times[0]))}"
            painter.drawText(self.rect().adjusted(0, 0, -12, 0), int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)
        painter.end()
