"""Recording a camera: begun, stopped, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QStandardPaths
from PySide6.QtGui import QAction

from vbp.app.control.desktop import open_outside
from vbp.app.control.snapshot import plain_name, stamp
from vbp.app.panels.live_bar import LiveBar, short, size, span
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.live.records import RecordingState


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
        self.current: RecordingState | None = None
        player.live_closed.connect(self._on_closed)
        player.recording_changed.connect(self._on_recording)

    def toggle(self, on: bool) -> None:
        live = self._player.live
        if live is None:
            self._action.setChecked(False)
            return
        if on:
            base = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
            folder = Path(self._settings.text("record/folder", base or str(Path.home()))) / "vbp"
            # The folder of all recordings is ours, and made where it is missing.
            self.begin(_new(folder, f"{stamp()}-{plain_name(live.request.address.name)}"), make_parents=True)
        else:
            live.record(None)
            self._show(None)

    def begin(self, folder: Path, make_parents: bool = False) -> None:
        """Record the camera that is open into a new folder, from its next frame on."""
        if self._player.live is not None:
            self._player.live.record(folder, make_parents)
            self._action.setChecked(True)
            self._show(RecordingState(folder))

    def under_way(self) -> str:
        """What becomes of the recording when the window is closed; "" where there is none."""
        if self.current is None:
            return ""
        folder = self.current.folder
        return f"the recording{f' {folder.name}' if folder else ''}, which ends here and is kept"

    def _show(self, recording: RecordingState | None) -> None:
        """None: nothing is recorded."""
        self.current = recording
        self._bar.show_recording(recording)

    def _on_closed(self) -> None:
        self._action.setChecked(False)
        self._show(None)

    def _on_recording(self, recording: RecordingState, of_now: bool) -> None:
        """of_now: it is of the camera that is shown."""
        if not recording.ended:
            if of_now:
                self._show(recording)
            return
        if of_now:
            self._on_closed()
        folder = recording.folder
        if folder is None:
            self._notice.show_message(recording.failure, "error")
            return
        self._settings.change_document(str(folder.resolve()), crop=self._player.crop)
        frames, seconds = recording.frames, recording.seconds
        what = f"{frames} frames, {span(seconds)}, {size(recording.bytes)}, in {short(folder)}"
        failure = recording.failure
        sentence = f"{failure} – what was recorded is kept: {what}" if failure else f"Recorded: {what}"
        answers = [
            ("Open the recording", partial(self._open_drive, folder)),
            ("Show the folder", partial(open_outside, folder)),
        ]
        self._notice.show_message(sentence, "error" if failure else "info", answers)


def _new(folder: Path, name: str) -> Path:
    """A folder that is not there yet."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path
