"""Predictions come back after a switch and a restart: joins what is kept of them to the window."""

from __future__ import annotations

import logging
import time
from collections import deque

from PySide6.QtCore import QObject, QTimer, Signal

from vbp.app.control.predictions import Predictions
from vbp.app.jobs.kept import Found, KeepRequest, Wanted, keep, write_all
from vbp.app.jobs.worker import Worker
from vbp.app.panels.status import StatusLine
from vbp.app.player.playback import Player
from vbp.app.widgets.notice import Notice
from vbp.frames import kept
from vbp.frames.table import FrameTable
from vbp.readable import count

log = logging.getLogger(__name__)
SAVE_AFTER_MS = 10_000


class KeptPredictions(QObject):
    """What the window's table holds is written from time to time, and when it is left."""

    restored = Signal()  # the table holds what was kept

    def __init__(
        self,
        player: Player,
        predictions: Predictions,
        status: StatusLine,
        notice: Notice,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.enabled = True  # False: nothing is read or written, so that a picture or a measurement is the same each time
        self._player, self._predictions = player, predictions
        self._status, self._notice = status, notice
        self._saves: deque[tuple[str, FrameTable]] = deque()
        self._table: FrameTable | None = None  # of which the key is
        self._key = ""
        self._written = 0  # frames of the table that are kept already
        self._waited_for: FrameTable | None = None
        self.worker: Worker[KeepRequest] = Worker("kept", keep, "Predictions are not kept", self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SAVE_AFTER_MS)
        self._later.timeout.connect(self._save)
        predictions.hold = lambda: self._waited_for is not None
        predictions.keeps = lambda: bool(self._key) and self._table is predictions.table
        predictions.forgotten.connect(self._on_forgotten)
        predictions.changed.connect(lambda *_: None if self._later.isActive() else self._later.start())
        predictions.ended.connect(lambda _: self._save())
        player.superseded.connect(lambda: status.set_kept(""))

    def _request(self, wanted: Wanted | None = None) -> KeepRequest | None:
        if not self.enabled:
            return None
        try:
            return KeepRequest(kept.folder(), self._saves, wanted)
        except (OSError, RuntimeError) as error:  # no home, no rights, a full disk: nothing is kept
            log.info("predictions are not kept: %s", error)
            return None

    def _on_forgotten(self) -> None:
        """Another recording, network or crop: keep what is known of that before, and look for what is kept of this."""
        self._add_save()
        player, table = self._player, self._predictions.table
        drive, ready = player.drive, player.ready
        self._table, self._key, self._written, self._waited_for = None, "", 0, None
        self._status.set_kept("")
        if drive is None or ready is None or table is None:
            return
        crop = player.crop.at(drive.info.height, drive.info.width) if player.crop is not None else None
        request = self._request(Wanted(table, drive, player.options, ready.network, crop))
        if request is not None:
            self._waited_for = table
            self.worker.ask(request)

    def _hear(self, found: Found) -> None:
        if found.table is not self._predictions.table:
            return
        self._waited_for = None
        self._table, self._key = found.table, found.key
        if found.kept is not None and len(found.kept.predicted) == len(found.table):
            self._written = int(found.kept.fill(found.table))
            made = time.localtime(found.kept.made)
            day = f"{made.tm_mday} {time.strftime('%b', made)}"
            self._status.set_kept(f"predictions kept from {day}", time.strftime("%c", made))
            self._predictions.changed.emit(0, len(found.table))
            self._predictions.judge_what_is_known()
            self.restored.emit()

    def _on_finished(self, text: str) -> None:
        self._waited_for = None
        if text:
            log.info("%s", text)

    def _add_save(self) -> bool:
        """Whether there is news to keep."""
        table, known = self._table, 0
        if table is not None and self._key:
            known = int(table.known.sum())
        if table is None or known <= self._written:
            return False
        self._written = known
        self._saves.append((self._key, table))
        return True

    def _save(self) -> None:
        self._later.stop()
        if self._add_save() and self._waited_for is None and (request := self._request()) is not None:
            self.worker.ask(request)

    def forget_all(self) -> None:
        """Of every recording, this one too."""
        self._saves.clear()
        self._table = None
        try:
            files, size = kept.forget_all()
        except (OSError, RuntimeError) as error:
            self._notice.show_message(f"The kept predictions cannot be removed: {error}", "error")
            return
        self._predictions.stop()
        self._predictions.forget()
        words = f"{count(files, 'kept prediction')} removed, {size / 2**20:.1f} MB"
        self._notice.show_message(words if files else "No predictions were kept")

    def close(self) -> list[str]:
        """Write what is not kept yet. The name of the thread, if it did not end."""
        left = self.worker.close()
        self._add_save()
        if self._saves and (request := self._request()) is not None:
            try:
                write_all(request)
            except OSError as error:
                log.info("predictions are not kept: %s", error)
        return left
