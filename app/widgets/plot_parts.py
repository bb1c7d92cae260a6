"""The parts of the angle plot: clock times, degrees, a wheel that zooms in time, lines and regions."""

from __future__ import annotations

import html
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QColor, QPen

from vbp.app import theme
from vbp.readable import clock, clock_ticks, plain

SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
PERCENT = (5, 10, 25, 50)
DEGREES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 45, 90, 180, 360)
FEW_DEGREES = (0.5, 1, 2, 4, 8, 12, 16, 25, 35, 50, 75, 100, 150, 225, 300, 450, 600)
EDGE = 3.0  # pixels at the ends of the degree axis that stay free: the next plot's figures are there


@dataclass(frozen=True)
class Meaning:
    """What the plot's three series are, in words, and their unit. percent: from 0 to 100, not around 0."""

    driven: str
    predicted: str
    error: str
    unit: str
    unlabelled: str = ""  # what is said where nothing is known to compare with; empty: the plot's own words
    percent: bool = False


STEERING = Meaning("driven", "predicted", "error = driven − predicted", "°")
# What is known is then 100 %, and is not drawn.
CLASSES = Meaning("", "probability of the true class", "100 % − probability", " %", "", percent=True)
UNKNOWN_CLASSES = Meaning(
    "", "probability of the predicted class", "", " %", "the true classes are not known", percent=True
)


