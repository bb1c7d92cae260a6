"""ROS 2 messages as bytes (CDR), with the definitions that a recording carries for its readers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
NUMBER = "std_msgs/msg/Float64"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
STEERING = "vbp_msgs/msg/Steering"
CLASSIFICATION = "vbp_msgs/msg/Classification"
OK, WARN = 0, 1  # of a diagnosis

LAST_NS = 2**31 * 10**9  # ROS 2 counts seconds in 32 bits: up to the year 2038

# No standard message holds a steering wheel angle. The names are those by which drives are read.
STEERING_TEXT = """# What the driver did and the network wanted at a frame. NaN: not known.
std_msgs/Header header
int64 frame
float64 steering_wheel_angle  # rad, left positive: what the driver held
float64 predicted_angle       # rad, left positive: what the network wanted
float64 error                 # rad: driven - predicted
float64 speed                 # m/s
"""
CLASSIFICATION_TEXT = """# What a classifier told of a frame. -1, an empty name and NaN: not known.
std_msgs/Header header
int64 frame
int64 class_id          # as the network counts its classes, from 0
string class_name
float64 probability     # 0 to 1
int64 true_class_id
string true_class_name
"""
OWN_TEXTS = {STEERING: STEERING_TEXT, CLASSIFICATION: CLASSIFICATION_TEXT}


class Messages:
    """Makes messages; everything is stamped in nanoseconds since 1970."""

    def __init__(self) -> None:
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        for msgtype, text in OWN_TEXTS.items():
            self._store.register(get_types_from_msg(text, msgtype))

    def definition(self, msgtype: str) -> str:
        """The text of a type and of those that it is made of, as the schema of an MCAP file ("ros2msg")."""
        text, _ = self._store.generate_msgdef(msgtype, ros_version=2)
        if msgtype in OWN_TEXTS:  # with its comments, which tell the units
            text = OWN_TEXTS[msgtype] + text[text.index("=" * 80) :]
        return text

    def compressed(self, time_ns: int, frame_id: str, data: bytes) -> bytes:
        """A JPEG or PNG file."""
        return self._make(
            COMPRESSED,
            header=self._header(time_ns, frame_id),
            format="png" if data.startswith(b"\x89PNG") else "jpeg",
            data=np.frombuffer(data, dtype=np.uint8),
        )

    def grey(self, time_ns: int, frame_id: str, pixels: NDArray[np.uint8]) -> bytes:
        """A picture (H, W) of 8 bits."""
        height, width = pixels.shape
        return self._make(
            IMAGE,
            header=self._header(time_ns, frame_id),
            height=height,
            width=width,
            encoding="mono8",
            is_bigendian=0,
            step=width,
            data=np.ascontiguousarray(pixels).reshape(-1),
        )

    def number(self, value: float) -> bytes:
        return self._make(NUMBER, data=value)

    def steering(
        self, time_ns: int, frame_id: str, frame: int, driven: float, predicted: float, speed: float
    ) -> bytes:
        """Angles in radians, left positive; speed in m/s."""
        return self._make(
            STEERING,
            header=self._header(time_ns, frame_id),
            frame=frame,
            steering_wheel_angle=driven,
            predicted_angle=predicted,
            error=driven - predicted,
            speed=speed,
        )

    def classification(
        self,
        time_ns: int,
        frame_id: str,
        frame: int,
        told: tuple[int, str],
        probability: float,
        truth: tuple[int, str],
    ) -> bytes:
        """told, truth: a class's number and name. probability: of what is told, 0 to 1, NaN where that is not known."""
        return self._make(
            CLASSIFICATION,
            header=self._header(time_ns, frame_id),
            frame=frame,
            class_id=told[0],
            class_name=told[1],
            probability=probability,
            true_class_id=truth[0],
            true_class_name=truth[1],
        )

    def diagnosis(
        self, time_ns: int, name: str, text: str, level: int, source: str, values: dict[str, str]
    ) -> bytes:
        """One status; level OK or WARN."""
        pairs = [self._type("diagnostic_msgs/msg/KeyValue")(key=k, value=v) for k, v in values.items()]
        status = self._type("diagnostic_msgs/msg/DiagnosticStatus")(
            level=level, name=name, message=text, hardware_id=source, values=pairs
        )
        return self._make(DIAGNOSTICS, header=self._header(time_ns, ""), status=[status])

    def _header(self, time_ns: int, frame_id: str) -> Any:
        stamp = self._type("builtin_interfaces/msg/Time")(sec=time_ns // 10**9, nanosec=time_ns % 10**9)
        return self._type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame_id)

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _make(self, msgtype: str, **fields: Any) -> bytes:
        return bytes(self._store.serialize_cdr(self._type(msgtype)(**fields), msgtype))


def degrees(value_rad: float) -> float:
    """Degrees; NaN stays NaN, which viewers draw as a hole in the line."""
    return math.degrees(value_rad)
