"""What the actions of playback, marks and prediction do."""

from __future__ import annotations

import math

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from vbp.app.control.predictions import Predictions
from vbp.app.dialogs.go_to import GoToDialog
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.frames.table import next_of
from vbp.readable import count
from vbp.session.note import nearest_frame


class PlaybackControl:
    def __init__(
        self,
        window: QWidget,
        player: Player,
        marks: Marks,
        predictions: Predictions,
        settings: Settings,
        actions: dict[str, QAction],
        notice: Notice,
    ) -> None:
        self._window = window
        self.dialog: GoToDialog | None = None
        self._player, self._marks, self._predictions = player, marks, predictions
        self._settings, self._actions, self._notice = settings, actions, notice
        predictions.ended.connect(self._on_predict_ended)
        predictions.steady.connect(self._on_steady)
        player.pace_changed.connect(lambda _, realtime: actions["realtime"].setChecked(realtime))

    def toggle(self) -> None:
        self._player.toggle()

    def step(self, frames: int) -> None:
        self._player.step(frames)

    def step_time(self, ms: int) -> None:
        """To the frame that many milliseconds on, by the recording's clock; one frame at least."""
        drive, at = self._player.drive, self._player.target
        if drive is None:
            return
        times = drive.timestamps_ns
        frame = nearest_frame(times, int(times[at]) + ms * 10**6)
        self._player.step(frame - at if (frame - at) * ms > 0 else ms // abs(ms))

    def ask_place(self) -> None:
        """Go to a frame or a time that is typed."""
        drive = self._player.drive
        if drive is None:
            return
        self.dialog = GoToDialog(drive.timestamps_ns, self._window)
        self.dialog.chosen.connect(self._go_to)
        self.dialog.open()

    def _go_to(self, frame: int) -> None:
        self._player.pause()
        self._player.seek(frame)

    def go_first(self) -> None:
        self._player.seek(0)

    def go_last(self) -> None:
        self._player.seek(self._player.frames - 1)

    def change_speed(self, steps: int) -> None:
        self._player.faster(steps)

    def normal_speed(self) -> None:
        self._player.set_pace(1.0)

    def set_realtime(self, on: bool) -> None:
        self._settings.set("realtime", on)
        self._player.set_pace(realtime=on)

    # Marks.

    def set_looping(self, on: bool) -> None:
        self._marks.set_looping(on)

    def mark_a(self) -> None:
        self._marks.set_part(self._player.target, self._marks.b)

    def mark_b(self) -> None:
        self._marks.set_part(self._marks.a, self._player.target)

    def clear_marks(self) -> None:
        self._marks.set_part(None, None)

    # Predictions.

    def go_worst(self) -> None:
        table = self._predictions.table
        frame = table.worst() if table is not None else None
        if table is None or frame is None:
            self._offer_rest("No error is known yet: nothing that has a label was predicted")
            return
        self._go_to(frame)
        if not table.known.all():
            share = math.floor(100 * table.known.mean())
            part = f"{share} %" if share else "less than 1 %"
            self._offer_rest(f"The largest error of the {part} of the drive predicted so far")

    def go_wrong(self) -> None:
        """The next frame to which a classifier gives another class than the true one; round the end."""
        table = self._predictions.table
        if table is None or not table.of_classes:
            self._notice.show_message(
                "Only of a classifier's frames are there right and wrong ones: E goes to the largest error"
            )
            return
        wrong = table.wrong()
        if wrong.size:
            self._go_to(next_of(wrong, self._player.target))
        if not wrong.size or not table.known.all():
            self._offer_rest(
                f"{count(wrong.size, 'wrong frame')} of {count(int(table.known.sum()), 'predicted one')}"
            )

    def _offer_rest(self, text: str) -> None:
        table = self._predictions.table
        if table is None or table.known.all() or self._predictions.running:
            self._notice.show_message(text)
            return
        predict = self._actions["predict"].trigger  # a button, as a key may be another's by then
        self._notice.show_message(text, "info", [("Predict the rest", predict)])

    def toggle_predict(self, on: bool) -> None:
        if on:
            self._predictions.start()
            self._actions["predict"].setChecked(self._predictions.running)
        else:
            self._predictions.stop()

    def _on_predict_ended(self, text: str) -> None:
        self._actions["predict"].setChecked(False)
        if text:
            self._notice.show_message(text, "error")

    def _on_steady(self, text: str) -> None:
        self._notice.show_message(f"{text[:1].upper()}{text[1:]} that stand for the drive", "warning")
