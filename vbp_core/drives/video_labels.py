"""Joins the rows of a steering CSV to the frames of a video."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.csv_layout import ACCEPTED, Layout, convention_of, require_layout
from vbp.drives.labels import MOST_NS, synchronise
from vbp.drives.tables import INT64, Table, read_table
from vbp.errors import DriveError

UNTIMED = "which belongs to which cannot be told; pass --fps (frames per second), or number the frames in a column frame"
_UNITS = {1: "nanoseconds", 1_000: "microseconds", 1_000_000: "milliseconds", 1_000_000_000: "seconds"}
_SINCE_1970 = (315_532_800 * 10**9, 4_102_444_800 * 10**9)  # 1980 to 2100, ns
_HARDLY_A_TURN = 1.6  # degrees: a whole recording below it is more likely in radians


@dataclass
class VideoLabels:
    """timestamps_ns: (N,) int64 of the frames, sorted. angle_rad, speed_mps: (N,) float64, NaN where unknown."""

    timestamps_ns: NDArray[np.int64]
    angle_rad: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    convention: Convention
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Rows:
    """Rows of the CSV that can be used: frame numbers from 0 (or None), times in ns (or None), values."""

    frame: NDArray[np.int64] | None
    time_ns: NDArray[np.int64] | None
    absolute: bool  # the times count from 1970
    angle: NDArray[np.float64]
    speed: NDArray[np.float64]

    def only(self, good: NDArray[np.bool_]) -> _Rows:
        return _Rows(
            None if self.frame is None else self.frame[good],
            None if self.time_ns is None else self.time_ns[good],
            self.absolute,
            self.angle[good],
            self.speed[good],
        )


def read_labels(
    path: Path, options: OpenOptions, video_ns: NDArray[np.int64], promised: int = 0, *, timed: bool = True
) -> VideoLabels:
    """Read a steering CSV for a video whose frames are at `video_ns` (N,) int64, the first at 0.

    promised: the number of frames that the video once had, if it is cut short; 0 if not known. timed: whether
    `video_ns` are the frames' own times; else nothing is joined by them, and the rows' times are used where there is a row
    for each frame.
    Raises DriveError, or NeedsAngleUnitError when the unit of the angles is not stated.
    """
    table = read_table(path)
    layout = require_layout(table.columns, path)
    notes: list[str] = []
    rows, whole = _read_rows(table, layout, video_ns, notes)
    if layout.name == "udacity" and not (rows.absolute and layout.time_scale in (0, 1)):
        layout = replace(layout, name="columns")
    convention = convention_of(layout, path, options)
    if layout.name == "deeptesla" and convention.unit == "deg" and not options.angle_unit:
        _doubt_degrees(rows.angle, notes)
    rows = replace(rows, angle=convention.radians(rows.angle))
    if rows.frame is not None:
        times, angle, speed = _by_number(rows, rows.frame, video_ns, options, notes)
    elif (
        timed
        and rows.time_ns is not None
        and not _row_per_frame(rows, rows.time_ns, whole, video_ns, promised)
    ):
        times, angle, speed = _by_time(rows, rows.time_ns, video_ns, options, notes)
    elif whole and len(rows.angle) in (len(video_ns), max(promised, len(video_ns))):
        times, angle, speed = _row_by_row(rows, video_ns, notes, timed)
    elif rows.time_ns is not None:
        raise DriveError(
            f"{path} has {len(rows.angle)} rows with times for {len(video_ns)} frames without: {UNTIMED}"
        )
    else:
        raise DriveError(
            f"{path} has {len(rows.angle)} rows for {len(video_ns)} frames and states neither the numbers nor the times of "
            f"the frames; {ACCEPTED}"
        )
    return VideoLabels(times, angle, speed, convention, notes)


def _read_rows(
    table: Table, layout: Layout, video_ns: NDArray[np.int64], notes: list[str]
) -> tuple[_Rows, bool]:
    """(the rows that can be used, whether those are all)."""
    good = np.ones(len(table), np.bool_)
    frame = time_ns = None
    absolute = False
    if layout.frame:
        frame, ok = table.integers(layout.frame)
        good &= ok
    if layout.time:
        time_ns, ok, absolute = read_times(table, layout, video_ns, notes)
        # with a frame number a row without time is still of use, but then no time stamps are
        if frame is None:
            good &= ok
        elif not ok.all():
            time_ns = None
    angle = table.floats(layout.angle)
    speed = read_speed(table, layout, notes)
    if not good.all():
        notes.append(
            f"{int((~good).sum())} of {len(good)} rows of {table.path.name} have no valid frame or time"
        )
    if not good.any():
        raise DriveError(f"{table.path} has no row with a valid frame number or time; {ACCEPTED}")
    rows = _Rows(frame, time_ns, absolute, angle, speed).only(good)
    if frame is not None:
        rows = _counted_from_0(rows, layout, len(video_ns), notes)
    return rows, bool(good.all())


def read_speed(table: Table, layout: Layout, notes: list[str]) -> NDArray[np.float64]:
    """The speed of each row, float64 (rows,) in metres per second, NaN where there is none."""
    speed = np.full(len(table), np.nan)
    if layout.speed:
        speed = table.floats(layout.speed) * (layout.speed_scale or 1.0)
        if not layout.speed_scale and np.isfinite(speed).any():
            notes.append(f"the column {layout.speed} does not state its unit; metres per second are assumed")
    return speed


def _counted_from_0(rows: _Rows, layout: Layout, frames: int, notes: list[str]) -> _Rows:
    assert rows.frame is not None
    low, high = int(rows.frame.min()), int(rows.frame.max())
    if low >= 1 and (layout.name == "deeptesla" or (low == 1 and high == frames)):
        notes.append(f"the column {layout.frame} counts frames from 1")
        rows = replace(rows, frame=rows.frame - 1)
    assert rows.frame is not None
    inside = (rows.frame >= 0) & (rows.frame < frames)
    if not inside.all():
        notes.append(f"{int((~inside).sum())} rows name frames that the video does not have")
        rows = rows.only(inside)
    assert rows.frame is not None
    _, first = np.unique(rows.frame, return_index=True)
    if len(first) < len(rows.frame):
        notes.append("some frames have several rows; the first of each is used")
    keep = np.zeros(len(rows.frame), np.bool_)
    keep[first] = True
    return rows.only(keep)


# --- times ------------------------------------------------------------------------------------


def read_times(
    table: Table, layout: Layout, video_ns: NDArray[np.int64], notes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], bool]:
    """(times in ns, which rows hold one, whether they count from 1970)."""
    rough = table.floats(layout.time)
    finite = rough[np.isfinite(rough)]
    if not len(finite):
        return np.zeros(len(rough), np.int64), np.zeros(len(rough), np.bool_), False
    first, span = float(finite[0]), float(finite.max() - finite.min())
    scale = _time_scale(layout, first, span, float(video_ns[-1]), len(finite), notes)
    times, ok = _nanoseconds(table.text(layout.time), scale)
    absolute = _SINCE_1970[0] <= first * scale <= _SINCE_1970[1]
    return times, ok, absolute


def _time_scale(
    layout: Layout, first: float, span: float, video_span: float, rows: int, notes: list[str]
) -> int:
    """Nanoseconds per 1 of the time column: as named, unless the numbers contradict it, else by magnitude."""
    dates = [s for s in _UNITS if _SINCE_1970[0] <= first * s <= _SINCE_1970[1]]
    near = min(_UNITS, key=lambda s: abs(np.log((span * s + 1) / (video_span + 1))))
    likely = dates[0] if dates else near if rows > 1 and video_span else 1_000_000_000
    named = layout.time_scale
    if not named:
        notes.append(
            f"the column {layout.time} does not state its unit; its numbers look like {_UNITS[likely]}"
        )
        return likely
    if named == likely or named in dates or rows < 2 or not video_span:
        return named
    # The other unit must fit far better: as a date, or the length of the video where the name's is absurd.
    if dates or not 0.01 < span * named / video_span < 100:
        notes.append(
            f"the column {layout.time} is named for {_UNITS[named]}, but its numbers are {_UNITS[likely]}; "
            f"they are read as such"
        )
        return likely
    return named


def _nanoseconds(cells: list[str], scale: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Exact: by the decimal digits, never through a float."""
    ok = np.ones(len(cells), np.bool_)
    out = np.zeros(len(cells), np.int64)
    for i, cell in enumerate(cells):
        try:
            value = int(cell) * scale
        except ValueError:
            value = _fraction(cell.replace(",", "."), scale)
        # Two of them then have a difference that fits int64.
        if abs(value) < MOST_NS:
            out[i] = value
        else:
            ok[i] = False
    return out, ok


