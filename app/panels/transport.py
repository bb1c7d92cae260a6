"""The bar at the bottom: play, step, speed, and the whole drive in one line."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QToolBar

from vbp.app import theme
from vbp.app.player.playback import SPEEDS
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.timeline import Timeline


class Transport(QToolBar):
    def __init__(self, actions: dict[str, QAction]) -> None:
        super().__init__("Playback")
        self.setObjectName("transport")
        self._play = actions["play"]
        self._realtime = actions["realtime"]
        for name in ("first", "back", "play", "forward", "last"):
            self.addAction(actions[name])
        self.speed = ComboBox()
        self.speed.setToolTip("Speed (+ and −, 0 for normal)")
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g}×", speed)
        self.addWidget(self.speed)
        for name in ("realtime", "loop", "mark-a", "mark-b", "bookmark"):
            self.addAction(actions[name])
        self.timeline = Timeline()
        self.timeline.setAccessibleName("Timeline")
        self.speed.setAccessibleName("Speed")
        self.addWidget(self.timeline)
        self._realtime.toggled.connect(self._show_mode)
        self._show_mode(self._realtime.isChecked())

    def _show_mode(self, realtime: bool) -> None:
        theme.set_icon(self._realtime, "skip" if realtime else "every-frame")

    def set_playing(self, playing: bool) -> None:
        theme.set_icon(self._play, "pause" if playing else "play")
        self._play.setText("&Pause" if playing else "&Play")

    def set_speed(self, speed: float) -> None:
        self.speed.blockSignals(True)
        self.speed.setCurrentIndex(SPEEDS.index(speed) if speed in SPEEDS else -1)
        self.speed.blockSignals(False)
