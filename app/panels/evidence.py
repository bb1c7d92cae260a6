"""Evidence: are the maps of this frame true? Two small plots and a sentence for each experiment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.title import Caption
from vbp.app.widgets.loss_plot import nice_step

if TYPE_CHECKING:
    from vbp.evidence.outcome import Plot
    from vbp.evidence.quick import Quick

EMPTY = (
    "Tests the maps of the frame on the screen: does the angle move when what they mark is replaced, "
    "do they change when the network's head is random, is VisualBackProp near phi and LRP?"
)
WIDE = 520  # pixels from which on the plots stand beside each other,
LOW = 380  # or always, in a panel less high than that,
NARROW = 190  # and with fewer figures below a plot less wide;
FLAT = 250  # and up to which, in a panel that wide, the words stand beside them
# Apart from each other for all common kinds of colour blindness (Okabe and Ito), dark and light.
DARK = ("#56b4e9", "#e69f00", "#4dc9a0", "#cc79a7", "#f0e442", "#8f9bff", "#d55e00")
LIGHT = ("#0072b2", "#b36b00", "#00785a", "#a8448a", "#85790a", "#4f57c9", "#b34700")


def colour(k: int) -> QColor:
    """Of the k-th curve."""
    chosen = DARK if theme.colours().dark else LIGHT
    return QColor(chosen[k % len(chosen)])


class EvidencePanel(QWidget):
    asked = Signal()
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._status = Caption(Qt.AlignmentFlag.AlignLeft)
        self.button = QPushButton("Test this frame")
        self.button.setStyleSheet("QPushButton { padding: 0 8px; }")
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.setFixedHeight(self.fontMetrics().height() + 4)
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        line.addWidget(self._status, 1)
        line.addWidget(self.button)
        self._working = self._waiting = False
        self._share = 0.0
        self._frame = self._tested = self._current = -1
        self.plots = (CurvesPlot(), CurvesPlot())
        self._parts = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._parts.setSpacing(6)
        for plot in self.plots:
            self._parts.addWidget(plot, 1)
        self.verdicts = QLabel()
        self.verdicts.setTextFormat(Qt.TextFormat.PlainText)
        self.verdicts.setWordWrap(True)
        self.verdicts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdicts.setContentsMargins(8, 4, 8, 6)
        self.verdicts.setAlignment(Qt.AlignmentFlag.AlignTop)
        page = QWidget()
        self._page = QBoxLayout(QBoxLayout.Direction.TopToBottom, page)
        self._page.setContentsMargins(6, 2, 6, 2)
        self._page.setSpacing(2)
        self._page.addLayout(self._parts, 5)
        words = QScrollArea()  # they scroll alone: the plots are to be seen whole
        words.setWidget(self.verdicts)
        words.setWidgetResizable(True)
        words.setFrameShape(QScrollArea.Shape.NoFrame)
        words.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._page.addWidget(words, 3)
        self._empty = QLabel(EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(14, 8, 14, 8)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._empty)
        self.stack.addWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.stack)
        self.setMinimumSize(180, 100)
        self.button.clicked.connect(self._clicked)
        theme.changed.connect(self._dress)
        self._dress()

    # What is told to it.

    def set_current(self, frame: int) -> None:
        """The frame on the screen."""
        if frame != self._current:
            self._current = frame
            self._say()

    def set_working(self, frame: int, share: float) -> None:
        """A test of `frame` is under way, `share` 0..1 of it done."""
        self._working, self._frame, self._share = True, frame, share
        self._say()

    def set_waiting(self, waiting: bool) -> None:
        """The test rests, as the drive plays."""
        self._waiting = waiting
        self._say()

    def set_idle(self) -> None:
        self._working = False
        self._say()

    def set_trouble(self, text: str) -> None:
        """Why nothing could be tested."""
        self.set_idle()
        self._empty.setText(text)
        self.stack.setCurrentIndex(0)

    def show_result(self, frame: int, result: Quick) -> None:
        self._working, self._tested = False, frame
        for view, plot in zip(self.plots, result.plots, strict=True):
            view.set_plot(plot)
        self.verdicts.setText("\n\n".join(result.verdicts))
        self.stack.setCurrentIndex(1)
        self._say()

    def clear(self) -> None:
        self._tested = -1
        self._empty.setText(EMPTY)
        self.stack.setCurrentIndex(0)
        self.set_idle()

    def status(self) -> str:
        """What stands in the title line."""
        return self._status.text()

    def _say(self) -> None:
        self.button.setText("Cancel" if self._working else "Test this frame")
        if self._working:
            state = "waits while the drive plays" if self._waiting else f"{100 * self._share:.0f} %"
            self._status.set_text(f"frame {self._frame}: {state}")
        elif self._tested >= 0:
            self._status.set_text(
                "this frame" if self._tested == self._current else f"of frame {self._tested}"
            )
        else:
            self._status.set_text("")

    def _clicked(self) -> None:
        (self.cancelled if self._working else self.asked).emit()

    def _dress(self) -> None:
        self._empty.setStyleSheet(f"color: {theme.colours().muted.name()};")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide, flat = self.width() >= WIDE, self.height() < FLAT
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._parts.setDirection(across if wide or self.height() < LOW else down)
        self._page.setDirection(across if wide and flat else down)


class CurvesPlot(QWidget):
    """A `Plot` of the evidence, with its legend below the title."""

    def __init__(self) -> None:
        super().__init__()
        self._plot: Plot | None = None
        self.setMinimumSize(120, 60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    def set_plot(self, plot: Plot) -> None:
        self._plot = plot
        self.setAccessibleName(plot.title)
        self.setToolTip("\n".join([plot.title, *(s.name for s in plot.series)]))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(260, 160)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        c, m = theme.colours(), self.fontMetrics()
        painter.fillRect(self.rect(), c.panel)
        if self._plot is None:
            painter.end()
            return
        painter.setFont(theme.number_font())
        painter.setPen(c.text)
        title = m.elidedText(self._plot.title, Qt.TextElideMode.ElideRight, self.width() - 12)
        painter.drawText(QRectF(6, 2, self.width() - 12, m.height() + 2), _LEFT, title)
        top = self._legend(painter, 4.0 + m.height())
        left, bottom = m.horizontalAdvance("−0.5°") + 12, m.height() + 8
        area = QRectF(
            left, top + 6, max(10, self.width() - left - 10), max(10, self.height() - top - bottom - 6)
        )
        self._curves(painter, self._plot, area)
        painter.end()

    def _legend(self, painter: QPainter, y: float) -> float:
        """Draw it, over as many lines as it takes; where it ends."""
        assert self._plot is not None
        c, m, x = theme.colours(), self.fontMetrics(), 6.0
        k = 0
        for series in self._plot.series:
            wide = 18 + m.horizontalAdvance(series.name) + 12
            if x > 6 and x + wide > self.width():
                x, y = 6.0, y + m.height()
            painter.setPen(_pen(c.muted, dashed=True) if series.aside else _pen(colour(k)))
            middle = y + m.height() / 2 + 1
            painter.drawLine(QPointF(x, middle), QPointF(x + 13, middle))
            painter.setPen(c.muted)
            painter.drawText(QRectF(x + 18, y, wide, m.height() + 2), _LEFT, series.name)
            x += wide
            k += not series.aside
        return y + m.height()

    def _curves(self, painter: QPainter, plot: Plot, area: QRectF) -> None:
        c = theme.colours()
        lines = [
            [(_at(x, plot), y) for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
            for s in plot.series
        ]
        points = [p for line in lines for p in line]
        if not points:
            painter.setPen(c.muted)
            painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), "all maps are zero")
            return
        low_x, high_x = min(p[0] for p in points), max(p[0] for p in points)
        step = nice_step(
            max(p[1] for p in points) - min(0.0, *(p[1] for p in points)), max(1.0, area.height() / 30)
        )
        low = math.floor(min(0.0, *(p[1] for p in points)) / step + 1e-9) * step
        high = max(math.ceil(max(p[1] for p in points) / step - 1e-9) * step, low + step)

        def place(x: float, y: float) -> QPointF:
            across = (x - low_x) / max(1e-9, high_x - low_x)
            return QPointF(
                area.x() + area.width() * across, area.bottom() - area.height() * (y - low) / (high - low)
            )

        unit = "°" if plot.y_label.endswith("°") else ""
        for n in range(round((high - low) / step) + 1):
            y = place(low_x, low + n * step).y()
            painter.setPen(QPen(c.border, 1))
            painter.drawLine(QPointF(area.x(), round(y) + 0.5), QPointF(area.right(), round(y) + 0.5))
            painter.setPen(c.muted)
            text = f"{low + n * step:.3g}{unit}".replace("-", "−")
            painter.drawText(QRectF(0, y - 10, area.x() - 5, 20), _RIGHT, text)
        parts = 4 if area.width() >= NARROW else 2
        for n in range(parts + 1):
            x = low_x + (high_x - low_x) * n / parts
            words = f"1e{x:.0f}" if plot.log_x else f"{x:.0f}"
            if n == parts:
                words = f"{plot.x_label} {words}" if plot.log_x else f"{words} %"
            at = place(x, low).x()
            wide = float(self.fontMetrics().horizontalAdvance(words) + 4)
            start = min(max(at - wide / 2, area.x() - 8), self.width() - wide - 2)
            painter.drawText(
                QRectF(start, area.bottom() + 4, wide, self.fontMetrics().height()), _CENTRE, words
            )
        k = 0
        for series, line in zip(plot.series, lines, strict=True):
            painter.setPen(_pen(c.muted, dashed=True) if series.aside else _pen(colour(k)))
            painter.drawPolyline(QPolygonF([place(x, y) for x, y in line]))
            k += not series.aside


def _at(x: float, plot: Plot) -> float:
    return math.log10(x) if plot.log_x else float(x)


def _pen(shade: QColor, dashed: bool = False) -> QPen:
    pen = QPen(shade, 1.6)
    if dashed:
        pen.setStyle(Qt.PenStyle.DashLine)
    return pen


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_CENTRE = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
