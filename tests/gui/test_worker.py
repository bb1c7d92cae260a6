"""The worker behind the window: the newest request wins, what is cancelled is not heard of, errors are one sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from vbp.app.jobs.worker import SupersededError, Worker
from vbp.errors import VbpError

WAIT = 120_000  # milliseconds: the first request imports torch
PATIENCE_S = 120


@pytest.fixture
def make(qtbot) -> Iterator[Callable[..., Worker[int]]]:
    made: list[Worker[int]] = []

    def worker(work) -> Worker[int]:
        made.append(Worker("test", work, "The test failed"))
        made[-1].said, made[-1].ends = [], []
        made[-1].told.connect(made[-1].said.append)
        made[-1].finished.connect(made[-1].ends.append)
        return made[-1]

    yield worker
    for one in made:
        assert one.close() == []


class Gate:
    """Work that tells its request, and waits inside until it is let through."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.seen: list[tuple[int, bool, bool]] = []

    def __call__(self, request: int, worker: Worker[int]) -> None:
        self.inside.release()
        assert self.go.acquire(timeout=PATIENCE_S)
        self.seen.append((request, worker.superseded, worker.cancelled))
        worker.tell(request)


def test_of_what_waits_the_newest_is_worked_on(qtbot, make):
    gate = Gate()
    worker = make(gate)
    worker.ask(1)
    assert gate.inside.acquire(timeout=PATIENCE_S)
    worker.ask(2)
    worker.ask(3)
    gate.go.release(2)
    qtbot.waitUntil(lambda: worker.ends == ["", ""], timeout=WAIT)
    assert gate.seen == [(1, True, False), (3, False, False)]
    assert worker.said == [1, 3]  # what was begun is heard of, though it is late


def test_nothing_is_heard_of_what_was_cancelled(qtbot, make):
    gate = Gate()
    worker = make(gate)
    worker.ask(1)
    assert gate.inside.acquire(timeout=PATIENCE_S)
    worker.cancel()
    worker.ask(2)
    gate.go.release(2)
    qtbot.waitUntil(lambda: worker.ends == [""], timeout=WAIT)
    assert gate.seen == [(1, True, True), (2, False, False)]
    assert worker.said == [2]


def test_a_cancelled_request_that_waits_is_never_begun(qtbot, make):
    gate = Gate()
    worker = make(gate)
    worker.ask(1)
    assert gate.inside.acquire(timeout=PATIENCE_S)
    worker.ask(2)
    worker.cancel()
    gate.go.release(2)
    worker.ask(3)
    qtbot.waitUntil(lambda: worker.said == [3], timeout=WAIT)
    assert [request for request, _, _ in gate.seen] == [1, 3]


def test_an_error_is_one_sentence_and_the_next_request_is_worked_on(qtbot, make):
    def work(request: int, worker: Worker[int]) -> None:
        if request == 1:
            raise VbpError("there is no such frame")
        if request == 2:
            raise ZeroDivisionError("by zero")
        if request == 3:
            raise SupersededError
        worker.tell(request)

    worker = make(work)
    for request, ends in ((1, 1), (2, 2), (4, 3)):
        worker.ask(request)
        qtbot.waitUntil(lambda ends=ends: len(worker.ends) == ends, timeout=WAIT)
    assert worker.ends == ["there is no such frame", "The test failed: by zero", ""]
    worker.ask(3)
    worker.ask(5)
    qtbot.waitUntil(lambda: worker.said == [4, 5], timeout=WAIT)
    assert len(worker.ends) == 4  # nobody hears that something was given up for the next


def test_work_that_asks_for_it_is_called_again_until_it_is_cancelled(qtbot, make):
    calls: list[int] = []

    def work(request: int, worker: Worker[int]) -> float | None:
        calls.append(request)
        return 0.01 if len(calls) < 3 or request == 2 else None

    worker = make(work)
    worker.ask(1)
    qtbot.waitUntil(lambda: len(worker.ends) == 3, timeout=WAIT)
    assert calls == [1, 1, 1]
    worker.ask(2)
    qtbot.waitUntil(lambda: calls.count(2) > 2, timeout=WAIT)
    worker.cancel()
    qtbot.wait(100)
    ended = len(calls)
    qtbot.wait(100)
    assert len(calls) == ended


def test_it_gives_way_while_something_else_comes_first(qtbot, make):
    busy = threading.Event()
    busy.set()

    def work(request: int, worker: Worker[int]) -> None:
        worker.rest_while(busy.is_set)
        worker.tell(request)

    worker = make(work)
    worker.ask(1)
    qtbot.wait(200)
    assert worker.said == []
    busy.clear()
    qtbot.waitUntil(lambda: worker.said == [1], timeout=WAIT)


def test_closing_ends_work_that_looks_whether_it_is_wanted(qtbot):
    began = threading.Event()

    def work(request: int, worker: Worker[int]) -> None:
        began.set()
        worker.rest_while(lambda: True)

    worker: Worker[int] = Worker("test", work, "The test failed")
    assert worker.close() == []  # it was never asked for anything
    worker = Worker("test", work, "The test failed")
    worker.ask(1)
    assert began.wait(PATIENCE_S)
    assert worker.close() == []
    assert "vbp-test" not in [t.name for t in threading.enumerate()]
