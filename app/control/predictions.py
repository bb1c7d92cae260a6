"""What the network in use says of the recording's frames: of those that were shown, and behind them of all."""

from __future__ import annotations

from typing import TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal

from vbp.app.jobs.predict import Predicted, PredictRequest, predict
from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame, NetworkReady
from vbp.app.player.playback import Player
from vbp.drives.base import Drive
from vbp.frames.table import FrameTable

Subject: TypeAlias = tuple[object, ...]  # two recordings are the same where these are equal


class Predictions(QObject):
    """Owns the table. Whoever listens to the player after this was made finds it up to date."""

    changed = Signal(int, int)  # frames first to last (not included) are predicted
    forgotten = Signal()  # all of them
    progress = Signal(int, int)  # done, total
    ended = Signal(str)  # predicting the whole drive; why, where it was not asked to

    def __init__(self, player: Player, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.table: FrameTable | None = None
        # Of the recording before: which and how it was read, by which network, and what that said.
        self._left: tuple[Subject, NetworkReady | None, FrameTable] | None = None
        self._returns = False
        self.running = False
        failure = "The prediction of the whole drive stopped"
        self.worker: Worker[PredictRequest] = Worker("predict", predict, failure, self)
        self.worker.told.connect(self._on_predicted)
        self.worker.finished.connect(self._end)
        player.superseded.connect(self._on_superseded)
        player.opened.connect(self._on_opened)
        player.network_ready.connect(lambda _: self.forget())
        player.shown.connect(self._on_shown)

    def forget(self) -> None:
        """What was said is of another recording, network or crop."""
        drive, ready = self._player.drive, self._player.ready
        spec = ready.network.spec if ready is not None else None
        self.table = FrameTable(drive, spec) if drive is not None else None
        self.forgotten.emit()

    def leave(self) -> None:
        """Another recording is about to be opened, which may turn out to be none."""
        drive, table = self._player.drive, self.table
        if drive is not None and table is not None:
            self._left, self._returns = (self._subject(drive), self._player.ready, table), False

    def come_back(self) -> None:
        """It was none: the recording before is about to be opened again, of which all is still known."""
        self._returns = self._left is not None

    def _subject(self, drive: Drive) -> Subject:
        return self._player.path, self._player.options, drive.timestamps_ns.tobytes()

    def _on_opened(self, drive: Drive) -> None:
        left, returns = self._left, self._returns
        self._left, self._returns = None, False
        self.forget()
        if returns and left is not None and left[0] == self._subject(drive) and left[1] is self._player.ready:
            self.table = table = left[2]
            QTimer.singleShot(0, self, lambda: self._show_all(table))

    def _show_all(self, table: FrameTable) -> None:
        if self.table is table:
            self.changed.emit(0, len(table))

    def start(self, first: int = 0, last: int | None = None) -> None:
        """Predict frames first to last in the background (default: the whole drive)."""
        player, table = self._player, self.table
        drive, ready, path = player.drive, player.ready, player.path
        if drive is None or ready is None or path is None or table is None or self.running:
            return
        crop = player.crop.at(drive.info.height, drive.info.width) if player.crop is not None else None
        self.running = True
        self.worker.ask(
            PredictRequest(
                path,
                player.options,
                [ready.network],
                [table],
                ready.device,
                crop,
                first,
                len(drive) - 1 if last is None else last,
                busy=lambda: player.playing,
            )
        )

    def stop(self) -> None:
        self.worker.cancel()
        self._end("")

    def under_way(self) -> str:
        """What becomes of the predictions when the window is closed; "" where none are being made."""
        return "the prediction of the whole drive, which is not kept" if self.running else ""

    def _on_superseded(self) -> None:
        self.stop()
        if self._player.drive is None:
            self.table = None

    def _end(self, text: str) -> None:
        if self.running:
            self.running = False
            self.ended.emit(text)

    def _on_predicted(self, message: Predicted) -> None:
        self.changed.emit(message.first, message.last)
        self.progress.emit(message.done, message.total)

    def _on_shown(self, frame: Frame) -> None:
        if self.table is not None and frame.index < len(self.table) and self.table.add(frame.record):
            self.changed.emit(frame.index, frame.index + 1)
