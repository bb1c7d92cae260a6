"""The window's recordings: opened, closed, exported, and what is said when one does not open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMenu

from vbp.app.control.evidence import Evidence
from vbp.app.control.export import Exporter
from vbp.app.control.live_commands import LiveCommands
from vbp.app.control.run import RunFollower
from vbp.app.player.messages import DriveFailed, Frame
from vbp.app.state.actions import ACTIONS
from vbp.app.widgets.start_page import StartPage
from vbp.demo import demo_drive
from vbp.drives.base import Drive, OpenOptions


class DriveCommands(LiveCommands):
    """The window makes the parts."""

    run: RunFollower
    evidence: Evidence
    exporter: Exporter
    start_page: StartPage
    _recent_menu: QMenu
    _before: tuple[Path, OpenOptions, int, float] | None  # what was open before the last opening

    def open_drive(
        self, path: Path, options: OpenOptions | None = None, frame: int = 0, min_speed: float = 0.0
    ) -> None:
        self.notice.dismiss()
        player = self.player
        if player.drive is not None and player.path is not None:
            self._before = (player.path, player.options, player.target, player.min_speed)
        player.open(path, options, frame, min_speed)

    def play_demo(self) -> None:
        """For who opened nothing yet: the demo drive, playing as soon as the network is there to be seen."""
        demo = demo_drive()
        if demo is None:
            return

        def begin(frame: Frame) -> None:
            if frame.shot is not None or self.player.path != demo:
                self.player.shown.disconnect(begin)
                if self.player.path == demo:
                    self.player.play()

        self.player.shown.connect(begin)
        self.open_drive(demo)

    def open_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a recording", self._last_folder())
        if name:
            self.open_drive(Path(name))

    def open_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open a folder with a recording", self._last_folder())
        if name:
            self.open_drive(Path(name))

    def _last_folder(self) -> str:
        recent = self.settings.recent()
        return str(Path(recent[0]).parent) if recent else str(Path.home())

    def close_drive(self) -> None:
        self.player.close_drive()
        self.run.clear_frame()
        self.evidence.forget()
        self.presenter.clear()
        self.marks.set_drive(None, 0)
        self.show_start()

    def export(self) -> None:
        self.exporter.ask()

    def show_start(self) -> None:
        self.setWindowTitle("vbp")
        self.start_page.set_recent(self.settings.recent())
        self.stack.setCurrentWidget(self.start_page)
        self._enable(False)

    def _enable(self, drive_open: bool) -> None:
        for spec in ACTIONS:
            works_without = spec.id == "realtime"
            if (spec.group in ("Playback", "Marks", "Analysis") and not works_without) or spec.id in (
                "close-drive",
                "export",
            ):
                self.actions_by_id[spec.id].setEnabled(drive_open)

    def _on_opening(self, path: str) -> None:
        self.presenter.clear()
        self.marks.set_drive(None, 0)
        self.setWindowTitle(f"{Path(path).name} – vbp")
        self.picture.set_empty(f"Opening {Path(path).name} …")
        self.stack.setCurrentWidget(self.picture)
        self._enable(False)
        self.actions_by_id["close-drive"].setEnabled(True)

    def _on_opened(self, drive: Drive) -> None:
        self.picture.set_empty("")
        self.actions_by_id["loop"].setChecked(False)
        self.marks.set_drive(self.player.path, len(drive))
        if self.player.path != demo_drive():  # which the start page offers anyway
            self.settings.add_recent(str(self.player.path))
        self.picture.setToolTip("")
        info = drive.info
        self.setWindowTitle(f"{info.path.name} – {info.kind}, {len(drive)} frames – vbp")
        self._enable(True)

    def _on_open_failed(self, failed: DriveFailed) -> None:
        self.show_start()
        self.presenter.clear()
        if failed.needs_unit:
            frame, options, speed = self.player.first_frame, self.player.options, self.player.min_speed

            def again(unit: str) -> Callable[[], None]:
                return lambda: self.open_drive(failed.path, replace(options, angle_unit=unit), frame, speed)

            answers = [("Radians", again("rad")), ("Degrees", again("deg")), ("−1 to 1", again("unit"))]
            said = failed.text.partition("; pass --")[0]  # the buttons are the window's way
            self.notice.show_message(f"{said}; what are its numbers?", "warning", answers + self._way_back())
        else:
            if not failed.path.exists():
                self.settings.forget_recent(str(failed.path))
                self.start_page.set_recent(self.settings.recent())
            self.notice.show_message(failed.text, "error", self._way_back())

    def _way_back(self) -> list[tuple[str, Callable[[], None]]]:
        """The recording that gave way to one that did not open, at the frame where it was."""
        before = self._before
        return [(f"Back to {before[0].name}", lambda: self.open_drive(*before))] if before else []

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        for path in self.settings.recent():
            self._recent_menu.addAction(path, lambda path=path: self.open_drive(Path(path)))
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction("Nothing yet").setEnabled(False)
