"""What the network in use says of the recording's frames: of those that were shown, and behind them of all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from vbp.app.jobs.predict import Predicted, PredictRequest, predict
from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Frame, NetworkReady
from vbp.app.player.playback import Player
from vbp.comparing.pair import PairTable
from vbp.drives.base import Drive
from vbp.errors import VbpError
from vbp.frames.strengths import Usual, sample_of, usual_of
from vbp.frames.table import FrameTable
from vbp.scores import steady_text

SAMPLE_AFTER_MS = 700  # the first picture comes before
AGAIN_MS = 100

Subject: TypeAlias = tuple[object, ...]  # two recordings are the same where these are equal


class Predictions(QObject):
    """Owns the table. Whoever listens to the player after this was made finds it up to date."""

    changed = Signal(int, int)  # frames first to last (not included) are predicted
    pair_changed = Signal()  # `pair` is another, or holds more
    forgotten = Signal()  # all of them
    progress = Signal(int, int)  # done, total
    usual_changed = Signal()  # `usual`
    steady = Signal(str)  # the output hardly moves; one sentence
    ended = Signal(str)  # predicting the whole drive; why, where it was not asked to

    def __init__(self, player: Player, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.table: FrameTable | None = None
        self.pair: PairTable | None = None  # what both networks said, where there are two
        # Of the recording before: which and how it was read, by which network, and what that said.
        self._left: tuple[Subject, NetworkReady | None, FrameTable] | None = None
        self._returns = False
        self.running = False
        self._part: tuple[int, int | None] = (0, None)  # what is being predicted
        self.sampling = False
        self.usual: Usual | None = None  # what strengths the masks of this drive have
        self.usual_of_second: Usual | None = None
        self.hold: Callable[[], bool] = lambda: False  # whether it may turn out that no sample is needed
        self.keeps: Callable[[], bool] = lambda: False  # whether what is known is kept when it is left
        failure = "The prediction of the whole drive stopped"
        self.worker: Worker[PredictRequest] = Worker("predict", predict, failure, self)
        self.worker.told.connect(self._on_predicted)
        self.worker.finished.connect(self._end)
        self.sampler: Worker[PredictRequest] = Worker(
            "strengths", predict, "How strong the masks of this drive are is not known", self
        )
        self.sampler.told.connect(self._on_sampled)
        self.sampler.finished.connect(lambda _: self._judge())
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.sample)
        player.superseded.connect(self._on_superseded)
        player.opened.connect(self._on_opened)
        player.network_ready.connect(lambda _: self.forget())
        player.shown.connect(self._on_shown)
        player.second_changed.connect(self._on_second)
        self.changed.connect(self._tell_pair)

    def forget(self) -> None:
        """What was said is of another recording, network or crop."""
        drive, ready = self._player.drive, self._player.ready
        spec = ready.network.spec if ready is not None else None
        self.table = FrameTable(drive, spec) if drive is not None else None
        self._set_usual(None)
        self.forgotten.emit()
        self._begin_pair()

    def _begin_pair(self) -> None:
        """Of both networks nothing is known yet; nor how strong the second one's masks are, so a sample is taken."""
        drive, ready, second = self._player.drive, self._player.ready, self._player.second
        self.pair = None
        if drive is not None and ready is not None and second is not None:
            with suppress(VbpError):  # they predict different things: the comparison is about to end
                self.pair = PairTable(drive, ready.network.spec, second.engine.spec)
        self.usual_of_second = None
        self.sampler.cancel()
        self.sampling = False
        if drive is not None and ready is not None:
            self._soon.start(SAMPLE_AFTER_MS)
        self.pair_changed.emit()

    def _on_second(self) -> None:
        self._begin_pair()
        if (
            self.running and (request := self._request(*self._part)) is not None
        ):  # from now on with both, or one
            self.worker.cancel()
            self.worker.ask(request)

    def _tell_pair(self) -> None:
        if self.pair is not None:
            self.pair_changed.emit()

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
        if not self.running and (request := self._request(first, last)) is not None:
            self.running, self._part = True, (first, last)
            self.worker.ask(request)

    def _request(self, first: int = 0, last: int | None = None) -> PredictRequest | None:
        player, table = self._player, self.table
        drive, ready, path = player.drive, player.ready, player.path
        if drive is None or ready is None or path is None or table is None:
            return None
        second = player.second if self.pair is not None else None
        return PredictRequest(
            path,
            player.options,
            [ready.network, *([second.engine.network] if second is not None else [])],
            table,
            self.pair,
            ready.device,
            player.crop.at(drive.info.height, drive.info.width) if player.crop is not None else None,
            first,
            len(drive) - 1 if last is None else last,
            busy=lambda: player.playing,
        )

    def sample(self) -> None:
        """Frames that stand for the drive, so that a mask can be told from the usual; soon, also while it plays."""
        if self.hold():
            self._soon.start(AGAIN_MS)
            return
        if (request := self._request()) is not None:
            self.sampling = True
            self.sampler.ask(replace(request, busy=lambda: False, sample=True))

    def judge_what_is_known(self) -> None:
        """It was kept: where that holds the whole sample, none is to be taken."""
        table = self.table
        if table is not None and self.pair is None and table.known[sample_of(len(table))].all():
            self._soon.stop()
            self.sampler.cancel()
            self._judge()

    def _judge(self) -> None:
        """From all frames of the sample, whatever else is known: what is usual stays the same while one looks."""
        self.sampling = False
        if (table := self.table) is None:
            return
        sample = sample_of(len(table))
        pair = self.pair
        self.usual_of_second = _usual_of(pair.b) if pair is not None else None
        again, usual = self.usual is not None, _usual_of(table)
        self._set_usual(usual)
        self.pair_changed.emit()
        told = [("", table)] * (not again) + ([(f"{pair.names[1]}: ", pair.b)] if pair is not None else [])
        for whose, of in told:
            predicted, driven = np.radians(of.predicted[sample]), np.radians(of.driven[sample])
            if not of.of_classes and (text := steady_text(predicted, driven)):
                self.steady.emit(whose + text)

    def _set_usual(self, usual: Usual | None) -> None:
        if usual != self.usual:
            self.usual = usual
            self.usual_changed.emit()

    def stop(self) -> None:
        self.worker.cancel()
        self._end("")

    def under_way(self) -> str:
        """What becomes of the predictions when the window is closed; "" where none are being made."""
        kept = "of which what is done so far is kept" if self.keeps() else "which is not kept"
        return f"the prediction of the whole drive, {kept}" if self.running else ""

    def _on_superseded(self) -> None:
        self.stop()
        self._soon.stop()
        self.sampler.cancel()
        if self._player.drive is None:
            self.table = self.pair = None

    def _end(self, text: str) -> None:
        if self.running:
            self.running = False
            self.ended.emit(text)

    def _on_sampled(self, message: Predicted) -> None:
        self.changed.emit(message.first, message.last)

    def _on_predicted(self, message: Predicted) -> None:
        self.changed.emit(message.first, message.last)
        self.progress.emit(message.done, message.total)

    def _on_shown(self, frame: Frame) -> None:
        if (live := self._player.live) is not None:
            self.usual_of_second = live.usual(1)
            self._set_usual(live.usual())
        if self.table is None or frame.index >= len(self.table):
            return
        if frame.record.edits:  # of another picture than the recorded one
            return
        news = self.table.add(frame.record)
        if self.pair is not None and self._player.of_second(frame) is not None:
            news |= self.pair.add(frame.record)
        if news:
            self.changed.emit(frame.index, frame.index + 1)


def _usual_of(table: FrameTable) -> Usual | None:
    sample = sample_of(len(table))
    return usual_of(table.strength[sample], table.spread[sample])
