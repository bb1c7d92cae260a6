"""What the window's actions do to the player, the marks and the overlay. The table of actions names these methods."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow

from vbp.app.control.presenter import Presenter
from vbp.app.panels.masked import STYLE_TITLES, Overlay
from vbp.app.panels.toolbar import TopBar
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings


class Commands(QMainWindow):
    """The window makes these parts; the commands only use them."""

    settings: Settings
    player: Player
    marks: Marks
    presenter: Presenter
    top: TopBar
    actions_by_id: dict[str, QAction]

    # Playback and marks.

    def toggle_play(self) -> None:
        self.player.toggle()

    def step(self, frames: int) -> None:
        self.player.step(frames)

    def go_first(self) -> None:
        self.player.seek(0)

    def go_last(self) -> None:
        self.player.seek(self.player.frames - 1)

    def change_speed(self, steps: int) -> None:
        self.player.faster(steps)

    def normal_speed(self) -> None:
        self.player.set_pace(1.0)

    def set_realtime(self, on: bool) -> None:
        self.settings.set("realtime", on)
        self.player.set_pace(realtime=on)

    def set_looping(self, on: bool) -> None:
        self.marks.set_looping(on)

    def mark_a(self) -> None:
        self.marks.set_part(self.player.target, self.marks.b)

    def mark_b(self) -> None:
        self.marks.set_part(self.marks.a, self.player.target)

    def clear_marks(self) -> None:
        self.marks.set_part(None, None)

    def toggle_bookmark(self) -> None:
        self.marks.toggle_bookmark(self.player.target)

    def go_bookmark(self, direction: int) -> None:
        frame = self.marks.bookmark_from(self.player.target, direction)
        if frame is not None:
            self.player.seek(frame)

    def go_worst(self) -> None:
        frame = self.presenter.worst()
        if frame is not None:
            self.player.pause()
            self.player.seek(frame)

    def toggle_predict(self, on: bool) -> None:
        if on:
            self.player.predict()
            self.actions_by_id["predict"].setChecked(self.player.predicting)
        else:
            self.player.stop_predicting()

    # The overlay.

    def set_overlay(self, overlay: Overlay) -> None:
        self.top.set_overlay(overlay)
        self.presenter.set_overlay(overlay)
        self.actions_by_id["overlay"].setChecked(overlay.shown)
        self.settings.set("overlay/style", overlay.style)
        self.settings.set("overlay/opacity", overlay.opacity)

    def set_mask_shown(self, on: bool) -> None:
        self.set_overlay(replace(self.presenter.overlay, shown=on))

    def next_style(self) -> None:
        styles = list(STYLE_TITLES)
        overlay = self.presenter.overlay
        self.set_overlay(replace(overlay, style=styles[(styles.index(overlay.style) + 1) % len(styles)]))

    def change_opacity(self, percent: int) -> None:
        overlay = self.presenter.overlay
        self.set_overlay(replace(overlay, opacity=min(1.0, max(0.0, overlay.opacity + percent / 100))))
