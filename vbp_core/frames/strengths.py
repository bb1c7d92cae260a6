"""How much a mask is worth: how its strength and its spread stand among those of its drive.

Strengths are logarithms to base 10 (`NetworkResult.strength`), spreads shares of what the network sees (`NetworkResult.spread`). A black,
grey or night picture has a weak mask. Noise need not have one, but its mask is scattered over everything.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vbp.overlay import Overlay
from vbp.readable import count

Floats = NDArray[np.float64]

SAMPLE = 64  # frames that stand for a drive
FEWEST = 16  # of which quantiles say anything
RECENT_S, APART_S = 600.0, 0.5  # of a camera
# Of a bell curve, the 1st percentile lies as many times as far below the median as the lower quartile does.
QUARTILES = 3.45
STANDS_OUT = 2.0  # decades below the median, from which on next to nothing was seen
# Times the median spread. Of every second frame of the CH2 video, the weak ones left out, 2 of 1369 (NetHVF) and 2 of 1365 (NetSVF) lie
# above, a road that is overexposed and one without markings, of the demo none; pictures of noise, uniform or normal, all of 60 on both
# networks: 15 to 34 times.
SCATTERED = 10.0


@dataclass(frozen=True)
class Usual:
    """A drive's strengths: their median, and `low`, under which a mask is weak. spread: the median of its spreads; 0: not known."""

    median: float
    low: float
    spread: float = 0.0
    whose: str = "this drive's median"  # in words, of what the medians are

    def is_weak(self, strength: float) -> bool:
        return strength < self.low

    def times(self, spread: float) -> float:
        """How many times as wide as the median; NaN where either is not known."""
        return spread / self.spread if self.spread > 0 else math.nan

    def is_scattered(self, strength: float, spread: float) -> bool:
        """What is weak is not scattered, too: nothing was seen that could be."""
        return self.times(spread) > SCATTERED and not self.is_weak(strength)

    def are_scattered(self, strengths: Floats, spreads: Floats) -> NDArray[np.bool_]:
        """The same of (N,) masks."""
        limit = SCATTERED * self.spread if self.spread > 0 else math.inf
        return (spreads > limit) & ~(strengths < self.low)

    def stands_out(self, strength: float, spread: float) -> bool:
        """Whether it is scattered, or weak by more than what one frame in a hundred is in every drive."""
        far = self.is_weak(strength) and strength < self.median - STANDS_OUT
        return far or self.is_scattered(strength, spread)

    def words(self, strength: float, spread: float = math.nan) -> str:
        """Of a weak mask, for people, how much of the median it is, of a scattered one how many times; "" of another."""
        short = self.short(strength, spread)
        if not self.is_weak(strength):
            return f"{short}, no place stands out" if short else ""
        if strength == -math.inf:
            return f"{short}: the network saw nothing here"
        far = strength < self.median - STANDS_OUT  # one frame in a hundred is weak in every drive
        return f"{short}, the network saw next to nothing here" if far else short

    def short(self, strength: float, spread: float = math.nan) -> str:
        """The same in few words."""
        if not self.is_weak(strength):
            times = f"{self.times(spread):.0f} times {self.whose}"
            return f"mask scattered: {times}" if self.is_scattered(strength, spread) else ""
        if strength == -math.inf:
            return "mask empty"
        return f"mask weak: {ratio(strength - self.median)} of {self.whose}"

    def fade(self, strength: float) -> float:
        """What the mask's opacity is multiplied with: 1 from `low` on, below it as much less as the mask is weaker."""
        return 1.0 if not strength < self.low else 10 ** (strength - self.low)

    def gain(self, strength: float) -> float:
        """What the mask is multiplied with, so that 1 is the largest value of the drive's median frame."""
        return 1.0 if math.isnan(strength) else 10 ** min(strength - self.median, 30.0)


def weights(strength: float, usual: Usual | None, overlay: Overlay, own: bool = True) -> tuple[float, float]:
    """What a mask's opacity and its values are multiplied with, for `lay`.

    overlay.fade: weak masks fade. overlay.fixed: all masks of a drive on the scale of its median, so that two can be
    compared; own: `strength` is of this very mask, else its scale stays its own.
    """
    if usual is None:
        return 1.0, 1.0
    if overlay.fixed and own:
        return 1.0, usual.gain(strength)
    return usual.fade(strength) if overlay.fade else 1.0, 1.0


