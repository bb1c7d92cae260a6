"""Whole drives through a network: predictions, explanations, and what the errors sum up to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.classes import UNKNOWN, most_probable
from vbp.drives.base import Drive, Image
from vbp.drives.labels import speed_filter
from vbp.engine import Engine
from vbp.errors import FrameError, VbpError
from vbp.explain.registry import explain
from vbp.explain.target import Target

BATCH = 8


def parse_frames(text: str | None, length: int) -> range:
    """ "A:B" as Python slices count (B not included, negative from the end), "A" for one frame, None for all.

    Raises VbpError for text that is none, and for a part of the drive that holds no frame.
    """
    if text is None:
        return range(length)
    parts = text.split(":")
    try:
        numbers = [int(p) if p.strip() else None for p in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None:
        chosen = range(length)[numbers[0] : numbers[0] + 1 or None]
    elif len(numbers) == 2:
        chosen = range(length)[numbers[0] : numbers[1]]
    else:
        raise VbpError(
            f"--frames {text} is not understood; give A:B (from frame A up to, not including, B) or A"
        )
    if not chosen and length:
        raise VbpError(
            f"--frames {text} holds no frame of this drive, which has {length} (0 to {length - 1})"
        )
    return chosen


def choose_frames(drive: Drive, frames: str | None, min_speed: float | None) -> NDArray[np.int64]:
    """Indices of `frames` ("A:B") whose speed is above `min_speed` m/s (the paper's filter; None: all).

    Raises VbpError where none is left.
    """
    chosen = np.array(parse_frames(frames, len(drive)), dtype=np.int64)
    if min_speed is not None:
        if not np.isfinite(drive.speed_mps).any():
            raise VbpError(f"{drive.info.path} has no speed, so --min-speed cannot choose frames")
        chosen = chosen[speed_filter(drive.speed_mps[chosen], min_speed)]
        if not len(chosen):
            part = f"none of the frames {frames}" if frames else "no frame"
            raise VbpError(f"{part} of {drive.info.path} is faster than {min_speed:g} m/s")
    return chosen


@dataclass(frozen=True)
class Chunk:
    """Results of some frames: indices (n,), predicted_rad (n,) with NaN for gaps, maps name -> (n, h, w).

    decoded (n,): False for gaps. Where a decoded frame's prediction is not finite, the network is broken.
    Of a classifier the angles are NaN; classes (n,) int64 is the most probable class, UNKNOWN for gaps and otherwise,
    and probability (n,) its probability, NaN there.
    """

    indices: NDArray[np.int64]
    predicted_rad: NDArray[np.float64]
    maps: dict[str, NDArray[np.float32]]
    decoded: NDArray[np.bool_]
    classes: NDArray[np.int64]
    probability: NDArray[np.float64]


def analyse(
    drive: Drive,
    engine: Engine,
    indices: NDArray[np.int64],
    methods: Sequence[str] = (),
    parameters: dict[str, dict[str, float]] | None = None,
    batch: int = BATCH,
    stopped: Callable[[], bool] = lambda: False,
    target: Target | str = "output",
) -> Iterator[Chunk]:
    """Run `engine` over frames of `drive`, a batch at a time, decoding ahead in another thread.

    target: what the maps explain (`Engine.target`); an error is that of each frame's driven angle. A frame that cannot be decoded is a gap: NaN, and maps of zeros. The drive is used by the decoding
    thread alone until the iterator is exhausted or closed. `stopped()` is asked before each batch.
    """
    with closing(_decode_ahead(drive, engine, indices, batch)) as batches:
        for part, inputs, good in batches:
            if stopped():
                return
            predicted = np.full(len(part), np.nan)
            size = (len(part), engine.spec.input_height, engine.spec.input_width)
            maps = {m: np.zeros(size, dtype=np.float32) for m in methods}
            classes, probability = np.full(len(part), UNKNOWN, dtype=np.int64), np.full(len(part), np.nan)
            if good.any():
                trace = engine.trace(inputs)
                predicted[good] = engine.angles(trace)
                if engine.spec.is_classifier:
                    classes[good], probability[good] = most_probable(engine.probabilities(trace))
                what = engine.target(target, drive.angle_rad[part][good])
                for method in methods:
                    values = explain(trace, method, what, **(parameters or {}).get(method, {}))
                    maps[method][good] = values.float().cpu().numpy()
            yield Chunk(part, predicted, maps, good, classes, probability)


Prepared = tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.bool_]]


def _decode_ahead(
    drive: Drive, engine: Engine, indices: NDArray[np.int64], batch: int
) -> Generator[Prepared, None, None]:
    ready: queue.Queue[Prepared | BaseException | None] = queue.Queue(maxsize=3)
    quitting = threading.Event()

    def put(item: Prepared | BaseException | None) -> bool:
        while not quitting.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for start in range(0, len(indices), batch):
                if not put(_prepare_batch(drive, engine, indices[start : start + batch])):
                    return
            put(None)
        except BaseException as error:
            put(error)

    worker = threading.Thread(target=work, name="decode-ahead", daemon=True)
    worker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        quitting.set()
        worker.join()


def _prepare_batch(drive: Drive, engine: Engine, part: NDArray[np.int64]) -> Prepared:
    inputs: list[Image] = []
    good = np.zeros(len(part), dtype=np.bool_)
    for n, i in enumerate(part):
        try:
            inputs.append(engine.prepare(drive.frame(int(i)))[0])
            good[n] = True
        except FrameError:
            continue
    return part, np.stack(inputs) if inputs else np.zeros((0,), dtype=np.uint8), good


@dataclass(frozen=True)
class Scores:
    """How well predictions fit the driven angle, over the frames that have both. NaN where undefined.

    error = actual - predicted (the paper's definition). bias_deg is its mean.
    """

    frames: int
    rmse_rad: float
    mae_deg: float
    bias_deg: float
    corr: float


def score(actual_rad: NDArray[np.float64], predicted_rad: NDArray[np.float64]) -> Scores:
    """Scores of (N,) angles in radians; frames with a NaN in either are left out."""
    both = np.isfinite(actual_rad) & np.isfinite(predicted_rad)
    actual, predicted = actual_rad[both], predicted_rad[both]
    if not len(actual):
        return Scores(0, np.nan, np.nan, np.nan, np.nan)
    error = actual - predicted
    varied = bool(np.ptp(actual) > 0 and np.ptp(predicted) > 0)  # not std: equal values may have one of 1e-17
    return Scores(
        frames=len(actual),
        rmse_rad=float(np.sqrt(np.mean(error**2))),
        mae_deg=float(np.degrees(np.abs(error).mean())),
        bias_deg=float(np.degrees(error.mean())),
        corr=float(np.corrcoef(actual, predicted)[0, 1]) if varied else float("nan"),
    )
