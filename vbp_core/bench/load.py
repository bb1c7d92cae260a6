"""What ran beside a measurement: how much of the processors this program had meanwhile, and how much all others."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

DISTURBED = 0.1  # of a processor, which others had: from then on it is said


@dataclass(frozen=True)
class Load:
    """Processors that were busy on average, of `cores`: for us (with the children that have ended), and for others.

    What the host took away counts as others'. NaN where the system does not say (other than on Linux).
    """

    ours: float
    others: float
    cores: int
    seconds: float

    def words(self) -> str:
        if math.isnan(self.others):
            return "not known on this system"
        return f"{max(self.others, 0):.2f} of {self.cores}"


class Meter:
    """`Meter()` begins to measure; `read()` gives what was since then, or since the last reading."""

    def __init__(self) -> None:
        self._before = (time.monotonic(), _ours_s(), _all_s())

    def read(self) -> Load:
        now = (time.monotonic(), _ours_s(), _all_s())
        (seconds, ours, all_), self._before = (
            (b - a for a, b in zip(self._before, now, strict=True)),
            now,
        )
        seconds = max(seconds, 1e-9)
        return Load(ours / seconds, (all_ - ours) / seconds, os.cpu_count() or 1, seconds)


def _ours_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _all_s() -> float:
    """Seconds that the processors of this machine have been busy; proc(5), /proc/stat."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return math.nan
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
