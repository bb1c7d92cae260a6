"""A small plot of some curves, with its legend above: what the plots of a training run and of the evidence share."""

from __future__ import annotations

import math

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF
from PySide6.QtGui import QColor, QHelpEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from vbp.app import theme
from vbp.app.widgets.plot_parts import add_plot, add_text, dress_axes, legend_entry, thin_pen
from vbp.app.widgets.series import Floats
from vbp.readable import MINUS

STEPS = (1, 2, 5, 10)
OVERHANG = 40  # pixels
POWERS = (1, 2, 4, 8, 16)
ROWS = 4  # figures beside the plot, about


def nice_step(most: float, wanted: float) -> float:
    """The smallest of 1, 2, 5, 10, ... (and their tenths) that makes at most `wanted` steps of `most`."""
    if not (math.isfinite(most) and most > 0):
        return 1.0
    rough = most / max(1.0, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(s * power for s in STEPS if s * power >= rough * 0.999))


class NumberAxis(pg.AxisItem):
    """Round numbers with their unit, `apart` pixels from each other; the first one says what they are.

    powers: the numbers are exponents of 10.
    """

    def __init__(self, orientation: str, apart: float) -> None:
        super().__init__(orientation, maxTickLength=-4)
        self.setStyle(tickTextOffset=4)
        self._apart = apart
        self.name = self.unit = ""
        self.powers = False

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        wanted = size / self._apart
        if self.powers:
            return [(float(next((s for s in POWERS if s * wanted >= maxVal - minVal), POWERS[-1])), 0.0)]
        step = nice_step(maxVal - minVal, wanted)
        for wanted in (2.0, 3.0, 4.0):  # one number alone would say nothing of the scale
            if math.floor(maxVal / step) <= math.ceil(minVal / step):
                step = min(step, nice_step(maxVal - minVal, wanted))
        return [(step, 0.0)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        texts = [f"1e{v:.0f}" if self.powers else f"{v:.6g}{self.unit}" for v in values]
        if self.name and texts:
            texts[0] = f"{self.name} {texts[0]}"
        return [t if self.powers else t.replace("-", MINUS) for t in texts]

    def boundingRect(self) -> QRectF:
        """With room for a figure beyond each end, which would be left out."""
        return QRectF(super().boundingRect()).adjusted(-OVERHANG, -OVERHANG, OVERHANG, OVERHANG)


class LinePlot(QWidget):
    """The mouse does not move it: all of it is always in view. Its kinds say what is drawn, in `draw`."""

    def __init__(self) -> None:
        super().__init__()
        self._legend = QLabel()
        self._legend.setWordWrap(True)
        self._legend.setContentsMargins(8, 3, 4, 0)
        self._legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(self._view.Shape.NoFrame)
        self._view.ci.setContentsMargins(4, 6, 16, 2)
        self._left, self._bottom = NumberAxis("left", 30), NumberAxis("bottom", 56)
        self._plot = add_plot(self._view, 0, self._left, self._bottom, pg.ViewBox(enableMenu=False))
        self._plot.setMouseEnabled(False, False)
        self._left.setGrid(255)
        self._left.setZValue(-1000)  # behind the curves, and their marks
        self._empty = add_text(self._plot)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self._legend)
        box.addWidget(self._view, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._view.viewport().installEventFilter(self)
        theme.changed.connect(self._dress)

    def draw(self) -> None:
        """Draw all anew, in the colours in force."""

    def tip(self, pos: QPointF) -> str:
        """What is said of a point of the plot, which is in its own units."""
        return ""

    def set_legend(self, entries: list[tuple[QColor, str, bool]], title: str = "") -> None:
        """entries: colour, name, dashed."""
        parts = "&nbsp;&nbsp; ".join(legend_entry(*entry) for entry in entries)
        self._legend.setText("<br>".join(filter(None, (title, parts))))

    def show_range(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """A little more than that: what lies on the edge is drawn whole."""
        self._plot.setXRange(*x, padding=0.05)
        self._plot.setYRange(*y, padding=0.08)

    def say(self, text: str) -> None:
        """What is said in place of a plot that has nothing to draw; "" where it has."""
        for axis in (self._left, self._bottom):
            axis.setVisible(not text)
        self._legend.setVisible(not text)
        self._empty.setText(f'<span style="color:{theme.colours().muted.name()}">{text}</span>')

    def add_curve(self, x: Floats, y: Floats, colour: QColor, dashed: bool = False) -> None:
        """Through the points that are known; of one alone, a dot."""
        known = np.isfinite(x) & np.isfinite(y)
        pen = thin_pen(colour, dashed)
        curve = pg.PlotDataItem(
            x[known],
            y[known],
            pen=pen,
            antialias=True,
            symbol="o" if known.sum() == 1 else None,
            symbolSize=3,
            symbolPen=pen,
            symbolBrush=colour,
        )
        self._plot.addItem(curve)
        curve.setDownsampling(auto=True, method="peak")
        curve.setClipToView(True)

    def point(self, x: float, y: float) -> QPointF:
        """Where that lies, in pixels of this widget."""
        at = self._view.mapFromScene(self._plot.vb.mapViewToScene(QPointF(x, y)))
        return QPointF(self._view.viewport().mapTo(self, at))

    def value(self, pos: QPoint) -> QPointF:
        """What lies at a pixel of the view, in the plot's units."""
        return QPointF(self._plot.vb.mapSceneToView(self._view.mapToScene(pos)))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tip(self.value(event.pos())), self)
            return True
        return super().eventFilter(watched, event)

    def _dress(self) -> None:
        c = theme.colours()
        self._view.setBackground(c.panel)
        palette = self._legend.palette()
        palette.setColor(self._legend.foregroundRole(), c.muted)
        palette.setColor(self._legend.backgroundRole(), c.panel)
        self._legend.setPalette(palette)
        self._legend.setAutoFillBackground(True)
        self._legend.setFont(theme.number_font())
        dress_axes(self._plot)
        self._left.setWidth(self.fontMetrics().horizontalAdvance(f"{MINUS}0.5°") + 14)
        self._left.setPen(c.panel)
        self._left.setTickPen(c.border)
        self._bottom.setPen(c.border)
        self.draw()
