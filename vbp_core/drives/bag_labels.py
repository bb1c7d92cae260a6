"""Which topics of a recording tell the steering and the speed, and their samples."""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.bag_streams import Stream, listed
from vbp.drives.base import DriveInfo, OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.labels import synchronise
from vbp.drives.ros_messages import TopicReader, short_type
from vbp.drives.ros_steering import KNOWN, convention, known, speed_path
from vbp.errors import DriveError, NeedsAngleUnitError

_OFFERED = 6
_LISTED = 200
_STEERS = re.compile("steer|servo|angle|angular.z", re.IGNORECASE)


@dataclass(eq=False)
class Signal:
    """A number in the messages of one topic: path of its field. times: int64 ns. values: as the messages have them.

    convention: of an angle.
    """

    stream: Stream
    path: str
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    convention: Convention | None = None

    @property
    def reader(self) -> TopicReader:
        return next(r for r in self.stream.readers.values() if r.has(self.path))

    @property
    def name(self) -> str:
        return f"{self.stream.name}.{self.path}"

    def at(self, frames_ns: NDArray[np.int64], max_gap_s: float) -> NDArray[np.float64]:
        """The values at the frames' times, NaN where unknown."""
        times, values = np.array(self.times, dtype=np.int64), np.array(self.values, dtype=np.float64)
        if self.convention is not None:
            values = self.convention.radians(values)
        out = synchronise(frames_ns, times, values, max_gap_s)
        # A sample of a frame's very time that holds no number says that nothing is known of this frame,
        # as an exported drive does; its neighbours are not to fill it in.
        out[np.isin(frames_ns, times[~np.isfinite(values)])] = np.nan
        return out


@dataclass(frozen=True)
class Labels:
    """The signals of a drive, None for one that is not there."""

    angle: Signal | None
    speed: Signal | None

    def readers(self, file: int) -> dict[int, tuple[TopicReader, list[Signal]]]:
        """By channel of a file: who reads its messages, and which signals are in them."""
        out: dict[int, tuple[TopicReader, list[Signal]]] = {}
        for signal in (self.angle, self.speed):
            for (number, channel), reader in signal.stream.readers.items() if signal else ():
                if number == file and signal and reader.has(signal.path):
                    out.setdefault(channel, (reader, []))[1].append(signal)
        return out


def choose_labels(streams: Mapping[str, Stream], options: OpenOptions, info: DriveInfo) -> Labels:
    """By the user's word, else by the messages that are known; what is left open is noted in `info`.

    Raises DriveError for a topic or field that is not there, NeedsAngleUnitError for one that states no unit.
    """
    info.numbers = _numbers(streams.values())
    angle = _named(streams, options.steering, info.path, "steering") if options.steering else None
    if angle is None:
        angle = _known_steering(streams, options, info)
    speed = _named(streams, options.speed, info.path, "speed") if options.speed else None
    if speed is None:
        speed = _known_speed(streams, angle, info)
    if angle is not None:
        angle.convention = _convention(angle, options, info.path)
    return Labels(angle, speed)


def _convention(angle: Signal, options: OpenOptions, path: Path) -> Convention:
    found = convention(angle.reader, angle.path)
    if found is None and options.angle_unit is None:
        row = known(angle.reader)
        why = f" ({row.source})" if row is not None and row.angle == angle.path and row.source else ""
        raise NeedsAngleUnitError(
            f"{path} does not say the unit of {angle.name}{why}; pass --angle-unit rad, deg, unit (-1..1) or rad:RATIO"
        )
    if found is None:
        left = f"positive to the left is assumed, as in ROS, of {angle.name}"
        found = Convention(options.angle_unit or "", "left", left)
    return found.overruled_by(options)


def _known_steering(streams: Mapping[str, Stream], options: OpenOptions, info: DriveInfo) -> Signal | None:
    signals = []
    for stream in streams.values():
        for reader in stream.readers.values():
            row = known(reader)
            if row is not None:
                order = (
                    stream.name != "/vehicle/steering_report",
                    KNOWN.index(row),
                    -stream.count,
                    stream.name,
                )
                signals.append((order, Signal(stream, row.angle)))
                break
    found = [signal for _, signal in sorted(signals, key=lambda pair: pair[0])]
    stated = [s for s in found if convention(s.reader, s.path) is not None]
    if not stated and options.angle_unit and len(found) == 1:
        stated = found  # the user says what the one number is that it can be
    stated = [s for s in stated if s.stream.count] or stated
    if not stated:
        info.notes.append(_no_steering(streams.values()))
        return None
    if len(stated) > 1:
        others = ", ".join(s.stream.name for s in stated[1:])
        info.notes.append(f"steering is taken from {stated[0].stream.name}; it is also in {others}")
    return stated[0]


