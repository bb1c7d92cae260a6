"""What a drive needs of ROS messages: which topics are cameras, their times and values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vbp.drives.base import Image
from vbp.drives.ros_fields import (
    FieldReader,
    MessageError,
    Types,
    array_of_numbers,
    field_names,
    is_bytes,
    number_paths,
    parse_definition,
    time_path,
)
from vbp.drives.ros_images import decode_compressed, decode_raw
from vbp.drives.ros_video import codec_of
from vbp.readable import clean

_RAW_FIELDS = {"height", "width", "encoding", "step", "data"}
_ENCODINGS = ("ros1", "cdr")


@dataclass(frozen=True)
class Topic:
    """A topic as a recording declares it.

    definition: text of the message definition, in `syntax` ("msg", "idl", or "" where there is none).
    encoding: of the messages, "ros1" or "cdr"; others (json, protobuf) are listed but not read.
    """

    name: str
    msgtype: str  # with /msg/ in the middle, as ROS 2 writes it
    definition: str
    syntax: str
    encoding: str

    @classmethod
    def declared(cls, name: str, msgtype: str, definition: str, syntax: str, encoding: str) -> Topic:
        """From a recording's own words."""
        return cls(clean(name), long_type(clean(msgtype)), definition, syntax, clean(encoding))


