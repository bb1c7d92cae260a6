"""The angle plot of a live session: the last minute, moving to the left."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QWidget

from vbp.app.panels.live_history import History
from vbp.app.widgets.plot import AnglePlot
from vbp.app.widgets.plot_holes import parts_of
from vbp.drives.holes import find_holes

SPAN_S = 60.0


class LivePlot(AnglePlot):
    """Draws `history`, which others fill; `refresh` says that there is more in it.

    While it is held, it stands still and can be zoomed and moved; the history goes on.
    """

    empty_text = "Predicted angles appear here as frames arrive"
    unlabelled_text = "no measured angle: choose a source of angles in Camera…"

    def __init__(self, parent: QWidget | None = None) -> None:
        self.history = History()
        self._held = False
        self._with_driven = False
        self._quiet_s = 0.0
        super().__init__(parent)

    def begin(self, with_driven: bool) -> None:
        """A new session. with_driven: a source of measured angles is attached."""
        self.history.clear()
        self._held = False
        self._quiet_s = 0.0
        self._with_driven = with_driven
        self.set_drive(np.zeros(0), np.zeros(0))
        self._show_last()

    def hold(self, held: bool) -> None:
        self._held = held
        if not held:
            self.refresh()

    def refresh(self) -> None:
        """More frames came; drawn soon, with those that come meanwhile."""
        if not self._held:
            self._soon(self._data_timer)

    def wait(self, seconds: float) -> None:
        """No frame came for so long: the curves move on to the left all the same."""
        if seconds != self._quiet_s:
            self._quiet_s = seconds
            self.refresh()

    def fit(self) -> None:
        """Show the last minute again."""
        self._y_by_hand = False
        self._show_last()

    def _draw_curves(self) -> None:
        if not self._held:
            self._take()
            self._show_last()
        super()._draw_curves()

    def _take(self) -> None:
        """What is drawn: copies, for a held plot keeps them."""
        empty = not len(self._times)
        first = int(np.searchsorted(self.history.times, self._end() - SPAN_S - 1.0))
        self._times = self.history.times[first:].copy()
        self._predicted = self.history.predicted_deg[first:].copy()
        self._driven = self.history.driven_deg[first:].copy()
        self._error = self._driven - self._predicted
        n = len(self._times)
        step = float(self._times[-1] - self._times[0]) / (n - 1) if n > 1 else 0.0
        self._bridge = max(2, min(n, round(0.7 / step))) if step > 0 else 1
        outages = find_holes(np.round(self._times * 1e9).astype(np.int64))
        self._parts = self._seen_parts = parts_of(n, [i + 1 for i, _ in outages])
        self._peaks = [_peak(v) for v in (self._driven, self._predicted, self._error)]
        labelled = self._with_driven
        if labelled != self._labelled or empty != (n == 0):
            self._labelled = labelled
            self._write()

    def _end(self) -> float:
        times = self.history.times
        return max(SPAN_S, float(times[-1]) + self._quiet_s) if len(times) else SPAN_S

    def _show_last(self) -> None:
        end = self._end()
        for plot in (self._upper, self._lower):
            plot.vb.setLimits(xMin=end - SPAN_S - 1.0, xMax=end + 1.0, minXRange=1.0)
        self._upper.setXRange(end - SPAN_S, end, padding=0)


def _peak(values: np.ndarray) -> float:
    known = np.abs(values[np.isfinite(values)])
    return float(known.max()) if len(known) else 0.0
