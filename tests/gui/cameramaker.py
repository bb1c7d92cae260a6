"""What a camera shows in these tests, and waiting for a frame of it."""

from __future__ import annotations

from drivemaker import WAIT

from livemaker import scene
from vbp.app.shell.window import MainWindow

W, H = 640, 480
PICTURE = scene(W, H)


def shown(qtbot, window: MainWindow, after: int = 0, masked: bool = False) -> None:
    def done() -> bool:
        frame = window.player.shown_frame
        return frame is not None and frame.index > after and (frame.result is not None or not masked)

    qtbot.waitUntil(done, timeout=WAIT)


def text_of(window: MainWindow) -> str:
    return window.panels.status.rate.text()
