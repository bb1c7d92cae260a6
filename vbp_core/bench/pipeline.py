"""From a recording on disk to the picture with its mask: frames per second, and how long a jump takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vbp.bench.timing import BLOCKS, Estimate, Floats, interleaved, quantile, typical
from vbp.drives import open_drive
from vbp.engine import Engine
from vbp.frames import read_frame, run_frame, run_frames
from vbp.frames.ahead import ahead
from vbp.models.network import Network
from vbp.overlay import lay
from vbp.results import VBP, FrameRequest, FrameResult, MapRequest

WARM_UP = 20
AHEAD = 4
PASS = 40


@dataclass(frozen=True)
class CompareRates:
    """Milliseconds for one frame with its mask, decoded and run ahead: by the first network, the other, and both in one pass.

    kept: the share of the first one's frame rate that both have.
    """

    first_ms: Estimate
    other_ms: Estimate
    both_ms: Estimate
    kept: Estimate


@dataclass(frozen=True)
class Latency:
    """Milliseconds from asking for a frame to its picture with the mask: median, 95th percentile, worst."""

    p50_ms: Estimate
    p95_ms: Estimate
    worst_ms: float
    seeks: int


def play_rate(path: Path, network: Network, device: str, frames: int) -> Estimate:
    """Frames a second, each in order, decoded ahead in a thread, run, explained and laid over, one at a time."""
    with open_drive(path) as drive:
        engine = Engine(network, device)
        count = min(frames + WARM_UP, len(drive))
        times = []
        decoded = (read_frame(drive, i) for i in range(count))
        for n, frame in enumerate(ahead(decoded, AHEAD, "vbp-decode")):
            if n == WARM_UP:
                times.append(time.perf_counter())
            _paint(run_frame(frame, [engine]))
            if n >= WARM_UP:
                times.append(time.perf_counter())
        return rate(times)


def rate(times_s: Sequence[float] | Floats) -> Estimate:
    """Frames a second, of when each was done: over all of them, with the interval that stretches of them give."""
    times = np.asarray(times_s, np.float64)
    edges = np.linspace(0, len(times) - 1, min(BLOCKS, len(times) - 1) + 1).astype(int)
    rates = np.diff(edges) / np.diff(times[edges])
    found = quantile(rates)
    return replace(found, value=float((len(times) - 1) / (times[-1] - times[0])), runs=len(times) - 1)


def compare_rates(path: Path, networks: Sequence[Network], device: str, seconds: float) -> CompareRates:
    """Of two networks, by turns, `PASS` frames each time; `networks` may be one twice."""
    with open_drive(path) as drive:
        first, other = (Engine(network, device) for network in networks)
        indices, request = np.arange(min(PASS, len(drive))), FrameRequest(maps=(MapRequest(VBP),))

        def run(engines: Sequence[Engine]) -> None:
            drive.forget()
            with closing(run_frames(drive, engines, request, indices)) as frames:
                for _ in frames:
                    pass

        chosen = {"first": [first], "other": [other], "both": [first, other]}
        laps = interleaved({name: partial(run, engines) for name, engines in chosen.items()}, seconds)
        a_frame = {name: typical(np.array(laps.laps_ms[name]) / len(indices)) for name in chosen}
        return CompareRates(a_frame["first"], a_frame["other"], a_frame["both"], laps.ratio("first", "both"))


def _paint(frame: FrameResult) -> None:
    result = frame.result
    if frame.image is not None and result is not None and (mask := result.map()) is not None:
        lay(frame.image, mask, result.crop)


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
            _paint(run_frame(read_frame(drive, i), [engine]))
            if n >= 5:
                laps.append((time.perf_counter() - start) * 1e3)
    return latency(laps)


def latency(laps_ms: list[float], together: int = 1) -> Latency:
    """together: how many neighbours are alike, as the moves of one stroke; how much these differ says how sure it is."""
    found = [quantile(laps_ms, share) for share in (0.5, 0.95)]
    if together > 1:
        groups = np.array_split(laps_ms, max(len(laps_ms) // together, 1))
        for n, share in enumerate((0.5, 0.95)):
            of_groups = quantile([float(np.quantile(group, share)) for group in groups])
            found[n] = replace(found[n], low=of_groups.low, high=of_groups.high)
    return Latency(found[0], found[1], max(laps_ms), len(laps_ms))
