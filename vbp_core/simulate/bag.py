"""A ROS1 bag as Udacity's car recorded it: the centre camera's JPEGs and the steering report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

CAMERA_TOPIC = "/center_camera/image_color/compressed"
STEERING_TOPIC = "/vehicle/steering_report"
_IMAGE = "sensor_msgs/msg/CompressedImage"
_STEERING = "dbw_mkz_msgs/msg/SteeringReport"
# The fields of the car's steering report; readers go by the names that the bag itself carries.
_FIELDS = """Header header
float32 steering_wheel_angle
float32 steering_wheel_angle_cmd
float32 steering_wheel_torque
float32 speed
bool enabled
bool override
bool driver
bool fault_wdc
bool fault_bus1
bool fault_bus2
bool fault_calibration
bool fault_connector
"""
_FLAGS = [line.split()[1] for line in _FIELDS.splitlines() if line.startswith("bool")]


class BagWriter:
    """Writes frames with their steering; between two frames the steering is sampled once more, halfway."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(path)
        self._store = get_typestore(Stores.ROS1_NOETIC)
        self._store.register(get_types_from_msg(_FIELDS, _STEERING))
        self._last: tuple[int, float, float] | None = None
        self._seq = 0

    def __enter__(self) -> BagWriter:
        self._writer.open()
        self._camera = self._writer.add_connection(CAMERA_TOPIC, _IMAGE, typestore=self._store)
        self._steering = self._writer.add_connection(STEERING_TOPIC, _STEERING, typestore=self._store)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, time_ns: int, jpeg: bytes, angle: float, speed: float) -> None:
        """One frame and the steering at its time: radians of the wheel, left positive; m/s."""
        if self._last is not None:
            t, a, v = self._last
            self._report((t + time_ns) // 2, (a + angle) / 2, (v + speed) / 2)
        self._report(time_ns, angle, speed)
        self._put(
            self._camera,
            _IMAGE,
            time_ns,
            header=self._header(time_ns, "center_camera"),
            format="jpeg",
            data=np.frombuffer(jpeg, dtype=np.uint8),
        )
        self._last = time_ns, angle, speed
        self._seq += 1

    def _report(self, time_ns: int, angle: float, speed: float) -> None:
        flags: dict[str, Any] = dict.fromkeys(_FLAGS, False)
        self._put(
            self._steering,
            _STEERING,
            time_ns,
            header=self._header(time_ns, ""),
            steering_wheel_angle=angle,
            steering_wheel_angle_cmd=angle,
            steering_wheel_torque=0.4 * angle,
            speed=speed,
            **flags,
        )

    def _header(self, time_ns: int, frame_id: str) -> Any:
        stamp = self._store.types["builtin_interfaces/msg/Time"](time_ns // 10**9, time_ns % 10**9)
        return self._store.types["std_msgs/msg/Header"](seq=self._seq, stamp=stamp, frame_id=frame_id)

    def _put(self, connection: Any, msgtype: str, time_ns: int, **fields: Any) -> None:
        message = self._store.types[msgtype](**fields)
        self._writer.write(connection, time_ns, bytes(self._store.serialize_ros1(message, msgtype)))
