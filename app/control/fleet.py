"""Joins a fleet to the window: its findings in their panel, and the drive that is opened where one of them is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QPixmap
from PySide6.QtWidgets import QFileDialog, QMainWindow

from vbp.app.control.findings import BEFORE_NS, FindingsControl
from vbp.app.control.fleet_pictures import FleetPictures
from vbp.app.control.network import NetworkControl
from vbp.app.control.source import SourceControl
from vbp.app.control.view import ViewControl
from vbp.app.jobs.fleet import FleetErrors, FleetJob, FleetOpened, FleetRequest, FleetRows, Place
from vbp.app.jobs.fleet_errors import FAST, STEP, Share
from vbp.app.jobs.fleet_model import COLUMNS, WEIGHT, FleetModel
from vbp.app.jobs.worker import Worker
from vbp.app.panels.fleet import FleetPanel
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.bars import Bar, Bars
from vbp.app.widgets.notice import Notice
from vbp.drives.base import Drive
from vbp.errors import VbpError
from vbp.fleet.needs import need
from vbp.fleet.settings import Settings as FleetSettings
from vbp.readable import clean, count
from vbp.session.crops import ChosenCrop

FEW = 100  # frames of a share, below which its mean says little


class FleetControl(QObject):
    """It leads, so that the next finding is one of the fleet's, from when one was opened until the user goes elsewhere."""

    def __init__(
        self,
        window: QMainWindow,
        player: Player,
        source: SourceControl,
        network: NetworkControl,
        findings: FindingsControl,
        view: ViewControl,
        panel: FleetPanel,
        settings: Settings,
        notice: Notice,
        close_action: QAction,
    ) -> None:
        super().__init__(window)
        self._window, self._player, self._source, self._network = window, player, source, network
        self._findings, self._view, self._panel = findings, view, panel
        self._settings, self._notice, self._close_action = settings, notice, close_action
        self._fleet: FleetSettings | None = None  # of the one that is open
        self._request = FleetRequest(None)
        self._drives, self._total = "", 0  # in words, and findings of all of them
        self._order = (WEIGHT, True)  # column, largest first
        self._row = -1  # that was opened last
        self._place: Place | None = None  # what is there
        self.leading = self._returning = False
        self._errors = FleetErrors(self._request, [], [])
        self.model = FleetModel(self)
        self.pictures = FleetPictures(self)
        failure = "The fleet could not be asked"
        self.worker: Worker[FleetRequest] = Worker("fleet", FleetJob(), failure, self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        panel.table.setModel(self.model)
        panel.table.picture_of = self._picture
        panel.table.seen.connect(self._want_pictures)
        self.pictures.made.connect(panel.table.viewport().update)
        panel.table.chosen.connect(self.show_row)
        panel.table.order_wanted.connect(self.sort)
        panel.open_wanted.connect(self.ask_open)
        panel.condition_given.connect(lambda text: self._ask(condition=text, like=None))
        panel.like_wanted.connect(self.show_alike)
        panel.back_wanted.connect(lambda: self._ask(condition=self._request.condition, like=None))
        player.opening.connect(self._on_opening)
        player.opened.connect(self._on_opened)
        view.docks_placed.connect(self._raise_panel)
        source.returning.connect(self._on_returning)
        source.closed.connect(self._stop_leading)
        findings.chosen.connect(self._stop_leading)
        panel.speed.chosen.connect(lambda k: self._ask_share(self._errors.speed[k]))
        panel.curvature.chosen.connect(lambda k: self._ask_share(self._errors.curvature[k]))
        close_action.setEnabled(False)

    # The fleet.

    def ask_open(self) -> None:
        start = self._settings.last_folder("fleets")
        title = "Open a fleet: the folder of vbp index -o"
        if name := QFileDialog.getExistingDirectory(self._window, title, start):
            self.open(Path(name))

    def open(self, folder: Path) -> None:
        """Bring up the panel, with the findings of this folder."""
        self._notice.dismiss()
        try:
            need("pyarrow", "duckdb")
        except VbpError as error:
            self._notice.show_message(str(error), "error")
            return
        folder = folder.expanduser().absolute()
        self.close()
        self._panel.set_opening(clean(folder.name))
        self._panel.table.show_order(*self._order)
        self._request = FleetRequest(folder, self._request.opening + 1, order=self._order_words())
        self.worker.ask(self._request)
        self._close_action.setEnabled(True)
        self._raise_panel()

    def _raise_panel(self) -> None:
        if self._request.folder is not None:
            self._view.toggle_panel("fleet", True)

    def close(self) -> None:
        """Let go of the fleet; the drive that is open stays."""
        self.worker.cancel()
        if self._request.folder is not None:
            self.worker.ask(FleetRequest(None))
        self._stop_leading()
        self._fleet, self._row, self._place = None, -1, None
        self._request = FleetRequest(None, self._request.opening)
        self.model.set_table(None)
        self.pictures.worker.cancel()
        self._panel.clear()
        self._close_action.setEnabled(False)

    def sort(self, column: int, descending: bool) -> None:
        self._order = column, descending
        self._ask(condition=self._request.condition, like=None)

    def show_alike(self, row: int) -> None:
        """The moments of the fleet that are most like this row's."""
        found = self.model.row(row)
        self._panel.set_status(f"looking for what is like frame {found['peak_frame']} …")
        self._ask(condition=self._request.condition, like=(found["drive"], found["peak_frame"]))

    def _ask(self, condition: str, like: Place | None) -> None:
        if self._fleet is None:
            return
        self._panel.set_trouble("")
        now = self._request
        self._request = FleetRequest(
            now.folder, now.opening, condition, self._order_words(), like, self._place
        )
        self.worker.ask(self._request)

    def _ask_share(self, share: Share) -> None:
        self._panel.ask(share.condition)

    def _order_words(self) -> str:
        column, descending = self._order
        return f"{COLUMNS[column].order} {'DESC' if descending else 'ASC'}"

    def _hear(self, message: object) -> None:
        match message:
            case FleetOpened():
                self._on_fleet(message)
            case FleetRows():
                self._on_rows(message)
            case FleetErrors():
                self._errors = message
                reached = min(len(message.speed) * STEP, FAST)
                fastest = f"{reached} m/s{' and more' * (len(message.speed) * STEP > FAST)}"
                _fill(self._panel.speed, "mean |error| by speed", message.speed, "0", fastest)
                _fill(self._panel.curvature, "by curvature", message.curvature, "left", "right", "straight")
                self._panel.show_errors()

    def _on_fleet(self, opened: FleetOpened) -> None:
        self._fleet, self._total = opened.settings, opened.findings
        self._settings.add_recent(str(opened.request.folder), "fleets")
        self.pictures.forget(opened.settings.options)
        more = [f"{opened.failed} not indexed"] * bool(opened.failed)
        more += [f"{opened.unfinished} begun"] * bool(opened.unfinished)
        self._drives = ", ".join([f"{opened.drives:,} drive{'s' * (opened.drives != 1)}", *more])
        self._panel.set_open()

    def _on_rows(self, rows: FleetRows) -> None:
        request, shown = rows.request, len(rows.table)
        self.model.set_table(rows.table)
        self._row = rows.at
        table = self._panel.table
        table.forget_seen()
        self._panel.set_found(bool(shown))
        if request.like is not None:
            drive, frame = request.like
            text = f"like frame {frame} of {clean(Path(drive).name)}: {count(shown, 'moment')}"
        else:
            words = f"{self._total:,}" if rows.total == self._total else f"{rows.total:,} of {self._total:,}"
            first = [f"the first {shown:,} in this order"] * (shown < rows.total)
            text = ", ".join([f"{words} findings", *first, self._drives])
        self._panel.set_status(text, request.like is not None)
        table.scrollToTop()
        table.resizeColumnsToContents()
        table.select(rows.at)

    def _on_finished(self, text: str) -> None:
        if not text:
            return
        if self._fleet is None:
            self.close()
            self._notice.show_message(text, "error")
        else:
            self._panel.set_trouble(text)

    # Pictures of the rows in view.

    def _picture(self, row: int) -> QPixmap | None:
        found = self.model.row(row)
        return self.pictures.picture((found["drive"], found["peak_frame"]))

    def _want_pictures(self, first: int, last: int) -> None:
        rows = (self.model.row(k) for k in range(first, min(last + 1, self.model.rowCount())))
        places = [(row["drive"], row["peak_frame"]) for row in rows]
        self.pictures.want(places, self._panel.devicePixelRatioF())

    # Drives.

    def go(self, direction: int) -> None:
        """The next (1) or previous (-1) row, in its drive, while the fleet leads; else the drive's own finding."""
        rows = self.model.rowCount()
        if not (self.leading and rows):
            self._findings.go(direction)
            return
        row = self._row + direction if self._row >= 0 else 0 if direction > 0 else -1
        self.show_row(row % rows)
        self._panel.table.select(self._row)
        self._panel.table.show_chosen()

    def show_row(self, row: int) -> None:
        """Open its drive as it was indexed, at the peak; playing begins before it."""
        if self._fleet is None:
            return
        found, player = self.model.row(row), self._player
        path, frame = Path(found["drive"]), found["peak_frame"]
        self._row, self._place = row, (found["drive"], frame)
        self._panel.set_trouble("")
        self.leading = True
        if not path.exists():
            self._panel.set_trouble(f"{clean(found['drive'])} is not there any more, so it cannot be opened")
            return
        if player.path == path and player.options == self._fleet.options and player.source is not None:
            if player.drive is not None:  # else it is being opened, and goes there when it is
                player.pause()
                self._seek(player.drive, frame)
            return
        self._network.bring_back(self._fleet.sides[0].source)
        self._source.open_drive(path, self._fleet.options, frame, with_network=False)

    def _seek(self, drive: Drive, frame: int) -> None:
        if frame < len(drive):
            times = drive.timestamps_ns
            before = int(np.searchsorted(times, times[frame] - BEFORE_NS))
            self._player.seek(frame, before)

    def _ours(self) -> bool:
        """Whether what is open, or being opened, is the drive of the row that was chosen."""
        return (
            self.leading
            and self._fleet is not None
            and self._place is not None
            and self._player.path == Path(self._place[0])
        )

    def _on_opening(self, _: str) -> None:
        """After the crop that was kept for the drive: here it is the one that it was indexed with."""
        if not self._ours():
            self.leading = self.leading and self._returning
        elif self._fleet is not None:
            crop = self._fleet.crop
            self._player.set_crop(ChosenCrop(crop, 0, 0) if crop is not None else None)
        self._returning = False

    def _on_opened(self, drive: Drive) -> None:
        if self._ours() and self._place is not None:
            self._seek(drive, self._place[1])

    def _on_returning(self) -> None:
        """A drive that did not open gives way to the one before, and the next row is still the fleet's."""
        self._returning = True

    def _stop_leading(self) -> None:
        self.leading = False


def _fill(bars: Bars, title: str, shares: list[Share], first: str, last: str, middle: str = "") -> None:
    found = [
        Bar(
            s.mean,
            f"{s.words}: {s.mean:.2f}° on average, {s.frames:,} frame{'s' * (s.frames != 1)}",
            s.frames < FEW,
        )
        if s.frames
        else Bar(0.0, "")
        for s in shares
    ]
    most = f"{max(s.mean for s in shares):.1f}°" if shares else ""
    bars.set_bars(title, found, most, (first, middle, last))
