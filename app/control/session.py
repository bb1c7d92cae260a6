"""The document of what is open: remembered when it is left, written to a file, and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from vbp.app.control.network import NetworkControl
from vbp.app.control.second import SecondControl
from vbp.app.control.source import SourceControl
from vbp.app.control.view import ViewControl
from vbp.app.player.playback import Player
from vbp.app.state.document import SUFFIX, Document, load, save
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.errors import VbpError
from vbp.models.source import NetworkSource

FILTER = f"Sessions (*{SUFFIX})"


class SessionControl:
    """owned_by_run: whether a network is a checkpoint that is only passed through."""

    def __init__(
        self,
        window: QWidget,
        player: Player,
        source: SourceControl,
        network: NetworkControl,
        second: SecondControl,
        view: ViewControl,
        settings: Settings,
        notice: Notice,
        owned_by_run: Callable[[str], bool],
    ) -> None:
        self._window, self._player, self._source = window, player, source
        self._network, self._second, self._view = network, second, view
        self._settings, self._notice, self._owned_by_run = settings, notice, owned_by_run
        source.leaving.connect(self.remember)
        source.networks_kept.connect(self._bring_back)

    def remember(self) -> None:
        """Keep the frame and the network of the open recording for the next time; marks and crop are kept already."""
        player = self._player
        if player.drive is None or player.path is None:
            return
        changes: dict[str, object] = {"frame": player.target}
        if player.ready is not None and not self._owned_by_run(player.ready.name):
            first = str(NetworkSource.parse(player.ready.name).absolute())
            changes["networks"] = (first, *filter(None, [self._second.kept()]))
        self._settings.change_document(str(player.path.resolve()), **changes)

    def _bring_back(self, networks: tuple[str, ...]) -> None:
        """Those that were in use with a recording: the first, and the one beside it."""
        self._network.bring_back(networks[0])
        self._second.bring_back(networks[1] if len(networks) > 1 else "")

    def document(self) -> Document:
        """What is open now, and what was said about it."""
        self.remember()
        player = self._player
        if player.drive is None or player.path is None:
            return Document(layout=self._view.state())
        return replace(
            self._settings.document(str(player.path.resolve())),
            drive=str(player.path.absolute()),
            options=player.options,
            min_speed=player.min_speed,
            layout=self._view.state(),
        )

    def ask_save(self) -> None:
        player = self._player
        if player.drive is None or player.path is None:
            return
        start = str(Path(self._settings.last_folder("sessions")) / f"{player.path.stem}{SUFFIX}")
        name, _ = QFileDialog.getSaveFileName(self._window, "Save the session", start, FILTER)
        if name:
            path = Path(name)
            self.save(path if path.suffix else path.with_suffix(SUFFIX))

    def save(self, path: Path) -> None:
        try:
            save(self.document(), path)
        except VbpError as error:
            self._notice.show_message(str(error), "error")
            return
        self._settings.add_recent(str(path.absolute()), "sessions")
        self._notice.show_message(f"The session is saved: {path}")

    def ask_open(self) -> None:
        start = self._settings.last_folder("sessions")
        name, _ = QFileDialog.getOpenFileName(self._window, "Open a session", start, FILTER)
        if name:
            self.open(Path(name))

    def open(self, path: Path) -> None:
        """Show what a session's file holds; what was said of its recording before gives way."""
        try:
            document = load(path)
        except VbpError as error:
            self._notice.show_message(str(error), "error")
            return
        self._settings.add_recent(str(path.absolute()), "sessions")
        self._source.leaving.emit()
        if document.layout:
            self._view.restore(document.layout)
        if document.drive:
            drive = Path(document.drive)
            self._settings.keep_document(str(drive.resolve()), replace(document, drive="", layout=""))
            self._source.open_drive(drive, document.options, document.frame or 0, document.min_speed)
        elif document.networks:
            self._bring_back(document.networks)
