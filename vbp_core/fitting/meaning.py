"""What a network's output means, from how it goes with the measured angle: no pass of the network is needed for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vbp.fitting.agreement import correlation, drawn, interval, resampled
from vbp.fitting.candidates import Reading
from vbp.fitting.frames import LabelledFrames
from vbp.models.spec import NetworkSpec

Floats = NDArray[np.float64]
NEAR = 2.0  # a known unit within this factor of the fitted one is meant
SERVO = 90.0  # the middle of a servo
FAR = 3.0  # an output whose middle lies as many of its own deviations from 0 counts from there
DELAYS_S = tuple(round(0.1 * k, 1) for k in range(-10, 11))


@dataclass(frozen=True)
class Scale:
    """degrees: of the wheel for 1 of the output. fitted: the same, so that both vary alike. natural: degrees is a known unit."""

    degrees: float
    fitted: float
    natural: bool


def scale_of(outputs: Floats, angles_deg: Floats, unit_deg: float) -> Scale:
    """A known unit where one is near: the recording's own, degrees or radians.

    What is fitted makes outputs vary as much as the angles; least squares would shrink it by the correlation.
    """
    spread = float(np.std(outputs))
    if spread <= 1e-12 * max(1.0, float(np.abs(outputs).max())):
        return Scale(1.0, float("nan"), False)  # the same number everywhere
    fitted = float(np.std(angles_deg)) / spread
    known = [v for v in (unit_deg, 1.0, math.degrees(1)) if math.isfinite(v)]
    apart = [abs(math.log(fitted / v)) for v in known]
    nearest = min(range(len(known)), key=lambda k: apart[k])
    if math.isfinite(unit_deg) and apart[0] <= math.log(NEAR):
        nearest = 0
    if apart[nearest] <= math.log(NEAR):
        return Scale(known[nearest], fitted, True)
    return Scale(float(f"{fitted:.3g}"), fitted, False)


def meant(spec: NetworkSpec, reading: Reading, outputs: Floats, labelled: LabelledFrames) -> NetworkSpec:
    """`spec` with the sign, the scale and the middle of one number (N,) a frame."""
    angles = labelled.angle_deg
    left = float(correlation(outputs[None], angles)[0]) >= 0
    scale = scale_of(outputs, angles, labelled.unit_deg)
    middle = float(np.mean(outputs)) - float(np.mean(angles)) / scale.degrees * (1 if left else -1)
    offset = 0.0
    if abs(middle) > FAR * float(np.std(outputs)) > 0:
        digits = 2 - math.floor(math.log10(float(np.std(outputs))))  # a hundredth of how much it varies
        offset = SERVO if abs(middle - SERVO) < 0.1 * SERVO else round(middle, digits)
    radians = abs(scale.degrees - math.degrees(1)) < 1e-9
    return replace(
        spec,
        output="steering_wheel_angle",
        output_unit="rad" if radians else "deg",
        output_scale=1.0 if radians else scale.degrees,
        output_sign="left" if left else "right",
        output_offset=offset,
        classes=(),
        wheelbase_m=0.0,
        steering_ratio=0.0,
        output_index=reading.index,
        output_bins=reading.bins,
        output_reading=reading.reading,
    )


@dataclass(frozen=True)
class Delay:
    """The output goes best with the angle that is measured `seconds` after the frame (before it, where negative).

    correlation: with that one. gained: how much more that is than with the frame's own angle, and its 95 % interval.
    """

    seconds: float
    correlation: float
    gained: tuple[float, float]


def delay_of(outputs: Floats, labelled: LabelledFrames, blocks: NDArray[np.int64]) -> Delay:
    """0 unless another delay is surely better."""
    own = abs(float(correlation(outputs[None], labelled.angle_deg)[0]))
    best = Delay(0.0, own, (0.0, 0.0))
    for seconds in DELAYS_S:
        later = labelled.later(seconds)
        both = np.isfinite(later)
        if seconds == 0 or both.sum() < 0.8 * len(both) or np.ptp(later[both]) == 0:
            continue
        found = abs(float(correlation(outputs[None, both], later[both])[0]))
        if found <= best.correlation:
            continue
        part = np.unique(blocks[both], return_inverse=True)[1].astype(np.int64)
        draws = drawn(part)
        now, then = (
            np.abs(resampled(outputs[None, both], angles[both], part, draws)[0])
            for angles in (labelled.angle_deg, later)
        )
        gained = interval(then - now)
        if gained[0] > 0:
            best = Delay(seconds, found, gained)
    return best
