"""What the columns of a steering CSV mean: by their names, never by a guess of the unit."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vbp.drives.base import OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.tables import column_key, first_columns, first_rows
from vbp.errors import DriveError, NeedsAngleUnitError

_LONGEST_NAME = 100  # of a column; a longer one is damaged
_SEPARATOR = r"[\s_\-.(\[]*"
_FRAME = re.compile(r"(frame|video_frame)([_\s]?(index|idx|number|no|nr|num|id))?|index|idx")
_TIME = re.compile(
    rf"(time_?stamp|time|stamp|ts|t){_SEPARATOR}"
    r"(?P<unit>ns|nsec|nanos\w*|us|usec|micro\w*|ms|msec|milli\w*|s|secs?|seconds?)?[)\]]*"
)
_ANGLE = re.compile(
    rf"(?P<name>steering_?wheel_?angle|steering_?wheel|steering_?angle|wheel_?angle|swa|angle|steering|steer|wheel"
    rf"|driven(?=_deg)){_SEPARATOR}(?P<unit>deg|degrees?|rad|radians?)?[)\]]*"
)
_SPEED = re.compile(
    rf"(vehicle_?)?(speed|velocity){_SEPARATOR}(?P<unit>mps|m_?/?_?s|kmh|km_?/?_?h|kph|mph)?[)\]]*"
)
_TIME_SCALE = {"n": 1, "u": 1_000, "mi": 1_000, "ms": 1_000_000, "mill": 1_000_000, "s": 1_000_000_000}
_SPEED_SCALE = {"k": 1 / 3.6, "mph": 0.44704, "m": 1.0}

VBP_ROWS = 1_000  # of a table by vbp, in which an angle is looked for

ACCEPTED = (
    "a steering CSV needs an angle column (angle_deg, angle_rad, steering_wheel_angle, ...) and the frame's "
    "number (frame) or time (timestamp_ns, time_s, ...)"
)


@dataclass(frozen=True)
class Layout:
    """Column names (keys of a Table); "" where the CSV has no such column.

    time_scale: nanoseconds per 1 of the time column, 0 where its name does not say.
    speed_scale: metres per second per 1 of the speed column, 0 where its name does not say.
    """

    name: str  # "udacity", "deeptesla", "vbp" or "columns"
    angle: str
    angle_unit: str
    frame: str = ""
    time: str = ""
    time_scale: int = 0
    speed: str = ""
    speed_scale: float = 0.0


def has_layout(columns: Collection[str]) -> bool:
    """Can these columns (keys) be a steering CSV?"""
    layout = find_layout(columns)
    return layout is not None and bool(layout.frame or layout.time)


def lists_steering(path: Path) -> bool:
    """Can this file be a steering CSV? One that vbp wrote is none where no angle was measured. Never raises."""
    columns = first_columns(path)
    if not has_layout(columns):
        return False
    layout = find_layout(columns)
    if layout is None or layout.name != "vbp":
        return True
    head, *rows = first_rows(path, VBP_ROWS)
    at = [column_key(name) for name in head].index(layout.angle)
    return any(row[at] for row in rows if at < len(row))


def find_layout(columns: Collection[str]) -> Layout | None:
    """The layout of these columns (keys, in any order); None without an angle."""
    keys = sorted({column_key(c) for c in columns if len(c) <= _LONGEST_NAME})
    plain = {k: re.sub(r"\s+", "_", k) for k in keys}
    if {"ts_micro", "wheel"} <= set(keys):
        frame = next((k for k in ("frame", "frame_index") if k in keys), "")
        return Layout("deeptesla", "wheel", "deg", frame, "ts_micro", 1_000)
    angles = [(k, m) for k in keys if (m := _ANGLE.fullmatch(plain[k]))]
    if not angles:
        return None
    # A column whose unit is in its name before one that leaves it open.
    angle, match = min(angles, key=lambda pair: (not _angle_unit(pair[1]), pair[0]))
    frame = next((k for k in keys if _FRAME.fullmatch(plain[k])), "")
    times = [(k, _time_scale(m)) for k in keys if (m := _TIME.fullmatch(plain[k]))]
    time, time_scale = min(times, key=lambda pair: (pair[1] or 10**12, pair[0]), default=("", 0))
    speeds = [(k, m) for k in keys if (m := _SPEED.fullmatch(plain[k]))]
    speed, speed_scale = "", 0.0
    if speeds:
        speed = speeds[-1][0]  # the longest says the unit
        unit = speeds[-1][1]["unit"] or ""
        speed_scale = next((s for start, s in _SPEED_SCALE.items() if unit.startswith(start)), 0.0)
    if "predicted_deg" in keys and angle in ("angle_deg", "driven_deg"):
        name = "vbp"
    elif angle == "angle" and time == "timestamp":
        name = "udacity"  # if its times turn out to be nanoseconds since 1970
    else:
        name = "columns"
    return Layout(name, angle, _angle_unit(match), frame, time, time_scale, speed, speed_scale)


def convention_of(layout: Layout, path: Path, options: OpenOptions) -> Convention:
    """Unit and sign of the angles, with the user's word first. Raises NeedsAngleUnitError, DriveError."""
    if layout.name == "deeptesla":
        known = Convention(
            "deg", "right", "DeepTesla's layout (ts_micro, frame, wheel): degrees, positive clockwise (right)"
        )
    elif layout.name == "vbp":
        known = Convention("deg", "left", "written by vbp: degrees, positive to the left")
    elif layout.name == "udacity" and not layout.angle_unit:
        known = Convention(
            "rad", "left", "Udacity's layout (timestamp, angle): radians, positive to the left"
        )
    elif layout.angle_unit:
        unit_source = f"unit from the column name {layout.angle}"
        known = Convention(
            layout.angle_unit, "left", f"{unit_source}; positive to the left is assumed, as in ROS"
        )
    elif options.angle_unit is None:
        raise NeedsAngleUnitError(
            f"{path} does not state the unit of its column {layout.angle}; pass --angle-unit rad or --angle-unit deg, "
            f"or unit for -1 to 1 of 25 degrees"
        )
    else:
        known = Convention(options.angle_unit, "left", "positive to the left is assumed, as in ROS")
    return known.overruled_by(options)


def require_layout(columns: Collection[str], path: Path) -> Layout:
    """The layout of a CSV that the user named. Raises DriveError with the columns found."""
    layout = find_layout(columns)
    if layout is None:
        shown = ", ".join(sorted(columns)[:20])
        raise DriveError(f"{path} has no column with a steering angle (it has: {shown}); {ACCEPTED}")
    return layout


def _angle_unit(match: re.Match[str]) -> str:
    unit = match["unit"]
    if unit:
        return unit[:3]
    # dbw_mkz_msgs/SteeringReport, the ROS message of that field name, defines it in radians
    return "rad" if match["name"] == "steering_wheel_angle" else ""


def _time_scale(match: re.Match[str]) -> int:
    unit = match["unit"] or ""
    for start in ("mill", "ms", "mi", "n", "u", "s"):
        if unit.startswith(start):
            return _TIME_SCALE[start]
    return 0
