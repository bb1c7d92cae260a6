"""A finding: one stretch of a drive that is worth looking at, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.frames.strengths import Usual


@dataclass(frozen=True)
class Finding:
    """One stretch. start, end, peak: frames of the drive, all included; start_ns, end_ns, peak_ns: their time stamps.

    kind: its name, see `vbp.findings.kinds.KINDS`; also: other kinds that were found in the same stretch. seconds: how
    long, of a single frame the usual step. value: at the peak, in `unit`; threshold: what it had to reach, in the same. area:
    of what was found, `unit` times seconds. weight: the same in thresholds times seconds, so that kinds compare.
    driven_deg, predicted_deg, speed_mps, curvature: at the peak; 1/m of the path that the driver took, left
    positive. mask_strength, mask_spread: of the mask at the peak, see `Observed`. NaN where not known; of a classifier the angles are per
    cent, as in `FrameTable`.
    """

    kind: str
    start: int
    end: int
    peak: int
    start_ns: int
    end_ns: int
    peak_ns: int
    seconds: float
    value: float
    unit: str
    threshold: float
    area: float
    weight: float
    driven_deg: float
    predicted_deg: float
    speed_mps: float
    curvature: float
    mask_strength: float
    mask_spread: float
    also: tuple[str, ...] = ()
    cores: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> str:
        """By which a verdict on it is kept: "weak@1479425476000000000", its kind and the time stamp of its peak."""
        return f"{self.kind}@{self.peak_ns}"

    @property
    def error_deg(self) -> float:
        """driven - predicted at the peak."""
        return self.driven_deg - self.predicted_deg


@dataclass(frozen=True, eq=False)
class Observed:
    """What is known of N frames of a drive, in the order of time; float64 (N,), NaN where not known.

    indices: (N,) int64, which frames. timestamps_ns: (N,) int64. driven_deg, predicted_deg: degrees of the wheel, left
    positive; of a classifier per cent, see `FrameTable`. strength: log10 of the mask's largest value before it was scaled, -inf where it
    is all zero; spread: the share of what the network sees, 0 to 1, that holds half of the mask's sum. moved: how much of the mask, 0 to 1, is not where the mask of the frame before was, carried along with
    the picture; unlike: the grey levels by which most of the picture differs from the one before, carried along. dead: (N,)
    bool, a layer through which everything passes puts out nothing. no_masks: why there are none, one sentence. usual: what masks are usual in the
    drive; None: as these frames say.
    """

    indices: NDArray[np.int64]
    timestamps_ns: NDArray[np.int64]
    driven_deg: NDArray[np.float64]
    predicted_deg: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    strength: NDArray[np.float64]
    spread: NDArray[np.float64]
    moved: NDArray[np.float64]
    unlike: NDArray[np.float64]
    dead: NDArray[np.bool_]
    of_classes: bool = False
    no_masks: str = ""
    usual: Usual | None = None

    def __len__(self) -> int:
        return len(self.indices)
