"""What is left of the speed beside one other process that keeps a core busy, as a compiler or a browser does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vbp.bench.busy import busy_process
from vbp.bench.pipeline import play_rate, rate
from vbp.bench.timing import LEAST, Estimate, quantile
from vbp.bench.window import has_window, measure_window
from vbp.drives import open_drive
from vbp.drives.base import Image
from vbp.engine import Engine
from vbp.frames import run_frames
from vbp.models.network import Network

ROUNDS, WINDOW_ROUNDS = 7, LEAST
FRAMES = 60  # of a turn
PASS, PREDICT = "forward + mask", "vbp predict: file to angle and strength"
PLAY, WINDOW = "file to picture with mask", "file to picture with mask, in the window"


@dataclass(frozen=True)
class Share:
    """Frames per second alone and beside the process, medians over turns; share: the median of the pairs' ratios."""

    what: str
    alone_fps: Estimate
    beside_fps: Estimate
    share: Estimate


def measure_beside(path: Path, model: str, network: Network, image: Image, device: str) -> list[Share]:
    """Turns alone and beside the process follow each other, and the first of each pair changes.

    path: a recording. image: (H, W, 3) uint8 RGB. Raises VbpError.
    """
    engine = Engine(network, device)
    engine.wait_until_tuned()

    def passes() -> float:
        start = time.perf_counter()
        for _ in range(FRAMES):
            engine.run(image)
        return FRAMES / (time.perf_counter() - start)

    def predict() -> float:
        with open_drive(path) as drive:
            count = min(FRAMES * 2, len(drive))
            start = time.perf_counter()
            for _ in run_frames(drive, [engine], indices=range(count)):
                pass
            return count / (time.perf_counter() - start)

    def in_window() -> float:
        found = measure_window({"recording": path}, model, device, FRAMES * 3, 1, 0)
        return math.nan if found is None else rate(found["recordings"]["recording"]["painted_s"]).value

    found = [
        _share(PASS, passes, ROUNDS),
        _share(PREDICT, predict, ROUNDS),
        _share(PLAY, lambda: play_rate(path, network, device, FRAMES).value, ROUNDS),
    ]
    if has_window():
        found.append(_share(WINDOW, in_window, WINDOW_ROUNDS))
    return found


def _share(what: str, measure: Callable[[], float], turns: int) -> Share:
    alone, beside = [], []
    for turn in range(turns):
        for busy in (False, True) if turn % 2 == 0 else (True, False):
            if busy:
                with busy_process():
                    beside.append(measure())
            else:
                alone.append(measure())
    return Share(what, quantile(alone), quantile(beside), quantile(np.divide(beside, alone)))
