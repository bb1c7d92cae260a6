"""The document of what is open: remembered when it is left, written to a file, and read back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from vbp.app.control.edits import EditControl
from vbp.app.control.methods import MethodPanels
from vbp.app.control.network import NetworkControl
from vbp.app.control.second import SecondControl
from vbp.app.control.source import SourceControl
from vbp.app.control.view import ViewControl
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.errors import VbpError
from vbp.models.source import NetworkSource
from vbp.session.document import FIRST_SUFFIX, SUFFIX, Document, load, save
from vbp.session.fingerprint import fingerprint

FILTER = f"Sessions (*{SUFFIX})"
BOTH = f"Sessions (*{SUFFIX} *{FIRST_SUFFIX})"


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
        methods: MethodPanels,
        edits: EditControl,
        marks: Marks,
        settings: Settings,
        notice: Notice,
        owned_by_run: Callable[[str], bool],
    ) -> None:
        self._window, self._player, self._source = window, player, source
        self._network, self._second, self._view = network, second, view
        self._methods, self._edits = methods, edits
        self._settings, self._notice, self._owned_by_run = settings, notice, owned_by_run
        self._opening = False  # what a session says of its recording must not give way to what is open
        self._file: tuple[Path, Document] | None = None  # the session that is open, as it was written last
        source.leaving.connect(self._leave)
        marks.notes_changed.connect(self._keep_notes)
        source.networks_kept.connect(self._bring_back)

    def _leave(self) -> None:
        self.remember()
        self._file = None

    def _keep_notes(self) -> None:
        """Into the session that is open, which else stays as it was saved; never into one of the first version."""
        if self._file is None:
            return
        path, written = self._file
        player = self._player
        if player.path is None or os.path.abspath(player.path) != written.drive:
            return
        changed = replace(written, notes=self._settings.document(str(player.path.resolve())).notes)
        try:
            if replace(load(path), drive=written.drive) != written:  # which may have been found elsewhere
                raise VbpError(
                    f"{path} was changed by somebody else: notes are kept here alone until you save"
                )
            save(changed, path)
        except VbpError as error:
            self._file = None
            self._notice.show_message(str(error), "warning")
            return
        self._file = path, changed

    def remember(self) -> None:
        """Keep the frame and the network of the open recording for the next time; marks and crop are kept already."""
        player = self._player
        if player.drive is None or player.path is None or self._opening:
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
        """What is open now, what was said about it, and what it looks like."""
        self.remember()
        player, document = self._player, Document()
        if player.drive is not None and player.path is not None:
            document = replace(
                self._settings.document(str(player.path.resolve())),
                drive=os.path.abspath(player.path),
                options=player.options,
                min_speed=player.min_speed,
                fingerprint=fingerprint(player.path),
                edits=self._edits.lying(),
            )
        return replace(
            document,
            layout=self._view.state(),
            overlay=self._view.overlay,
            methods=self._methods.shown(),
            target=self._methods.target,
            second_view=self._second.view,
        )

    def ask_save(self) -> None:
        player = self._player
        if player.drive is None or player.path is None:
            return
        start = Path(self._settings.last_folder("sessions")) / f"{player.path.stem}{SUFFIX}"
        if self._file is not None:
            start = self._file[0]
        name, _ = QFileDialog.getSaveFileName(self._window, "Save the session", str(start), FILTER)
        if name:  # without its ending it would not be opened again
            self.save(Path(name if name.endswith(SUFFIX) else name.removesuffix(FIRST_SUFFIX) + SUFFIX))

    def save(self, path: Path) -> None:
        try:
            document = self.document()
            save(document, path)
        except VbpError as error:
            self._notice.show_message(str(error), "error")
            return
        self._file = path, document
        self._settings.add_recent(str(path.absolute()), "sessions")
        self._notice.show_message(f"The session is saved: {path}")

    def ask_open(self) -> None:
        start = self._settings.last_folder("sessions")
        name, _ = QFileDialog.getOpenFileName(self._window, "Open a session", start, BOTH)
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
        self._show_screen(document)
        if document.drive:
            self._open_drive(path, document, Path(document.drive))
        elif document.networks:
            self._bring_back(document.networks)

    def _show_screen(self, document: Document) -> None:
        """What the window is to look like; what a session does not say stays as it is."""
        if document.layout:
            self._view.restore(document.layout)
        if document.overlay is not None:
            self._view.set_overlay(document.overlay)
        if document.target:
            self._network.show_target(document.target)
        self._methods.show(document.methods)
        self._second.show_view(document.second_view)

    def _open_drive(self, path: Path, document: Document, drive: Path) -> None:
        if not drive.exists():
            self._notice.show_message(
                f"{drive}, the recording of {path.name}, is not there; where is it?",
                "warning",
                [
                    ("Find file…", lambda: self._find(path, document, QFileDialog.getOpenFileName)),
                    ("Find folder…", lambda: self._find(path, document, QFileDialog.getExistingDirectory)),
                ],
            )
            return
        known = document.fingerprint
        other = known is not None and fingerprint(drive) != known
        self._settings.keep_document(str(drive.resolve()), document.kept)
        self._settings.flush()
        self._opening = True
        self._source.open_drive(drive, document.options, document.frame or 0, document.min_speed)
        self._opening = False
        if self._player.path == drive:  # which was recognised
            self._edits.forget(document.edits)
        if path.name.endswith(SUFFIX) and not other:
            self._file = path, replace(document, drive=os.path.abspath(drive))
        if other:
            self._notice.show_message(
                f"{drive.name} is not the recording that {path.name} was written with: its size or contents differ; "
                "notes stand where their times are",
                "warning",
            )

    def _find(self, path: Path, document: Document, ask: Callable[..., object]) -> None:
        found = ask(self._window, f"Where is {Path(document.drive).name}?", str(path.parent))
        name = found[0] if isinstance(found, tuple) else found
        if name:
            self._open_drive(path, document, Path(str(name)))
