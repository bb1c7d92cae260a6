"""Processes of our own that do a task's work: one that ends, however, takes only its own piece with it, which is tried again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from vbp.fleet.outcome import Item, Outcome, attempt
from vbp.fleet.work import Task, Worker
from vbp.processes import end_with_parent, starting

TRIES = 3  # of an item on which processes end


@dataclass
class _Hand:
    """A process, and what it is at. tries: how often that was begun."""

    process: BaseProcess
    pipe: Connection
    item: Item | None = None
    tries: int = 0


class Pool:
    """At most `workers` processes, each with a `Worker` of its own; a context manager, at whose end they end."""

    def __init__(self, tasks: list[Task]) -> None:
        """tasks: one for each process; they differ in the device at most."""
        self._tasks = tasks
        self._hands: list[_Hand | None] = [None] * len(tasks)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            if hand is not None:
                hand.process.kill()  # what it is at is written whole or not at all
                hand.process.join()
                hand.pipe.close()
        self._hands = [None] * len(self._tasks)

    def work(self, kind: str, items: Iterable[Any]) -> Iterator[Outcome]:
        """What comes of each item, in the order in which they are done: see `attempt`. A process that ends is replaced."""
        waiting = iter(items)
        again: list[Item] = []
        tries: dict[Item, int] = {}
        while True:
            for k, hand in enumerate(self._hands):
                if hand is not None and hand.item is not None:
                    continue
                item = again.pop() if again else _next(waiting, kind)
                if item is None:
                    break
                tries[item] = tries.get(item, 0) + 1
                self._give(k, item)
            busy = [h for h in self._hands if h is not None and h.item is not None]
            if not busy:
                return
            ready = connection.wait([h.pipe for h in busy])  # also where a process has ended
            for k, hand in enumerate(self._hands):
                if hand is None or hand.item is None or hand.pipe not in ready:
                    continue
                item = hand.item
                try:
                    outcome: Outcome = hand.pipe.recv()
                except (EOFError, OSError):
                    how = self._bury(k)
                    if tries[item] < TRIES:
                        again.append(item)
                        continue
                    outcome = Outcome(item, error=f"the process at work on it {how}, {TRIES} times")
                else:
                    hand.item = None
                tries.pop(item, None)
                yield outcome

    def _give(self, k: int, item: Item) -> None:
        hand = self._hands[k]
        if hand is not None:
            with suppress(OSError):
                hand.pipe.send(item)
                hand.item = item
                return
            self._bury(k)  # it has ended while it waited
        hand = self._hands[k] = _start(self._tasks[k])
        hand.item = item
        with suppress(OSError):  # it has ended already, which is heard where its answer is waited for
            hand.pipe.send(item)

    def _bury(self, k: int) -> str:
        """How it ended, in words."""
        hand = self._hands[k]
        assert hand is not None
        hand.pipe.close()
        hand.process.join()
        self._hands[k] = None
        code = hand.process.exitcode or 0
        return f"was killed (signal {-code})" if code < 0 else f"ended (status {code})"


def _next(items: Iterator[Any], kind: str) -> Item | None:
    for value in items:
        return Item(kind, value)
    return None


def _start(task: Task) -> _Hand:
    with starting():
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(task, theirs), name="vbp fleet", daemon=True)
        process.start()
    theirs.close()
    return _Hand(process, ours)


def _serve(task: Task, pipe: Connection) -> None:
    end_with_parent()
    import cv2

    cv2.setNumThreads(1)
    worker = Worker(task)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(attempt(worker, pipe.recv()))


class Here:
    """The same in this process, one after the other."""

    def __init__(self, task: Task) -> None:
        self._worker = Worker(task)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    def work(self, kind: str, items: Iterable[Any]) -> Iterator[Outcome]:
        for value in items:
            yield attempt(self._worker, Item(kind, value))
