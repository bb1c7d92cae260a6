"""The thread that tests the maps of one frame, when it is asked to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.messages import Frame
from vbp.app.player.threads import compute_alone, step_back
from vbp.errors import VbpError

if TYPE_CHECKING:
    from vbp.evidence.quick import Quick

log = logging.getLogger(__name__)
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
