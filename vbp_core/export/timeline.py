"""Which frames a clip shows, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.errors import VbpError

LEAST_FPS, MOST_FPS = 0.1, 240.0
DEFAULT_STEP_NS = 50_000_000  # how long a single frame is shown


@dataclass(frozen=True)
class Timeline:
    """picks: (M,) positions among the exported frames, never falling; times_ns: (M,) from 0, rising; end_ns: of all.

    rate: frames per second, of a variable rate the median.
    """

    picks: NDArray[np.int64]
    times_ns: NDArray[np.int64]
    end_ns: int
    rate: float

    def __len__(self) -> int:
        return len(self.picks)

    def ticks(self, per_second: int) -> NDArray[np.int64]:
        """(M + 1,) times in ticks, strictly rising as containers want them, the end of the last frame included.

        Frames with one and the same time follow each other by a tick.
        """
        exact = np.concatenate([self.times_ns, [self.end_ns]])
        ticks = np.asarray((exact * per_second + 500_000_000) // 1_000_000_000, dtype=np.int64)
        steps = np.arange(len(ticks))
        return np.asarray(np.maximum.accumulate(ticks - steps) + steps, dtype=np.int64)


def timeline(times_ns: NDArray[np.int64], fps: float | None) -> Timeline:
    """Of the frames that are played at these times (N,), N > 0: each at its own, or with `fps` the nearest at each step.

    Raises VbpError for an fps that cannot be.
    """
    times = times_ns - times_ns[0]
    steps = np.diff(times)
    steps = steps[steps > 0]
    step = int(np.median(steps)) if len(steps) else DEFAULT_STEP_NS
    end = int(times[-1]) + step
    if fps is None:
        rate = min(max(1e9 / step, LEAST_FPS), MOST_FPS)
        return Timeline(np.arange(len(times), dtype=np.int64), times, end, rate)
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise VbpError(f"{fps:g} frames per second cannot be made; give {LEAST_FPS:g} to {MOST_FPS:g}")
    count = max(1, round(end * fps / 1e9))
    at = np.round(np.arange(count) * (1e9 / fps)).astype(np.int64)
    after = np.clip(np.searchsorted(times, at), 1, max(1, len(times) - 1))
    after = np.minimum(after, len(times) - 1)
    before = np.maximum(after - 1, 0)
    picks = np.where(at - times[before] <= times[after] - at, before, after).astype(np.int64)
    return Timeline(picks, at, round(count * 1e9 / fps), fps)


def at_most(times_ns: NDArray[np.int64], fps: float | None) -> Timeline:
    """The same for a file in which a picture stays until the next one comes: each once, those of a slow drive at their time."""
    own, line = timeline(times_ns, None), timeline(times_ns, fps)
    if fps is None or own.rate <= fps:
        return own
    kept = np.diff(line.picks, prepend=-1) != 0
    return Timeline(line.picks[kept], line.times_ns[kept], line.end_ns, line.rate)


def delayed(line: Timeline, pictures: int, seconds: float) -> Timeline:
    """The same after so many pictures, of the first frame, at equal steps in that time."""
    if not pictures:
        return line
    wait = round(seconds * 1e9)
    before = np.asarray(np.arange(pictures) * wait // pictures, dtype=np.int64)
    return Timeline(
        np.concatenate([np.full(pictures, line.picks[0]), line.picks]),
        np.concatenate([before, line.times_ns + wait]),
        line.end_ns + wait,
        line.rate,
    )


def joined(lines: Sequence[Timeline]) -> Timeline:
    """One after the other, at the rate of the first."""
    begins = np.cumsum([0, *(line.end_ns for line in lines)])
    times = [line.times_ns + begin for line, begin in zip(lines, begins[:-1], strict=True)]
    return Timeline(
        np.concatenate([line.picks for line in lines]), np.concatenate(times), int(begins[-1]), lines[0].rate
    )
