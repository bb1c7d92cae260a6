"""Erase and watch over a real window: what is drawn on the picture is what the library computes, and it is kept apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from drivemaker import WAIT, wait_shown, write_drive
from handmaker import LEFT, drag
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from vbp.app.control.edits import NEEDED, NOT_LIVE
from vbp.app.control.snapshot import stamped
from vbp.app.shell.window import MainWindow
from vbp.app.state.edit_history import EditHistory
from vbp.edits import Adjust, Erase, Stroke, apply
from vbp.edits.regions import bitmap
from vbp.engine import Engine, open_network


@pytest.fixture
def window(open_window: Callable[..., MainWindow], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    monkeypatch.setattr("vbp.app.control.edits.COMPARE_AFTER_MS", 10)
    window = open_window(network="nethvf", frame=3)
    window.view.toggle_panel("edits", True)
    return window


def on_picture(window: MainWindow, x: float, y: float) -> QPoint:
    """The canvas's pixel over a point of the picture, both in parts of its sides."""
    r = window.picture.picture_rect()
    return QPoint(round(r.x() + x * r.width()), round(r.y() + y * r.height()))


def made(qtbot, window: MainWindow) -> None:
    """What was done last is on the screen."""

    def done() -> bool:
        frame = window.player.shown_frame
        return (
            frame is not None and frame.record.edits == window.edits.history.now and frame.result is not None
        )

    qtbot.waitUntil(done, timeout=WAIT)


def test_a_stroke_changes_the_angle_as_the_library_says(qtbot, window):
    player, panel, canvas = window.player, window.panels.edits, window.edits.canvas
    recorded = player.shown_frame
    before = recorded.result.angle_rad
    known = window.predictions.table.predicted.copy()
    panel.brush.click()
    panel.radius.setValue(9)
    drag(canvas, *(on_picture(window, x, 0.8) for x in (0.2, 0.4, 0.6)))
    made(qtbot, window)
    (erase,) = window.edits.history.now.items
    assert isinstance(erase.region, Stroke) and len(erase.region.points) == 3 and erase.region.radius == 9
    edits, frame = window.edits.history.now, player.shown_frame
    assert frame.record.recorded is recorded.image, "the frame was decoded again"
    assert (frame.image == apply(edits, recorded.image)).all()
    engine = Engine(open_network("nethvf"), "cpu")
    wanted = engine.run(apply(edits, recorded.image))
    assert frame.result.angle_rad == wanted.angle_rad != before
    assert (frame.result.map() == wanted.map()).all()
    assert panel.change.text().startswith("before ") and "change " in panel.change.text()
    # It is said on the pictures, and is no prediction of the drive.
    assert window.picture._edited == "edited: 1 place erased"
    assert window.panels.visualbackprop.view._edited == "edited"
    assert np.array_equal(window.predictions.table.predicted, known, equal_nan=True)
    # The comparison with random places comes by itself.
    qtbot.waitUntil(lambda: len(panel.plot.others) == 20, timeout=4 * WAIT)
    assert panel.plot.change == pytest.approx(math.degrees(wanted.angle_rad - before), abs=1e-4)
    assert "of 20 random places of the same shape" in panel.words.text() and "training" in panel.words.text()

    window.actions_by_id["undo-edit"].trigger()
    qtbot.waitUntil(lambda: not player.shown_frame.record.edits, timeout=WAIT)
    assert player.shown_frame.image is recorded.image and window.picture._edited == ""
    assert player.shown_frame.result.angle_rad == before and panel.change.text() == ""
    window.actions_by_id["redo-edit"].trigger()
    made(qtbot, window)
    assert player.shown_frame.result.angle_rad == wanted.angle_rad
    player.seek(5)
    wait_shown(qtbot, window, 5, masked=True)
    assert player.shown_frame.record.edits == edits, "what is erased stays in its place"
    panel.clear.click()
    qtbot.waitUntil(lambda: not player.shown_frame.record.edits, timeout=WAIT)


def test_a_rectangle_is_dragged_about_and_sized(qtbot, window):
    panel, canvas, history = window.panels.edits, window.edits.canvas, window.edits.history
    panel.box.click()
    drag(canvas, on_picture(window, 0.2, 0.3), on_picture(window, 0.3, 0.5), on_picture(window, 0.5, 0.7))
    first = history.box()
    height, width = window.player.shown_frame.image.shape[:2]
    assert first.width == pytest.approx(0.3 * width, abs=2) and first.height == pytest.approx(
        0.4 * height, abs=2
    )
    drag(canvas, on_picture(window, 0.35, 0.5), on_picture(window, 0.4, 0.5), on_picture(window, 0.55, 0.55))
    second = history.box()
    assert second.x - first.x == pytest.approx(0.2 * width, abs=2) and second.width == first.width
    assert len(history.now.items) == 1
    drag(canvas, on_picture(window, 0.7, 0.75), on_picture(window, 0.8, 0.8))
    assert history.box().width == pytest.approx(0.4 * width, abs=3)
    panel.fill.setCurrentIndex(panel.fill.findData("mean"))
    panel.fill.activated.emit(panel.fill.currentIndex())
    assert history.now.items[0].fill == "mean"
    control = Qt.KeyboardModifier.ControlModifier
    for _ in range(2):
        QTest.keyClick(canvas, Qt.Key.Key_Z, control)
    assert history.box() == second
    QTest.keyClick(panel.radius, Qt.Key.Key_Z, control)  # from any place of the panel
    assert history.box() == first
    QTest.keyClick(canvas, Qt.Key.Key_Z, control | Qt.KeyboardModifier.ShiftModifier)
    assert history.box() == second
    made(qtbot, window)


