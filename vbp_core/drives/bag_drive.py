"""A drive over recorded ROS messages, whatever files they are in."""

from __future__ import annotations

import re
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, DriveInfo, Gap, Image, OpenOptions, median_fps
from vbp.drives.convention import Convention
from vbp.drives.labels import synchronise
from vbp.drives.message_file import DamagedError, MessageFile
from vbp.drives.part_files import compressed_parts, how_to_unpack
from vbp.drives.picture_files import shown_alike
from vbp.drives.ros_fields import MessageError
from vbp.drives.ros_messages import Topic, TopicReader, short_type
from vbp.errors import DriveError, FrameError

CAMERAS = ("center", "left", "right")
DERIVED = "/vbp/"  # topics that vbp exported beside the camera's: masks, and pictures with masks

_OPEN_FILES = 4  # a drive may be split into hundreds of bags
_SIDE = re.compile(r"(?:^|/)(center|left|right)_camera(?:/|$)")
_TRIES = 20  # frames looked at for one that shows the size
_LISTED = 20
_MAX_NS = 2**63 - 1
# All of the day 2016-10-25 in any of America's time zones
_SWAPPED_NS = range(1477353600 * 10**9, 1477483200 * 10**9)


@dataclass
class Stream:
    """One topic over all files: its readers by file and channel, and its messages where counted."""

    name: str
    readers: dict[tuple[int, int], TopicReader] = field(default_factory=dict)
    count: int = 0

    @property
    def first(self) -> TopicReader:
        return next(iter(self.readers.values()))

    @property
    def camera(self) -> str:
        """Name of the camera: its side, or its topic without the transport."""
        side = _SIDE.search(self.name)
        return side.group(1) if side else self.name.removesuffix("/compressed")


