"""The network's crop, drawn by hand over a camera or a recording, and kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cameramaker import PICTURE, H, W, shown
from drivemaker import WAIT, write_drive
from handmaker import drag
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt

from vbp.app.widgets.crop_editor import moved, shaped, sized
from vbp.live.address import parse_address
from vbp.live.records import LiveRequest
from vbp.overlay import Rect
from vbp.session.crops import ChosenCrop


def test_a_crop_outside_the_picture_is_said(qtbot, make_window, server):
    window = make_window("NetSVF")
    server.play(lambda n: PICTURE, 10.0)
    window.camera.open(LiveRequest(parse_address(server.url)), crop=Rect(100, 0, 640, 125))
    qtbot.waitUntil(lambda: "does not lie in the frame" in window.notice.message(), timeout=WAIT)
    shown(qtbot, window)  # the picture is shown all the same


# The crop.


def dragged(editor, start: QPointF, end: QPointF) -> None:
    """From pixel to pixel of the picture."""

    def at(p: QPointF) -> QPoint:
        return editor.on_screen(QRectF(p.x(), p.y(), 0, 0)).topLeft().toPoint()

    drag(editor, at(start), at((start + end) / 2), at(end))


def test_the_crop_is_dragged_kept_and_used_again(qtbot, live, server):
    window = live("NetSVF")
    window.actions_by_id["crop"].trigger()
    editor = window.crop.editor
    assert editor.isVisible() and window.focusWidget() is editor
    assert editor.box == QRectF(0, 355, 640, 125)
    dragged(editor, QPointF(300, 400), QPointF(300, 300))  # moved up
    assert abs(editor.box.y() - 255) <= 3
    dragged(editor, QPointF(640, editor.box.bottom()), QPointF(320, 255 + 62))  # its corner drawn in
    box = editor.box
    assert box.width() / box.height() == pytest.approx(640 / 125, rel=0.01)
    assert abs(box.width() - 320) <= 6
    assert box.x() == 0
    # Seen at once, before it is applied.
    crop = window.player.crop.rect
    qtbot.waitUntil(lambda: window.player.shown_frame.result.crop == crop, timeout=WAIT)
    qtbot.keyClick(editor, Qt.Key.Key_Right)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert not editor.isVisible()
    kept = window.player.crop
    assert kept.rect == Rect(crop.x + 1, crop.y, crop.width, crop.height)
    assert window.settings.document(server.url).crop == kept
    # Esc changes nothing.
    window.actions_by_id["crop"].trigger()
    qtbot.keyClick(editor, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert window.player.crop != kept
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert window.player.crop == kept
    # Opened again, the camera has its crop; another source has none; and back to the default.
    window.source.close_drive()
    window.camera.open(LiveRequest(parse_address(server.url)))
    shown(qtbot, window, masked=True)
    assert window.player.shown_frame.result.crop == kept.rect
    window.actions_by_id["crop"].trigger()
    qtbot.keyClick(editor, Qt.Key.Key_Backspace)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert window.settings.document(server.url).crop is None
    qtbot.waitUntil(lambda: window.player.shown_frame.result.crop == Rect(0, 355, 640, 125), timeout=WAIT)


def test_the_crop_of_a_recording_is_set_the_same_way(qtbot, open_window, drive_folder):
    window = open_window(network="NetSVF", frame=3)
    window.actions_by_id["crop"].trigger()
    editor = window.crop.editor
    before = window.player.shown_frame.result
    qtbot.keyClick(editor, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.player.shown_frame.result.crop.y == before.crop.y - 10, timeout=WAIT)
    assert window.player.shown_frame.index == 3
    window.actions_by_id["predict"].trigger()
    qtbot.waitUntil(lambda: np.isfinite(window.predictions.table.predicted).all(), timeout=4 * WAIT)
    # The whole drive was predicted with that crop as well.
    result = window.player.shown_frame.result
    assert window.predictions.table.predicted[3] == pytest.approx(math.degrees(result.angle_rad), abs=1e-3)
    assert result.angle_rad != before.angle_rad
    window.source.open_drive(write_drive(drive_folder.parent / "other"))
    qtbot.waitUntil(
        lambda: window.player.shown_frame is not None and window.player.shown_frame.result is not None
    )
    assert window.player.crop is None
    window.source.open_drive(drive_folder)
    qtbot.waitUntil(lambda: window.player.crop is not None, timeout=WAIT)


def test_a_crop_needs_a_picture_and_a_network(qtbot, make_window):
    window = make_window()
    window.actions_by_id["crop"].trigger()
    assert "open a recording or a camera" in window.notice.message()
    window.actions_by_id["snapshot"].trigger()
    assert "There is no picture yet" in window.notice.message()


def test_crops_are_kept_as_they_are_and_follow_the_size(settings):
    crop = ChosenCrop(Rect(10, 20, 320, 62), 640, 480)
    settings.change_document("rtsp://a/b?c=[d]=/", crop=crop)
    assert settings.document("rtsp://a/b?c=[d]=/").crop == crop
    assert settings.document("rtsp://a/other").crop is None
    assert crop.at(480, 640) == crop.rect
    assert crop.at(960, 1280) == Rect(20, 40, 640, 124)
    assert crop.at(1, 1) == Rect(0, 0, 1, 1)
    settings.change_document("rtsp://a/b?c=[d]=/", crop=None)
    assert settings.document("rtsp://a/b?c=[d]=/").crop is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"x": 1}', '{"x":0,"y":0,"width":9,"height":9}'])
def test_damaged_settings_give_no_crop(settings, text):
    settings.change_document("a", crop=ChosenCrop(Rect(0, 0, 1, 1), 2, 2))
    (key,) = settings._store.allKeys()
    settings.set(key, text)
    assert settings.document("a").crop is None
    settings.remove(key)
    settings.change_document("a", crop=ChosenCrop(Rect(0, 0, 9, 9), 4, 4))  # beyond the picture
    assert settings.document("a").crop is None


@pytest.mark.parametrize("aspect", [5.12, 1.0, 0.4])
def test_a_crop_keeps_its_shape_and_stays_inside(aspect):
    rng = np.random.default_rng(1)
    box = shaped(QRectF(100, 100, 200, 10), aspect, W, H)
    for _ in range(300):
        corner = (int(rng.integers(2)), int(rng.integers(2)))
        to = QPointF(*(rng.uniform(-300, 1200, 2)))
        new = sized(box, corner, to, aspect, W, H)
        fixed = (box.left() if corner[0] else box.right(), box.top() if corner[1] else box.bottom())
        now = (new.left() if corner[0] else new.right(), new.top() if corner[1] else new.bottom())
        assert now == pytest.approx(fixed)
        box = moved(new, QPointF(*(rng.uniform(-500, 500, 2))), W, H)
        assert box.width() / box.height() == pytest.approx(aspect)
        assert box.left() >= -1e-6 and box.top() >= -1e-6
        assert box.right() <= W + 1e-6 and box.bottom() <= H + 1e-6
        assert box.width() > 1 and box.height() > 1
