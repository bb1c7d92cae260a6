"""A drive over recorded ROS messages, whatever files they are in."""

from __future__ import annotations

import re
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.bag_labels import Labels, choose_labels
from vbp.drives.bag_streams import DERIVED, Stream, find_streams, listed
from vbp.drives.base import Drive, DriveInfo, Gap, Image, OpenOptions, median_fps
from vbp.drives.convention import Convention
from vbp.drives.labels import MOST_NS
from vbp.drives.message_file import DamagedError, MessageFile
from vbp.drives.part_files import compressed_parts, how_to_unpack
from vbp.drives.picture_files import shown_alike
from vbp.drives.ros_fields import MessageError
from vbp.drives.ros_messages import TopicReader
from vbp.drives.ros_video import PacketDecoder
from vbp.drives.tables import note_read
from vbp.errors import DriveError, FrameError

CAMERAS = ("center", "left", "right")

_OPEN_FILES = 4  # a drive may be split into hundreds of bags
_TRIES = 20  # frames looked at for one that shows the size
_STEP_BACK = 32  # frames of a video: further back is a jump
_CLOCK_SET_NS = 10**9  # a step back; messages may be recorded a little out of order
# All of the day 2016-10-25 in any of America's time zones
_SWAPPED_NS = range(1477353600 * 10**9, 1477483200 * 10**9)


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
        self._video: PacketDecoder | None = None
        self._asked = 0
        self.info = DriveInfo(kind, path, 0, 0, 0.0)
        streams = find_streams(self._files)
        camera = self._choose_camera(streams, options.camera)
        labels = choose_labels(streams, options, self.info)
        self._collect(camera, labels)
        self._label(labels, options)
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
                f"topics found: {listed(streams.values())}"
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
                    f"{path}: {wanted} is not a camera that can be read; cameras found: {', '.join(names)}"
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

    # Reading

    def _collect(self, camera: Stream, labels: Labels) -> None:
        """Index the frames, and keep what the labels are made of."""
        frames = [array("q") for _ in range(5)]  # time, file, place (2), reader
        unstamped, bad = {"camera": 0, "steering": 0}, 0
        for number, file in enumerate(self._files):
            seen = {c: r for (f, c), r in camera.readers.items() if f == number and r.is_camera}
            felt = labels.readers(number)
            wanted = {c: r.head_bytes for c, r in seen.items()} | dict.fromkeys(felt, -1)
            if not wanted:
                continue
            known = {c: self._reader_number(r) for c, r in seen.items()}
            for channel, time_ns, place, data in file.heads(wanted):
                try:
                    if channel in felt:
                        reader, signals = felt[channel]
                        stamp, values = reader.numbers(data, tuple(s.path for s in signals))
                    else:
                        stamp = seen[channel].stamp(data)
                except MessageError:
                    bad += 1
                    continue
                if not 0 < stamp < MOST_NS:
                    stamp = max(-MOST_NS, min(time_ns, MOST_NS))
                    unstamped["steering" if channel in felt else "camera"] += 1
                if channel in felt:
                    for signal, value in zip(signals, values, strict=True):
                        signal.times.append(stamp)
                        signal.values.append(value)
                else:
                    for column, item in zip(frames, (stamp, number, *place, known[channel]), strict=True):
                        column.append(item)
            file.close()
        self._index_frames([np.array(column, dtype=np.int64) for column in frames], camera)
        for what, n in unstamped.items():
            if n:
                self.info.notes.append(
                    f"{n} {what} messages have no time stamp; the time of recording is used"
                )
        if bad:
            self.info.notes.append(f"{bad} messages cannot be read and are left out")
        for file in self._files:
            self.info.notes.extend(file.notes)

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
        back = int(((np.diff(time) < -_CLOCK_SET_NS) & (np.diff(file) == 0)).sum())
        if back:
            self.info.notes.append(
                f"the times of the frames step back by more than a second, {'once' if back == 1 else f'{back} times'}, as "
                "where a clock was set; the frames are shown in the order of their times"
            )
        order = np.argsort(time, kind="stable")
        time, file = time[order], file[order]
        # The same message in two files: a bag lies in the folder twice, or was also cut into parts
        again = np.zeros(len(time), dtype=bool)
        again[1:] = (np.diff(time) == 0) & (np.diff(file) != 0)
        if again.any():
            self.info.notes.append(f"{int(again.sum())} frames are in several files and are used once")
        order = order[~again]
        self.timestamps_ns = time[~again]
        self._file, self._place_a, self._place_b, self._reader = (c[order] for c in columns[1:])
        # Packets of video are decoded in the order in which they were recorded
        self._packet_frames = np.argsort(order)
        self._frame_packets = np.argsort(self._packet_frames)

    # Labels and description

    def _label(self, labels: Labels, options: OpenOptions) -> None:
        info = self.info
        if labels.angle and labels.angle.convention and labels.angle.times:
            labels.angle.convention.note_in(info)
        self.angle_rad, self.speed_mps = (
            np.full(len(self), np.nan) if signal is None else signal.at(self.timestamps_ns, options.max_gap_s)
            for signal in (labels.angle, labels.speed)
        )
        apart = (
            labels.speed
            if labels.speed and labels.angle and labels.speed.stream is not labels.angle.stream
            else None
        )
        for signal, what in ((labels.angle, "steering"), (apart, "known speed")):
            if signal is not None and not np.isfinite(signal.values).any():
                holds = "no message" if not signal.times else f"no number in {signal.path}"
                info.notes.append(f"{signal.stream.name} holds {holds}: the drive has no {what}")

    def _describe(self, camera: Stream) -> None:
        info = self.info
        info.fps = median_fps(self.timestamps_ns)
        problem = ""
        self._video = self._video_of()
        for i in self._likely_frames():
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

    def _video_of(self) -> PacketDecoder | None:
        """The decoder of a topic whose messages are packets of video."""
        first = int(self._packet_frames[0])
        if self._readers[int(self._reader[first])].kind != "compressed":
            return None
        try:
            reader, data = self._message(first)
            packet = reader.packet(data)
        except (MessageError, DamagedError, OSError):
            return None
        return PacketDecoder(packet[0], len(self), self._packet) if packet else None

    def _likely_frames(self) -> list[int]:
        """Some that can be shown, if any can."""
        first = self._video.first_key() if self._video is not None else 0
        if first > 0:
            before = self._packet_frames[:first]
            self.info.gaps.append(
                Gap(int(before.min()), int(before.max()), "there is no key frame before it")
            )
        return [int(i) for i in self._packet_frames[max(first, 0) :][:_TRIES]]

    # Frames

    def _message(self, i: int) -> tuple[TopicReader, bytes]:
        """Raises DamagedError, OSError."""
        number = int(self._file[i])
        self._touch(number)
        data = self._files[number].read((int(self._place_a[i]), int(self._place_b[i])))
        return self._readers[int(self._reader[i])], data

    def _packet(self, n: int) -> bytes:
        try:
            reader, data = self._message(int(self._packet_frames[n]))
            packet = reader.packet(data)
        except (DamagedError, OSError) as error:
            raise MessageError(str(error)) from None
        if packet is None:
            raise MessageError("it is no packet of video")
        return packet[1]

    def _picture(self, i: int) -> Image:
        if self._video is None:
            reader, data = self._message(i)
            return reader.image(data)
        back, self._asked = self._asked - i, i

        def keep(packet: int, image: Image) -> None:
            if image.shape == (self.info.height, self.info.width, 3):
                self._remember(int(self._packet_frames[packet]), image)

        before = _STEP_BACK if 0 < back <= _STEP_BACK else 0
        return self._video.picture(int(self._frame_packets[i]), keep, before)

    def _decode(self, i: int) -> Image:
        try:
            image = self._picture(i)
            if self.info.width and image.shape[:2] != (self.info.height, self.info.width):
                raise MessageError(
                    f"it is {image.shape[1]}x{image.shape[0]} and the drive {self.info.width}x{self.info.height}"
                )
            return image
        except (MessageError, DamagedError, OSError) as error:
            self._mark(i, str(error))
            raise FrameError(f"frame {i} of {self.info.path.name} cannot be shown: {error}") from None

    def start_before(self, i: int) -> int:
        found = super().start_before(i)
        if self._video is None:
            return found
        key = self._video.key_before(int(self._frame_packets[found]))
        return max(min(int(self._packet_frames[key]), found), 0) if key >= 0 else 0

    def encoded(self, i: int) -> bytes | None:
        super().encoded(i)
        self.frame(i)  # raises what there is to raise
        if self._video is not None:
            return None
        try:
            reader, data = self._message(i)
            picture = reader.picture_file(data)
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
        if self._video is not None:
            self._video.close()
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
                for ending in ("", "-wal", "-shm"):  # what SQLite keeps beside a database
                    note_read(part.with_name(part.name + ending))
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
