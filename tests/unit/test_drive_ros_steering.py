"""Steering in ROS messages of every known kind, and of any other by its name: values, units, signs, speeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import Nodetype

from bagmaker import PICTURES, TIMES, Message, Ros, file_of, put_mcap, put_rosbag1, put_rosbag2
from vbp.cli.main import main
from vbp.drives import open_drive
from vbp.drives.base import OpenOptions
from vbp.drives.labels import unit_scale
from vbp.errors import DriveError, NeedsAngleUnitError

RATIO = 14.8  # a Lincoln MKZ's, which recorded Udacity's drives
STEERS = (np.sin(np.arange(len(TIMES)) / 5) / 4).astype(np.float32)  # as the messages have them
SPEEDS = np.linspace(2, 9, len(TIMES)).astype(np.float32)

# The messages' own definitions, as their packages have them
DEFINITIONS = {
    "ackermann_msgs/msg/AckermannDrive": "float32 steering_angle          # desired virtual angle (radians)\n"
    "float32 steering_angle_velocity # desired rate of change (radians/s)\nfloat32 speed # desired forward speed (m/s)\n"
    "float32 acceleration\nfloat32 jerk\n",
    "ackermann_msgs/msg/AckermannDriveStamped": "std_msgs/Header header\nAckermannDrive drive\n",
    "carla_msgs/msg/CarlaEgoVehicleControl": "std_msgs/Header header\nfloat32 throttle\n# -1. <= steer <= 1.\n"
    "float32 steer\nfloat32 brake\nbool hand_brake\nbool reverse\nint32 gear\nbool manual_gear_shift\n",
    "carla_msgs/msg/CarlaEgoVehicleStatus": "std_msgs/Header header\nfloat32 velocity\n"
    "geometry_msgs/Accel acceleration\ngeometry_msgs/Quaternion orientation\nCarlaEgoVehicleControl control\n",
    "autoware_vehicle_msgs/msg/SteeringReport": "builtin_interfaces/Time stamp\nfloat32 steering_tire_angle\n",
    "autoware_auto_vehicle_msgs/msg/SteeringReport": "builtin_interfaces/Time stamp\nfloat32 steering_tire_angle\n",
    "autoware_vehicle_msgs/msg/VelocityReport": "std_msgs/Header header\nfloat32 longitudinal_velocity\n"
    "float32 lateral_velocity\nfloat32 heading_rate\n",
    "autoware_control_msgs/msg/Lateral": "builtin_interfaces/Time stamp\nbuiltin_interfaces/Time control_time\n"
    "float32 steering_tire_angle\nfloat32 steering_tire_rotation_rate\nbool is_defined_steering_tire_rotation_rate\n",
    "autoware_control_msgs/msg/Longitudinal": "builtin_interfaces/Time stamp\nbuiltin_interfaces/Time control_time\n"
    "float32 velocity\nfloat32 acceleration\nfloat32 jerk\nbool is_defined_acceleration\nbool is_defined_jerk\n",
    "autoware_control_msgs/msg/Control": "builtin_interfaces/Time stamp\nbuiltin_interfaces/Time control_time\n"
    "Lateral lateral\nLongitudinal longitudinal\n",
    "deepracer_interfaces_pkg/msg/ServoCtrlMsg": "float32 angle\nfloat32 throttle\n",
    "our_msgs/msg/Wheel": "std_msgs/Header header\nfloat64 front_deg\nfloat64 raw\nfloat64[] list\nfloat64 yaw # rad\n",
}


def filled(ros: Ros, ns: int, msgtype: str, values: dict[str, Any], prefix: str = "") -> Any:
    """A message of the type with `values` by dotted path, its stamps `ns`, everything else 0."""
    fields = {}
    for name, description in ros.store.fielddefs[msgtype][1]:
        path = prefix + name
        if path in values:
            fields[name] = values[path]
        elif description == (Nodetype.NAME, "builtin_interfaces/msg/Time"):
            fields[name] = ros.time(ns)
        elif description == (Nodetype.NAME, "std_msgs/msg/Header"):
            fields[name] = ros.header(ns)
        elif description[0] == Nodetype.NAME:
            fields[name] = filled(ros, ns, description[1], values, path + ".")
        elif description[0] in (Nodetype.SEQUENCE, Nodetype.ARRAY):
            fields[name] = np.zeros(description[1][1])
        else:
            fields[name] = {"bool": False, "string": ""}.get(description[1][0], 0)
    return ros.store.types[msgtype](**fields)


def rows(ros: Ros, *topics: tuple[str, str, Callable[[int], dict[str, Any]]]) -> list[Message]:
    """The camera's frames, and messages of other topics at the very times of the frames: (topic, type, i -> values)."""
    out: list[Message] = []
    for i, ns in enumerate(TIMES):
        picture = ros.compressed(ns, file_of(PICTURES[i]), "png")
        out.append((ns, "/camera/image/compressed", "sensor_msgs/msg/CompressedImage", picture))
        for topic, msgtype, values in topics:
            message = filled(ros, ns, msgtype, values(i))
            data = (
                ros.store.serialize_ros1(message, msgtype)
                if ros.version == 1
                else ros.store.serialize_cdr(message, msgtype)
            )
            out.append((ns, topic, msgtype, bytes(data)))
    return out