def _fraction(cell: str, scale: int) -> int:
    """INT64.min for what is no number."""
    try:
        exact = Decimal(cell)
        if exact.is_finite() and exact.adjusted() <= 20:
            return int((exact * scale).to_integral_value())
    except InvalidOperation:
        pass
    return int(INT64.min)


# --- joining ----------------------------------------------------------------------------------

_Joined = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def _row_per_frame(
    rows: _Rows, time_ns: NDArray[np.int64], whole: bool, video_ns: NDArray[np.int64], promised: int
) -> bool:
    """Is there exactly one row for each frame, in the order of the frames?"""
    n = len(video_ns)
    if not whole or len(time_ns) not in (n, max(promised, n)):
        return False
    if rows.absolute:
        return True
    # times within the video: then they must be the frames' own, to half a frame
    step = np.median(np.diff(video_ns)) if n > 1 else 1
    return bool((np.abs(time_ns[:n] - video_ns) <= step / 2).all())


def _row_by_row(rows: _Rows, video_ns: NDArray[np.int64], notes: list[str], timed: bool) -> _Joined:
    n = len(video_ns)
    if rows.time_ns is None:
        notes.append("the rows have neither frame number nor time: row i is assumed to be of frame i")
    if len(rows.angle) > n:
        notes.append(f"the video is cut short: the last {len(rows.angle) - n} rows have no frame")
    times = video_ns
    if rows.time_ns is not None and len(rows.angle) >= n and (rows.absolute or not timed):
        times = _own_times(rows.time_ns[:n], video_ns, notes if timed else [])
        if not timed:
            notes.append(
                "the frames have no times of their own: row i is assumed to be of frame i, with its time"
            )
    return times, rows.angle[:n], rows.speed[:n]


