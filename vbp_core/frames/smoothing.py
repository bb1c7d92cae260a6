"""Masks averaged over frames in a row: what flickers goes, what stays is seen. Never across a cut, a hole, a gap or a jump."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.overlay import DIALS, Overlay
from vbp.readable import count

MOST = int(DIALS["smooth"].high)
SKIPPED_NS = 200_000_000  # frames between two that are shown, which a slow machine leaves out, last no longer than that;
LONGEST_NS = 1_000_000_000  # and neighbours are no further apart than this
THUMB = 16  # every so many pixels of a picture say
# whether it is of another scene than the one before: grey levels that they differ by, on average. A tenth above the largest (40.7) of all
# 6,524 pairs of neighbours in the CH2 video, the demo, three simulated drives and five other recordings (10 to 25 frames a second; a
# Donkey car). Of pictures of one drive more than 10 s apart, taken for a cut, it tells 97 % (CH2), 89 % (demo), and of two of these drives
# 93 %; what it misses looks alike, as do most frames of DeepTesla (1 %). Of frames 200 ms apart 2 % (CH2) begin anew though nothing was cut.
CUT = 45.0

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Kept:
    index: int
    timestamp_ns: int
    of: object
    picture: NDArray[np.int16]
    mask: Map
    strength: float


class Smoother:
    """Is told every frame that is looked at, in order, and gives the mean mask of the last of them."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque(maxlen=MOST)

    def forget(self) -> None:
        """A gap, or another recording, network or method."""
        self._kept.clear()

    def add(
        self,
        index: int,
        timestamp_ns: int,
        picture: NDArray[np.uint8],
        mask: Map | None,
        strength: float = math.nan,
        of: object = None,
    ) -> None:
        """picture: (H, W) or (H, W, 3) uint8, by which a cut is seen. of: what the mask is of; of another one, it begins anew."""
        if mask is None:
            self.forget()
            return
        small = picture[::THUMB, ::THUMB].astype(np.int16)
        if self._kept and self._kept[-1].index == index and self._kept[-1].timestamp_ns == timestamp_ns:
            self._kept.pop()  # the same frame again
        new = _Kept(index, timestamp_ns, of, small, mask, strength)
        if self._kept and not _follows(self._kept[-1], new):
            self.forget()
        self._kept.append(new)

    def mask(self, overlay: Overlay) -> tuple[Map | None, int]:
        """The mean of the last `overlay.smooth` masks, as float32 like them, and of how many it is; None before there is one.

        Each counts as it is shown: scaled to its own maximum, or, with a fixed scale, by its strength.
        """
        if not self._kept:
            return None, 0
        chosen = list(self._kept)[-overlay.smooth :]
        now = chosen[-1]
        if len(chosen) == 1:
            return now.mask, 1
        total = np.zeros(now.mask.shape, dtype=np.float64)
        for kept in chosen:
            total += kept.mask * (_ratio(kept.strength, now.strength) if overlay.fixed else 1.0)
        return (total / len(chosen)).astype(np.float32), len(chosen)


def _ratio(strength: float, now: float) -> float:
    """How many times as strong as now, where both are numbers."""
    return 10 ** min(max(strength - now, -30.0), 30.0) if math.isfinite(strength - now) else 1.0


def _follows(before: _Kept, new: _Kept) -> bool:
    step = new.timestamp_ns - before.timestamp_ns
    longest = LONGEST_NS if new.index == before.index + 1 else SKIPPED_NS
    same = before.of == new.of and before.mask.shape == new.mask.shape
    if not (same and 0 < step <= longest and new.index > before.index):
        return False
    a, b = before.picture, new.picture
    return a.shape == b.shape and float(np.abs(a - b).mean()) < CUT


def smoothed_words(number: int) -> str:
    """What is said wherever a mask is of more than one frame; "" of one."""
    return f"smoothed over {count(number, 'frame')}" if number > 1 else ""
