"""How a mask's strength stands among those of its drive: a frame on which the network saw next to nothing is told from others.

Strengths are logarithms to base 10 (`NetworkResult.strength`). A black, grey or night picture has a weak mask; a strange
one need not: noise has a strong one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.overlay import Overlay
from vbp.readable import count

SAMPLE = 64  # frames that stand for a drive
FEWEST = 16  # of which quantiles say anything
# Of a bell curve, the 1st percentile lies as many times as far below the median as the lower quartile does.
QUARTILES = 3.45
STANDS_OUT = (
    2.0  # decades below the median; one frame in a hundred is below the 1st percentile in every drive
)


@dataclass(frozen=True)
class Usual:
    """A drive's strengths: their median, and `low`, under which a mask is weak."""

    median: float
    low: float
    whose: str = "this drive's median"  # in words, of what `median` is

    def is_weak(self, strength: float) -> bool:
        return strength < self.low

    def words(self, strength: float) -> str:
        """Of a weak mask, for people: how much of the median it is; "" of another."""
        if not self.is_weak(strength):
            return ""
        if strength == -math.inf:
            return "mask empty: the network saw nothing here"
        return f"{self.short(strength)}, the network saw next to nothing here"

    def short(self, strength: float) -> str:
        """The same in few words."""
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


def usual_of(strengths: Iterable[float] | NDArray[np.float64]) -> Usual | None:
    """Of the frames of a drive; NaNs are left out. None where they are too few.

    low: their 1st percentile, but no less than that of a bell curve with their median and lower quartile: in a drive
    with a tunnel more than one in a hundred lies far out, and of few frames the 1st percentile is that of one alone.
    """
    known = np.array([s for s in strengths if not math.isnan(s)], dtype=np.float64)
    if len(known) < FEWEST:
        return None
    floor = float(known[np.isfinite(known)].min()) if np.isfinite(known).any() else 0.0
    low, quarter, median = np.quantile(np.maximum(known, floor), (0.01, 0.25, 0.5))
    return Usual(float(median), float(max(low, median - QUARTILES * (median - quarter))))


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


def weak_text(frames: Iterable[int], strengths: NDArray[np.float64]) -> str:
    """One sentence on the weak masks of those frames, or "" where there are none that stand out."""
    usual = usual_of(strengths)
    if usual is None:
        return ""
    weak = [
        (f, s)
        for f, s in zip(frames, strengths.tolist(), strict=True)
        if s < usual.median - STANDS_OUT and s < usual.low
    ]
    if not weak:
        return ""
    frame, least = min(weak, key=lambda pair: pair[1])
    return (
        f"{count(len(weak), 'frame')} with weak masks, where the network saw next to nothing (black, grey, night): "
        f"the weakest, frame {frame}, {'is empty' if least == -math.inf else f'is {ratio(least - usual.median)} of the median'}"
    )
