"""Frames rendered and encoded, in order, by one process or by several with the same result."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.errors import VbpError
from vbp.processes import end_with_parent, starting
from vbp.simulate import png
from vbp.simulate.classes import palette
from vbp.simulate.frame import render
from vbp.simulate.world import Settings, World

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Job:
    """What is written of each frame."""

    jpeg: bool
    raw: bool  # the picture itself, for a video
    truth_every: int  # 0: none


@dataclass(frozen=True)
class Encoded:
    jpeg: bytes
    raw: NDArray[np.uint8] | None
    classes: bytes


def make_frame(world: World, i: int, job: Job) -> Encoded:
    frame = render(world, i)
    jpeg = classes = b""
    if job.jpeg:
        bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    if job.truth_every and i % job.truth_every == 0:
        classes = png.encode(frame.classes, palette())
    return Encoded(jpeg, frame.image if job.raw else None, classes)


_world: World | None = None  # of a worker process


def _start(settings: Settings) -> None:
    global _world
    end_with_parent()
    cv2.setNumThreads(1)
    _world = World(settings)


def _work(indices: Sequence[int], job: Job) -> list[Encoded]:
    assert _world is not None
    return [make_frame(_world, i, job) for i in indices]


def frames(world: World, job: Job, workers: int) -> Iterator[Encoded]:
    """Every frame of the drive in order. Raises VbpError if a worker process dies."""
    n = world.settings.frames
    if workers <= 1:
        for i in range(n):
            yield make_frame(world, i, job)
        return
    size = 4  # frames to a task: less to hand over, and no long wait at the end
    tasks = iter([range(i, min(i + size, n)) for i in range(0, n, size)])
    with starting():  # it starts the process that looks after shared memory
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(world.settings,))
    others = set(multiprocessing.active_children())
    waiting: deque[Future[list[Encoded]]] = deque()
    try:
        while True:
            # a few tasks ahead and no more: pictures of a long drive do not fit in memory
            while len(waiting) < 3 * workers and (task := next(tasks, None)) is not None:
                with starting():  # a task may start a process
                    waiting.append(pool.submit(_work, task, job))
            if not waiting:
                break
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise VbpError("a worker process of the simulation ended unexpectedly; try --workers 1") from error
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()  # what they are at is not wanted any more, and can take seconds
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
