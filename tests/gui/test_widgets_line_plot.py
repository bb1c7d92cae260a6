"""The small plots of a training run and of the evidence: what is drawn, where, and what the mouse gets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QToolTip

from vbp.app import theme
from vbp.app.panels.evidence import CurvesPlot
from vbp.app.widgets.line_plot import NumberAxis
from vbp.app.widgets.loss_plot import Curves, LossPlot
from vbp.evidence.outcome import Plot, Series

NAN = float("nan")
EPOCHS = np.array([1.0, 2.0, 3.0, 4.0])
CURVES = Curves(EPOCHS, np.array([90.0, 9.0, 8.0, 7.0]), np.array([NAN, 10.0, 9.5, 9.0]), 4.0)


def shown(qtbot, plot, width: int = 400, height: int = 200):
    qtbot.addWidget(plot)
    plot.resize(width, height)
    with qtbot.waitExposed(plot):
        plot.show()
    return plot


def lay_out(plot) -> None:
    """Axes that come or go, and the legend, take their room when the loop of events runs."""
    QApplication.processEvents()
    plot.grab()
    QApplication.processEvents()


@pytest.fixture(params=["dark", "light"])
def scheme(request, qapp) -> str:
    theme.apply(qapp, request.param)
    return request.param


def lines(plot) -> list[tuple[np.ndarray, np.ndarray]]:
    return [curve.getOriginalDataset() for curve in plot._plot.listDataItems() if hasattr(curve, "curve")]


def test_marks_lie_on_the_test_curve_and_where_there_is_none_on_the_other(qtbot, scheme) -> None:
    plot = shown(qtbot, LossPlot())
    plot.set_curves(CURVES, [2.0, 3.0, 4.0])
    lay_out(plot)
    assert [plot.mark_value(k) for k in range(3)] == [10.0, 9.5, 9.0]
    points = [plot.mark_point(k) for k in range(3)]
    assert points[0].x() < points[1].x() < points[2].x() < plot.width()
    assert 0 < points[0].y() < points[1].y() < points[2].y() < plot.height()
    train, test = lines(plot)
    np.testing.assert_array_equal(test[0], [2.0, 3.0, 4.0])  # not where nothing was measured
    np.testing.assert_array_equal(train[1], CURVES.train)
    assert plot.top() == 30.0  # a wild beginning does not flatten the rest
    none = np.full(4, NAN)
    plot.set_curves(Curves(EPOCHS, CURVES.train, none, 4.0), [2.0])
    assert plot.mark_value(0) == 9.0
    assert "test" not in plot._legend.text()


def test_a_mark_is_painted_where_it_is_said_to_be(qtbot, scheme) -> None:
    plot = shown(qtbot, LossPlot())
    plot.set_curves(CURVES, [2.0, 4.0])
    plot.set_in_use(1)
    lay_out(plot)
    at = plot.mark_point(1).toPoint()
    assert plot.grab().toImage().pixelColor(at).name() == theme.colours().accent.name()


def test_clicks_above_and_below_a_mark_choose_it_and_others_nothing(qtbot) -> None:
    plot = shown(qtbot, LossPlot())
    plot.set_curves(CURVES, [1.0, 4.0])
    lay_out(plot)
    chosen: list[int] = []
    plot.chosen.connect(chosen.append)
    view = plot._view.viewport()

    def click(x: float, dy: int) -> None:
        at = QPoint(round(x), round(plot.mark_point(1).y()) + dy)
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.mapFrom(plot, at))

    last = plot.mark_point(1).x()
    click(last - 8, -20)
    click(last, 10)
    click((plot.mark_point(0).x() + last) / 2, 0)
    assert chosen == [1, 1]


def test_the_hand_shows_over_a_mark(qtbot) -> None:
    plot = shown(qtbot, LossPlot())
    plot.set_curves(CURVES, [2.0])
    lay_out(plot)
    view = plot._view.viewport()
    qtbot.mouseMove(view, view.mapFrom(plot, plot.mark_point(0).toPoint()))
    qtbot.waitUntil(lambda: view.cursor().shape() == Qt.CursorShape.PointingHandCursor, timeout=5000)
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert view.cursor().shape() == Qt.CursorShape.ArrowCursor


def test_the_tip_is_of_the_nearest_measurement(qtbot) -> None:
    plot = shown(qtbot, LossPlot())
    assert plot.tip(QPointF(1.0, 0.0)) == ""
    plot.set_curves(CURVES, [])
    lay_out(plot)
    assert plot.tip(QPointF(2.2, 0.0)).splitlines() == [
        "epoch 2",
        "test RMSE 10.0° (0.175 rad)",
        "train RMSE 9.0° (0.157 rad), on augmented frames",
    ]
    view = plot._view.viewport()
    at = view.mapFrom(plot, plot.point(1.1, 5.0).toPoint())
    QApplication.sendEvent(view, QHelpEvent(QEvent.Type.ToolTip, at, view.mapToGlobal(at)))
    assert QToolTip.text().startswith("epoch 1\ntrain RMSE 90.0°")
    QToolTip.hideText()


def test_a_plot_without_a_measurement_says_so(qtbot, scheme) -> None:
    plot = shown(qtbot, LossPlot(), 150, 84)
    assert "first measurement" in plot._empty.text
    plot.set_curves(CURVES, [])
    assert plot._empty.text.endswith("></span>") and plot._legend.isVisible()


def test_the_evidence_draws_every_series(qtbot, scheme) -> None:
    eps = [1e-4, 1.0, 100.0]
    plot = shown(qtbot, CurvesPlot())
    plot.set_plot(
        Plot(
            "VBP against |LRP| <test>",
            "eps",
            "correlation",
            [
                Series("Pearson", eps, [-0.1, NAN, 0.4]),
                Series("Spearman", eps, [0.1, 0.2, 0.3]),
                Series("chance", eps, [0.0, 0.0, 0.0], aside=True),
            ],
            log_x=True,
        )
    )
    lay_out(plot)
    drawn = lines(plot)
    np.testing.assert_allclose(drawn[0][0], [-4.0, 2.0])
    np.testing.assert_allclose(drawn[1][1], [0.1, 0.2, 0.3])
    pens = [c.opts["pen"] for c in plot._plot.listDataItems()]
    assert [p.style() for p in pens] == [Qt.PenStyle.SolidLine] * 2 + [Qt.PenStyle.DashLine]
    assert len({p.color().name() for p in pens}) == 3
    assert "&lt;test&gt;" in plot._legend.text()
    top, bottom = plot.point(-4.0, 0.4), plot.point(2.0, -0.1)
    assert 0 < top.x() < bottom.x() < plot.width() and 0 < top.y() < bottom.y() < plot.height()


def test_maps_that_are_all_zero_are_said(qtbot) -> None:
    plot = shown(qtbot, CurvesPlot())
    plot.set_plot(Plot("Most relevant first", "share", "°", [Series("LRP", [0.0, 50.0], [NAN, NAN])]))
    assert "all maps are zero" in plot._empty.text
    lay_out(plot)


@pytest.mark.parametrize("size", [60.0, 150.0, 400.0, 1600.0])
@pytest.mark.parametrize(("low", "high"), [(-4.0, 4.0), (-0.02, 1.05), (0.0, 12.0), (0.0, 300.0)])
@pytest.mark.parametrize("powers", [False, True])
def test_figures_of_an_axis_are_round_and_apart(qapp, size, low, high, powers) -> None:
    axis = NumberAxis("bottom", 56)
    axis.powers = powers
    ((step, offset),) = axis.tickSpacing(low, high, size)
    apart = step * size / (high - low) >= 56 * 0.99
    few = (
        not powers and 2 <= math.floor(high / step) - math.ceil(low / step) + 1 <= 5
    )  # one would say nothing
    assert offset == 0 and (apart or few or step == 16)
    assert (
        step in (1, 2, 4, 8, 16)
        if powers
        else round(step / 10 ** np.floor(np.log10(step)), 6) in (1, 2, 5, 10)
    )


def test_the_first_figure_says_what_they_are(qapp) -> None:
    axis = NumberAxis("bottom", 56)
    axis.name = "epoch"
    assert axis.tickStrings([0.0, 2.5], 1.0, 2.5) == ["epoch 0", "2.5"]
    axis.name, axis.unit = "", "°"
    assert axis.tickStrings([-0.5, 0.0], 1.0, 0.5) == ["−0.5°", "0°"]
    axis.name, axis.powers = "eps", True
    assert axis.tickStrings([-4.0, 0.0], 1.0, 4.0) == ["eps 1e-4", "1e0"]
