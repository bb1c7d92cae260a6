"""The plot: nothing is lost when it is cut to pixels, and frames and pixels agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from vbp.app import theme
from vbp.app.widgets.plot import AnglePlot
from vbp.app.widgets.plot_parts import DegreeAxis, TimeAxis
from vbp.app.widgets.series import nice_limit, visible_curve

N = 250_000


@pytest.fixture
def plot(qapp, qtbot):
    theme.apply(qapp, "dark")
    plot = AnglePlot()
    qtbot.addWidget(plot)
    plot.resize(900, 240)
    with qtbot.waitExposed(plot):
        plot.show()
    return plot


def settle(qtbot, plot) -> None:
    """Until what is pending has been drawn."""
    timers = (plot._data_timer, plot._view_timer, plot._cursor_timer)
    qtbot.waitUntil(lambda: not any(t.isActive() for t in timers), timeout=3000)


def drawn(plot, name: str) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = plot._curves[name].getData()
    return (np.zeros(0), np.zeros(0)) if xs is None else (xs, ys)


# -- the cut to pixels


@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-500, 500)), max_size=400),
    st.integers(1, 60),
    st.integers(1, 12),
)
def test_no_peak_is_lost_and_nothing_is_made_up(values, columns, bridge):
    y = np.array(values, dtype=np.float64)
    x = np.arange(len(y)) * 0.05
    xs, ys = visible_curve(x, y, -1.0, len(y) * 0.05 + 1, columns, bridge)
    assert len(xs) == len(ys) <= 4 * columns + 4 or len(y) <= columns
    known = y[np.isfinite(y)]
    shown = ys[np.isfinite(ys)]
    assert set(shown) <= set(known)
    if len(known):
        assert (shown.min(), shown.max()) == (known.min(), known.max())
    else:
        assert len(shown) == 0


def test_a_skipped_frame_is_drawn_through_and_a_long_gap_is_not():
    x = np.arange(10.0)
    y = np.array([1, np.nan, 1, np.nan, np.nan, np.nan, 2, 2, np.nan, np.nan])
    _, ys = visible_curve(x, y, 0, 9, 100, bridge=2)
    assert np.array_equal(ys, [1, 1, np.nan, 2, 2, np.nan], equal_nan=True)


def test_a_single_known_frame_can_be_seen():
    x, y = np.arange(9.0), np.full(9, np.nan)
    y[4] = 7
    xs, ys = visible_curve(x, y, 0, 8, 100)
    assert list(ys[:2]) == [7, 7]
    assert xs[0] == 4 < xs[1] < 4.5


def test_only_what_is_in_view_is_cut():
    x = np.arange(N) / 20
    xs, _ = visible_curve(x, np.sin(x), 100, 110, 1000)
    assert 99 < xs.min() <= 100
    assert 110 <= xs.max() < 111
    assert len(xs) <= 2 * 200 + 10


def test_limits_hold_the_peak_and_come_in_steps():
    peaks = np.linspace(0, 700, 3000)
    limits = [nice_limit(p) for p in peaks]
    assert all(limit >= p for limit, p in zip(limits, peaks, strict=True))
    assert limits == sorted(limits)
    assert len(set(limits)) < 20
    assert nice_limit(float("nan")) == nice_limit(0.0) > 0


# -- the widget


def test_250_000_frames(plot, qtbot):
    t = np.arange(N) / 20.0
    rng = np.random.default_rng(1)
    driven = 20 * np.sin(t / 50) + rng.normal(0, 1, N)
    driven[123_456] = 44.0  # one frame among the many must be seen
    predicted = driven + rng.normal(0, 2, N)
    plot.set_drive(t, driven)
    plot.set_predicted_many(0, predicted)
    for i in range(0, N, 5000):
        plot.set_predicted(i, 1.0)
        plot.set_cursor(i)
    settle(qtbot, plot)
    for name, limit in (("driven", 44.0), ("predicted", float(np.nanmax(plot._predicted)))):
        _, ys = drawn(plot, name)
        assert len(ys) < 6000
        assert np.nanmax(ys) == limit
    assert np.array_equal(plot._error, driven - plot._predicted)


def test_the_error_is_actual_minus_predicted(plot, qtbot):
    plot.set_drive(np.arange(4.0), np.array([1.0, 2.0, np.nan, 4.0]))
    plot.set_predicted_many(0, np.array([0.5, 3.0, 3.0, np.nan]))
    settle(qtbot, plot)
    assert np.array_equal(plot._error, [0.5, -1.0, np.nan, np.nan], equal_nan=True)
    _, ys = drawn(plot, "error")
    assert list(ys[:2]) == [0.5, -1.0]


@pytest.mark.parametrize("n", [1, 2, 3, 700, 12_345])
def test_frames_and_pixels_round_trip(plot, qtbot, n):
    rng = np.random.default_rng(n)
    times = np.cumsum(rng.uniform(0.01, 0.2, n))  # not evenly spaced, not from zero
    plot.set_drive(times, np.zeros(n))
    settle(qtbot, plot)
    for i in rng.integers(0, n, 40):
        assert plot.index_at(times[i] - times[0]) == i
    if n <= 700:  # more than a pixel apart
        for i in rng.integers(0, n, 20):
            at = plot._upper.vb.mapSceneToView(plot._view.mapToScene(QPoint(round(plot.x_of(i)), 60)))
            assert abs(plot.index_at(at.x()) - i) <= 1 + n // 400


def test_a_click_seeks_and_the_player_s_cursor_does_not(plot, qtbot):
    n = 200
    plot.set_drive(np.arange(n) / 20.0, np.zeros(n))
    settle(qtbot, plot)
    with qtbot.waitSignal(plot.seek_requested, timeout=2000) as seek:
        at = QPoint(round(plot.x_of(150)), 60)
        QTest.mouseClick(plot._view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert abs(seek.args[0] - 150) <= 1
    with qtbot.assertNotEmitted(plot.seek_requested, wait=200):
        for i in (3, 70, 199, -1, 200, 10**9):
            plot.set_cursor(i)
            settle(qtbot, plot)
    assert plot._lines[0].value() == pytest.approx(199 / 20)


def test_dragging_the_cursor_seeks_once_a_frame_and_the_player_does_not_pull_it_back(plot, qtbot):
    n = 100
    plot.set_drive(np.arange(n) / 20.0, np.zeros(n))
    plot.set_cursor(10)
    settle(qtbot, plot)
    asked: list[int] = []
    plot.seek_requested.connect(asked.append)
    plot.seek_requested.connect(plot.set_cursor)  # a player that follows at once
    line = plot._lines[0]
    line.moving = True
    for x in (0.51, 0.52, 1.0, 2.0):
        line.setValue(x)
        line.sigDragged.emit(line)
        settle(qtbot, plot)
        assert line.value() == pytest.approx(x)
    line.moving = False
    line.sigPositionChangeFinished.emit(line)
    settle(qtbot, plot)
    assert asked == [20, 40]  # 10 is where it stood
    assert plot._lines[1].value() == pytest.approx(2.0)


def test_the_view_follows_the_cursor_when_zoomed_but_not_what_was_panned_away(plot, qtbot):
    n = 20_000
    plot.set_drive(np.arange(n) / 20.0, np.zeros(n))
    plot._upper.setXRange(0, 30, padding=0)
    plot.set_cursor(20)
    settle(qtbot, plot)
    assert plot.view_range()[0] == pytest.approx(0, abs=0.01)
    for i in range(560, 620, 10):
        plot.set_cursor(i)
        settle(qtbot, plot)
    low, high = plot.view_range()
    assert low < 610 / 20 < high
    assert high - low == pytest.approx(30)
    plot._upper.setXRange(700, 730, padding=0)
    plot._moved_by_hand([True, False])
    plot.set_cursor(620)
    settle(qtbot, plot)
    assert plot.view_range()[0] == pytest.approx(700)
    plot.set_cursor(4000)  # a seek
    settle(qtbot, plot)
    assert plot.view_range()[0] < 200 < plot.view_range()[1]
    plot.fit()
    assert plot.view_range()[1] >= (n - 1) / 20


def test_a_drive_without_labels_says_so(plot, qtbot):
    plot.set_drive(np.arange(50) / 20.0, np.full(50, np.nan))
    plot.set_predicted_many(0, np.linspace(-30, 30, 50))
    settle(qtbot, plot)
    assert "no measured angle" in plot._say[1].text
    assert "driven" not in plot._legend.text
    assert np.nanmax(drawn(plot, "predicted")[1]) == 30
    assert not np.isfinite(drawn(plot, "error")[1]).any()
    plot.set_drive(np.arange(50) / 20.0, np.zeros(50))
    assert "no measured angle" not in plot._say[1].text
    assert "driven" in plot._legend.text


def test_the_degree_axis_does_not_shrink_and_keeps_the_driver_in_sight(plot, qtbot):
    n = 1000
    plot.set_drive(np.arange(n) / 20.0, np.full(n, 8.0))
    settle(qtbot, plot)
    first = plot._upper.vb.viewRange()[1]
    assert first == [-10, 10]
    plot.set_predicted(5, 14.0)
    settle(qtbot, plot)
    assert plot._upper.vb.viewRange()[1] == [-15, 15]
    plot.set_predicted(5, 0.0)
    plot.set_predicted(6, 3000.0)  # a network gone wild does not flatten the driver's curve
    settle(qtbot, plot)
    assert plot._upper.vb.viewRange()[1] == [-20, 20]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_frames(plot, qtbot, n, capfd):
    for driven in (np.zeros(n), np.full(n, np.nan)):
        plot.set_drive(np.zeros(n), driven)  # all at one time, too
        plot.set_predicted_many(-3, np.ones(n + 9))
        plot.set_predicted(0, 2.0)
        plot.set_predicted(n, 2.0)
        plot.set_cursor(0)
        plot.set_marks(0, None)
        plot.set_marks(5, 9)
        plot.clear_predicted()
        plot.fit()
        settle(qtbot, plot)
        plot.grab()
        QTest.mouseClick(plot._view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(400, 60))
        QTest.mouseDClick(plot._view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(400, 60))
    plot.set_drive(None, np.zeros(n))  # no times: in frames
    settle(qtbot, plot)
    assert "Error" not in capfd.readouterr().err


def test_marks_are_shaded(plot, qtbot):
    plot.set_drive(np.arange(101) / 10.0, np.zeros(101))
    plot.set_marks(20, 50)
    assert plot._regions[0].getRegion() == (2.0, 5.0)
    assert plot._regions[0].isVisible()
    plot.set_marks(None, 50)
    assert plot._regions[1].getRegion() == (0.0, 5.0)
    plot.set_marks(None, None)
    assert not plot._regions[0].isVisible()


def test_the_theme_repaints_the_plot(plot, qtbot, qapp):
    plot.set_drive(np.arange(50) / 20.0, np.zeros(50))
    settle(qtbot, plot)
    for scheme in ("light", "dark"):
        theme.apply(qapp, scheme)
        settle(qtbot, plot)
        assert plot.grab().toImage().pixelColor(3, 3) == theme.colours().panel
        assert plot._curves["predicted"].opts["pen"].color() == theme.colours().predicted


@given(st.floats(0.1, 720), st.integers(20, 900))
def test_the_degree_axis_names_more_than_the_zero(limit, size):
    axis = DegreeAxis()
    ticks = [v for _, values in axis.tickValues(-limit, limit, size) for v in values]
    assert all(-limit <= v <= limit for v in ticks)
    assert len(ticks) <= max(5, size / 16)
    if limit >= 1 and size >= 60:
        assert len(ticks) >= 3


def test_times_read_as_a_clock(qapp):
    axis = TimeAxis()
    assert axis.tickStrings([0, 60, 3600, -60], 1, 60) == ["00:00", "01:00", "1:00:00", ""]
    assert axis.tickStrings([0.5], 1, 0.5) == ["00:00.5"]
    axis.in_frames = True
    assert axis.tickStrings([10, 20.5], 1, 10) == ["10", ""]


# -- holes in time, and what is missing


@pytest.mark.parametrize("columns", [4, 100])
def test_a_line_is_not_drawn_from_one_part_to_the_next(columns):
    x, y = np.arange(20.0), np.full(20, 3.0)
    parts = (np.arange(20) >= 12).astype(np.int64)
    xs, ys = visible_curve(x, y, 0, 19, columns, bridge=5, parts=parts)
    assert np.isnan(ys).sum() == 2  # of the hole, and at the end
    before = xs[: int(np.flatnonzero(np.isnan(ys))[0])]
    assert before.max() < 12


def test_a_hole_is_a_gap_with_a_mark_and_the_clock_goes_on_after_it(plot, qtbot):
    times = np.arange(40) / 10.0
    plot.set_drive(times, np.sin(times) * 20, [(19, 600.1), (29, 3600.0)])
    plot.set_predicted_many(0, np.sin(times) * 10)
    settle(qtbot, plot)
    for name in ("driven", "predicted", "error"):
        xs, ys = drawn(plot, name)
        ends = [xs[k - 1] for k in np.flatnonzero(np.isnan(ys))]
        assert ends == pytest.approx([1.9, 2.9, 3.9], abs=0.02)
    assert plot._hole_marks.shown() == ["10 min", "1 h"]
    lines, _ = plot._hole_marks._lines[0].getData()
    assert lines.tolist() == pytest.approx([1.95, 1.95, 2.95, 2.95])
    (spacing, places), *_ = plot._time_axis.tickValues(0, 3.9, 900)
    texts = plot._time_axis.tickStrings(places, 1, spacing)
    assert texts[0] == "00:00.0" and any(t.startswith("10:0") for t in texts)
    assert texts[-1].startswith("1:10:0")
    plot.set_drive(times, np.zeros(40))  # another drive, without any
    settle(qtbot, plot)
    assert plot._hole_marks.shown() == [] and not len(plot._hole_marks._lines[0].getData()[0])


def test_predictions_are_not_drawn_across_missing_pictures(plot, qtbot):
    n = 100
    plot.set_drive(np.arange(n) / 20.0, np.zeros(n))
    values = np.full(n, 5.0)
    values[[30, 60]] = np.nan  # one has no picture, one was skipped in playing
    plot.set_predicted_many(0, values)
    plot.set_gaps([(30, 30)])
    settle(qtbot, plot)
    xs, ys = drawn(plot, "predicted")
    breaks = [xs[k - 1] for k in np.flatnonzero(np.isnan(ys))]
    assert breaks == pytest.approx([29 / 20, 99 / 20])


def test_many_holes_are_few_lines(plot, qtbot):
    n = 20_000
    plot.set_drive(np.arange(n, dtype=float), np.zeros(n), [(i, 100.0) for i in range(n - 1)])
    settle(qtbot, plot)
    assert 0 < len(plot._hole_marks._lines[0].getData()[0]) < 2 * 900
    assert len(plot._hole_marks.shown()) <= 12
