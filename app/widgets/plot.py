"""Angle and error over the drive, joined to the player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from vbp.app import theme
from vbp.app.widgets.bands import PlotBands
from vbp.app.widgets.plot_holes import HoleMarks, Holes, parts_of
from vbp.app.widgets.plot_notes import NoteMarks
from vbp.app.widgets.plot_parts import (
    STEERING,
    DegreeAxis,
    Meaning,
    TimeAxis,
    ViewBox,
    add_cursor,
    add_plot,
    add_region,
    add_text,
    add_zero,
    dress_axes,
    legend,
    single_shot,
    thin_pen,
)
from vbp.app.widgets.series import Floats, nearest, nice_limit, peak, visible_curve

DATA_MS = 80  # new predictions are drawn at most this often
VIEW_MS = 15  # a moved view or cursor
JUMP = 60  # frames; a farther move of the cursor is a seek, and the view goes along


class AnglePlot(QWidget):
    """Two plots that share the time axis: driven and predicted angle above, their difference below.

    The mouse: a click seeks, dragging the cursor scrubs, the wheel zooms in time (over the degrees:
    in degrees), dragging the ground pans, a double click shows the whole drive again.
    """

    seek_requested = Signal(int)
    empty_text = "Open a drive to see its steering angles"
    unlabelled_text = "no measured angle in this drive"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._times: Floats = np.zeros(0)
        self._driven: Floats = np.zeros(0)
        self._predicted: Floats = np.zeros(0)
        self._error: Floats = np.zeros(0)
        self._second: Floats | None = None
        self._labelled = False
        self._meaning = STEERING
        self._peaks = [0.0, 0.0, 0.0]  # |driven|, |predicted|, |error|
        self._bridge = 1
        self._cursor = self._shown = self._asked = -1
        self._marks: tuple[int | None, int | None] = (None, None)
        self._follow = True
        self._y_by_hand = False

        self._view = pg.GraphicsLayoutWidget()
        self._view.setFrameShape(self._view.Shape.NoFrame)
        layout = self._view.ci.layout
        self._view.ci.setContentsMargins(4, 4, 8, 2)
        layout.setVerticalSpacing(2)
        self._time_axis = TimeAxis()
        self._legend = self._view.addLabel("", row=0, col=0, justify="left")
        self._legend.setContentsMargins(50, 0, 0, 0)
        self._upper = add_plot(self._view, 1, DegreeAxis(), None, ViewBox())
        self._lower = add_plot(self._view, 2, DegreeAxis(), self._time_axis, ViewBox())
        self._lower.setXLink(self._upper)
        layout.setRowStretchFactor(1, 5)
        layout.setRowStretchFactor(2, 3)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._view)

        self._curves = {
            name: pg.PlotCurveItem(connect="finite", antialias=True)
            for name in ("driven", "second", "predicted", "error")
        }
        for name, curve in self._curves.items():
            (self._lower if name == "error" else self._upper).addItem(curve)
        self._zeros = [add_zero(plot) for plot in (self._upper, self._lower)]
        self._regions = [add_region(plot) for plot in (self._upper, self._lower)]
        self._lines = [add_cursor(plot, self._dragged, self._dropped) for plot in (self._upper, self._lower)]
        self._hole_marks = HoleMarks((self._upper, self._lower))
        self.notes = NoteMarks((self._upper, self._lower))
        self.bands = PlotBands(self, self._upper, lambda: self._times)
        self._say = [add_text(plot) for plot in (self._upper, self._lower)]

        self._data_timer = single_shot(self, DATA_MS, self._draw_curves)
        self._view_timer = single_shot(self, VIEW_MS, self._draw_curves)
        self._cursor_timer = single_shot(self, VIEW_MS, self._draw_cursor)
        self._view.scene().sigMouseClicked.connect(self._clicked)
        self._upper.vb.sigXRangeChanged.connect(lambda *_: self._soon(self._view_timer))
        self._upper.vb.sigResized.connect(lambda *_: self._soon(self._view_timer))
        for plot in (self._upper, self._lower):
            plot.vb.sigRangeChangedManually.connect(self._moved_by_hand)
        theme.changed.connect(self._dress)
        self._dress()
        self.set_drive(np.zeros(0), np.zeros(0))

    # -- what it shows

    def set_meaning(self, meaning: Meaning) -> None:
        """What the series are from now on: angles, or probabilities."""
        if meaning == self._meaning:
            return
        self._meaning = meaning
        for plot in (self._upper, self._lower):
            axis = plot.getAxis("left")
            axis.percent = meaning.percent
            axis.picture = None  # its labels are drawn anew
        self._curves["driven"].setVisible(bool(meaning.driven))
        self._y_by_hand = False
        self._write()
        self._soon(self._view_timer)

    def set_drive(self, times_s: Floats | None, driven_deg: Floats, holes: Holes = ()) -> None:
        """`times_s` (N,) sorted seconds, or None to count frames; `driven_deg` (N,), NaN where unlabelled.

        holes: in the recording's time, which `times_s` jumps; the clock below does not.
        """
        self._driven = np.asarray(driven_deg, dtype=np.float64)
        n = len(self._driven)
        times = np.arange(n, dtype=np.float64) if times_s is None else np.asarray(times_s, dtype=np.float64)
        in_frames = times_s is None or len(times) != n or not np.isfinite(times).all()
        if in_frames:
            times = np.arange(n, dtype=np.float64)
        self._time_axis.in_frames = in_frames
        self._times = times - times[0] if n else times
        self._time_axis.set_parts(self._hole_marks.set_holes(self._times, holes))
        self._parts = self._seen_parts = parts_of(n, [i + 1 for i, _ in holes])
        step = float(self._times[-1]) / (n - 1) if n > 1 else 0.0
        # a second of frames that playing skipped is drawn through
        self._bridge = 10 if in_frames or step <= 0 else max(2, min(n, round(1.0 / step)))
        self._labelled = bool(np.isfinite(self._driven).any())
        self._peaks[0] = float(np.nanmax(np.abs(self._driven))) if self._labelled else 0.0
        self._cursor = self._asked = self._shown = -1
        self._marks, self._y_by_hand = (None, None), False
        self.clear_predicted()
        self._place_regions()
        self._write()
        self.fit()

    def set_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """First and last frames of what has no picture: no prediction is drawn across it."""
        self._seen_parts = self._parts + parts_of(len(self._times), [first for first, _ in gaps])
        self._soon(self._data_timer)

    def set_predicted(self, i: int, deg: float) -> None:
        """The prediction of frame `i`; drawn soon, together with the others that arrive meanwhile."""
        if 0 <= i < len(self._predicted):
            self._predicted[i] = deg
            self._error[i] = self._driven[i] - deg
            self._peaks[1] = max(self._peaks[1], abs(deg))  # which NaN is not
            self._peaks[2] = max(self._peaks[2], abs(self._error[i]))
            self._soon(self._data_timer)

    def set_predicted_many(self, first: int, deg: Floats) -> None:
        """The predictions of frames first, first + 1, ...; NaN where there is none."""
        deg = np.asarray(deg, dtype=np.float64)[max(0, -first) :]
        first = max(0, first)
        n = min(len(deg), len(self._predicted) - first)
        if n <= 0:
            return
        part = slice(first, first + n)
        self._predicted[part] = deg[:n]
        self._error[part] = self._driven[part] - deg[:n]
        self._peaks[1] = max(self._peaks[1], peak(self._predicted[part]))
        self._peaks[2] = max(self._peaks[2], peak(self._error[part]))
        self._soon(self._data_timer)

    def set_second(self, deg: Floats | None) -> None:
        """What a second network predicts, (N,) with NaN where not known; None: there is none. It is read when drawn: it may fill."""
        other, self._second = (deg is None) != (self._second is None), deg
        if other:
            self._write()
        self._soon(self._data_timer)

    def clear_predicted(self) -> None:
        """Forget all predictions: another network is at work."""
        self._predicted = np.full(len(self._driven), np.nan)
        self._error = np.full(len(self._driven), np.nan)
        self._peaks[1:] = [0.0, 0.0]
        self._soon(self._data_timer)

    def set_cursor(self, i: int) -> None:
        """Move the cursor; emits nothing."""
        if i != self._cursor and 0 <= i < len(self._times):
            self._follow |= abs(i - self._cursor) > JUMP
            self._cursor = i
            self._soon(self._cursor_timer)

    def set_marks(self, a: int | None, b: int | None) -> None:
        """Shade the part from A to B; one of them missing means the drive's beginning or end."""
        if (a, b) != self._marks:
            self._marks = (a, b)
            self._place_regions()

    def fit(self) -> None:
        """Show the whole drive."""
        end = (float(self._times[-1]) if len(self._times) > 1 else 0.0) or 1.0
        for plot in (self._upper, self._lower):
            plot.vb.setLimits(
                xMin=-0.01 * end,
                xMax=1.01 * end,
                minXRange=min(end, end / len(self._times) * 8) if len(self._times) else end,
            )
        self._y_by_hand, self._follow = False, True
        self._upper.setXRange(-0.005 * end, 1.005 * end, padding=0)
        self._fit_degrees()
        self._draw_curves()
        self._draw_cursor()

    # -- from points to frames

    def index_at(self, x: float) -> int:
        """The frame nearest to x seconds."""
        return nearest(self._times, x)

    def view_range(self) -> tuple[float, float]:
        """The seconds in view."""
        x0, x1 = self._upper.vb.viewRange()[0]
        return float(x0), float(x1)

    def x_of(self, i: int) -> float:
        """Where frame `i` lies, in pixels of this widget."""
        if not 0 <= i < len(self._times):
            return 0.0
        at = self._upper.vb.mapViewToScene(pg.Point(self._times[i], 0.0))
        return float(self._view.mapTo(self, self._view.mapFromScene(at)).x())

    def _seek(self, i: int) -> None:
        if len(self._times) and i != self._asked:
            self._asked = i
            self.seek_requested.emit(i)

    def _clicked(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not len(self._times):
            return
        box = next(
            (p.vb for p in (self._upper, self._lower) if p.vb.sceneBoundingRect().contains(event.scenePos())),
            None,
        )
        if event.double():
            self.fit()
        elif box is not None:
            self._asked = -1
            self._seek(self.index_at(box.mapSceneToView(event.scenePos()).x()))

    def _dragged(self, line: Any) -> None:
        i = self.index_at(float(line.value()))
        for other in self._lines:
            if other is not line:
                other.setValue(line.value())
        self._seek(i)

    def _dropped(self, _line: Any) -> None:
        self._shown = self._asked = -1
        self._soon(self._cursor_timer)

    def _moved_by_hand(self, mouse_enabled: Any) -> None:
        if mouse_enabled[1] and not mouse_enabled[0]:
            self._y_by_hand = True
        elif 0 <= self._cursor < len(self._times):
            x0, x1 = self.view_range()
            self._follow = x0 <= self._times[self._cursor] <= x1
        self._soon(self._view_timer)

    # -- drawing

    @staticmethod
    def _soon(timer: QTimer) -> None:
        if not timer.isActive():
            timer.start()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._soon(self._view_timer)
        self._soon(self._cursor_timer)

    def sizeHint(self) -> QSize:
        return QSize(600, 200)

    def _draw_curves(self) -> None:
        self._data_timer.stop()
        self._view_timer.stop()
        if not self.isVisible():
            return
        if not self._y_by_hand:
            self._fit_degrees()
        x0, x1 = self.view_range()
        columns = int(self._upper.vb.width() * self.devicePixelRatioF())
        second = np.full(len(self._times), np.nan) if self._second is None else self._second
        for name, values, bridge, parts in (
            ("driven", self._driven, 1, self._parts),
            ("second", second, self._bridge, self._seen_parts),
            ("predicted", self._predicted, self._bridge, self._seen_parts),
            ("error", self._error, self._bridge, self._seen_parts),
        ):
            self._curves[name].setData(*visible_curve(self._times, values, x0, x1, columns, bridge, parts))
        self._hole_marks.place(x0, x1, self._upper.vb.width())

    def _fit_degrees(self) -> None:
        if self._meaning.percent:
            for plot in (self._upper, self._lower):
                if plot.vb.viewRange()[1] != [-4, 104]:
                    plot.setYRange(-4, 104, padding=0)
            return
        driven, predicted, error = self._peaks
        predicted = max(predicted, peak(self._second) if self._second is not None else 0.0)
        # a network that goes wild must not flatten the driver's curve
        most = nice_limit(min(max(driven, predicted), 2 * driven) if self._labelled else predicted)
        for plot, limit in ((self._upper, most), (self._lower, nice_limit(min(error, 2 * most)))):
            low, high = plot.vb.viewRange()[1]
            if (low, high) != (-limit, limit):
                plot.setYRange(-limit, limit, padding=0)

    def _draw_cursor(self) -> None:
        self._cursor_timer.stop()
        if not 0 <= self._cursor < len(self._times) or not self.isVisible():
            for line in self._lines:
                line.setVisible(0 <= self._cursor < len(self._times))
            return
        x = float(self._times[self._cursor])
        if any(line.moving for line in self._lines):  # in the user's hand; the player comes after
            return
        if self._shown != self._cursor:
            self._shown = self._asked = self._cursor
            for line in self._lines:
                line.setVisible(True)
                line.setValue(x)
        x0, x1 = self.view_range()
        if x0 <= x <= x1:
            self._follow = True
        elif self._follow:
            start = x - (x1 - x0) * (0.1 if x > x1 else 0.5)  # page on; after a seek, to the middle
            self._upper.setXRange(start, start + (x1 - x0), padding=0)

    def _place_regions(self) -> None:
        a, b = self._marks
        n = len(self._times)
        for region in self._regions:
            region.setVisible(n > 0 and (a is not None or b is not None))
            if n:
                first = self._times[min(n - 1, max(0, a or 0))]
                last = self._times[min(n - 1, max(0, n - 1 if b is None else b))]
                region.setRegion((float(first), float(last)))

    def _dress(self) -> None:
        c = theme.colours()
        self._view.setBackground(c.panel)
        edge, fill = QColor(c.accent), QColor(c.accent)
        edge.setAlpha(170)
        fill.setAlpha(28)
        for region in self._regions:
            region.setBrush(fill)
            for line in region.lines:
                line.setPen(edge)
        for line in self._lines:
            line.setPen(pg.mkPen(c.accent, width=1))
            line.setHoverPen(pg.mkPen(c.accent, width=3))
        for plot in (self._upper, self._lower):
            dress_axes(plot)
        self._hole_marks.dress()
        for name, curve in self._curves.items():
            curve.setPen(thin_pen(getattr(c, name)))
        self._write()
        self._view.update()

    def _write(self) -> None:
        """The legends, and what is said where there is nothing to draw."""
        c = theme.colours()
        n, words = len(self._times), self._meaning
        self._legend.setText(legend(words, self._labelled, self._second is not None) if n else "")
        said = (
            "" if n else self.empty_text,
            (words.unlabelled or self.unlabelled_text) if n and not self._labelled else "",
        )
        for line, used in zip(self._zeros, (n > 0, self._labelled), strict=True):
            line.setPen(c.border)
            line.setVisible(used)
        for axis, used in (
            (self._upper.getAxis("left"), n > 0),
            (self._lower.getAxis("left"), self._labelled),
            (self._time_axis, n > 0),
        ):
            axis.setStyle(showValues=used)
            axis.setPen(c.border if used else c.panel)
        for item, text in zip(self._say, said, strict=True):
            item.setText(f'<span style="color:{c.muted.name()}">{text}</span>')
