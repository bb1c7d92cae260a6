"""One slot between two threads: the latest item wins, and an item that is taken is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds at most one item. `on_taken` and `on_put` are called outside the lock, by the acting thread."""

    def __init__(
        self,
        on_put: Callable[[], None] | None = None,
        on_taken: Callable[[], None] | None = None,
    ) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._on_put = on_put
        self._on_taken = on_taken

    def put(self, item: T) -> bool:
        """Replace whatever waits. True when something was replaced, and so never seen."""
        with self._changed:
            if self._closed:
                return False
            replaced = self._item is not None
            self._item = item
            self._changed.notify_all()
        if self._on_put:
            self._on_put()
        return replaced

    def put_when_empty(self, item: T) -> bool:
        """Wait until the last item was taken, then put. False when the box was closed meanwhile."""
        with self._changed:
            while self._item is not None and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._item = item
            self._changed.notify_all()
        if self._on_put:
            self._on_put()
        return True

    def take(self) -> T | None:
        """What waits, or None; never blocks."""
        with self._changed:
            item, self._item = self._item, None
            self._changed.notify_all()
        if item is not None and self._on_taken:
            self._on_taken()
        return item

    def wait(self, timeout_s: float | None = None) -> T | None:
        """Block until something comes; None once the box is closed, or the time has passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = (None, self._item) if self._closed else (self._item, None)
            self._changed.notify_all()
        if item is not None and self._on_taken:
            self._on_taken()
        return item

    @property
    def empty(self) -> bool:
        with self._changed:
            return self._item is None

    def close(self) -> None:
        """Wake everyone who waits; nothing is accepted from now on."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()
