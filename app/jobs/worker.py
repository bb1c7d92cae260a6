"""The one way to run something behind the window: a thread of low priority that works on the newest request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from vbp.app.player.mailbox import Mailbox
from vbp.app.player.threads import Abandoned, abandon, compute_alone, lower_priority
from vbp.errors import VbpError
from vbp.processes import give_memory_back

log = logging.getLogger(__name__)
Request = TypeVar("Request")
PATIENCE_S = 2.0  # for a thread that is to end by itself
JOIN_S = 20.0  # for one that was broken off in an import of torch, or while it reads a large file
REST_S = 0.05
LONG_S = 1.0  # work that leaves much memory behind


class SupersededError(Exception):
    """Nobody waits any more for what is being worked on."""


@dataclass(frozen=True)
class _Finished:
    text: str


class Worker(QObject, Generic[Request]):
    """One thread, one request at a time; of those that wait, the newest wins.

    work(request, worker) runs in the thread, which begins with the first request. It says what it found by `tell`, and
    ends by itself, or in SupersededError. It returns after how many seconds it is to be called again with the same
    request, if no other has come by then (None: never).
    failure: the beginning of the sentence for an error that nobody foresaw.
    """

    told = Signal(object)  # in the window's thread; nothing of requests from before the last `cancel`
    finished = Signal(str)  # a request is done; or why it is not, in one sentence

    _sent = Signal(int, object)

    def __init__(
        self,
        name: str,
        work: Callable[[Request, Worker[Request]], float | None],
        failure: str,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._work, self._failure = work, failure
        self._requests: Mailbox[tuple[int, Request]] = Mailbox()
        self._thread = threading.Thread(target=self._serve, name=f"vbp-{name}", daemon=True)
        self._stopped = False
        self._generation = 0  # counts `cancel`
        self._running = 0  # the generation of what is being worked on; the thread's own
        self._last_failure = ""
        self._sent.connect(self._hear, Qt.ConnectionType.QueuedConnection)

    # From the window's thread.

    def ask(self, request: Request) -> None:
        """Work on this next. What runs goes on, unless it looks at `superseded`."""
        self._requests.put((self._generation, request))
        if self._thread.ident is None and not self._stopped:
            self._thread.start()

    def cancel(self) -> None:
        """Forget what was asked for; nothing is heard of it any more."""
        self._generation += 1
        self._requests.take()

    def stop(self) -> None:
        """End the thread soon, as the program ends; nothing is heard of it any more."""
        self._stopped = True
        self._requests.close()

    def close(self) -> list[str]:
        """Wait until the thread has ended. Its name, if it did not in time."""
        self.stop()
        if self._thread.ident is None:
            return []
        self._thread.join(PATIENCE_S)
        abandon(self._thread)
        self._thread.join(JOIN_S)
        return [self._thread.name] if self._thread.is_alive() else []

    @Slot(int, object)
    def _hear(self, generation: int, message: object) -> None:
        if self._stopped or generation != self._generation:
            return
        if isinstance(message, _Finished):
            self.finished.emit(message.text)
        else:
            self.told.emit(message)

    # From the work.

    def tell(self, message: object) -> None:
        with suppress(RuntimeError):  # the window was destroyed meanwhile
            self._sent.emit(self._running, message)

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants to hear of this request."""
        return self._stopped or self._running != self._generation

    @property
    def superseded(self) -> bool:
        """Whether this request was cancelled, or a newer one waits."""
        return self.cancelled or not self._requests.empty

    def check(self) -> None:
        """Raises SupersededError."""
        if self.superseded:
            raise SupersededError

    def rest_while(self, busy: Callable[[], bool]) -> None:
        """Give way to something that comes first. Raises SupersededError."""
        self.check()
        while busy():
            time.sleep(REST_S)
            self.check()

    # The thread.

    def _serve(self) -> None:
        with suppress(Abandoned):
            lower_priority()
            alone = False
            again: float | None = None
            request: Request | None = None
            while True:
                item = self._requests.wait(again)
                if self._stopped:
                    return
                if item is not None:
                    self._running, request = item
                if request is None or self.cancelled:
                    again = request = None
                    continue
                if not alone:  # it imports torch, which takes seconds: not before something is wanted
                    compute_alone()
                    alone = True
                started = time.monotonic()
                again = self._run(request, again)
                if time.monotonic() - started > LONG_S:
                    give_memory_back()

    def _run(self, request: Request, again: float | None) -> float | None:
        text = ""
        try:
            again = self._work(request, self)
        except SupersededError:
            return None
        except VbpError as error:
            text = str(error)
        except Exception as error:
            text = f"{self._failure}: {error}"
            if text != self._last_failure:
                log.exception("%s", self._failure)
        self._last_failure = text
        self.tell(_Finished(text))
        return again
