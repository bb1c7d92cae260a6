"""The picture keeps its shape, and what lies over it lies where it should."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from handmaker import LEFT, move
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest

from vbp.app import theme
from vbp.app.panels.masked import MaskedView
from vbp.app.widgets.compare import ComparedFrame, CompareView
from vbp.app.widgets.picture import PictureView


@dataclass(frozen=True)
class Rect:  # as vbp.overlay's
    x: int
    y: int
    width: int
    height: int


@pytest.fixture
def view(qapp, qtbot):
    theme.apply(qapp, "dark")
    view = PictureView()
    qtbot.addWidget(view)
    view.resize(400, 300)
    return view


def flat(width: int, height: int, colour=(40, 90, 160)) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def pixel(view, x: float, y: float) -> QColor:
    return view.grab().toImage().pixelColor(int(x), int(y))


def turn_wheel(view, x: float, y: float, notches: int) -> None:
    view.wheelEvent(
        QWheelEvent(
            QPointF(x, y), QPointF(x, y), QPoint(), QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )
    )  # fmt: skip


def test_channels_and_rows_are_in_their_order(view):
    picture = flat(40, 30, (0, 0, 0))
    picture[:15, :20] = (255, 0, 0)
    picture[:15, 20:] = (0, 255, 0)
    picture[15:, :20] = (0, 0, 255)
    view.set_picture(picture)
    image = view.grab().toImage()
    assert image.pixelColor(100, 75) == QColor(255, 0, 0)
    assert image.pixelColor(300, 75) == QColor(0, 255, 0)
    assert image.pixelColor(100, 225) == QColor(0, 0, 255)
    assert image.pixelColor(300, 225) == QColor(0, 0, 0)


def test_a_cut_of_a_larger_array_and_a_read_only_one_are_shown(view):
    whole = np.zeros((60, 80, 3), np.uint8)
    whole[10:40, 20:60] = (10, 200, 30)
    view.set_picture(whole[10:40, 20:60])
    assert pixel(view, 200, 150) == QColor(10, 200, 30)
    mirrored = flat(40, 30, (1, 2, 3))[:, ::-1]
    mirrored.flags.writeable = False
    view.set_picture(mirrored)
    assert pixel(view, 200, 150) == QColor(1, 2, 3)


@settings(max_examples=40)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(20, 700), st.integers(20, 700))
def test_the_shape_stays_and_all_of_it_is_in_view(qapp, w, h, width, height):
    view = PictureView()
    view.resize(width, height)
    view.set_picture(flat(w, h))
    rect = view.picture_rect()
    assert rect.width() / w == pytest.approx(rect.height() / h)
    assert view.viewport().adjusted(-1e-6, -1e-6, 1e-6, 1e-6).contains(rect)
    assert min(view.width() - rect.width(), view.viewport().height() - rect.height()) == pytest.approx(
        0, abs=1e-6
    )
    view.deleteLater()


def test_the_crop_is_outlined_where_it_is(view):
    view.resize(640, 480)
    view.set_picture(flat(640, 480, (20, 20, 20)))
    before = view.grab().toImage()
    view.set_crop(Rect(100, 355, 300, 100))
    after = view.grab().toImage()
    changed = np.array(
        [[before.pixel(x, y) != after.pixel(x, y) for x in range(640)] for y in range(480)], dtype=bool
    )
    ys, xs = np.nonzero(changed)
    assert (xs.min(), xs.max()) == pytest.approx((100, 399), abs=1)
    assert (ys.min(), ys.max()) == pytest.approx((355, 454), abs=1)
    assert after.pixelColor(100, 400).lightness() > 150
    assert after.pixelColor(250, 355).lightness() > 150
    assert not changed[362:448, 107:393].any()  # an outline, not a fill
    view.set_crop(None)
    assert view.grab().toImage() == before


def test_the_crop_scales_with_the_picture_and_the_caption_takes_its_room(view):
    view.set_caption("LRP  ε = 100", "0.1 s late")
    view.resize(320, 240 + int(view.viewport().y()))
    top = view.viewport().y()
    assert top > 0
    view.set_picture(flat(640, 480, (20, 20, 20)))
    view.set_crop(Rect(0, 240, 640, 240))
    assert pixel(view, 160, top + 120).lightness() > 150
    assert pixel(view, 160, top + 60) == QColor(20, 20, 20)


def test_a_gap_covers_the_picture_until_it_ends(view):
    view.set_picture(flat(40, 30, (250, 250, 250)))
    clean = view.grab().toImage()
    view.set_gap("the picture does not decode")
    covered = view.grab().toImage()
    same = sum(clean.pixel(x, 20) == covered.pixel(x, 20) for x in range(400))
    assert same == 0
    assert len({covered.pixel(x, 20) for x in range(100, 200)}) > 1  # hatched, not flat
    view.set_gap(None)
    assert view.grab().toImage() == clean


def test_a_warning_is_at_the_bottom_and_leaves_the_top(view):
    view.set_picture(flat(40, 30, (250, 250, 250)))
    view.set_warning("the prediction is a constant")
    image = view.grab().toImage()
    assert image.pixelColor(2, 297).lightness() < 120
    assert image.pixelColor(2, 200) == QColor(250, 250, 250)


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (3, 500), (500, 3)])
def test_no_size_and_no_picture_raise(view, size, capfd):
    view.resize(*size)
    view.set_empty("Open a drive")
    view.set_gap("gone")
    view.set_warning("late")
    view.set_caption("left" * 200, "right" * 200)
    view.set_crop(Rect(-5, -5, 9999, 9999))
    for picture in (
        None,
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((4, 4), np.uint8),
        flat(1, 1),
        flat(1, 900),
    ):
        view.set_picture(picture)
        view.grab()
    assert "Error" not in capfd.readouterr().err


def test_the_wheel_zooms_about_the_hand(view):
    view.set_picture(flat(400, 300))
    before = view.pixel_at(QPointF(130, 220))
    for _ in range(8):
        turn_wheel(view, 130, 220, 1)
    assert view.picture_rect().width() > 1500
    assert view.pixel_at(QPointF(130, 220)) == pytest.approx(before, abs=1)
    turn_wheel(view, 130, 220, -60)
    assert view.picture_rect().width() == pytest.approx(400)


def test_a_double_click_fits_first_and_activates_then(view, qtbot):
    view.set_picture(flat(400, 300))
    view.show()
    turn_wheel(view, 200, 150, 5)
    with qtbot.assertNotEmitted(view.activated):
        QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))
    assert view.picture_rect().width() == pytest.approx(400)
    with qtbot.waitSignal(view.activated, timeout=1000):
        QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))


def test_dragging_pans_the_zoomed_picture_and_stops_at_its_edge(view):
    view.set_picture(flat(400, 300))
    turn_wheel(view, 200, 150, 6)
    start = view.picture_rect()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))
    move(view, QPoint(230, 160), LEFT)
    assert view.picture_rect().x() == pytest.approx(start.x() + 30, abs=1)
    assert view.picture_rect().y() == pytest.approx(start.y() + 10, abs=1)
    move(view, QPoint(5000, 160), LEFT)
    assert view.picture_rect().x() == pytest.approx(0, abs=1)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(230, 160))


def test_a_pair_of_frames_side_by_side(qapp, qtbot):
    theme.apply(qapp, "dark")
    pair = CompareView()
    qtbot.addWidget(pair)
    pair.resize(800, 400)
    pair.grab()  # empty: says what to do, does not raise
    pair.set_pair(
        ComparedFrame(flat(40, 30, (200, 0, 0)), "frame 6", ["error +1.5°"]),
        ComparedFrame(flat(40, 30, (0, 0, 200)), "frame 7", ["error −2.0°", "driven +3.0°"]),
    )
    image = pair.grab().toImage()
    assert image.pixelColor(200, 180) == QColor(200, 0, 0)
    assert image.pixelColor(600, 180) == QColor(0, 0, 200)
    assert pair.right.text.text() == "error −2.0°\ndriven +3.0°"
    # one text is longer than the other: the pictures stay level
    assert pair.left.picture.height() == pair.right.picture.height()
    pair.set_pair(None, None)
    assert pair.left.text.text() == ""


def test_a_new_frame_is_painted_once(qtbot):
    view = MaskedView()
    qtbot.addWidget(view)
    view.resize(320, 240)
    with qtbot.waitExposed(view):
        view.show()
    qtbot.wait(50)
    painted = []
    view.painted.connect(lambda: painted.append(1))
    mask = np.zeros((60, 80), np.float32)
    for frame in range(1, 6):
        mask[:, frame] = 1
        view.set_masked(np.full((60, 80, 3), 40 * frame, np.uint8), mask)
        qtbot.waitUntil(lambda wanted=frame: len(painted) >= wanted, timeout=2000)
        qtbot.wait(20)
        assert len(painted) == frame
    shown = view.grab().toImage()
    middle = shown.pixelColor(view.width() // 2, view.height() // 2)
    assert (middle.red(), middle.green()) == (200, 200)


def test_where_a_picture_lies_is_known_before_it_is_painted(qapp):
    """A hand may come before the first painting, and the picture of another drive has another size."""
    theme.apply(qapp, "dark")
    view = MaskedView()
    view.resize(400, 300)
    for shape, expected in (((240, 320, 3), (0, 0, 400, 300)), ((100, 400, 3), (0, 100, 400, 100))):
        view.set_masked(np.zeros(shape, np.uint8), None)
        assert view.picture_rect().getRect() == expected
    view.set_masked(None, None)
    assert view.picture_rect().isEmpty()
