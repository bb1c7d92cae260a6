"""Recordings: opened, closed, and what is said when one does not open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow, QMenu, QStackedWidget

from vbp.app.control.presenter import Presenter
from vbp.app.dialogs.open import OpenDialog
from vbp.app.dialogs.reading import ReadingDialog
from vbp.app.panels.masked import MaskedView
from vbp.app.player.messages import DriveFailed, Frame
from vbp.app.player.playback import Player
from vbp.app.state.actions import ACTIONS
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.app.widgets.start_page import StartPage
from vbp.demo import demo_drive
from vbp.drives.base import Drive, OpenOptions
from vbp.drives.opening import recognise
from vbp.errors import VbpError
from vbp.readable import clean

OF_A_SOURCE = (
    "close-drive",
    "reading",
    "export",
    "save-session",
    "read-notes",
    "write-notes",
    "report-notes",
)  # actions that need one, beside those of the groups below
GROUPS_OF_A_SOURCE = ("Playback", "Marks", "Analysis")


class SourceControl(QObject):
    """What is open, and the page that is shown while nothing is."""

    leaving = Signal()  # what is open is about to be let go
    returning = (
        Signal()
    )  # what was open before is about to be opened again, as what came after it was no recording
    closed = Signal()
    networks_kept = Signal(object)  # the names of those in use when this recording was open last

    def __init__(
        self,
        window: QMainWindow,
        player: Player,
        marks: Marks,
        presenter: Presenter,
        settings: Settings,
        actions: dict[str, QAction],
        notice: Notice,
        stack: QStackedWidget,
        start_page: StartPage,
        picture: MaskedView,
        recent_menu: QMenu,
    ) -> None:
        super().__init__(window)
        self._window, self._player, self._marks, self._presenter = window, player, marks, presenter
        self._settings, self._actions, self._notice = settings, actions, notice
        self._stack, self._start_page, self._picture = stack, start_page, picture
        self._recent_menu = recent_menu
        # What was open before the last opening: path, options, frame, least speed.
        self._before: tuple[Path, OpenOptions, int, float] | None = None
        self.dialog: OpenDialog | None = None
        self.reading: ReadingDialog | None = None
        self._asked: Path | None = None  # whose reading is asked for
        player.opening.connect(self._on_opening)
        player.opened.connect(self._on_opened)
        player.open_failed.connect(self.on_open_failed)
        recent_menu.aboutToShow.connect(self.fill_recent)
        start_page.choose_requested.connect(self.ask_open)
        start_page.set_demo(str(demo_drive() or ""))

    def open_drive(
        self,
        path: Path,
        options: OpenOptions | None = None,
        frame: int | None = None,
        min_speed: float = 0.0,
        with_network: bool = True,
    ) -> None:
        """Open a recording. options, frame None and with_network: as it was read and shown last, with its network."""
        self._notice.dismiss()
        player = self._player
        if player.drive is not None:
            try:
                recognise(path)  # before what is open gives way
            except VbpError as error:
                self._notice.show_message(str(error), "error")
                return
        self.leaving.emit()
        kept = self._settings.document(str(path.resolve()))
        if options is None:
            options, min_speed = kept.options, min_speed or kept.min_speed
        if frame is None:
            frame = kept.frame or 0
        if with_network and kept.networks:
            self.networks_kept.emit(kept.networks)
        if player.drive is not None and player.path is not None:
            self._before = (player.path, player.options, player.target, player.min_speed)
        player.open(path, options, frame, min_speed)

    def open_if_none(self, path: Path, options: OpenOptions, frame: int) -> None:
        """Open a recording that somebody offers, unless the user has opened something."""
        if self._stack.currentWidget() is self._start_page:
            self.open_drive(path, options, frame, with_network=False)

    def play_demo(self) -> None:
        """For who opened nothing yet: the demo drive, playing as soon as the network is there to be seen."""
        demo = demo_drive()
        if demo is None:
            return

        def begin(frame: Frame) -> None:
            if frame.result is not None or self._player.path != demo:
                self._player.shown.disconnect(begin)
                if self._player.path == demo:
                    self._player.play()

        self._player.shown.connect(begin)
        self.open_drive(demo, frame=0, with_network=False)

    def ask_open(self) -> None:
        """Choose a recording, a file or a folder."""
        if self.dialog is None or not self.dialog.isVisible():
            self.dialog = OpenDialog(self._settings.last_folder(), self._window)
            self.dialog.accepted.connect(self._open_chosen)
            self.dialog.open()

    def _open_chosen(self) -> None:
        if self.dialog is not None and self.dialog.path is not None:
            self.open_drive(self.dialog.path)

    def ask_reading(
        self,
        path: Path | None = None,
        why: str = "",
        options: OpenOptions | None = None,
        min_speed: float = 0.0,
    ) -> None:
        """Say how a recording is read: the one that is open, or one that did not open, and why and as what."""
        player = self._player
        if self.reading is None:
            self.reading = ReadingDialog(self._window)
            self.reading.chosen.connect(self._read_as_chosen)
        self._asked = path or player.path
        if self._asked is not None:
            info = player.drive.info if player.drive is not None and self._asked == player.path else None
            if options is None:
                options, min_speed = player.options, player.min_speed
            self.reading.ask(clean(self._asked.name), options, min_speed, info, why)

    def _read_as_chosen(self, options: OpenOptions, min_speed: float) -> None:
        player = self._player
        if self._asked is not None:
            frame = player.target if player.path == self._asked and player.drive is not None else None
            self.open_drive(self._asked, options, frame, min_speed)

    def close_drive(self) -> None:
        self.leaving.emit()
        self._player.close_source()
        self.clear()
        self.closed.emit()
        self.show_start()

    def clear(self) -> None:
        """Nothing of what was open is left on the screen."""
        self._presenter.clear()
        self._marks.set_drive(None, np.zeros(0, dtype=np.int64))

    def show_start(self) -> None:
        self._window.setWindowTitle("vbp")
        self._start_page.set_recent(self._settings.recent())
        self._stack.setCurrentWidget(self._start_page)
        self.enable_actions(False)

    def show_picture(self, title: str, text: str) -> None:
        """The picture's place, with a text as long as there is no picture; the actions come with it."""
        self._window.setWindowTitle(title)
        self._picture.set_empty(text)
        self._stack.setCurrentWidget(self._picture)
        self.enable_actions(False)
        self._actions["close-drive"].setEnabled(True)

    def enable_actions(self, drive_open: bool) -> None:
        for spec in ACTIONS:
            if spec.id in OF_A_SOURCE or (spec.group in GROUPS_OF_A_SOURCE and spec.id != "realtime"):
                self._actions[spec.id].setEnabled(drive_open)

    def _on_opening(self, path: str) -> None:
        self.clear()
        name = Path(path).name
        self.show_picture(f"{name} – vbp", f"Opening {name} …")

    def _on_opened(self, drive: Drive) -> None:
        self._picture.set_empty("")
        self._marks.set_drive(self._player.path, drive.timestamps_ns, self._player.options.fps)
        self._actions["loop"].setChecked(self._marks.looping)
        if self._player.path != demo_drive():  # which the start page offers anyway
            self._settings.add_recent(str(self._player.path))
        self._picture.setToolTip("")
        info = drive.info
        self._window.setWindowTitle(f"{info.name} – {info.kind}, {len(drive)} frames – vbp")
        self.enable_actions(True)
        path = str((self._player.path or info.path).resolve())
        self._settings.change_document(path, options=self._player.options, min_speed=self._player.min_speed)
        if info.numbers and not np.isfinite(drive.angle_rad).any():
            text = f"{info.name} does not say which of its numbers is the steering"
            self._notice.show_message(text, "warning", [("Choose…", self.ask_reading)])

    def on_open_failed(self, failed: DriveFailed) -> None:
        player = self._player
        options, speed, frame = player.options, player.min_speed, player.first_frame
        before, self._before = self._before, None
        if before is not None:  # a good recording does not give way to a bad one
            self.returning.emit()
            self.open_drive(*before)
        else:
            self.show_start()
            self._presenter.clear()
        said = failed.text.partition("; pass --")[0]  # the buttons are the window's way
        more = ("How it is read…", lambda: self.ask_reading(failed.path, said, options, speed))
        if failed.needs_unit:

            def again(unit: str) -> Callable[[], None]:
                return lambda: self.open_drive(failed.path, replace(options, angle_unit=unit), frame, speed)

            answers = [("Radians", again("rad")), ("Degrees", again("deg")), ("−1 to 1", again("unit"))]
            self._notice.show_message(f"{said}; what are its numbers?", "warning", [*answers, more])
        elif failed.path.exists():
            doubtful = options != OpenOptions() or "--" in failed.text  # another word of the user may mend it
            self._notice.show_message(said, "error", [more] if doubtful else [])
        else:
            self._settings.forget_recent(str(failed.path))
            self._start_page.set_recent(self._settings.recent())
            self._notice.show_message(failed.text, "error")

    def fill_recent(self) -> None:
        self._recent_menu.clear()
        for path in self._settings.recent():
            self._recent_menu.addAction(path, lambda path=path: self.open_drive(Path(path)))
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction("Nothing yet").setEnabled(False)
