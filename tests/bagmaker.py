"""Writes ROS1 bags, ROS2 bags and MCAP files for tests, as Udacity's car recorded them.

Messages are recorded `RECORD_DELAY_NS` after their header's stamp, so a reader that takes the wrong
time shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

RECORD_DELAY_NS = 7_000_000
START_NS = 1_479_425_476_188_653_632  # of the real CH2 frames
STEERING_TYPE = "dbw_mkz_msgs/msg/SteeringReport"
STEERING_TOPIC = "/vehicle/steering_report"
STEERING_MD5 = "25bf2c220d904531d8bc16ab5271325d"

# What Udacity's bags of 2016 carry
STEERING_2016 = """Header header

# Steering Wheel
float32 steering_wheel_angle      # rad
float32 steering_wheel_angle_cmd  # rad
float32 steering_wheel_torque     # Nm

# Vehicle Speed
float32 speed                     # m/s

# Status
bool enabled  # Enabled
bool override # Driver override
bool driver   # Driver activity

# Watchdog Counter
bool fault_wdc

# Faults
bool fault_bus1
bool fault_bus2
bool fault_calibration
bool fault_connector
"""
HEADER_ROS1 = "=" * 80 + "\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"

Picture = bytes | np.ndarray  # a JPEG or PNG file, or RGB (H, W, 3)


def picture(i: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A made-up frame, another one for each `i`: RGB (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(x * 4 + i) % 256, (y * 5 + 2 * i) % 256, np.full_like(x, (i * 7) % 256)], -1).astype(
        np.uint8
    )


def file_of(rgb: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def times(n: int, hz: float = 20.0, start_ns: int = START_NS) -> list[int]:
    return [start_ns + round(i * 1e9 / hz) for i in range(n)]


class Ros:
    """Messages of one ROS version (1 or 2) with the types of `definitions` added: {type: definition}."""

    def __init__(self, version: int = 1, definitions: dict[str, str] | None = None) -> None:
        self.version = version
        self.store = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
        for name, text in (definitions or {STEERING_TYPE: STEERING_2016}).items():
            self.store.register(get_types_from_msg(text, name))

    def make(self, msgtype: str, **fields: Any) -> bytes:
        message = self.store.types[msgtype](**fields)
        if self.version == 1:
            return bytes(self.store.serialize_ros1(message, msgtype))
        return bytes(self.store.serialize_cdr(message, msgtype))

    def time(self, ns: int) -> Any:
        return self.store.types["builtin_interfaces/msg/Time"](ns // 10**9, ns % 10**9)

    def header(self, ns: int, frame_id: str = "center_camera") -> Any:
        fields = {"seq": 3} if self.version == 1 else {}
        return self.store.types["std_msgs/msg/Header"](stamp=self.time(ns), frame_id=frame_id, **fields)

    def compressed(self, ns: int, data: bytes, text: str = "jpeg") -> bytes:
        return self.make(
            "sensor_msgs/msg/CompressedImage",
            header=self.header(ns),
            format=text,
            data=np.frombuffer(data, dtype=np.uint8),
        )

    def raw(self, ns: int, rgb: np.ndarray, encoding: str = "bgr8", pad: int = 0) -> bytes:
        pixels = rgb if encoding == "rgb8" else rgb[..., ::-1]
        height, width = rgb.shape[:2]
        rows = np.zeros((height, width * 3 + pad), dtype=np.uint8)
        rows[:, : width * 3] = pixels.reshape(height, -1)
        return self.raw_bytes(ns, rows.reshape(-1), width, height, rows.shape[1], encoding)

    def raw_bytes(
        self, ns: int, data: np.ndarray, width: int, height: int, step: int, encoding: str
    ) -> bytes:
        return self.make(
            "sensor_msgs/msg/Image",
            header=self.header(ns),
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=0,
            step=step,
            data=np.frombuffer(np.ascontiguousarray(data), dtype=np.uint8),
        )

    def steering(self, ns: int, angle: float, speed: float) -> bytes:
        off = dict.fromkeys(
            ("enabled", "override", "driver", "fault_wdc", "fault_bus1", "fault_bus2"), False
        ) | dict.fromkeys(("fault_calibration", "fault_connector"), False)
        return self.make(
            STEERING_TYPE,
            header=self.header(ns, ""),
            steering_wheel_angle=angle,
            steering_wheel_angle_cmd=9.0,
            steering_wheel_torque=9.0,
            speed=speed,
            **off,
        )

    def frames(
        self,
        times_ns: Sequence[int],
        pictures: Sequence[Picture],
        compressed: bool = True,
        encoding: str = "bgr8",
    ) -> Iterator[tuple[int, bytes]]:
        """(record time, message) of each picture; those of the kind not asked for are converted."""
        for ns, item in zip(times_ns, pictures, strict=True):
            if compressed:
                data = item if isinstance(item, bytes) else file_of(item)
                yield (
                    ns + RECORD_DELAY_NS,
                    self.compressed(ns, data, "jpeg" if data[:2] == b"\xff\xd8" else "png"),
                )
            else:
                if isinstance(item, bytes):
                    item = cv2.imdecode(np.frombuffer(item, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
                yield ns + RECORD_DELAY_NS, self.raw(ns, item, encoding)


# A message on the way to a file: record time, topic, type, bytes
Message = tuple[int, str, str, bytes]


def messages(
    ros: Ros,
    times_ns: Sequence[int],
    pictures: Sequence[Picture],
    steering_times_ns: Sequence[int] = (),
    angles: Sequence[float] = (),
    speeds: Sequence[float] = (),
    camera: str = "center",
    compressed: bool = True,
    encoding: str = "bgr8",
) -> Iterator[Message]:
    """One camera and the steering, in the order of recording. camera: a side, or a whole topic."""
    topic = (
        camera if "/" in camera else f"/{camera}_camera/image_color" + ("/compressed" if compressed else "")
    )
    kind = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
    steering = [
        (ns + RECORD_DELAY_NS, STEERING_TOPIC, STEERING_TYPE, ros.steering(ns, angle, speed))
        for ns, angle, speed in zip(steering_times_ns, angles, speeds, strict=True)
    ]
    steering.sort(key=lambda m: m[0])
    at = 0
    for ns, data in ros.frames(times_ns, pictures, compressed, encoding):
        while at < len(steering) and steering[at][0] <= ns:
            yield steering[at]
            at += 1
        yield ns, topic, kind, data
    yield from steering[at:]


def write_rosbag1(
    path: Path,
    times_ns: Sequence[int],
    jpegs_or_images: Sequence[Picture],
    steering_times_ns: Sequence[int] = (),
    angles: Sequence[float] = (),
    speeds: Sequence[float] = (),
    camera: str = "center",
    compressed: bool = True,
    compression: str | None = None,
    split: str | None = None,
) -> Path:
    """A ROS1 bag of one camera and the steering.

    times_ns: header stamps. compression: of the chunks, None, "bz2" or "lz4". split: None for one file
    `path`; "sensor" or "time" for a folder `path` of bags, by topic or into three parts.
    """
    ros = Ros(1)
    rows = messages(
        ros,
        times_ns,
        jpegs_or_images,
        steering_times_ns,
        angles,
        speeds,
        camera=camera,
        compressed=compressed,
    )
    return put_rosbag1(
        path, ros, rows, compression, split, parts=3, total=len(times_ns) + len(steering_times_ns)
    )


def put_rosbag1(
    path: Path,
    ros: Ros,
    rows: Iterator[Message] | Sequence[Message],
    compression: str | None = None,
    split: str | None = None,
    parts: int = 3,
    total: int = 0,
    definitions: dict[str, str] | None = None,
    chunk_bytes: int = 2**20,
) -> Path:
    """Messages to a ROS1 bag, or to a folder of bags. definitions: texts for types other than SteeringReport."""
    texts = {STEERING_TYPE: STEERING_2016} | (definitions or {})
    writers: dict[str, tuple[Writer1, dict[str, Any]]] = {}
    if split:
        path.mkdir(parents=True)
    for i, (ns, topic, msgtype, data) in enumerate(rows):
        name = ""
        if split:
            part = (
                topic.strip("/").replace("/", "_") if split == "sensor" else str(i * parts // max(total, 1))
            )
            name = f"drive_{part}.bag"
        if name not in writers:
            writer = Writer1(path / name if name else path)
            if compression:
                writer.set_compression(Writer1.CompressionFormat[compression.upper()])
            writer.chunk_threshold = chunk_bytes
            writer.open()
            writers[name] = writer, {}
        writer, connections = writers[name]
        if topic not in connections:
            text, md5 = ros.store.generate_msgdef(msgtype)
            if msgtype in texts:  # with its comments, as ROS records it
                text = texts[msgtype] + (HEADER_ROS1 if "Header header" in texts[msgtype] else "")
            connections[topic] = writer.add_connection(topic, msgtype, msgdef=text, md5sum=md5)
        writer.write(connections[topic], ns, data)
    if not writers:
        writers[""] = Writer1(path), {}
        writers[""][0].open()
    for writer, _ in writers.values():
        writer.close()
    return path


def put_rosbag2(
    path: Path,
    ros: Ros,
    rows: Iterator[Message] | Sequence[Message],
    storage: str = "sqlite3",
    zipped: str | None = None,
    version: Literal[8, 9] = 9,
) -> Path:
    """Messages to the folder of a ROS2 bag. storage: "sqlite3" or "mcap". zipped: "file" or "message"."""
    writer = Writer2(path, version=version, storage_plugin=StoragePlugin[storage.upper()])
    if zipped:
        writer.set_compression(CompressionMode[zipped.upper()], CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    with writer:
        for ns, topic, msgtype, data in rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=ros.store)
            writer.write(connections[topic], ns, data)
    return path


def put_mcap(
    path: Path,
    ros: Ros,
    rows: Iterator[Message] | Sequence[Message],
    compression: str = "zstd",
    finish: bool = True,
    **options: Any,
) -> Path:
    """Messages to an MCAP file. options: of mcap's Writer. finish=False leaves the summary out."""
    with path.open("wb") as file:
        writer = McapWriter(file, compression=CompressionType[compression.upper()], **options)
        writer.start()
        channels: dict[str, int] = {}
        for ns, topic, msgtype, data in rows:
            if topic not in channels:
                text, _ = ros.store.generate_msgdef(msgtype, ros_version=ros.version)
                name = msgtype.replace("/msg/", "/") if ros.version == 1 else msgtype
                schema = writer.register_schema(name, f"ros{ros.version}msg", text.encode())
                channels[topic] = writer.register_channel(
                    topic, "ros1" if ros.version == 1 else "cdr", schema
                )
            writer.add_message(channels[topic], ns, data, ns)
        if finish:
            writer.finish()
    return path


# A small drive: its frames, and the steering at another rate, from before the first frame on
N = 30
TIMES = times(N)
STEER_TIMES = times(90, 50.0, START_NS - 100_000_000)
ANGLES = np.sin(np.arange(90) / 9).astype(np.float32)
SPEEDS = np.linspace(3, 12, 90).astype(np.float32)
PICTURES = [picture(i) for i in range(N)]


def small_bag(path: Path, **changes: object) -> Path:
    """1.5 s of a drive, with write_rosbag1's arguments `changes`."""
    arguments = {
        "times_ns": TIMES,
        "jpegs_or_images": PICTURES,
        "steering_times_ns": STEER_TIMES,
        "angles": ANGLES,
        "speeds": SPEEDS,
    } | changes
    return write_rosbag1(path, **arguments)  # type: ignore[arg-type]


def two_cameras(ros: Ros, one: str, other: str) -> list[tuple[int, str, str, bytes]]:
    rows = list(messages(ros, TIMES, PICTURES, camera=one))
    rows += messages(ros, TIMES[:5], [picture(100 + i) for i in range(5)], camera=other)
    return sorted(rows, key=lambda row: row[0])
