"""Which field of which message is the steering, and which is the speed: a row for each message that is known."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vbp.drives.convention import Convention
from vbp.drives.labels import STEERING_RATIO
from vbp.drives.ros_messages import Topic, TopicReader, short_type


@dataclass(frozen=True)
class Known:
    """A message with steering. msgtype: without its package, which changes from release to release; "": any message.

    angle, speed: paths of fields, "" for none; the speed in metres per second. unit, sign: of the angle; unit "": of a
    message that does not state it. source: where these are known from.
    """

    msgtype: str
    angle: str
    unit: str
    sign: str
    speed: str
    source: str


WHEEL = "steering_wheel_angle"
FRONT = f"rad:{STEERING_RATIO}"
_RATIO = f"radians of the front wheels, left positive; the steering wheel is taken to turn {STEERING_RATIO} times as far"
_CARLA = "-1..1, right positive, as carla.VehicleControl; 1 is taken for 25 degrees"
_TURNING = "its angular.z is the rate of turning (rad/s by REP 103), which some robots use as steering"

# What was measured stands before what was commanded, and the first row that fits counts.
KNOWN = (
    # dbw_mkz_msgs/SteeringReport and its relatives: "float32 steering_wheel_angle # rad"
    Known("", WHEEL, "", "left", "speed", ""),
    # autoware_vehicle_msgs/SteeringReport: "Desired angle of the steering tire in radians left (positive) or right"
    Known("SteeringReport", "steering_tire_angle", FRONT, "left", "", _RATIO),
    # carla_msgs: "-1. <= steer <= 1.", the velocity in m/s; https://carla.readthedocs.io/projects/ros-bridge (messages)
    Known("CarlaEgoVehicleStatus", "control.steer", "unit", "right", "velocity", _CARLA),
    Known("CarlaEgoVehicleControl", "steer", "unit", "right", "", _CARLA),
    # ackermann_msgs/AckermannDrive: "desired virtual angle (radians)", "Positive yaw is to the left. (This is *not* the
    # angle of the steering wheel inside the passenger compartment.)", "desired forward speed (m/s)". F1TENTH's too.
    Known("AckermannDriveStamped", "drive.steering_angle", FRONT, "left", "drive.speed", _RATIO),
    Known("AckermannDrive", "steering_angle", FRONT, "left", "speed", _RATIO),
    # autoware_control_msgs/Lateral: "Desired angle of the steering tire in radians left (positive) or right (negative)"
    Known("Control", "lateral.steering_tire_angle", FRONT, "left", "longitudinal.velocity", _RATIO),
    Known(
        "AckermannControlCommand", "lateral.steering_tire_angle", FRONT, "left", "longitudinal.speed", _RATIO
    ),
    Known("Lateral", "steering_tire_angle", FRONT, "left", "", _RATIO),
    Known("AckermannLateralCommand", "steering_tire_angle", FRONT, "left", "", _RATIO),
    # deepracer_interfaces_pkg/ServoCtrlMsg: "Angle ratio w.r.t steering_max/steering_min", left is steering_max
    Known(
        "ServoCtrlMsg",
        "angle",
        "unit",
        "left",
        "",
        "-1..1, left positive, as DeepRacer's; 1 is taken for 25 degrees",
    ),
    # sensor_msgs/JointState: "the position of the joint (rad or m)"; turning about an axis that points up (REP 103)
    Known("JointState", "position.steer", FRONT, "left", "", _RATIO),
    # geometry_msgs/Twist; std_msgs
    Known("TwistStamped", "twist.angular.z", "", "left", "twist.linear.x", _TURNING),
    Known("Twist", "angular.z", "", "left", "linear.x", _TURNING),
    Known("Float32", "data", "", "left", "", "it is a number alone"),
    Known("Float64", "data", "", "left", "", "it is a number alone"),
)
# Messages that tell the speed in metres per second: autoware_vehicle_msgs/VelocityReport, nav_msgs/Odometry
SPEEDS = {"VelocityReport": "longitudinal_velocity", "Odometry": "twist.twist.linear.x"}

_STEERING_NAME = re.compile("steer|servo|wheel_?angle", re.IGNORECASE)


def base_type(topic: Topic) -> str:
    return topic.msgtype.rpartition("/")[2]


def known(reader: TopicReader) -> Known | None:
    """The row of a topic's message, if the message has that field."""
    for row in KNOWN:
        if row.msgtype in ("", base_type(reader.topic)) and reader.has(row.angle):
            if row.msgtype.startswith("Float") and not _STEERING_NAME.search(reader.topic.name):
                return None  # numbers of any kind are sent so
            return row
    return None


def speed_path(reader: TopicReader) -> str | None:
    path = SPEEDS.get(base_type(reader.topic), "")
    return path if path and reader.has(path) else None


def convention(reader: TopicReader, path: str) -> Convention | None:
    """Unit and sign of a field: of a known message, else by the definition's comment on it or the field's name; None
    where nothing states the unit."""
    name = f"{reader.topic.name} ({short_type(reader.topic.msgtype)})"
    row = known(reader)
    if row is not None and row.angle == path and row.unit:
        return Convention(row.unit, row.sign, f"{row.source}: {path} of {name}")
    field = path.rpartition(".")[2]
    comment = re.search(rf"\b{re.escape(field)}\b[^\n#]*#([^\n]*)", reader.topic.definition)
    for said, source in (
        (comment.group(1).lower() if comment else "", f"the message definition of {name}"),
        (field.replace("_", " "), f"the name of the field {path} of {name}"),
    ):
        for unit, words in (("deg", "degrees"), ("rad", "radians")):
            if re.search(rf"\b({unit}|{words}?)\b", said):
                return Convention(unit, "left", f"{source} says {words}; left by ROS convention")
    if field != WHEEL:
        return None
    if base_type(reader.topic) == "SteeringReport":
        return Convention("rad", "left", f"SteeringReport's {WHEEL} is radians, left positive: {name}")
    return Convention("rad", "left", f"taken for radians, left positive, by ROS convention (REP 103): {name}")
