"""The timeline: every frame can be reached, and no error, gap or mark is lost in a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from handmaker import LEFT, move
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from vbp.app import theme
from vbp.app.widgets.timeline import LANE, Timeline
from vbp.app.widgets.timeline_notes import Mark, lay_out
from vbp.app.widgets.timeline_strip import bin_max, gap_runs

N = 250_000


@pytest.fixture
def line(qapp, qtbot):
    theme.apply(qapp, "dark")
    line = Timeline()
    qtbot.addWidget(line)
    line.resize(900, 46)
    line.show()
    return line


def drive(line: Timeline, n: int, gaps=()) -> None:
    line.set_drive(np.arange(n) / 20.0, list(gaps))


def point(line: Timeline, i: int, y: float = 30) -> QPoint:
    return QPoint(round(line.x_of(i)), int(y))


@settings(max_examples=30)
@given(st.integers(1, 500), st.integers(250, 2500), st.data())
def test_frames_and_pixels_round_trip(qapp, n, width, data):
    line = Timeline()
    line.resize(max(width, n + 300), 46)
    drive(line, n)
    i = data.draw(st.integers(0, n - 1))
    assert line.index_at(line.x_of(i)) == i
    assert line.track().left() <= line.x_of(i) <= line.track().right()
    assert line.index_at(-1e9) == 0
    assert line.index_at(1e9) == n - 1
    line.deleteLater()


def test_a_press_and_a_drag_seek_once_a_frame(line, qtbot):
    drive(line, 100)
    asked: list[int] = []
    order: list[str] = []
    line.seek_requested.connect(asked.append)
    line.scrub_started.connect(lambda: order.append("started"))
    line.seek_requested.connect(lambda _: order.append("seek"))
    line.scrub_finished.connect(lambda: order.append("finished"))
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=point(line, 40))
    for i in (40, 60, 60, 99):
        move(line, point(line, i), LEFT)
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=point(line, 99))
    move(line, point(line, 5))
    assert asked == [40, 60, 99]
    assert (order[0], order[-1]) == ("started", "finished")
    assert line._position == 0  # it asks; the player says where it is
    line.set_position(60)
    assert asked == [40, 60, 99]


def test_the_handles_of_a_and_b_are_dragged_and_do_not_cross(line):
    drive(line, 100)
    line.set_marks(20, 60)
    seen: list[tuple[object, object]] = []
    line.marks_changed.connect(lambda a, b: seen.append((a, b)))
    asked: list[int] = []
    line.seek_requested.connect(asked.append)
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=point(line, 20, 5))
    move(line, point(line, 40, 5), LEFT)
    line.set_marks(1, 2)  # the window answers late: the hand wins
    move(line, point(line, 90, 5), LEFT)
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=point(line, 90, 5))
    assert seen == [(40, 60), (60, 60)]
    assert asked == []
    line.set_marks(None, 70)
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=point(line, 70, 5))
    move(line, point(line, 80, 5), LEFT)
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=point(line, 80, 5))
    assert seen[-1] == (None, 80)


def test_a_press_near_a_bookmark_goes_to_it(line, qtbot):
    drive(line, N)
    line.set_notes([Mark(5, 5, "a"), Mark(123_456, 123_456, "b")])
    with qtbot.waitSignal(line.seek_requested, timeout=1000) as seek:
        QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=point(line, 123_456, 5) + QPoint(3, 0))
    assert seek.args == [123_456]


def test_notes_that_lie_close_are_told_apart(line, qtbot):
    drive(line, N)
    marks = [
        Mark(100, 100, "first"),
        Mark(101, 101, "second"),
        Mark(101, 150_000, "long"),
        Mark(200_000, 200_000, "far"),
    ]
    line.set_notes(marks)
    boxes = lay_out(marks, line.x_of)
    assert not any(a.intersects(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    for box, mark in zip(boxes, marks):
        found = line.notes_at(box.center())
        assert found[0] == mark
        assert (len(found) == 3) == (mark.words in ("first", "second"))
        with qtbot.waitSignal(line.seek_requested, timeout=1000) as seek:
            QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
        assert seek.args == [mark.first]
        colour = theme.colours().bookmark.rgb()
        assert line.grab().toImage().pixel(box.center().toPoint()) == colour
    assert "long" in line.describe(70_000) and "long" not in line.describe(160_000)


def test_one_bad_frame_among_250_000_is_seen(line):
    drive(line, N, [(200_000, 200_000, "does not decode")])
    errors = np.full(N, 0.1)
    errors[:1000] = np.nan
    errors[77_777] = 90.0
    line.set_errors(errors)
    image = line.grab().toImage()
    t = line.track()

    def height(x: float) -> int:
        ground = theme.colours().panel
        return sum(
            image.pixelColor(int(x), y) != ground for y in range(int(t.top()) + 4, int(t.bottom()) - 1)
        )

    x = line.x_of(77_777)
    assert max(height(x + d) for d in (-1, 0, 1)) > t.height() * 0.6
    assert height(x + 8) <= 3
    gap = line.x_of(200_000)
    assert max(height(gap + d) for d in (-1, 0, 1)) > t.height() * 0.7
    assert "does not decode" in line.describe(200_000)
    assert "does not decode" not in line.describe(199_999)
    assert "error 90.0°" in line.describe(77_777)
    assert "frame 77777" in line.describe(77_777)


def test_errors_that_arrive_one_by_one_are_drawn(line, qtbot):
    drive(line, 50)
    before = line.grab().toImage()
    line.set_error(25, -60.0)
    line.set_error(999, 1.0)
    qtbot.waitUntil(lambda: not line._timer.isActive(), timeout=3000)
    after = line.grab().toImage()
    at = point(line, 25, LANE + 12)
    assert before.pixelColor(at) == theme.colours().panel
    assert after.pixelColor(at) != theme.colours().panel


@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(0, 500)), max_size=300),
    st.integers(1, 120),
)
def test_bins_keep_the_largest(values, width):
    y = np.array(values, dtype=np.float64)
    bins = bin_max(y, width)
    assert len(bins) == width
    known = y[np.isfinite(y)]
    shown = bins[np.isfinite(bins)]
    assert len(shown) == 0 if not len(known) else len(y) < width or shown.max() == known.max()
    assert set(shown) <= set(known)
    if 0 < len(y) <= width:
        assert set(known) == set(shown)


def test_gap_runs_are_wide_enough_and_joined():
    runs = gap_runs([(50_000, 50_000, "a"), (50_010, 50_020, "b"), (N - 1, N - 1, "c")], N, 1000)
    assert len(runs) == 2
    assert all(hi > lo for lo, hi in runs)
    assert len(gap_runs([(i, i, "") for i in range(0, N, 10)], N, 1000)) == 1


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("size", [(0, 0), (60, 10), (900, 46)])
def test_hardly_any_frames_and_any_size(line, n, size, capfd):
    line.resize(*size)
    drive(line, n, [(0, 0, "gone")] if n else [])
    line.set_errors(np.full(n, np.nan))
    line.set_error(0, float("nan"))
    line.set_notes([Mark(0, 0, "a"), Mark(5, 5, "b")])
    line.set_marks(0, 7)
    line.set_position(3)
    line.grab()
    QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(size[0] // 3, size[1] // 2))
    move(line, QPoint(size[0] // 2, size[1] // 2))
    line.grab()
    assert "Error" not in capfd.readouterr().err


def test_the_time_text_does_not_move_the_track(line):
    line.set_drive(np.linspace(1000, 1000 + 552, 9000), [])
    track = line.track()
    texts = set()
    for i in (0, 3433, 8999):
        line.set_position(i)
        texts.add(line.time_text())
        assert line.track() == track
    assert texts == {"00:00.0 / 09:12", "03:30.5 / 09:12", "09:12.0 / 09:12"}
    assert line.focusPolicy() == Qt.FocusPolicy.NoFocus


def test_the_parts_of_a_recording_lie_apart(line):
    drive(line, 100)
    line.set_errors(np.full(100, 10.0))
    whole = line.grab().toImage()
    line.set_drive(np.arange(100) / 20.0, [], [(49, 600.1)])
    line.set_errors(np.full(100, 10.0))
    parted = line.grab().toImage()
    between = QPoint(round((line.x_of(49) + line.x_of(50)) / 2), int(line.track().bottom()) - 3)
    assert whole.pixelColor(between) != theme.colours().window
    assert parted.pixelColor(between) == theme.colours().window
    assert "10 min after the frame before" in line.describe(50)
    assert "after the frame before" not in line.describe(49) + line.describe(51)


def test_the_time_of_a_year_has_room(line):
    line.set_drive(np.array([0.0, 365 * 86_400.0]), [])
    line.set_position(1)
    assert line.time_text() == "8760:00:00.0 / 8760:00:00"
    metrics = line._metrics()
    assert line.track().right() + metrics.horizontalAdvance(line.time_text()) <= line.width()
