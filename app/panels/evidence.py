"""Evidence: are the maps of this frame true? Three small plots and a sentence for each experiment."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.title import Caption
from vbp.app.widgets.line_plot import ROWS, LinePlot, nice_step
from vbp.edits.edit import NONE, Edits

if TYPE_CHECKING:
    from vbp.evidence.outcome import Plot
    from vbp.evidence.quick import Quick

EMPTY = (
    "Tests the maps of the current frame: does the angle change when the most relevant regions are replaced, "
    "or what the map marks is shifted sideways, do the maps change when the fully connected layers are random, is VisualBackProp similar to phi and LRP?"
)
WIDE = 520  # pixels from which on the plots stand beside each other,
LOW = 380  # or always, in a panel less high than that,
FLAT = 250  # and up to which, in a panel that wide, the words stand beside them
DRAWN = 44  # pixels of height that curves are seen in
# Apart from each other for all common kinds of colour blindness (Okabe and Ito), dark and light.
DARK = ("#56b4e9", "#e69f00", "#4dc9a0", "#cc79a7", "#f0e442", "#8f9bff", "#d55e00")
LIGHT = ("#0072b2", "#b36b00", "#00785a", "#a8448a", "#85790a", "#4f57c9", "#b34700")


Picture = tuple[int, Edits]  # a frame and what was changed in its picture


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
        self._frame: Picture | None = None  # under test
        self._tested: Picture | None = None
        self._current: Picture | None = None
        self.plots = (CurvesPlot(), CurvesPlot(), CurvesPlot())
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
        words.setMinimumHeight(self.fontMetrics().height() + 6)  # in a low panel the plots keep their height
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

    def set_current(self, frame: Picture) -> None:
        """The frame on the screen."""
        if frame != self._current:
            self._current = frame
            self._say()

    def set_working(self, frame: Picture, share: float) -> None:
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

    def show_result(self, frame: Picture, result: Quick, doubts: Sequence[str] = ()) -> None:
        """doubts: what has to be known of the picture or its mask, a part of a sentence each."""
        self._working, self._tested = False, frame
        for view, plot in zip(self.plots, result.plots, strict=True):
            view.set_plot(plot)
        known = [f"The tested picture: {'; '.join(doubts)}."] * bool(doubts)
        self.verdicts.setText("\n\n".join((*known, *result.verdicts)))
        self.stack.setCurrentIndex(1)
        self._say()

    def clear(self) -> None:
        self._tested = None
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
            self._status.set_text(f"{_named(self._frame)}: {state}")
        elif self._tested is not None:
            same = self._tested == self._current
            self._status.set_text("this frame" if same else f"of {_named(self._tested)}")
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


def _named(picture: Picture | None) -> str:
    index, edits = picture or (0, NONE)
    return f"frame {index}{', edited' if edits else ''}"


class CurvesPlot(LinePlot):
    """A `Plot` of the evidence, with its legend below the title."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Plot | None = None
        self._entries: list[tuple[QColor, str, bool]] = []
        self.setMinimumSize(120, 90)  # with three lines of legend, and the axis
        self._dress()

    def set_plot(self, plot: Plot) -> None:
        self._shown = plot
        self.setAccessibleName(plot.title)
        self.draw()

    def tip(self, pos: QPointF) -> str:
        return "\n".join([self._shown.title, *(s.name for s in self._shown.series)]) if self._shown else ""

    def sizeHint(self) -> QSize:
        return QSize(260, 160)

    def draw(self) -> None:
        plot, c = self._shown, theme.colours()
        self._plot.clear()
        if plot is None:
            return
        curves = [(np.asarray(s.x, np.float64), np.asarray(s.y, np.float64)) for s in plot.series]
        if plot.log_x:
            curves = [(np.log10(x), y) for x, y in curves]
        known = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in curves]
        xs, ys = (np.concatenate([pair[k] for pair in known]) for k in (0, 1))
        self.say("" if len(ys) else "all maps are zero")
        if not len(ys):
            return
        self._bottom.powers = plot.log_x
        self._bottom.name, self._bottom.unit = (plot.x_label, "") if plot.log_x else ("", " %")
        self._left.unit = "°" if plot.y_label.endswith("°") else ""
        lowest = min(0.0, float(ys.min()))
        step = nice_step(float(ys.max()) - lowest, ROWS)
        low = math.floor(lowest / step + 1e-9) * step
        high = max(math.ceil(float(ys.max()) / step - 1e-9) * step, low + step)
        self.show_range((float(xs.min()), float(xs.max())), (low, high))
        counted = itertools.count()
        shades = [c.muted if s.aside else colour(next(counted)) for s in plot.series]
        for (x, y), series, shade in zip(curves, plot.series, shades, strict=True):
            self.add_curve(x, y, shade, series.aside)
        entries = [(shade, s.name, s.aside) for shade, s in zip(shades, plot.series, strict=True)]
        self._entries = entries
        self._fit_legend()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_legend()

    def _fit_legend(self) -> None:
        """The curves are named where that leaves room for them; else the tip names them."""
        if self._shown is None:
            return
        title = f'<span style="color:{theme.colours().text.name()}">{html.escape(self._shown.title)}</span>'
        self.set_legend(self._entries, title)
        if self._legend.heightForWidth(self.width()) + DRAWN > self.height():
            self.set_legend([], title)