class TopicReader:
    """Reads messages of one topic. `kind` is "raw" or "compressed" of a camera, "" of any other topic.

    problem: one sentence where the topic cannot be understood.
    head_bytes: how much of a message `stamp` needs; -1: all of it.
    """

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.kind = ""
        self.problem = ""
        self.head_bytes = 0
        self.fields: tuple[str, ...] = ()
        self._types: Types = {}
        self._stamp: FieldReader | None = None
        self._stamp_path: str | None = None
        self._values: FieldReader | None = None
        self._format = ""  # the field that says how a compressed picture or a packet of video is coded
        self._numbers: dict[tuple[str, ...], FieldReader] = {}
        if topic.encoding not in _ENCODINGS:
            self.problem = f"messages of {topic.name} are encoded as {topic.encoding or 'nothing stated'}; ros1 and cdr are read"
            return
        try:
            self._understand()
        except MessageError as error:
            self.kind = ""
            self.problem = f"topic {topic.name} cannot be read: {error}"

    def _understand(self) -> None:
        topic = self.topic
        self._types = parse_definition(topic.definition, topic.msgtype, topic.syntax, topic.encoding)
        self.fields = field_names(self._types, topic.msgtype)
        names = set(self.fields)
        self._stamp_path = time_path(self._types, topic.msgtype)
        stamp = [f"{self._stamp_path}.{part}" for part in ("sec", "nanosec")] if self._stamp_path else []
        if stamp:
            self._stamp = self._reader(stamp)
            self.head_bytes = self._stamp.head_bytes
        pixels = is_bytes(self._types, topic.msgtype, "data")
        if pixels and names >= _RAW_FIELDS:
            self.kind = "raw"
            extra = {"is_bigendian"} & names
            self._values = self._reader(_RAW_FIELDS | extra)
        elif pixels and ("format" in names or topic.msgtype.endswith("FFMPEGPacket")):
            self.kind = "compressed"
            self._format = "format" if "format" in names else "encoding"
            self._values = self._reader({self._format, "data"})

    def _reader(self, paths: set[str] | list[str]) -> FieldReader:
        return FieldReader(self._types, self.topic.msgtype, paths, self.topic.encoding)

    @property
    def is_camera(self) -> bool:
        # compressedDepth topics hold distances behind a header of their own, no picture
        return self.kind in ("raw", "compressed") and not self.topic.name.endswith("/compressedDepth")

    def stamp(self, data: bytes) -> int:
        """Time stamp of a message in nanoseconds, 0 where it has none. Raises MessageError if cut off."""
        return self._time(self._stamp.read(data)) if self._stamp is not None else 0

    def _time(self, values: dict[str, Any]) -> int:
        if self._stamp_path is None:
            return 0
        try:
            return int(values[self._stamp_path + ".sec"]) * 10**9 + int(values[self._stamp_path + ".nanosec"])
        except (TypeError, ValueError, OverflowError):
            raise MessageError("its time stamp is not a number") from None

    def has(self, path: str) -> bool:
        """Whether a field holds a number, as `numbers` reads it."""
        return not self.problem and self._field(path) is not None

    def number_paths(self) -> list[str]:
        """Fields that `has` is true of, but for the elements of lists."""
        return [] if self.problem else number_paths(self._types, self.topic.msgtype)

    def _field(self, path: str) -> tuple[str, str] | None:
        """Path of the field in the definition, and which element of it where that is a list ("": a single number)."""
        for field, element in ((path, ""), path.rpartition(".")[::2]):
            many = array_of_numbers(self._types, self.topic.msgtype, field)
            if many is not None and many == bool(element):
                return field, element
        return None

    def numbers(self, data: bytes, paths: tuple[str, ...]) -> tuple[int, list[float]]:
        """Time stamp as `stamp`, and the number of each path; NaN for an element that the message does not have.

        "position.2" is an element of a list, "position.steer" the mean of those whose `name` has "steer" in it.
        Raises MessageError.
        """
        fields = [self._field(path) or (path, "") for path in paths]
        reader = self._numbers.get(paths)
        if reader is None:
            wanted = {field for field, _ in fields}
            if any(element and not element.isdecimal() for _, element in fields):
                wanted.add("name")
            if self._stamp_path is not None:
                wanted |= {f"{self._stamp_path}.{part}" for part in ("sec", "nanosec")}
            reader = self._numbers[paths] = self._reader(wanted)
        values = reader.read(data)
        try:
            found = [
                _element(values[field], element, values.get("name")) if element else float(values[field])
                for field, element in fields
            ]
        except (TypeError, ValueError, OverflowError):
            raise MessageError(f"{' or '.join(paths)} is no number") from None
        return self._time(values), found

    def image(self, data: bytes) -> Image:
        """Picture of a message, RGB uint8 (H, W, 3). Raises MessageError."""
        assert self._values is not None
        values = self._values.read(data)
        try:
            if self.kind == "compressed":
                return decode_compressed(values["data"], str(values[self._format]))
            return decode_raw(
                values["data"],
                int(values["width"]),
                int(values["height"]),
                int(values["step"]),
                str(values["encoding"]),
                bool(values.get("is_bigendian", 0)),
            )
        except TypeError:
            raise MessageError("its fields do not have an image's types") from None

    def packet(self, data: bytes) -> tuple[str, bytes] | None:
        """Coding and data of a packet of video; None for a picture file. Raises MessageError."""
        assert self._values is not None
        if self.kind != "compressed":
            return None
        values = self._values.read(data)
        codec = codec_of(str(values[self._format]))
        return (codec, bytes(values["data"])) if codec else None

    def picture_file(self, data: bytes) -> bytes | None:
        """The picture file that a message holds; None for raw pixels. Raises MessageError."""
        assert self._values is not None
        values = self._values.read(data)
        if self.kind != "compressed" or str(values[self._format]).lower().startswith("bayer"):
            return None  # a mosaic is no picture
        return bytes(values["data"])


def _element(values: Any, element: str, names: Any) -> float:
    """One number of a list, by its place or by its name in the list of names beside it."""
    if element.isdecimal():
        places = [int(element)]
    else:
        places = [i for i, name in enumerate(names or ()) if element.casefold() in name.casefold()]
    found = [float(values[i]) for i in places if i < len(values)]
    return sum(found) / len(found) if found else math.nan


def short_type(msgtype: str) -> str:
    """The type as ROS 1 writes it and people say it: sensor_msgs/Image."""
    return msgtype.replace("/msg/", "/")


def long_type(msgtype: str) -> str:
    """The type as ROS 2 writes it: sensor_msgs/msg/Image."""
    if msgtype.count("/") == 1:
        return msgtype.replace("/", "/msg/")
    return msgtype