def bag(path: Path, *topics: tuple[str, str, Callable[[int], dict[str, Any]]]) -> Path:
    ros = Ros(2, DEFINITIONS)
    return put_rosbag2(path / "bag", ros, rows(ros, *topics))


def steers(path: str, speed: str = "") -> Callable[[int], dict[str, Any]]:
    return lambda i: {path: float(STEERS[i])} | ({speed: float(SPEEDS[i])} if speed else {})


FRONT, UNIT = RATIO, math.radians(25)
KNOWN = [
    # type, field, radians of the steering wheel per 1 to the left, field of the speed
    ("ackermann_msgs/msg/AckermannDriveStamped", "drive.steering_angle", FRONT, "drive.speed"),
    ("ackermann_msgs/msg/AckermannDrive", "steering_angle", FRONT, "speed"),
    ("carla_msgs/msg/CarlaEgoVehicleControl", "steer", -UNIT, ""),
    ("carla_msgs/msg/CarlaEgoVehicleStatus", "control.steer", -UNIT, "velocity"),
    ("autoware_vehicle_msgs/msg/SteeringReport", "steering_tire_angle", FRONT, ""),
    ("autoware_auto_vehicle_msgs/msg/SteeringReport", "steering_tire_angle", FRONT, ""),
    ("autoware_control_msgs/msg/Control", "lateral.steering_tire_angle", FRONT, "longitudinal.velocity"),
    ("deepracer_interfaces_pkg/msg/ServoCtrlMsg", "angle", UNIT, ""),
]


@pytest.mark.parametrize(("msgtype", "field", "scale", "speed"), KNOWN)
@pytest.mark.parametrize("kind", ["bag", "db3", "mcap"])
def test_known_messages(
    tmp_path: Path, kind: str, msgtype: str, field: str, scale: float, speed: str
) -> None:
    ros = Ros(1 if kind == "bag" else 2, DEFINITIONS)
    messages = rows(ros, ("/car/state", msgtype, steers(field, speed)))
    path = tmp_path / "drive"
    {"bag": put_rosbag1, "db3": put_rosbag2, "mcap": put_mcap}[kind](path, ros, messages)  # type: ignore[operator]
    with open_drive(path) as drive:
        assert drive.angle_rad == pytest.approx(STEERS.astype(float) * scale, rel=1e-6)
        assert drive.info.angle_sign == ("right" if scale < 0 else "left")
        assert abs(unit_scale(drive.info.angle_unit)) == pytest.approx(abs(scale))
        assert f"{field} of /car/state" in drive.info.angle_source
        if speed:
            assert drive.speed_mps == pytest.approx(SPEEDS, rel=1e-6)
        else:
            assert np.isnan(drive.speed_mps).all()
    with open_drive(path, OpenOptions(angle_unit="rad:16", angle_sign="right")) as drive:
        assert drive.angle_rad == pytest.approx(STEERS.astype(float) * -16, rel=1e-6)