def full_words(overlay: Overlay, usual: Usual | None, own: bool = True) -> str:
    """What full colour means. own: see `weights`."""
    if overlay.fixed and own and usual is not None:
        return f"{usual.whose}, 10^{usual.median:.1f}"
    return "this frame's largest"


def usual_of(strengths: Iterable[float] | Floats, spreads: Iterable[float] | Floats = ()) -> Usual | None:
    """Of the frames of a drive; NaNs are left out. None where they are too few.

    low: their 1st percentile, but no less than that of a bell curve with their median and lower quartile: in a drive
    with a tunnel more than one in a hundred lies far out, and of few frames the 1st percentile is that of one alone.
    """
    known = np.array([s for s in strengths if not math.isnan(s)], dtype=np.float64)
    if len(known) < FEWEST:
        return None
    floor = float(known[np.isfinite(known)].min()) if np.isfinite(known).any() else 0.0
    low, quarter, median = np.quantile(np.maximum(known, floor), (0.01, 0.25, 0.5))
    wide = np.array([s for s in spreads if not math.isnan(s)], dtype=np.float64)
    spread = float(np.median(wide)) if len(wide) >= FEWEST else 0.0
    return Usual(float(median), float(max(low, median - QUARTILES * (median - quarter))), spread)


class RecentUsual:
    """What is usual of a camera, which has no drive to look through: of the frames of the last RECENT_S seconds, one in APART_S of them.

    Where it looked at the dark for most of that time, the dark is usual.
    """

    def __init__(self) -> None:
        self.usual: Usual | None = None
        self._of: object = None
        self._whole = False  # whether frames have been looked at for as long as that
        self._seen: deque[tuple[int, float, float]] = deque()  # when, strength, spread

    def add(self, timestamp_ns: int, strength: float, spread: float, of: object = None) -> None:
        """A frame, later than those before. of: what the mask is of; with another one it begins anew."""
        if of != self._of:
            self._of, self.usual, self._whole = of, None, False
            self._seen.clear()
        if math.isnan(strength) or (self._seen and timestamp_ns < self._seen[-1][0] + APART_S * 1e9):
            return
        self._seen.append((timestamp_ns, strength, spread))
        while self._seen[0][0] < timestamp_ns - RECENT_S * 1e9:
            self._seen.popleft()
            self._whole = True
        whose = f"the median of the last {RECENT_S // 60:.0f} minutes" if self._whole else "the median so far"
        _, strengths, spreads = zip(*self._seen, strict=True)
        found = usual_of(strengths, spreads)
        self.usual = None if found is None else replace(found, whose=whose)


def sample_of(length: int) -> NDArray[np.int64]:
    """The frames that stand for a drive, at equal distances: always the same ones."""
    return np.unique(np.linspace(0, length - 1, min(SAMPLE, length)).round().astype(np.int64))


def ratio(log10: float) -> str:
    """1/1000 of -3; one digit that counts."""
    times = 10 ** min(-log10, 300.0)
    if times < 10:
        return f"1/{max(times, 1.0):.1f}"
    digits = math.floor(-log10)
    return f"1/{round(times / 10**digits) * 10**digits:,}" if digits < 7 else f"1/10^{-log10:.0f}"


def doubtful_texts(frames: Sequence[int], strengths: Floats, spreads: Floats) -> list[str]:
    """A sentence on the weak masks of those frames, and one on the scattered ones, where there are any that stand out."""
    usual = usual_of(strengths, spreads)
    if usual is None:
        return []
    texts = []
    weak = strengths < min(usual.median - STANDS_OUT, usual.low)
    if weak.any():
        at = int(np.where(weak, strengths, np.inf).argmin())
        least = strengths[at]
        texts.append(
            f"{count(int(weak.sum()), 'frame')} with weak masks, where the network saw next to nothing (black, grey, night): the "
            f"weakest, frame {frames[at]}, {'is empty' if least == -math.inf else f'is {ratio(least - usual.median)} of the median'}"
        )
    scattered = usual.are_scattered(strengths, spreads)
    if scattered.any():
        at = int(np.where(scattered, spreads, -np.inf).argmax())
        texts.append(
            f"{count(int(scattered.sum()), 'frame')} with scattered masks, where no place stands out (noise): the widest, frame "
            f"{frames[at]}, is {usual.times(spreads[at]):.0f} times the median"
        )
    return texts
