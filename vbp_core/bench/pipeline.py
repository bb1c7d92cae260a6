"""From a recording on disk to the picture with its mask: frames per second, and how long a jump takes."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vbp.drives import Drive, open_drive
from vbp.drives.base import Image
from vbp.engine import Engine
from vbp.errors import FrameError
from vbp.export.ahead import ahead
from vbp.models.network import Network
from vbp.overlay import blend

WARM_UP = 20
AHEAD = 4


@dataclass(frozen=True)
class Rate:
    """frames per second over `frames` frames, from the file to the picture with its mask laid over."""

    fps: float
    frames: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds from asking for a frame to its picture with the mask: median, 95th percentile, worst."""

    p50_ms: float
    p95_ms: float
    worst_ms: float
    seeks: int


def play_rate(path: Path, network: Network, device: str, frames: int) -> Rate:
    """Every frame in order, decoded ahead in a thread, run, explained and laid over, one at a time."""
    with open_drive(path) as drive:
        engine = Engine(network, device)
        count = min(frames + WARM_UP, len(drive))
        start = 0.0
        for n, picture in enumerate(ahead(_pictures(drive, count), AHEAD, "decode-ahead")):
            if n == WARM_UP:
                start = time.perf_counter()
            if picture is not None:
                done = engine.run(picture)
                blend(picture, done.maps["visualbackprop"], done.crop)
        return Rate((count - WARM_UP) / (time.perf_counter() - start), count - WARM_UP)


def _pictures(drive: Drive, count: int) -> Generator[Image | None, None, None]:
    for i in range(count):
        try:
            yield drive.frame(i)
        except FrameError:
            yield None


def seek_latency(path: Path, network: Network, device: str, seeks: int, seed: int = 0) -> Latency:
    """Jumps to frames drawn at random; none of them is kept from an earlier jump."""
    with open_drive(path) as drive:
        engine = Engine(network, device)
        rng = np.random.default_rng(seed)
        laps = []
        for n in range(seeks + 5):
            i = int(rng.integers(len(drive)))
            drive.forget()
            start = time.perf_counter()
            picture = drive.frame(i)
            done = engine.run(picture)
            blend(picture, done.maps["visualbackprop"], done.crop)
            if n >= 5:
                laps.append((time.perf_counter() - start) * 1e3)
    return latency(laps)


def latency(laps_ms: list[float]) -> Latency:
    p50, p95 = (float(v) for v in np.percentile(laps_ms, (50, 95)))
    return Latency(p50, p95, max(laps_ms), len(laps_ms))