def test_joints_that_steer(tmp_path: Path) -> None:
    def joints(i: int) -> dict[str, Any]:
        place = {"position": np.array([9.0, STEERS[i] - 0.1, STEERS[i] + 0.1, 7.0])}
        return {
            "name": ["rear_wheel", "front_left_Steering_joint", "front_right_Steering_joint", "arm"],
            **place,
        }

    path = bag(tmp_path, ("/joint_states", "sensor_msgs/msg/JointState", joints))
    with open_drive(path) as drive:
        assert drive.angle_rad == pytest.approx(STEERS.astype(float) * RATIO, rel=1e-6, abs=1e-12)
    for named in ("/joint_states.position.front_left", "joint_states.position.1"):
        with open_drive(path, OpenOptions(steering=named, angle_unit="rad")) as drive:
            assert drive.angle_rad == pytest.approx(STEERS.astype(float) - 0.1, rel=1e-6)
    with pytest.raises(NeedsAngleUnitError, match=r"unit of /joint_states.velocity.0;"):
        open_drive(path, OpenOptions(steering="/joint_states.velocity.0"))
    arm = bag(
        tmp_path / "arm",
        ("/joint_states", "sensor_msgs/msg/JointState", lambda i: {"name": ["arm"], "position": np.ones(1)}),
    )
    with open_drive(arm) as drive:
        assert np.isnan(drive.angle_rad).all()
        assert (
            "/joint_states holds no number in position.steer: the drive has no steering" in drive.info.notes
        )


def test_what_was_measured_comes_before_what_was_commanded(tmp_path: Path) -> None:
    path = bag(
        tmp_path,
        ("/a/control", "autoware_control_msgs/msg/Control", lambda i: {"lateral.steering_tire_angle": 9.0}),
        ("/b/report", "autoware_vehicle_msgs/msg/SteeringReport", steers("steering_tire_angle")),
        (
            "/c/velocity",
            "autoware_vehicle_msgs/msg/VelocityReport",
            lambda i: {"longitudinal_velocity": float(SPEEDS[i])},
        ),
    )
    with open_drive(path) as drive:
        assert drive.angle_rad == pytest.approx(STEERS.astype(float) * RATIO, rel=1e-6)
        assert drive.speed_mps == pytest.approx(SPEEDS, rel=1e-6)
        assert drive.info.notes == [
            "steering is taken from /b/report; it is also in /a/control",
            "the speed is taken from /c/velocity.longitudinal_velocity",
        ]
    with open_drive(
        path, OpenOptions(steering="/a/control", speed="/a/control.longitudinal.velocity")
    ) as drive:
        assert drive.angle_rad == pytest.approx(np.full(len(TIMES), 9 * RATIO))
        assert drive.speed_mps == pytest.approx(np.zeros(len(TIMES)))


OFFERED = [
    ("geometry_msgs/msg/Twist", "angular.z", "/cmd_vel", "linear.x"),
    ("geometry_msgs/msg/TwistStamped", "twist.angular.z", "/cmd_vel", "twist.linear.x"),
    ("std_msgs/msg/Float32", "data", "/vehicle/steering_angle", ""),
    ("std_msgs/msg/Float64", "data", "/commands/servo/position", ""),
]


@pytest.mark.parametrize(("msgtype", "field", "topic", "speed"), OFFERED)
def test_a_number_without_a_unit_is_offered_and_its_unit_asked_for(
    tmp_path: Path, msgtype: str, field: str, topic: str, speed: str
) -> None:
    path = bag(tmp_path, (topic, msgtype, steers(field, speed)))
    with open_drive(path) as drive:
        assert np.isnan(drive.angle_rad).all()
        offer = f"choose one with --steering and --angle-unit: {topic}.{field}"
        assert any(note.endswith(offer) for note in drive.info.notes), drive.info.notes
    for named in (topic, f"{topic}.{field}"):
        with pytest.raises(
            NeedsAngleUnitError, match=rf"does not say the unit of {topic}.{field} .*; pass --angle-unit"
        ):
            open_drive(path, OpenOptions(steering=named))
    for options in (OpenOptions(angle_unit="unit:40"), OpenOptions(steering=topic, angle_unit="unit:40")):
        with open_drive(path, options) as drive:
            assert drive.angle_rad == pytest.approx(STEERS.astype(float) * math.radians(40), rel=1e-6)
            assert drive.info.angle_unit == "unit:40"
            if speed:
                assert drive.speed_mps == pytest.approx(SPEEDS, rel=1e-6)


