"""Joins the test of the maps of one frame to the window: asked for in its panel, answered there."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vbp.app.jobs.evidence import EvidenceThread, Order, Progress, Tested
from vbp.app.panels.evidence import EvidencePanel
from vbp.app.player.messages import Frame
from vbp.app.player.playback import Player

JOIN_S = 10.0


class EvidenceControl(QObject):
    """Lives in the window's thread. The thread begins with the first frame that is tested."""

    _told = Signal(object)

    def __init__(
        self,
        player: Player,
        panel: EvidencePanel,
        methods: Callable[[], list[str]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._player, self._panel, self._methods = player, panel, methods
        self._thread: EvidenceThread | None = None
        self._number = 0
        self._closed = False
        self._frame: Frame | None = None  # under test
        self._told.connect(self._hear, Qt.ConnectionType.QueuedConnection)
        panel.asked.connect(self.test)
        panel.cancelled.connect(self.cancel)
        player.shown.connect(self._on_frame)
        player.opening.connect(lambda _: self.forget())
        player.network_loading.connect(lambda _: self.forget())
        player.playing_changed.connect(lambda _: self._show_wait())

    def test(self) -> None:
        """Test the maps of the frame on the screen."""
        frame, engine = self._player.shown_frame, self._player.engine
        if frame is None or frame.shot is None or frame.image is None or engine is None:
            self._panel.set_trouble("There is no frame with a prediction to test yet")
            return
        if self._thread is None:
            self._thread = EvidenceThread(self._told.emit, lambda: self._player.playing)
            self._thread.start()
        self._number += 1
        self._frame = frame
        self._panel.set_working(frame.index, 0.0)
        self._show_wait()
        self._thread.ask(Order(self._number, frame, engine, tuple(self._methods())))

    def cancel(self) -> None:
        self._number += 1
        self._frame = None
        if self._thread is not None:
            self._thread.cancel()
        self._panel.set_idle()

    def close(self) -> list[str]:
        """End the thread; its name, if it did not end in time."""
        self._closed = True
        if self._thread is None:
            return []
        self._thread.stop()
        self._thread.join(JOIN_S)
        return [self._thread.name] if self._thread.is_alive() else []

    def forget(self) -> None:
        """Another recording or network, or none."""
        self.cancel()
        self._panel.clear()

    def _on_frame(self, frame: Frame) -> None:
        self._panel.set_current(frame.index)

    def _show_wait(self) -> None:
        if self._frame is not None:
            self._panel.set_waiting(self._player.playing)

    @Slot(object)
    def _hear(self, message: object) -> None:
        if self._closed:
            return
        match message:
            case Progress() if message.number == self._number:
                if self._frame is not None:
                    self._panel.set_working(self._frame.index, message.share)
            case Tested() if message.number == self._number:
                self._frame = None
                if message.result is None:
                    self._panel.set_trouble(message.text)
                else:
                    self._panel.show_result(message.frame.index, message.result)