class TimeAxis(pg.AxisItem):
    """Seconds as a clock reads, or frame numbers."""

    in_frames = False

    def __init__(self) -> None:
        super().__init__("bottom", maxTickLength=-4)
        self.setStyle(tickTextOffset=3)
        self._parts = [(0.0, 0.0)]

    def set_parts(self, parts: list[tuple[float, float]]) -> None:
        """What the clock says more than the axis, from each place on (see `clock_ticks`): it jumps holes."""
        self._parts = parts
        self.picture = None

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        if self.in_frames or len(self._parts) == 1:
            return list(super().tickValues(minVal, maxVal, size))
        spacing = self.tickSpacing(minVal, maxVal, size)[0][0]
        apart = (maxVal - minVal) * 70 / max(70.0, size)
        return [(spacing, [v for v, _ in clock_ticks(minVal, maxVal, spacing, self._parts, apart)])]

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        if self.in_frames:
            return list(super().tickSpacing(minVal, maxVal, size))
        room = max(1.0, size / 90)  # a label every 90 pixels
        wanted = (maxVal - minVal) / room
        return [(float(next((s for s in SECONDS if s >= wanted), SECONDS[-1])), 0.0)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self.in_frames:
            return [f"{v:.0f}" if v >= 0 and float(v).is_integer() else "" for v in values]
        ahead = [self._parts[bisect_right(self._parts, v, key=lambda p: p[0]) - 1][1] for v in values]
        texts = [clock(v + more + 1e-6) for v, more in zip(values, ahead, strict=True)]
        return ["" if v < 0 else t if spacing < 1 else t[:-2] for v, t in zip(values, texts, strict=True)]


class DegreeAxis(pg.AxisItem):
    """Degrees or per cent, as wide for three figures as for one, so that the plots keep their place."""

    percent = False

    def __init__(self) -> None:
        super().__init__("left", maxTickLength=-4)
        self.setStyle(tickTextOffset=4)
        self.setWidth(52)

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        wanted = (maxVal - minVal) / max(1.0, size / 26)
        if self.percent:
            return [(float(next((s for s in PERCENT if s >= wanted), PERCENT[-1])), 0.0)]
        room = 0.85 * max(abs(minVal), abs(maxVal))
        step = next((s for s in DEGREES if s >= wanted), DEGREES[-1])
        if step > room:  # one figure beside the zero at least: a lone "0°" says nothing of the scale
            step = max((s for s in FEW_DEGREES if s <= room), default=step)
        return [(float(step), 0.0)]

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        edge = EDGE * (maxVal - minVal) / max(1.0, size)
        levels = super().tickValues(minVal, maxVal, size)
        return [(s, [v for v in vs if minVal + edge <= v <= maxVal - edge]) for s, vs in levels]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self.percent:
            return [f"{v:g} %" for v in values]
        return [f"{'+' * (v > 0)}{plain(v)}°" for v in (round(v, 3) for v in values)]


class ViewBox(pg.ViewBox):
    """The wheel and the hand work in time; over the degree axis, in degrees."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False)

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        super().wheelEvent(ev, axis=0 if axis is None else axis)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        super().mouseDragEvent(ev, axis=0 if axis is None else axis)


def add_plot(view: pg.GraphicsLayoutWidget, row: int, left: Any, bottom: Any, box: pg.ViewBox) -> Any:
    """A plot with these axes, whose range is set and never found; without buttons and menu. bottom: None for none."""
    axes = {"left": left} if bottom is None else {"left": left, "bottom": bottom}
    plot = view.addPlot(row=row, col=0, viewBox=box, axisItems=axes)
    plot.hideButtons()
    plot.setMenuEnabled(False)
    plot.showAxis("bottom", bottom is not None)
    plot.vb.disableAutoRange()
    plot.setMinimumHeight(36)
    return plot


def dress_axes(plot: Any) -> None:
    """The figures in the colours in force."""
    for side in ("left", "bottom"):
        plot.getAxis(side).setTextPen(theme.colours().muted)
        plot.getAxis(side).setTickFont(theme.number_font())


def thin_pen(colour: QColor, dashed: bool = False) -> QPen:
    """Of a curve: 1 pixel, as anything wider takes 20 times as long to paint."""
    pen = QPen(colour, 1, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine)
    pen.setCosmetic(True)
    return pen


def legend_entry(colour: QColor, text: str, dashed: bool = False) -> str:
    """A piece of the line and its name, for a rich text; it is not broken over two lines."""
    line = "╌" if dashed else "━"
    muted = theme.colours().muted.name()
    words = html.escape(text).replace(" ", "&nbsp;").replace("-", "&#8209;")
    return (
        f'<span style="color:{colour.name()}">{line}</span>&nbsp;<span style="color:{muted}">{words}</span>'
    )


def legend(words: Meaning, labelled: bool, second: bool) -> str:
    """The series that are drawn: with what is known to compare with, with a second network's."""
    c = theme.colours()
    entries = (
        (labelled, c.driven, words.driven),
        (True, c.predicted, words.predicted),
        (second, c.second, "second network"),
        (labelled, c.error, words.error),
    )
    return "&nbsp;&nbsp;&nbsp;&nbsp;".join(
        legend_entry(col, text) for on, col, text in entries if on and text
    )


def add_zero(plot: Any) -> Any:
    """The line at 0°, behind the curves."""
    line = pg.InfiniteLine(pos=0, angle=0)
    line.setZValue(-20)
    plot.addItem(line, ignoreBounds=True)
    return line


def add_cursor(plot: Any, dragged: Callable[[Any], None], dropped: Callable[[Any], None]) -> Any:
    """The line at the frame on the screen, which can be dragged; hidden at first."""
    line = pg.InfiniteLine(angle=90, movable=True)
    line.setZValue(20)
    line.hide()
    line.sigDragged.connect(dragged)
    line.sigPositionChangeFinished.connect(dropped)
    plot.addItem(line, ignoreBounds=True)
    return line


def add_region(plot: Any) -> Any:
    """The shade from A to B, hidden at first."""
    region = pg.LinearRegionItem(movable=False)
    region.setZValue(-10)
    region.hide()
    plot.addItem(region, ignoreBounds=True)
    return region


def add_text(plot: Any) -> Any:
    """A line in the middle of an empty plot."""
    label = pg.LabelItem()
    label.setParentItem(plot.vb)
    label.anchor(itemPos=(0.5, 0.5), parentPos=(0.5, 0.5))
    label.setZValue(30)
    return label


def single_shot(parent: QObject, ms: int, call: Callable[[], None]) -> QTimer:
    """A timer that calls once, so long after it was started."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(ms)
    timer.timeout.connect(call)
    return timer