def test_the_mask_chooses_what_is_erased_and_the_sliders_the_rest(qtbot, window):
    panel, player = window.panels.edits, window.player
    crop, shape = player.shown_frame.result.crop, player.shown_frame.image.shape[:2]
    panel.share.setCurrentIndex(1)
    panel.erase.click()
    (erase,) = window.edits.history.now.items
    assert bitmap(erase.region, *shape).sum() == round(0.1 * crop.width * crop.height) and not erase.outside
    made(qtbot, window)
    window.edits.undo()
    qtbot.waitUntil(lambda: not player.shown_frame.record.edits, timeout=WAIT)
    panel.keep.click()
    assert window.edits.history.now.items == (Erase(erase.region, "blur", True),)
    for value in (3, 7, 12):
        panel.sliders["brightness"].setValue(value)
    panel.sliders["roll"].setValue(15)
    assert window.edits.history.now.items[1:] == (Adjust("brightness", 12.0), Adjust("roll", 1.5))
    made(qtbot, window)
    window.edits.undo()
    window.edits.undo()
    assert window.edits.history.now.adjustments == () and panel.sliders["brightness"].value() == 0
    made(qtbot, window)


def test_a_button_shifts_what_the_maps_mark(qtbot, window):
    """The test of the maps, of the picture as it is edited, in its own panel."""
    with qtbot.waitSignal(window.evidence.worker.told, timeout=4 * WAIT):
        window.panels.edits.test.click()
    assert not window.docks["evidence"].isHidden() and window.evidence.under_way()
    window.evidence.cancel()


def test_the_wheel_sizes_the_brush_and_a_stroke_outside_changes_nothing(qtbot, window):
    panel, canvas = window.panels.edits, window.edits.canvas
    panel.brush.click()
    before = panel.radius.value()
    at = QPointF(on_picture(window, 0.5, 0.5))
    for notch in (120, 120, -120):
        wheel = QWheelEvent(
            at, canvas.mapToGlobal(at), QPoint(), QPoint(0, notch), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(canvas, wheel)
    assert panel.radius.value() == canvas.radius > before
    QTest.mousePress(canvas, LEFT, pos=QPoint(1, canvas.height() - 1))
    QTest.mouseRelease(canvas, LEFT, pos=QPoint(1, canvas.height() - 1))
    assert not window.edits.history.now
    panel.brush.click()
    assert not canvas.isVisible()


def test_edits_end_with_their_drive_and_need_a_picture(qtbot, window, tmp_path):
    panel = window.panels.edits
    panel.brush.click()
    drag(window.edits.canvas, on_picture(window, 0.3, 0.8), on_picture(window, 0.5, 0.8))
    assert window.edits.history.now
    made(qtbot, window)
    assert window.edits.lying() == window.edits.history.now
    window.source.open_drive(write_drive(tmp_path / "another"), frame=2)
    assert not window.edits.history.now and not window.edits.canvas.isVisible()
    wait_shown(qtbot, window, 2, masked=True)
    assert not window.player.shown_frame.record.edits
    panel.brush.click()
    drag(window.edits.canvas, on_picture(window, 0.3, 0.8), on_picture(window, 0.5, 0.8))
    assert window.edits.history.now
    window.source.close_drive()
    assert not window.edits.history.now and not window.edits.canvas.isVisible()
    panel.box.click()
    assert window.notice.label.text() == NEEDED and not panel.box.isChecked()
    panel.sliders["noise"].setValue(9)
    assert not window.edits.history.now and panel.sliders["noise"].value() == 0


def test_a_live_camera_is_not_edited(qtbot, live):
    window = live("nethvf")
    window.view.toggle_panel("edits", True)
    window.panels.edits.brush.click()
    assert window.notice.label.text() == NOT_LIVE and not window.edits.canvas.isVisible()
    window.panels.edits.erase.click()
    assert not window.edits.history.now


def test_a_snapshot_of_an_edited_picture_says_so():
    picture = np.full((120, 300, 3), 200, dtype=np.uint8)
    found = stamped(picture, "edited: 1 place erased")
    assert (found[:90] == picture[:90]).all() and len(np.unique(found[-20:])) > 5 and (picture == 200).all()


def test_steps_of_one_drag_are_one_step():
    history = EditHistory()
    for k in range(5):
        history.change_last(Erase(Stroke(((1.0, 1.0),) * (k + 1), 3.0)), "stroke")
    history.begin()
    history.change_last(Erase(Stroke(((5.0, 5.0),), 3.0)), "stroke")
    assert len(history.now.items) == 2 and len(history.now.items[0].region.points) == 5
    assert history.step(True) and len(history.now.items) == 1
    assert history.step(True) and not history.now and not history.step(True)
    assert history.step(False) and len(history.now.items) == 1