def test_numbers_of_other_kinds_are_not_taken_for_steering(tmp_path: Path) -> None:
    path = bag(tmp_path, ("/battery", "std_msgs/msg/Float32", steers("data")))
    for options in (OpenOptions(), OpenOptions(angle_unit="rad")):
        with open_drive(path, options) as drive:
            assert np.isnan(drive.angle_rad).all()
            assert not any("/battery" in note for note in drive.info.notes)


def test_any_field_by_name(tmp_path: Path) -> None:
    def values(i: int) -> dict[str, Any]:
        angle = float(STEERS[i])
        return {"front_deg": angle, "raw": angle, "list": np.array([5.0, angle]), "yaw": angle}

    def odometry(i: int) -> dict[str, Any]:
        covariances = {"twist.covariance": np.zeros(36), "pose.covariance": np.zeros(36)}
        return {"twist.twist.linear.x": float(SPEEDS[i]), **covariances}

    ros, wheel = Ros(1, DEFINITIONS), "our_msgs/msg/Wheel"
    messages = rows(ros, ("/wheel", wheel, values), ("/odom", "nav_msgs/msg/Odometry", odometry))
    path = put_rosbag1(tmp_path / "drive.bag", ros, messages, definitions={wheel: DEFINITIONS[wheel]})
    for field, scale, unit in (
        ("front_deg", math.pi / 180, "deg"),
        ("yaw", 1.0, "rad"),
    ):  # the name, the comment
        with open_drive(path, OpenOptions(steering=f"/wheel.{field}")) as drive:
            assert drive.angle_rad == pytest.approx(STEERS.astype(float) * scale, rel=1e-6)
            assert drive.info.angle_unit == unit
            assert drive.speed_mps == pytest.approx(SPEEDS, rel=1e-6)
    with open_drive(
        path, OpenOptions(steering="/wheel.list.1", angle_unit="deg", speed="/wheel.raw")
    ) as drive:
        assert drive.angle_rad == pytest.approx(np.radians(STEERS.astype(float)), rel=1e-6)
        assert drive.speed_mps == pytest.approx(STEERS, rel=1e-6)
    for wrong, said in (
        ("/wheels", r"no topic of --steering /wheels; topics found: .*/odom \(nav_msgs/Odometry\)"),
        (
            "/wheel",
            r"--steering /wheel does not say which number; .*: /wheel.front_deg, /wheel.raw, /wheel.list.0, /wheel.yaw$",
        ),
        ("/wheel.front", r"/wheel has no number front; the numbers of our_msgs/Wheel: /wheel.front_deg"),
        ("/wheel.list", r"/wheel has no number list; "),
        ("/camera/image/compressed.data.0", r"/camera/image/compressed has no number data.0"),
    ):
        with pytest.raises(DriveError, match=said):
            open_drive(path, OpenOptions(steering=wrong, angle_unit="rad"))


def test_a_recording_without_topics_notes_that_none_was_used(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(PICTURES[0]))
    with open_drive(tmp_path, OpenOptions(steering="/cmd_vel")) as drive:
        assert any(note.startswith("--steering and --speed were not used") for note in drive.info.notes)


@pytest.mark.parametrize("unit", ["rad:", "rad:0", "deg:-2", "unit:x", "turns", "unit:1e999", "rad:nan"])
def test_a_unit_that_makes_no_sense_is_one_sentence(unit: str) -> None:
    with pytest.raises(
        DriveError, match=r"angle unit .* is not known; accepted: rad, deg, unit .* rad:RATIO"
    ):
        unit_scale(unit)


def test_the_command_line_and_the_real_case(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = shared / "cases/09_ros_steering"
    if not case.exists():
        pytest.skip(f"{case} is not there")
    assert main(["info", str(case / "ackermann")]) == 0
    assert "12 with a measured angle" in capsys.readouterr().out
    named = ["--steering", "/cmd_vel.angular.z", "--speed", "/cmd_vel.linear.x", "--angle-unit", "unit"]
    assert main(["info", str(case / "twist"), *named]) == 0
    assert "in unit:25, left positive" in capsys.readouterr().out
    assert main(["info", str(case / "float_topic"), "--steering", "/vehicle/steering_angle"]) == 2
    assert "does not say the unit of /vehicle/steering_angle.data" in capsys.readouterr().err
