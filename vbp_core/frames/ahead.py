"""An iterator that runs ahead of its reader, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.1  # how soon a thread with a full queue sees that nobody reads any more


class _End:
    """What ends a queue, and what was raised."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Generator[T, None, None], limit: int, name: str) -> Generator[T, None, None]:
    """The same items, with at most `limit` waiting. What is raised in the thread is raised here.

    Closing it closes `items`, in the thread that ran it, and waits for that thread.
    """
    ready: queue.Queue[T | _End] = queue.Queue(maxsize=limit)
    quitting = threading.Event()

    def put(item: T | _End) -> bool:
        while not quitting.is_set():
            try:
                ready.put(item, timeout=POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            with closing(items):
                for item in items:
                    if not put(item):
                        return
        except BaseException as raised:
            error = raised
        put(_End(error))

    worker = threading.Thread(target=work, name=name, daemon=True)
    worker.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        quitting.set()
        worker.join()
