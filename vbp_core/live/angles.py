"""Measured steering angles that come in live: what a source is, and which there are."""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from vbp.errors import VbpError

NEAREST_S = 0.2  # a sample farther away than this says nothing about a frame

# scheme -> module with `open(text) -> AngleSource`, imported only when it is asked for: each may need an extra
SOURCES: dict[str, str] = {"udp": "vbp.live.udp", "can": "vbp.live.can_bus"}
ACCEPTED = "udp://[HOST]:PORT, or can:INTERFACE:CHANNEL?dbc=FILE&signal=NAME&unit=deg&sign=left"


@dataclass(frozen=True)
class Measured:
    """A sample. timestamp_ns: int64 since 1970. angle_rad: steering WHEEL angle, radians, left positive.
    speed_mps: metres per second, NaN where unknown."""

    timestamp_ns: int
    angle_rad: float
    speed_mps: float = float("nan")


class AngleSource(Protocol):
    """Samples from outside, received by a thread of its own between `start` and `stop`."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Returns at once; the thread ends soon after."""

    def at(self, timestamp_ns: int) -> Measured | None:
        """The sample nearest in time, None where there is none within 0.2 s."""

    @property
    def newest(self) -> Measured | None:
        """The sample with the latest time, however far from now."""

    @property
    def count(self) -> int:
        """How many samples came in all."""

    @property
    def state(self) -> str:
        """One sentence: what comes in, or what is wrong."""


class Track:
    """The last `capacity` samples, in the order of their times. May be used from any thread."""

    def __init__(self, capacity: int = 4096, nearest_s: float = NEAREST_S) -> None:
        self._lock = threading.Lock()
        self._capacity = capacity
        self._reach_ns = round(nearest_s * 1e9)
        # Arrays of machine words: hours of samples make no garbage. Twice the room, so that old ones are
        # moved out once in `capacity` samples and not with each.
        self._times, self._angles, self._speeds = array("q"), array("d"), array("d")
        self._count = 0

    def add(self, timestamp_ns: int, angle_rad: float, speed_mps: float = float("nan")) -> None:
        """Add a sample. One older than the newest is put where it belongs; of two at one time the later stays."""
        with self._lock:
            times = self._times
            i = len(times)
            while i > 0 and times[i - 1] > timestamp_ns:
                i -= 1
            self._count += 1
            if i > 0 and times[i - 1] == timestamp_ns:
                self._angles[i - 1], self._speeds[i - 1] = angle_rad, speed_mps
                return
            times.insert(i, timestamp_ns)
            self._angles.insert(i, angle_rad)
            self._speeds.insert(i, speed_mps)
            if len(times) > 2 * self._capacity:
                for values in (times, self._angles, self._speeds):
                    del values[: -self._capacity]

    def at(self, timestamp_ns: int) -> Measured | None:
        """The sample nearest to `timestamp_ns`, of two equally near ones the earlier; None beyond the reach."""
        with self._lock:
            times = self._times
            lo, hi = max(len(times) - self._capacity, 0), len(times)
            first = lo
            while lo < hi:
                middle = (lo + hi) // 2
                if times[middle] < timestamp_ns:
                    lo = middle + 1
                else:
                    hi = middle
            around = [i for i in (lo - 1, lo) if first <= i < len(times)]
            if not around:
                return None
            best = min(around, key=lambda i: abs(times[i] - timestamp_ns))
            if abs(times[best] - timestamp_ns) > self._reach_ns:
                return None
            return Measured(times[best], self._angles[best], self._speeds[best])

    @property
    def newest(self) -> Measured | None:
        """The sample with the latest time."""
        with self._lock:
            if not self._times:
                return None
            return Measured(self._times[-1], self._angles[-1], self._speeds[-1])

    @property
    def count(self) -> int:
        """How many samples came in all."""
        with self._lock:
            return self._count


def open_angles(text: str) -> AngleSource:
    """The source that `text` names, not started. Raises VbpError with one sentence."""
    scheme = text.strip().partition(":")[0].lower()
    if ":" not in text or scheme not in SOURCES:
        raise VbpError(f"{text[:60]!r} is no source of angles; accepted: {ACCEPTED}")
    source: AngleSource = import_module(SOURCES[scheme]).open(text.strip())
    return source
