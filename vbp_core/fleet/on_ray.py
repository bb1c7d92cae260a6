"""The workers of a Ray cluster (extra `vbp[ray]`). All its machines see the fleet's folder and the drives, and have vbp installed.

What goes through Ray's object store is which frames are to be indexed, and what came of it: no picture.
"""

from __future__ import annotations

import logging
import pickle
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

from vbp.errors import VbpError
from vbp.fleet.outcome import Item, Outcome, attempt
from vbp.fleet.work import Task, Worker

PER_CARD = 4  # workers
PATIENCE_S = 10.0  # until a cluster answers
MOST_BLOCKS = 10_000  # what is handed out and, with its machine lost, done again

_Batch = dict[str, NDArray[Any]]


class Indexer:
    """An actor with a worker of its own. Whatever goes wrong with an item is in its outcome."""

    def __init__(self, task: Task) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._worker = Worker(task)

    def __call__(self, batch: _Batch) -> _Batch:
        outcomes = [attempt(self._worker, pickle.loads(item)) for item in batch["item"]]  # noqa: S301 - our own
        return {"outcome": np.array([pickle.dumps(o) for o in outcomes], dtype=object)}


class OnRay:
    """A runner, see `vbp.fleet.run`. workers: at most; None: as many as the cluster has room for."""

    def __init__(self, address: str, task: Task, workers: int | None = None) -> None:
        """address: "auto", "HOST:PORT", "ray://HOST:PORT". Raises VbpError where no cluster answers."""
        self._task, self._workers = task, workers
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                _knock(address)
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                first = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise VbpError(
                    f"no Ray cluster answers at {address} ({first}); start one by: ray start --head"
                ) from error
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)

    def __enter__(self) -> OnRay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            ray.shutdown()

    def work(self, kind: str, items: Iterable[Any]) -> Iterator[Outcome]:
        """As `Pool.work`. Raises VbpError where the cluster is lost: what is done is kept."""
        rows = [{"item": pickle.dumps(Item(kind, value))} for value in items]
        if not rows:
            return
        resources: dict[str, float] = ray.cluster_resources()
        cards = self._task.device == "auto" and resources.get("GPU", 0) > 0
        room = int(resources["GPU"] * PER_CARD) if cards else int(resources.get("CPU", 1))
        most = max(1, min(room, len(rows), self._workers or room))
        found = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
            Indexer,
            fn_constructor_args=(self._task,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            batch_size=1,
            num_cpus=0.5 if cards else 1,
            num_gpus=1 / PER_CARD if cards else None,
        )
        try:
            for row in found.iter_rows():
                yield pickle.loads(row["outcome"])  # noqa: S301 - our own
        except ray.exceptions.RayError as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise VbpError(
                f"the Ray cluster failed ({first}); what is done is kept: give the same command again"
            ) from error


def _knock(address: str) -> None:
    """Ray itself waits for minutes where nobody listens. Raises OSError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isascii() and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()
