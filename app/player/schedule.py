"""When each frame of a drive is due. No threads and no Qt: the caller says what time it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.drives.holes import played_ns
from vbp.drives.labels import speed_filter


class Schedule:
    """A drive's own clock, at a speed, over the frames that are to be played; holes are jumped.

    keep: (N,) bool, the frames to play (None: all). Where none is kept, all are.
    """

    def __init__(self, timestamps_ns: NDArray[np.int64], keep: NDArray[np.bool_] | None = None) -> None:
        count = len(timestamps_ns)
        every = np.arange(count)
        self.frames = every if keep is None or not keep.any() else np.flatnonzero(keep)
        self.at = played_ns(timestamps_ns[self.frames]) / 1e9
        self.speed = 1.0
        self._wall = 0.0
        self._media = 0.0

    def place(self, index: int) -> int:
        """Position among the played frames: the last one not after `index` (the first, if all are after)."""
        return max(0, int(np.searchsorted(self.frames, index, side="right")) - 1)

    def start(self, index: int, now: float) -> None:
        """Frame `index` is due now; the others follow from it."""
        self._wall = now
        self._media = float(self.at[self.place(index)])

    def set_speed(self, speed: float, now: float) -> None:
        """Change the speed without a jump."""
        self._media += (now - self._wall) * self.speed
        self._wall = now
        self.speed = speed

    def due(self, now: float) -> int:
        """The newest frame whose time has come."""
        media = self._media + (now - self._wall) * self.speed
        k = int(np.searchsorted(self.at, media + 1e-6, side="right")) - 1
        return int(self.frames[min(max(k, 0), len(self.frames) - 1)])

    def wait(self, index: int, now: float) -> float:
        """Seconds from now until frame `index` is due (negative: it is late)."""
        media = float(self.at[self.place(index)])
        return self._wall + (media - self._media) / self.speed - now

    def after(self, index: int) -> int | None:
        """The played frame that follows `index`, or None at the end."""
        k = int(np.searchsorted(self.frames, index, side="right"))
        return int(self.frames[k]) if k < len(self.frames) else None

    def step(self, index: int) -> float:
        """Seconds, at this speed, between the played frame before `index` and the one at it."""
        k = self.place(index)
        return float(self.at[k] - self.at[k - 1]) / self.speed if k > 0 else 0.0

    def between(self, first: int, last: int) -> int:
        """How many played frames lie strictly between two frames."""
        lo = int(np.searchsorted(self.frames, first, side="right"))
        hi = int(np.searchsorted(self.frames, last, side="left"))
        return max(0, hi - lo)


def fast_enough(speed_mps: NDArray[np.float64], min_speed: float) -> NDArray[np.bool_] | None:
    """The frames above a speed (the paper's filter); None (all) without a limit or a known speed."""
    if min_speed <= 0 or not np.isfinite(speed_mps).any():
        return None
    return speed_filter(speed_mps, min_speed)


def first_good(drive: Drive) -> int:
    """The first frame that is not in a known gap (0 where all are): a drive should not open on a hole."""
    frame = 0
    for gap in sorted(drive.info.gaps, key=lambda g: g.first):
        if gap.first <= frame <= gap.last:
            frame = gap.last + 1
    return frame if frame < len(drive) else 0
