"""What sources of live angles share: a thread that receives, the samples, how often they come, what went wrong."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque

from vbp.live.angles import Measured, Track

MOST_RAD = 8 * math.pi  # four turns; no steering wheel turns farther from its centre
FARTHEST_CLOCK_S = 3600.0  # a time farther from this machine's clock is no time of now

_RATE_S = 2.0  # over which the rate is measured
_SILENT_S = 1.0


class BadSampleError(Exception):
    """Why one sample is left out, in words that follow "the last: "."""


class Receiver(ABC):
    """An `AngleSource` (see `angles.py`). A subclass says how to receive; `_take` and `_refuse` what came in."""

    def __init__(self) -> None:
        self._track = Track()
        self._lock = threading.Lock()
        self._arrivals: deque[float] = deque(maxlen=4096)  # time.monotonic of samples
        self._refused = 0
        self._why = ""
        self._behind_s = 0.0  # of the newest sample's time behind its arrival
        self._trouble = ""  # what stops everything, "" while all is well
        self._thread: threading.Thread | None = None
        self._quit = threading.Event()

    @abstractmethod
    def _receive(self, quit: threading.Event) -> None:
        """Receive until `quit` is set, looking at it several times a second. Runs in a thread of its own."""

    @abstractmethod
    def _place(self) -> str:
        """Where samples come from, in words that follow "on "."""

    def start(self) -> None:
        """Begin to receive; nothing happens where that was done already."""
        if self._thread is not None:
            return
        self._quit = threading.Event()
        self._thread = threading.Thread(
            target=self._receive, args=(self._quit,), name="live-angles", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; the thread ends soon after."""
        self._quit.set()
        self._thread = None

    def at(self, timestamp_ns: int) -> Measured | None:
        """The sample nearest in time, None where there is none within 0.2 s."""
        return self._track.at(timestamp_ns)

    @property
    def newest(self) -> Measured | None:
        """The sample with the latest time, whatever the clock says."""
        return self._track.newest

    @property
    def count(self) -> int:
        """How many samples came in all."""
        return self._track.count

    @property
    def rate(self) -> float:
        """Samples a second, over the last two seconds; 0.0 while none come."""
        with self._lock:
            return self._rate()

    def _rate(self) -> float:
        now = time.monotonic()
        while self._arrivals and now - self._arrivals[0] > _RATE_S:
            self._arrivals.popleft()
        if len(self._arrivals) < 2 or now - self._arrivals[-1] > _SILENT_S:
            return 0.0
        return (len(self._arrivals) - 1) / max(self._arrivals[-1] - self._arrivals[0], 1e-9)

    def _take(self, sample: Measured, now_ns: int) -> None:
        """Keep a sample that arrived at `now_ns`, unless it cannot be one: that is refused."""
        if not abs(sample.angle_rad) <= MOST_RAD:
            self._refuse(
                f"an angle of {sample.angle_rad:.1f} rad is farther than a steering wheel turns; is the unit right?"
            )
            return
        behind_s = (now_ns - sample.timestamp_ns) / 1e9
        if abs(behind_s) > FARTHEST_CLOCK_S:
            self._refuse(
                f"its time is {_span(behind_s)} this machine's clock; t is in seconds or nanoseconds since 1970"
            )
            return
        self._track.add(sample.timestamp_ns, sample.angle_rad, sample.speed_mps)
        with self._lock:
            self._arrivals.append(time.monotonic())
            self._behind_s = behind_s
            self._trouble = ""

    def _refuse(self, why: str) -> None:
        with self._lock:
            self._refused += 1
            self._why = why

    def _tell(self, trouble: str) -> None:
        with self._lock:
            self._trouble = trouble

    @property
    def state(self) -> str:
        """One sentence: what comes in, or what is wrong."""
        place = self._place()
        count = self.count
        with self._lock:
            rate = self._rate()
            parts = []
            if self._trouble:
                parts.append(self._trouble)
            elif self._thread is None:
                parts.append(f"not listening on {place}")
            elif rate:
                parts.append(f"{rate:.0f} angles a second on {place}")
            elif count:
                parts.append(f"no angle comes in any more on {place}")
            else:
                parts.append(f"no angle has come in yet on {place}")
            if rate and abs(self._behind_s) > 0.1:
                parts.append(
                    f"their times are {_span(self._behind_s)} this machine's clock, so frames may find none: set the clocks"
                )
            if self._refused:
                parts.append(
                    f"{self._refused} message{'s were' if self._refused > 1 else ' was'} left out (the last: {self._why})"
                )
        return "; ".join(parts)


def _span(behind_s: float) -> str:
    """ "3.2 s behind", "5 days ahead of"."""
    span = abs(behind_s)
    for seconds, unit in ((86400.0 * 365.25, "years"), (86400.0, "days"), (3600.0, "hours")):
        if span >= 2 * seconds:
            text = f"{span / seconds:.0f} {unit}"
            break
    else:
        text = f"{span:.1f} s"
    return f"{text} {'behind' if behind_s > 0 else 'ahead of'}"