class BagDrive(Drive):
    """Frames of one camera topic with steering from another.

    Opening reads time stamps and steering of all messages, and no picture but the first.
    """

    def __init__(self, kind: str, path: Path, files: Sequence[MessageFile], options: OpenOptions) -> None:
        super().__init__()
        Convention("rad", "left", "").overruled_by(options)  # a wrong option is said before the work
        self._files = list(files)
        self._open: OrderedDict[int, None] = OrderedDict()
        self._readers: list[TopicReader] = []
        self.info = DriveInfo(kind, path, 0, 0, 0.0)
        streams = _streams(self._files)
        camera = self._choose_camera(streams, options.camera)
        steering = self._choose_steering(streams)
        samples = self._collect(camera, steering)
        self._label(steering, *samples, options)
        self._describe(camera)

    # What to read

    def _choose_camera(self, streams: dict[str, Stream], wanted: str | None) -> Stream:
        path = self.info.path
        all_cameras = [s for s in streams.values() if any(r.is_camera for r in s.readers.values())]
        # A topic that was declared and never sent is no camera, unless it is all there is
        cameras = [s for s in all_cameras if s.count] or all_cameras
        if not (wanted or "").startswith(DERIVED):
            cameras = [s for s in cameras if not s.name.startswith(DERIVED)] or cameras
        if not cameras:
            readers = [s.first for s in streams.values()]
            problems = [r.problem for r in readers if r.problem and re.search("Image|Video", r.topic.msgtype)]
            problems += [
                note for file in self._files for note in file.notes
            ]  # it may have been in what is lost
            why = f" ({problems[0]})" if problems else ""
            raise DriveError(
                f"{path} has no camera: a topic of sensor_msgs/Image or CompressedImage is needed{why}; "
                f"topics found: {_listed(streams.values())}"
            )
        names = sorted(
            {s.camera for s in cameras}, key=lambda n: (CAMERAS.index(n) if n in CAMERAS else 3, n)
        )
        self.info.cameras = tuple(names)
        asked = "; choose one with --camera"
        if wanted is not None:
            found = [s for s in cameras if wanted in (s.name, s.camera, s.name.removesuffix("/compressed"))]
            if not found and wanted in streams:
                raise DriveError(
                    f"{path}: {wanted} is no camera that can be read; cameras found: {', '.join(names)}"
                )
            if not found:
                raise DriveError(f"{path} has no camera {wanted!r}; cameras found: {', '.join(names)}{asked}")
            if any(s.name == wanted for s in found):
                found = [s for s in found if s.name == wanted]
        elif "center" in names:
            found = [s for s in cameras if s.camera == "center"]
        elif len(names) == 1:
            found = cameras
            if names[0] in CAMERAS:
                self.info.notes.append(f"only the {names[0]} camera is in the recording")
        else:
            raise DriveError(
                f"{path} has several cameras and none is the center one: {', '.join(names)}{asked}"
            )
        # Of the same camera sent twice, the one with more frames; if equal, the compressed: less to read
        found.sort(key=lambda s: (-s.count, s.first.kind != "compressed", s.name))
        if len(found) > 1:
            others = ", ".join(s.name for s in found[1:])
            self.info.notes.append(
                f"frames are taken from {found[0].name}; the same camera is also in {others}"
            )
        self.info.camera = found[0].camera
        return found[0]

    def _choose_steering(self, streams: dict[str, Stream]) -> Stream | None:
        found = [s for s in streams.values() if any(r.kind == "steering" for r in s.readers.values())]
        found = [s for s in found if s.count] or found
        if not found:
            self.info.notes.append(_no_steering(streams.values()))
            return None
        found.sort(key=lambda s: (s.name != "/vehicle/steering_report", -s.count, s.name))
        if len(found) > 1:
            others = ", ".join(s.name for s in found[1:])
            self.info.notes.append(f"steering is taken from {found[0].name}; it is also in {others}")
        return found[0]

    # Reading

    def _collect(
        self, camera: Stream, steering: Stream | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Index the frames; returns time stamps (M,), angles (M,) and speeds (M,) of the steering samples."""
        frames = [array("q") for _ in range(5)]  # time, file, place (2), reader
        times, angles, speeds = array("q"), array("d"), array("d")
        unstamped, bad = {"camera": 0, "steering": 0}, 0
        for number, file in enumerate(self._files):
            seen = {c: r for (f, c), r in camera.readers.items() if f == number and r.is_camera}
            felt: dict[int, TopicReader] = {}
            if steering is not None:
                felt = {
                    c: r for (f, c), r in steering.readers.items() if f == number and r.kind == "steering"
                }
            wanted = {c: r.head_bytes for c, r in (seen | felt).items()}
            if not wanted:
                continue
            known = {c: self._reader_number(r) for c, r in seen.items()}
            for channel, time_ns, place, data in file.heads(wanted):
                reader = seen.get(channel) or felt[channel]
                try:
                    if channel in felt:
                        stamp, angle, speed = reader.steering(data)
                    else:
                        stamp = reader.stamp(data)
                except MessageError:
                    bad += 1
                    continue
                if not 0 < stamp < _MAX_NS:
                    stamp = min(time_ns, _MAX_NS)
                    unstamped["steering" if channel in felt else "camera"] += 1
                if channel in felt:
                    times.append(stamp)
                    angles.append(angle)
                    speeds.append(speed)
                else:
                    for column, value in zip(frames, (stamp, number, *place, known[channel]), strict=True):
                        column.append(value)
            file.close()
        self._index_frames([np.array(column, dtype=np.int64) for column in frames], camera)
        for what, n in unstamped.items():
            if n:
                self.info.notes.append(
                    f"{n} {what} messages have no time stamp; the time of recording stands in"
                )
        if bad:
            self.info.notes.append(f"{bad} messages cannot be read and are left out")
        for file in self._files:
            self.info.notes.extend(file.notes)
        return np.array(times, dtype=np.int64), np.array(angles), np.array(speeds)

    def _reader_number(self, reader: TopicReader) -> int:
        if reader not in self._readers:
            self._readers.append(reader)
        return self._readers.index(reader)

    def _index_frames(self, columns: list[NDArray[np.int64]], camera: Stream) -> None:
        time, file = columns[0], columns[1]
        if not len(time):
            why = "; ".join(n for f in self._files for n in f.notes)
            raise DriveError(
                f"{self.info.path}: the camera topic {camera.name} holds no frame that can be read"
                + (f" ({why})" if why else "")
            )
        order = np.argsort(time, kind="stable")
        time, file = time[order], file[order]
        # The same message in two files: a bag lies in the folder twice, or was also cut into parts
        again = np.zeros(len(time), dtype=bool)
        again[1:] = (np.diff(time) == 0) & (np.diff(file) != 0)
        if again.any():
            self.info.notes.append(f"{int(again.sum())} frames are in several files and are taken once")
        order = order[~again]
        self.timestamps_ns = time[~again]
        self._file, self._place_a, self._place_b, self._reader = (c[order] for c in columns[1:])

    # Labels and description

    def _label(
        self,
        steering: Stream | None,
        times: NDArray[np.int64],
        angles: NDArray[np.float64],
        speeds: NDArray[np.float64],
        options: OpenOptions,
    ) -> None:
        info = self.info
        if steering is None or not len(times):
            if steering is not None:
                info.notes.append(f"{steering.name} holds no message: the drive has no steering")
            self.angle_rad = np.full(len(self), np.nan)
            self.speed_mps = np.full(len(self), np.nan)
            return
        reader = next(r for r in steering.readers.values() if r.kind == "steering")
        convention = reader.convention().overruled_by(options)
        convention.note_in(info)
        wheel = convention.radians(angles)
        self.angle_rad = synchronise(self.timestamps_ns, times, wheel, options.max_gap_s)
        self.speed_mps = synchronise(self.timestamps_ns, times, speeds, options.max_gap_s)
        # A sample of a frame's very time that holds no number says that nothing is known of this frame,
        # as an exported drive does; its neighbours are not to fill it in.
        for values, samples in ((self.angle_rad, wheel), (self.speed_mps, speeds)):
            values[np.isin(self.timestamps_ns, times[~np.isfinite(samples)])] = np.nan
        if not reader.has_speed:
            info.notes.append(f"{steering.name} has no field speed: the speed is not known")

    def _describe(self, camera: Stream) -> None:
        info = self.info
        info.fps = median_fps(self.timestamps_ns)
        problem = ""
        for i in range(min(_TRIES, len(self))):
            try:
                info.height, info.width = self.frame(i).shape[:2]
                break
            except FrameError as error:
                problem = problem or str(error)
        else:
            raise DriveError(f"{info.path}: no picture of {camera.name} can be shown: {problem}")
        if camera.camera in ("center", "left") and int(self.timestamps_ns[0]) in _SWAPPED_NS:
            other = "left" if camera.camera == "center" else "center"
            info.notes.append(
                "some Udacity recordings of 2016-10-25 have their left and center camera swapped: "
                f"if the view is from the side, open it with --camera {other}"
            )

    # Frames

    def _decode(self, i: int) -> Image:
        number = int(self._file[i])
        self._touch(number)
        try:
            data = self._files[number].read((int(self._place_a[i]), int(self._place_b[i])))
            image = self._readers[int(self._reader[i])].image(data)
            if self.info.width and image.shape[:2] != (self.info.height, self.info.width):
                raise MessageError(
                    f"it is {image.shape[1]}x{image.shape[0]} and the drive {self.info.width}x{self.info.height}"
                )
            return image
        except (MessageError, DamagedError, OSError) as error:
            self._mark(i, str(error))
            raise FrameError(f"frame {i} of {self.info.path.name} cannot be shown: {error}") from None

    def encoded(self, i: int) -> bytes | None:
        super().encoded(i)
        self.frame(i)  # raises what there is to raise
        number = int(self._file[i])
        self._touch(number)
        try:
            data = self._files[number].read((int(self._place_a[i]), int(self._place_b[i])))
            picture = self._readers[int(self._reader[i])].picture_file(data)
        except (MessageError, DamagedError, OSError):
            return None  # gone since; the frame itself is at hand
        return picture if picture is not None and shown_alike(picture) else None

    def _touch(self, number: int) -> None:
        """Keep the files read last open, and no more of them."""
        self._open[number] = None
        self._open.move_to_end(number)
        while len(self._open) > _OPEN_FILES:
            old, _ = self._open.popitem(last=False)
            self._files[old].close()

    def _mark(self, i: int, reason: str) -> None:
        """Note a bad frame as a gap, once; that it is bad is known only when it is read."""
        if not any(g.first <= i <= g.last for g in self.info.gaps):
            self.info.gaps.append(Gap(i, i, reason))

    def close(self) -> None:
        super().close()
        for file in self._files:
            file.close()
        self._open.clear()


def open_files(
    kind: str, path: Path, parts: Sequence[Path], make: Callable[[Path], MessageFile], options: OpenOptions
) -> BagDrive:
    """A drive over files of one recording; some of several may be bad. Raises DriveError."""
    files: list[MessageFile] = []
    notes = []
    try:
        for part in parts:
            try:
                files.append(make(part))
            except (DriveError, OSError) as error:
                if len(parts) == 1:
                    raise
                notes.append(str(error))
            else:
                files[-1].close()
        if not files:
            raise DriveError(
                f"{path}: none of its {len(parts)} recordings can be read; the first: {notes[0]}"
            )
        drive = BagDrive(kind, path, files, options)
    except BaseException:
        for file in files:
            with suppress(OSError):
                file.close()
        raise
    drive.info.notes.extend(notes)
    if path.is_dir() and (packed := compressed_parts(path)):
        drive.info.notes.append(how_to_unpack(packed))
    return drive


def _streams(files: Sequence[MessageFile]) -> dict[str, Stream]:
    """Topics over all files. Readers are shared where the definition is the same: making one takes time."""
    made: dict[Topic, TopicReader] = {}
    out: dict[str, Stream] = {}
    for number, file in enumerate(files):
        for channel, topic in file.topics.items():
            if topic not in made:
                made[topic] = TopicReader(topic)
            stream = out.setdefault(topic.name, Stream(topic.name))
            stream.readers[number, channel] = made[topic]
            stream.count += file.counts.get(channel, 0)
    return out


def _listed(streams: Iterable[Stream]) -> str:
    names = [f"{s.name} ({short_type(s.first.topic.msgtype)})" for s in streams]
    if not names:
        return "none"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(sorted(names)[:_LISTED]) + more


def _no_steering(streams: Iterable[Stream]) -> str:
    """Why a drive has no steering: a report without the field, or one that is not understood, or none."""
    for stream in streams:
        reader = stream.first
        if "steering" in stream.name.lower() or "SteeringReport" in reader.topic.msgtype:
            if reader.problem:
                return f"{reader.problem}; the drive has no steering"
            return (
                f"{stream.name} ({short_type(reader.topic.msgtype)}) has no field steering_wheel_angle "
                f"(its fields: {', '.join(reader.fields)}): the drive has no steering"
            )
    return "no topic has a field steering_wheel_angle: the drive has no steering"
