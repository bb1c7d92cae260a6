"""The frame at the pointer, small, over the timeline."""

from __future__ import annotations

import cv2
import numpy as np
from drivemaker import WAIT, wait_shown
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent
from PySide6.QtWidgets import QApplication


def move(window, frame: int) -> None:
    line = window.panels.transport.timeline
    at = QPointF(line.x_of(frame), line.height() / 2)
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, line.mapToGlobal(at), none, none, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(line, event)


def shown(label) -> np.ndarray:
    image = label.pixmap().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return (
        rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()
    )  # the image ends here


def test_the_frame_at_the_pointer_is_shown_small(qtbot, make_window, drive_folder):
    window = make_window()
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 0)
    label, drive = window.thumbnails.label, window.player.drive
    for frame in (2, len(drive) - 2, 2):
        move(window, frame)
        qtbot.waitUntil(lambda f=frame: label.isVisible() and window.thumbnails._wanted[0] == f, timeout=WAIT)
        found = shown(label)
        assert found.shape[0] <= 96
        whole = drive.frame(frame)
        expected = cv2.resize(whole, found.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - expected).mean() < 1
    QApplication.sendEvent(window.panels.transport.timeline, QEvent(QEvent.Type.Leave))
    assert not label.isVisible()
    move(window, 3)
    window.source.close_drive()
    assert not label.isVisible() and not window.thumbnails._kept
