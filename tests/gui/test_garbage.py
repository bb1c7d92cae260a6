"""Which thread ends what belongs to Qt."""

from __future__ import annotations

import gc
import threading
import weakref

from PySide6.QtWidgets import QGraphicsTextItem

from vbp.app.shell.garbage import GarbageCollector

MANY = 20_000  # objects that wait for Python's own collection: more than it ever lets come together


class Circle:
    """Garbage that only a collection finds."""

    def __init__(self, item: object) -> None:
        self.item, self.me = item, self


def test_what_belongs_to_qt_ends_in_the_thread_of_the_window(qtbot) -> None:
    assert not gc.isenabled()  # so it is for all tests of windows
    ended: list[threading.Thread] = []
    circle = Circle(QGraphicsTextItem("a plot's label"))
    weakref.finalize(circle, lambda: ended.append(threading.current_thread()))
    del circle
    kept: list[list[int]] = []
    worker = threading.Thread(target=lambda: kept.extend([i] for i in range(MANY)))
    worker.start()
    worker.join()
    assert ended == []
    qtbot.waitUntil(lambda: bool(ended), timeout=5000)
    assert ended == [threading.main_thread()]


def test_python_collects_again_when_the_window_is_gone(qtbot) -> None:
    collector = GarbageCollector()
    collector.stop()
    enabled = gc.isenabled()
    gc.disable()  # as the collector of all these tests wants it
    assert enabled
