"""Joins the test of the maps of one frame to the window: asked for in its panel, answered there."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from vbp.app.jobs.evidence import EvidenceRequest, Progress, Tested, examine_maps
from vbp.app.jobs.worker import Worker
from vbp.app.panels.evidence import EvidencePanel, Picture
from vbp.app.player.messages import Frame
from vbp.app.player.playback import Player
from vbp.results import FrameResult


class EvidenceControl(QObject):
    def __init__(
        self,
        player: Player,
        panel: EvidencePanel,
        methods: Callable[[], list[str]],
        doubts: Callable[[FrameResult], list[str]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._player, self._panel, self._methods, self._doubts = player, panel, methods, doubts
        self._frame: Frame | None = None  # under test
        self.worker: Worker[EvidenceRequest] = Worker("evidence", examine_maps, "The test failed", self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        panel.asked.connect(self.test)
        panel.cancelled.connect(self.cancel)
        player.shown.connect(self._on_frame)
        player.opening.connect(lambda _: self.forget())
        player.network_loading.connect(lambda _: self.forget())
        player.state_changed.connect(self._show_wait)

    def test(self) -> None:
        """Test the maps of the frame on the screen."""
        frame, engine = self._player.shown_frame, self._player.engine
        if frame is None or frame.result is None or frame.image is None or engine is None:
            self._panel.set_trouble("There is no frame with a prediction to test yet")
            return
        self.worker.cancel()
        self._frame = frame
        self._panel.set_working(_picture(frame), 0.0)
        self._show_wait()
        methods, player = tuple(self._methods()), self._player
        self.worker.ask(EvidenceRequest(frame, engine, methods, busy=lambda: player.playing))

    def under_way(self) -> str:
        """What becomes of the test when the window is closed; "" where there is none."""
        return "the test of the maps, which is not kept" if self._frame is not None else ""

    def cancel(self) -> None:
        self.worker.cancel()
        self._frame = None
        self._panel.set_idle()

    def forget(self) -> None:
        """Another recording or network, or none."""
        self.cancel()
        self._panel.clear()

    def _on_frame(self, frame: Frame) -> None:
        self._panel.set_current(_picture(frame))

    def _show_wait(self) -> None:
        if self._frame is not None:
            self._panel.set_waiting(self._player.playing)

    def _hear(self, message: object) -> None:
        match message:
            case Progress() if self._frame is not None:
                self._panel.set_working(_picture(self._frame), message.share)
            case Tested():
                self._frame = None
                record = message.frame.record
                doubts = [text for text in (record.edits.words, *self._doubts(record)) if text]
                self._panel.show_result(_picture(message.frame), message.result, doubts)

    def _on_finished(self, text: str) -> None:
        self._frame = None
        if text:
            self._panel.set_trouble(text)


def _picture(frame: Frame) -> Picture:
    return frame.index, frame.record.edits
