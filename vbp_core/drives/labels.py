"""The steering track: units, signs, and its synchronisation to frames."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbp.errors import DriveError

UNITS = (
    "rad, deg, unit (-1..1 of 25 degrees), unit:DEGREES, or rad:RATIO, deg:RATIO for a front wheel's angle"
)
# The steering wheel's angle over the front wheels', of the car that recorded Udacity's drives (a Lincoln MKZ)
STEERING_RATIO = 14.8
WHEELBASE_M = 2.85  # between its axles

MOST_NS = (
    2**62
)  # the times of a recording are nearer to 0 (the year 2116): two of them have a difference that fits int64

_DATE = re.compile(r"(\d{4})[-/._](\d\d)[-/._](\d\d)[ T_](\d\d)[:_](\d\d)[:_](\d\d)(?:[.:,_](\d{1,9}))?Z?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def date_ns(text: str) -> int | None:
    """2018-07-01 17:09:44:912 -> nanoseconds since 1970, the zone unknown and left as UTC; None for no such date.

    Nor for one beyond MOST_NS.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    try:
        moment = datetime(*map(int, match.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    time = (moment - _EPOCH) // timedelta(seconds=1) * 10**9 + int((match[7] or "0").ljust(9, "0"))
    return time if abs(time) < MOST_NS else None


def unit_scale(unit: str) -> float:
    """Radians of the steering wheel per 1 of `unit`: "rad", "deg", "unit" (-1..1 of 25 degrees), "unit:DEGREES".

    "rad:RATIO" and "deg:RATIO" are a front wheel's angle, of which the steering wheel's is RATIO times. Raises DriveError.
    """
    name, colon, text = unit.partition(":")
    scale = {"rad": 1.0, "deg": math.pi / 180, "unit": math.pi / 180}.get(name, math.nan)
    try:
        factor = float(text) if colon else 25.0 if name == "unit" else 1.0
    except ValueError:
        factor = math.nan
    if math.isfinite(scale * factor) and scale * factor > 0:
        return scale * factor
    raise DriveError(f"angle unit {unit!r} is not known; accepted: {UNITS}")


def sign_factor(sign: str) -> float:
    """+1 where the file counts left as positive, -1 for right. Raises DriveError."""
    if sign not in ("left", "right"):
        raise DriveError(
            f"angle sign {sign!r} is not known; accepted: left, right (the side that is positive)"
        )
    return 1.0 if sign == "left" else -1.0


def to_wheel_radians(values: ArrayLike, unit: str, sign: str) -> NDArray[np.float64]:
    """File values -> steering wheel angle in radians, left positive, float64. NaN stays NaN."""
    scaled = np.asarray(values, dtype=np.float64) * (unit_scale(unit) * sign_factor(sign))
    scaled[~np.isfinite(scaled)] = np.nan
    return scaled


def synchronise(
    frame_ns: NDArray[np.int64],
    sample_ns: NDArray[np.int64],
    values: NDArray[np.float64],
    max_gap_s: float,
) -> NDArray[np.float64]:
    """Linear interpolation of `values` at the frames' time stamps, on int64 nanoseconds.

    frame_ns (N,), sample_ns (M,) in any order, values (M,), non-finite ones ignored. A frame that
    lies before the first or after the last sample, or more than `max_gap_s` from either of the two
    samples around it, is unlabelled: NaN, never 0 and never the nearest value.
    Differences are taken in int64 and only then made float: a float64 of nanoseconds since 1970 has
    steps of 256 ns.
    """
    frame_ns = np.asarray(frame_ns, dtype=np.int64)
    sample_ns = np.asarray(sample_ns, dtype=np.int64)
    values = np.asarray(values, dtype=np.float64)
    out = np.full(len(frame_ns), np.nan)
    good = np.isfinite(values)
    sample_ns, values = sample_ns[good], values[good]
    if len(sample_ns) == 0 or len(frame_ns) == 0:
        return out
    order = np.argsort(sample_ns, kind="stable")
    sample_ns, values = sample_ns[order], values[order]
    right = np.searchsorted(sample_ns, frame_ns, side="left")
    inside = right < len(sample_ns)
    right = np.minimum(right, len(sample_ns) - 1)
    exact = inside & (sample_ns[right] == frame_ns)
    inside &= (right > 0) | exact
    left = np.maximum(right - 1, 0)
    to_left = (frame_ns - sample_ns[left]).astype(np.float64)
    to_right = (sample_ns[right] - frame_ns).astype(np.float64)
    limit = max_gap_s * 1e9
    span = to_left + to_right
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.where(span > 0, to_left / span, 0.0)
    between = inside & ~exact & (to_left <= limit) & (to_right <= limit)
    out[between] = values[left[between]] * (1 - w[between]) + values[right[between]] * w[between]
    out[exact] = values[right[exact]]
    return out


def speed_filter(speed_mps: NDArray[np.float64], min_speed: float) -> NDArray[np.bool_]:
    """The paper's filter (section 5): frames whose speed is above `min_speed` m/s. Unknown speed fails it."""
    with np.errstate(invalid="ignore"):
        return np.asarray(speed_mps > min_speed)


def curvature(angle_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Curvature of the car's path, 1/m, left positive, of wheel angles (N,), by the bicycle model."""
    return np.asarray(np.tan(np.clip(angle_rad / STEERING_RATIO, -1.5, 1.5)) / WHEELBASE_M)