def _known_speed(streams: Mapping[str, Stream], angle: Signal | None, info: DriveInfo) -> Signal | None:
    if angle is not None:
        row = known(angle.reader)
        if row is not None and row.speed and angle.reader.has(row.speed):
            return Signal(angle.stream, row.speed)
    for stream in sorted(streams.values(), key=lambda s: (-s.count, s.name)):
        path = speed_path(stream.first)
        if path is not None and stream.count:
            info.notes.append(f"the speed is taken from {stream.name}.{path}")
            return Signal(stream, path)
    if angle is not None:
        info.notes.append(f"{angle.stream.name} has no field speed: the speed is not known")
    return None


def _named(streams: Mapping[str, Stream], wanted: str, path: Path, what: str) -> Signal:
    """TOPIC, or TOPIC.FIELD. Raises DriveError that lists what there is."""
    names = [n for n in streams for w in (wanted, "/" + wanted) if w == n or w.startswith(n + ".")]
    if not names:
        raise DriveError(
            f"{path} has no topic of --{what} {wanted}; topics found: {listed(streams.values())}"
        )
    stream = streams[max(names, key=len)]
    asked = wanted.lstrip("/")[len(stream.name.lstrip("/")) + 1 :]
    for reader in stream.readers.values():
        if asked:
            fields = [asked]
        elif what == "speed":
            row = known(reader)
            fields = [speed_path(reader) or (row.speed if row else "")]
        else:
            row = known(reader)
            fields = [row.angle if row else ""]
        if not asked and not fields[0]:
            fields = reader.number_paths()
        if len(fields) == 1 and reader.has(fields[0]) and not reader.is_camera:
            return Signal(stream, fields[0])
    first = stream.first
    if first.problem:
        raise DriveError(f"{path}: {first.problem}")
    numbers = ", ".join(f"{stream.name}.{field}" for field in first.number_paths()[:20]) or "none"
    said = f"{stream.name} has no number {asked}" if asked else f"--{what} {wanted} does not say which number"
    raise DriveError(f"{path}: {said}; the numbers of {short_type(first.topic.msgtype)}: {numbers}")


def _likely(streams: Collection[Stream]) -> list[str]:
    """TOPIC.FIELD of the numbers that may be the steering."""
    found = []
    for stream in streams:
        reader = stream.first
        row = known(reader)
        if row is not None and not reader.is_camera:
            found.append(f"{stream.name}.{row.angle}")
        elif not reader.is_camera:
            names = (f"{stream.name}.{path}" for path in reader.number_paths())
            found += [name for name in names if _STEERS.search(name)]
    return found


def _numbers(streams: Collection[Stream]) -> tuple[str, ...]:
    """All that may be chosen as the steering or the speed, the likely ones first."""
    readers = [(stream.name, stream.first) for stream in streams if not stream.first.is_camera]
    others = [f"{name}.{path}" for name, reader in readers for path in reader.number_paths()]
    return tuple(dict.fromkeys([*_likely(streams), *others]))[:_LISTED]


def _no_steering(streams: Collection[Stream]) -> str:
    """Why a drive has no steering: a report without the field, or one that is not understood, or none."""
    offers = _likely(streams)
    offer = ""
    if offers:
        more = f" and {len(offers) - _OFFERED} more" if len(offers) > _OFFERED else ""
        offer = f"; choose one with --steering and --angle-unit: {', '.join(offers[:_OFFERED])}{more}"
    for stream in streams:
        reader = stream.first
        if "steering" in stream.name.lower() or "SteeringReport" in reader.topic.msgtype:
            if reader.problem:
                return f"{reader.problem}; the drive has no steering{offer}"
            if known(reader) is None:
                return (
                    f"{stream.name} ({short_type(reader.topic.msgtype)}) has no field steering_wheel_angle "
                    f"(its fields: {', '.join(reader.fields)}): the drive has no steering{offer}"
                )
    if offer:
        return f"no topic has a steering angle whose unit is known: the drive has no steering{offer}"
    return "no topic has a steering angle that is known: the drive has no steering"
