"""Recording a camera: begun, stopped, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QStandardPaths
from PySide6.QtGui import QAction

from vbp.app.control.desktop import open_outside
from vbp.app.control.snapshot import plain_name, stamp
from vbp.app.panels.live_bar import LiveBar, short, size, span
from vbp.app.player.messages import RecordingTold
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice


class RecordControl:
    """open_drive: what opens a recording that is whole."""

    def __init__(
        self,
        player: Player,
        settings: Settings,
        notice: Notice,
        bar: LiveBar,
        action: QAction,
        open_drive: Callable[[Path], None],
    ) -> None:
        self._player, self._settings, self._notice = player, settings, notice
        self._bar, self._action, self._open_drive = bar, action, open_drive
        self.current: RecordingTold | None = None
        self.into: Path | None = None  # as soon as the first frame comes
        self._make_parents = False  # of the folder of all recordings, which is ours
        self._began = 0.0
        player.live_closed.connect(self._on_closed)
        player.recording_told.connect(self._on_recording)
        player.shown.connect(lambda _: self._begin())

    def toggle(self, on: bool) -> None:
        live = self._player.live
        if live is None:
            self._action.setChecked(False)
            return
        if on:
            base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
            folder = Path(self._settings.text("record/folder", base or str(Path.home()))) / "vbp"
            self.into = _new(folder, f"{stamp()}-{plain_name(live.request.address.name)}")
            self._make_parents = True
            self._begin()
        else:
            self.into = None
            self._player.record(None)

    def begin_with_first_frame(self, folder: Path | None) -> None:
        """Record a camera that is about to be opened into a new folder, or not (None)."""
        self.into, self._make_parents = folder, False

    def _begin(self) -> None:
        """With the first frame: before it, the size of the pictures is not known."""
        folder, live = self.into, self._player.live
        if folder is None or live is None:
            return
        self.into = None
        self._began = time.monotonic()
        self._action.setChecked(True)
        self._player.record(folder, make_parents=self._make_parents)
        self._on_recording(RecordingTold(live.generation, folder))

    def _on_closed(self) -> None:
        self.into = None
        self._action.setChecked(False)

    def _on_recording(self, recording: RecordingTold) -> None:
        live = self._player.live
        of_now = live is not None and live.generation == recording.generation
        if not recording.ended:
            if of_now:
                self.current = recording
                self._bar.show_recording(recording, self._began)
            return
        if of_now:
            self.current = None
            self._player.recording = False
            self._action.setChecked(False)
            self._bar.show_recording(None)
        folder = recording.folder
        if folder is None:
            self._notice.show_message(recording.text, "error")
            return
        self._settings.change_document(str(folder.resolve()), crop=self._player.crop)
        frames, seconds = recording.frames, recording.seconds
        what = f"{frames} frames, {span(seconds)}, {size(recording.bytes)}, in {short(folder)}"
        said = (
            f"{recording.text} – what was recorded is kept: {what}" if recording.text else f"Recorded: {what}"
        )
        answers = [
            ("Open the recording", partial(self._open_drive, folder)),
            ("Show the folder", partial(open_outside, folder)),
        ]
        self._notice.show_message(said, "error" if recording.text else "info", answers)


def _new(folder: Path, name: str) -> Path:
    """A folder that is not there yet."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path
