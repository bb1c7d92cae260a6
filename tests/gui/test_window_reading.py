"""Opening, and saying how a recording is read, in the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, wait_shown
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QLineEdit

from vbp.drives.base import OpenOptions


def choose(window, path: Path) -> None:
    """In the dialog: go to the folder around it, and point at it."""
    window.actions_by_id["open"].trigger()
    dialog = window.source.dialog
    assert dialog.isVisible()
    dialog.setDirectory(str(path.parent))
    dialog.findChild(QLineEdit, "fileNameEdit").setText(path.name)
    dialog.accept()


def test_open_takes_a_folder_and_a_file(qtbot, make_window, drive_folder):
    window = make_window()
    choose(window, drive_folder)
    wait_shown(qtbot, window, 0)
    assert window.player.path == drive_folder
    choose(window, drive_folder / "camera.csv")
    qtbot.waitUntil(lambda: window.player.path == drive_folder / "camera.csv", timeout=WAIT)


def test_open_takes_the_folder_that_is_shown(qtbot, make_window, drive_folder):
    window = make_window()
    window.actions_by_id["open"].trigger()
    window.source.dialog.setDirectory(str(drive_folder))
    window.source.dialog.accept()
    wait_shown(qtbot, window, 0)
    assert window.player.path == drive_folder


def test_a_wrong_file_that_is_dropped_leaves_the_good_drive_open(qtbot, open_window, tmp_path):
    window = open_window(frame=7)
    notes = tmp_path / "notes.txt"
    notes.write_text("turn left at the church")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(notes))])
    everything = (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    window.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, *everything))
    assert "not a recording" in window.notice.message()
    assert window.player.shown_frame.index == 7
    assert window.stack.currentWidget() is window.picture


def test_a_recording_that_fails_deeper_gives_way_to_the_one_before(qtbot, open_window, tmp_path):
    window = open_window(frame=7)
    good = window.player.path
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    window.drop(tmp_path / "broken.mp4")
    qtbot.waitUntil(lambda: bool(window.notice.message()), timeout=WAIT)
    wait_shown(qtbot, window, 7)
    assert window.player.path == good
    assert "broken.mp4" in window.notice.message()


def test_unit_side_and_speed_are_chosen_and_kept(qtbot, open_window):
    window = open_window(frame=20)
    before = window.player.drive.angle_rad[20]
    window.panels.info.reading.click()
    dialog = window.source.reading
    dialog.unit.setCurrentIndex(dialog.unit.findData("deg"))
    dialog.side.setCurrentIndex(dialog.side.findData("right"))
    dialog.min_speed.setValue(0.0)
    dialog.buttons.button(dialog.buttons.StandardButton.Open).click()
    qtbot.waitUntil(
        lambda: window.player.options.angle_unit == "deg" and window.player.drive is not None, timeout=WAIT
    )
    assert window.player.drive.angle_rad[20] == pytest.approx(-np.radians(before))
    wait_shown(qtbot, window, 20)
    path = window.player.path
    window.source.close_drive()
    window.source.open_drive(path)
    assert window.player.options == OpenOptions(angle_unit="deg", angle_sign="right")
    qtbot.waitUntil(lambda: window.player.drive is not None, timeout=WAIT)
    window.source.ask_reading()
    assert dialog.options() == OpenOptions(angle_unit="deg", angle_sign="right")
    dialog.unit.setCurrentIndex(dialog.unit.findData("rad:"))
    assert dialog.ratio.isVisible()
    assert dialog.options().angle_unit == "rad:16"
    assert not dialog.steering.isEnabled()  # there are no topics to choose from
    dialog.camera.setEditText("front\x07")
    dialog.accept()
    assert dialog.isVisible()
    assert "control characters" in dialog.error.text()
    dialog.reject()


def test_a_camera_that_is_not_there_is_asked_for_again(qtbot, open_window):
    window = open_window(frame=7)
    window.actions_by_id["reading"].trigger()
    dialog = window.source.reading
    dialog.camera.setEditText("roof")
    dialog.accept()
    qtbot.waitUntil(lambda: "roof" in window.notice.message(), timeout=WAIT)
    wait_shown(qtbot, window, 7)  # as it was read before
    assert window.player.options == OpenOptions()
    (again,) = window.notice.actions_shown()
    again.click()
    assert dialog.isVisible()
    assert dialog.camera.currentText() == "roof"
    assert "roof" in dialog.said.text()
    dialog.reject()


def test_a_steering_that_is_not_known_is_chosen_by_a_button(qtbot, make_window, shared):
    window = make_window()
    window.source.open_drive(shared / "cases/09_ros_steering/float_topic")
    wait_shown(qtbot, window, 0)
    assert "which of its numbers is the steering" in window.notice.message()
    (button,) = window.notice.actions_shown()
    button.click()
    dialog = window.source.reading
    assert dialog.isVisible()
    offered = [dialog.steering.itemText(k) for k in range(dialog.steering.count())]
    assert offered
    dialog.steering.setCurrentIndex(0)
    dialog.unit.setCurrentIndex(dialog.unit.findData("deg"))
    dialog.accept()
    qtbot.waitUntil(
        lambda: window.player.drive is not None and window.player.options.steering == offered[0], timeout=WAIT
    )
    assert np.isfinite(window.player.drive.angle_rad).any()


def test_a_notice_lies_over_the_picture_and_moves_nothing(qtbot, open_window):
    window = open_window()
    before = window.picture.geometry()
    window.notice.show_message("a long sentence " * 30, "error")
    qtbot.wait(20)
    assert window.picture.geometry() == before
    assert window.notice.isVisible()
    assert window.notice.width() == window.centralWidget().width()
    assert window.notice.height() > 40
