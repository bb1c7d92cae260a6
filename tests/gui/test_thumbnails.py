"""The frame at the pointer, small, over the timeline."""

from __future__ import annotations

import cv2
import numpy as np
from drivemaker import WAIT, finding_at, wait_shown, write_drive
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


def pixels(pixmap) -> np.ndarray:
    image = pixmap.toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), dtype=np.uint8).reshape(image.height(), image.bytesPerLine())
    return (
        rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()
    )  # the image ends here


def test_the_frame_at_the_pointer_is_shown_small(qtbot, make_window, drive_folder):
    window = make_window()
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 0)
    label, drive = window.thumbnails.pointer.label, window.player.drive
    for frame in (2, len(drive) - 2, 2):
        move(window, frame)
        qtbot.waitUntil(
            lambda f=frame: label.isVisible() and window.thumbnails.pointer.frame == f, timeout=WAIT
        )
        found = pixels(label.pixmap())
        assert found.shape[0] <= 96
        whole = drive.frame(frame)
        expected = cv2.resize(whole, found.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - expected).mean() < 1
    QApplication.sendEvent(window.panels.transport.timeline, QEvent(QEvent.Type.Leave))
    assert not label.isVisible()
    move(window, 3)
    window.source.close_drive()
    assert not label.isVisible() and not window.thumbnails._kept


def test_findings_that_come_into_view_have_a_picture_of_their_peak(qtbot, make_window, tmp_path):
    window = make_window()
    window.source.open_drive(write_drive(tmp_path / "drive", 60))
    wait_shown(qtbot, window, 0)
    window.view.toggle_panel("findings", True)
    panel, drive = window.panels.findings, window.player.drive
    peaks = [59 - 3 * k for k in range(20)]
    found = [finding_at(drive, peak, weight) for weight, peak in enumerate(reversed(peaks))]
    panel.set_findings(found, int(drive.timestamps_ns[0]))
    made: list[int] = []
    window.thumbnails.made.connect(made.append)
    qtbot.waitUntil(lambda: len(made) >= 3, timeout=WAIT)

    def in_view() -> list[int]:
        return [
            panel.table.of_row(row).peak
            for row in range(20)
            if panel.table.visualItemRect(panel.table.item(row, 0)).intersects(panel.table.viewport().rect())
        ]

    first = in_view()
    assert 3 <= len(first) < 15
    qtbot.waitUntil(lambda: made == first, timeout=WAIT)  # the upper first, and no other
    panel.table.scrollToBottom()
    qtbot.waitUntil(lambda: set(in_view()) <= set(made), timeout=WAIT)
    assert len(made) == len(set(made)) < 20 and 2 in made
    window.thumbnails.want(())
    # As it is painted, in its own colours also where it is chosen.
    last = panel.table.item(19, 0)
    panel.table.selectRow(19)
    row = pixels(panel.table.viewport().grab(panel.table.visualItemRect(last)))
    picture = cv2.resize(drive.frame(2), (37, 28), interpolation=cv2.INTER_AREA)
    found = cv2.matchTemplate(row, picture, cv2.TM_SQDIFF_NORMED)
    assert found.min() < 0.01, found.min()
    window.source.close_drive()
    assert not window.thumbnails._kept
