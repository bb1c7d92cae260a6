"""Python's garbage is collected by the window's thread alone.

Objects of Qt that refer to each other in a circle end with the collection that finds them, in whichever thread that happens to run.
Most of them may end in the window's thread only: in one that computes maps they can take the program with them.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimerEvent

EVERY_MS = 1000
FULL_EVERY = 300  # of these; a full one takes 0.2 s
YOUNG, ALL = 1, 2  # generations


class GarbageCollector(QObject):
    """Collects garbage in the thread that made it, instead of Python, until `stop`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        self._count = 0
        self._timer = self.startTimer(EVERY_MS)

    def stop(self) -> None:
        self.killTimer(self._timer)
        gc.enable()

    def timerEvent(self, event: QTimerEvent) -> None:
        self._count += 1
        gc.collect(YOUNG if self._count % FULL_EVERY else ALL)