def _own_times(
    time_ns: NDArray[np.int64], video_ns: NDArray[np.int64], notes: list[str]
) -> NDArray[np.int64]:
    """The rows' times for all frames, if they can be: else the video's, from the first row on."""
    if (np.diff(time_ns) < 0).any():
        notes.append(
            "the rows' times run backwards in places: the video's times are used, starting at the first row's"
        )
        shifted: NDArray[np.int64] = video_ns + time_ns[0]
        return shifted
    own, video = int(time_ns[-1] - time_ns[0]), int(video_ns[-1])
    if own and video and not 0.9 < own / video < 1.1:
        notes.append(
            f"the rows span {own / 1e9:.1f} s, the video plays {video / 1e9:.1f} s; the rows' times are used"
        )
    return time_ns


def _by_number(
    rows: _Rows, frame: NDArray[np.int64], video_ns: NDArray[np.int64], options: OpenOptions, notes: list[str]
) -> _Joined:
    n = len(video_ns)
    times = video_ns
    order = np.argsort(frame, kind="stable")
    if not len(frame):
        nothing = np.full(n, np.nan)
        return times, nothing, nothing.copy()
    if (
        rows.time_ns is not None
        and len(frame) == n
        and (rows.absolute or _within(rows.time_ns[order], video_ns))
    ):
        times = _own_times(rows.time_ns[order], video_ns, notes)
    elif rows.time_ns is not None and rows.absolute:
        first = order[0]
        times = video_ns + (rows.time_ns[first] - video_ns[frame[first]])
        notes.append(
            "not every frame has a row: the video's times are used, shifted to the row of the first frame listed"
        )
    angle, speed = np.full(n, np.nan), np.full(n, np.nan)
    for out, values in ((angle, rows.angle), (speed, rows.speed)):
        out[:] = synchronise(times, times[frame], values, options.max_gap_s)
        # frames of one and the same time stamp each keep their own row
        out[frame] = np.where(np.isfinite(values), values, out[frame])
    return times, angle, speed


def _within(time_ns: NDArray[np.int64], video_ns: NDArray[np.int64]) -> bool:
    """Are these the frames' times, as the video has them?"""
    return bool((np.abs((time_ns - time_ns[0]) - video_ns) < 1_000_000).all())


def _by_time(
    rows: _Rows,
    time_ns: NDArray[np.int64],
    video_ns: NDArray[np.int64],
    options: OpenOptions,
    notes: list[str],
) -> _Joined:
    times = video_ns
    if rows.absolute:
        times = video_ns + time_ns.min()
        notes.append(
            "the CSV's times count from 1970 and the video's do not: the first row is set to the video's start"
        )
    elif int(time_ns.min()) > int(video_ns[-1]) or int(time_ns.max()) < 0:
        notes.append("none of the CSV's times lies within the video")
    return (
        times,
        synchronise(times, time_ns, rows.angle, options.max_gap_s),
        synchronise(times, time_ns, rows.speed, options.max_gap_s),
    )


def _doubt_degrees(angle: NDArray[np.float64], notes: list[str]) -> None:
    largest = float(np.nanmax(np.abs(angle))) if np.isfinite(angle).any() else 0.0
    if 0 < largest < _HARDLY_A_TURN:
        notes.append(
            f"the largest angle is {largest:.2f}, which is very small for degrees; if it is in radians, "
            f"give --angle-unit rad"
        )
