"""The thread that tests the maps of one frame, when it is asked to; and what joins it to the window."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vbp.app.panels.evidence import EvidencePanel
from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Frame
from vbp.app.player.playback import Player
from vbp.app.player.threads import compute_alone, step_back
from vbp.errors import VbpError

if TYPE_CHECKING:
    from vbp.evidence.quick import Quick

log = logging.getLogger(__name__)
JOIN_S = 10.0
TELL_S = 0.1  # between two words on the progress


class _CancelledError(Exception):
    pass


@dataclass(frozen=True)
class Order:
    """A frame with its pass, the engine that made it, and the methods to test. number: the newest counts."""

    number: int
    frame: Frame
    engine: Any
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    number: int
    share: float


@dataclass(frozen=True)
class Tested:
    """What came of an order; text says why nothing did."""

    number: int
    frame: Frame
    result: Quick | None
    text: str = ""


class EvidenceThread(threading.Thread):
    """Works on one order at a time, behind everything else; rests while `busy()`, as playing comes first."""

    def __init__(self, tell: Callable[[object], None], busy: Callable[[], bool]) -> None:
        super().__init__(name="vbp-evidence", daemon=True)
        self._tell, self._busy = tell, busy
        self.orders: Mailbox[Order] = Mailbox()
        self._cancelled = threading.Event()
        self._stopped = threading.Event()

    def ask(self, order: Order) -> None:
        self._cancelled.clear()
        self.orders.put(order)

    def cancel(self) -> None:
        self._cancelled.set()

    def stop(self) -> None:
        self._stopped.set()
        self.orders.close()

    def run(self) -> None:
        step_back()
        alone = False
        while (order := self.orders.wait()) is not None:
            if not alone:
                compute_alone()
                alone = True
            text, result = "", None
            try:
                result = self._test(order)
            except _CancelledError:
                continue
            except Exception as error:
                text = str(error) if isinstance(error, VbpError) else f"The test failed: {error}"
                log.exception("testing frame %d", order.frame.index)
            self._tell(Tested(order.number, order.frame, result, text))

    def _test(self, order: Order) -> Quick:
        from vbp.evidence.quick import quick

        assert order.frame.shot is not None and order.frame.image is not None
        told = 0.0

        def progress(share: float) -> None:
            nonlocal told
            while True:
                if self._stopped.is_set() or self._cancelled.is_set() or not self.orders.empty:
                    raise _CancelledError
                if not self._busy():
                    break
                time.sleep(0.05)
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                self._tell(Progress(order.number, share))

        return quick(order.engine, order.frame.image, order.frame.shot.crop, order.methods, progress)


class Evidence(QObject):
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
