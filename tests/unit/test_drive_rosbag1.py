"""ROS1 bags: one file or many, every camera and chunk compression."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from bagmaker import (
    ANGLES,
    HEADER_ROS1,
    PICTURES,
    RECORD_DELAY_NS,
    START_NS,
    STEER_TIMES,
    STEERING_2016,
    STEERING_MD5,
    STEERING_TOPIC,
    STEERING_TYPE,
    TIMES,
    N,
    Ros,
    messages,
    picture,
    put_rosbag1,
    small_bag,
    times,
    two_cameras,
    write_rosbag1,
)
from vbp.drives import OpenOptions, message_file, open_drive
from vbp.errors import DriveError


def check(path: Path, options: OpenOptions | None = None) -> None:
    with open_drive(path, options) as drive:
        assert drive.info.kind == "rosbag1"
        assert drive.timestamps_ns.dtype == np.int64
        assert drive.timestamps_ns.tolist() == TIMES
        assert (drive.info.width, drive.info.height) == (64, 48)
        assert drive.info.fps == pytest.approx(20)
        expected = np.interp(TIMES, STEER_TIMES, ANGLES.astype(float))
        assert drive.angle_rad == pytest.approx(expected, abs=1e-4)
        assert np.nanmin(drive.speed_mps) > 3
        assert not [n for n in drive.info.notes if "damaged" in n or "lost" in n], drive.info.notes
        for i in (0, 1, 2, 29, 17, 3):
            assert np.array_equal(drive.frame(i), PICTURES[i])


def test_the_definition_is_the_one_of_2016() -> None:
    assert Ros(1).store.generate_msgdef(STEERING_TYPE)[1] == STEERING_MD5


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("compression", [None, "bz2", "lz4"])
@pytest.mark.parametrize("split", [None, "sensor", "time"])
def test_every_layout_gives_the_same_drive(
    tmp_path: Path, compressed: bool, compression: str | None, split: str | None
) -> None:
    path = tmp_path / ("drive.bag" if split is None else "folder")
    small_bag(path, compressed=compressed, compression=compression, split=split)
    if split:
        (path / "notes.txt").write_text("unrelated")
        (path / "empty.bag").write_bytes(b"")
        (path / "fake.bag").write_bytes(b"no bag at all")
        (path / "sub.bag").mkdir()
    check(path)


def test_real_drive_equals_its_export(shared: Path, tmp_path: Path) -> None:
    root = shared / "data" / "udacity-ch2"
    with (root / "CH2_final_evaluation.csv").open() as file:
        rows = [(int(r["frame_id"]), float(r["steering_angle"])) for r in csv.DictReader(file)]
    angle = dict(rows)
    files = sorted((root / "center").glob("*.jpg"))
    stamps = [int(f.stem) for f in files]
    assert len(files) == 900
    # 50 Hz, and a sample at each frame, so that the interpolation has the same corners as the export
    known = sorted(set(stamps) & set(angle))
    first = known[0]
    grid = np.union1d(np.arange(first, known[-1], 20_000_000), known)
    since = np.array([t - first for t in known], dtype=float)
    steer = np.interp((grid - first).astype(float), since, [angle[t] for t in known])
    jpegs = [f.read_bytes() for f in files]
    path = write_rosbag1(tmp_path / "ch2.bag", stamps, jpegs, grid.tolist(), steer, np.full(len(grid), 14.0))
    with open_drive(path) as drive:
        assert len(drive) == 900
        assert drive.timestamps_ns.tolist() == stamps
        expected = np.array([angle.get(t, np.nan) for t in stamps])
        assert np.nanmax(np.abs(drive.angle_rad - expected)) < 1e-6  # the message has float32
        assert np.array_equal(np.isnan(drive.angle_rad), np.isnan(expected))
        with open_drive(root) as export:
            assert np.array_equal(drive.timestamps_ns, export.timestamps_ns)
            assert drive.angle_rad == pytest.approx(export.angle_rad, abs=1e-6, nan_ok=True)
            assert all(np.array_equal(drive.frame(i), export.frame(i)) for i in range(0, 900, 90))
        for i in [*range(5), *np.random.default_rng(0).integers(0, 900, 20).tolist(), 899]:
            assert np.array_equal(drive.frame(i), cv2.imread(str(files[i]))[..., ::-1])


def test_header_stamp_counts_and_not_the_time_of_recording(tmp_path: Path) -> None:
    with open_drive(small_bag(tmp_path / "a.bag")) as drive:
        assert drive.timestamps_ns[0] == START_NS


def test_without_a_stamp_the_time_of_recording_stands_in(tmp_path: Path) -> None:
    ros = Ros(1)
    rows = [(ns + RECORD_DELAY_NS, "/cam", "sensor_msgs/msg/Image", ros.raw(0, PICTURES[0])) for ns in TIMES]
    with open_drive(put_rosbag1(tmp_path / "a.bag", ros, rows)) as drive:
        assert drive.timestamps_ns.tolist() == [t + RECORD_DELAY_NS for t in TIMES]
        assert any("30 camera messages have no time stamp" in n for n in drive.info.notes)


def test_frames_before_the_first_sample_and_in_holes_are_unlabelled(tmp_path: Path) -> None:
    samples = [t for t in times(75, 50.0) if not 600_000_000 < t - START_NS < 1_100_000_000]
    samples = [t for t in samples if t >= START_NS + 100_000_000]
    path = small_bag(
        tmp_path / "a.bag",
        steering_times_ns=samples,
        angles=np.ones(len(samples)),
        speeds=np.ones(len(samples)),
    )
    with open_drive(path) as drive:
        since = (drive.timestamps_ns - START_NS) / 1e9
        assert np.isnan(drive.angle_rad[since < 0.1]).all()
        assert np.isnan(drive.angle_rad[(since > 0.81) & (since < 0.89)]).all()
        assert np.isnan(drive.speed_mps[since < 0.1]).all()
        assert (drive.angle_rad[(since >= 0.1) & (since <= 0.6)] == 1).all()
    with open_drive(path, OpenOptions(max_gap_s=1)) as drive:
        assert not np.isnan(drive.angle_rad[(since > 0.6) & (since < 1.1)]).any()


def test_camera_is_chosen_by_side_or_topic(tmp_path: Path) -> None:
    ros = Ros(1)
    path = put_rosbag1(tmp_path / "a.bag", ros, two_cameras(ros, "center", "left"))
    with open_drive(path) as drive:
        assert (len(drive), drive.info.camera, drive.info.cameras) == (N, "center", ("center", "left"))
    for name in ("left", "/left_camera/image_color/compressed", "/left_camera/image_color"):
        with open_drive(path, OpenOptions(camera=name)) as drive:
            assert len(drive) == 5
            assert drive.info.camera == "left"
            assert np.array_equal(drive.frame(0), picture(100))
    with pytest.raises(DriveError, match=r"no camera 'right'; cameras found: center, left"):
        open_drive(path, OpenOptions(camera="right"))


def test_another_camera_is_taken_where_it_is_the_only_one(tmp_path: Path) -> None:
    ros = Ros(1)
    with open_drive(
        put_rosbag1(tmp_path / "a.bag", ros, list(messages(ros, TIMES, PICTURES, camera="/dash/x")))
    ) as d:
        assert (len(d), d.info.camera) == (N, "/dash/x")
    two = put_rosbag1(tmp_path / "b.bag", ros, two_cameras(ros, "/dash/x", "/rear/y"))
    with pytest.raises(DriveError, match=r"several cameras.*: /dash/x, /rear/y; choose one with --camera"):
        open_drive(two)
    with open_drive(two, OpenOptions(camera="/rear/y")) as drive:
        assert len(drive) == 5


def test_raw_and_compressed_of_one_camera_are_one_camera(tmp_path: Path) -> None:
    ros = Ros(1)
    rows = list(messages(ros, TIMES, PICTURES)) + list(messages(ros, TIMES, PICTURES, compressed=False))
    with open_drive(put_rosbag1(tmp_path / "a.bag", ros, rows)) as drive:
        assert len(drive) == N
        assert drive.info.cameras == ("center",)
        assert any("taken from /center_camera/image_color/compressed" in n for n in drive.info.notes)
    rows = list(messages(ros, TIMES[:9], PICTURES[:9])) + list(
        messages(ros, TIMES, PICTURES, compressed=False)
    )
    with open_drive(put_rosbag1(tmp_path / "b.bag", ros, rows)) as drive:
        assert len(drive) == N  # the more complete one


def test_the_same_bag_twice_in_a_folder_counts_once(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    small_bag(folder / "a.bag")
    (folder / "copy.bag").write_bytes((folder / "a.bag").read_bytes())
    with open_drive(folder) as drive:
        assert drive.timestamps_ns.tolist() == TIMES
        assert any("30 frames are in several files" in n for n in drive.info.notes)


def test_unit_and_sign_are_stated_and_overruled(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "a.bag")
    with open_drive(path) as drive:
        plain = drive.angle_rad
        assert (drive.info.angle_unit, drive.info.angle_sign) == ("rad", "left")
        assert "says radians" in drive.info.angle_source
    with open_drive(path, OpenOptions(angle_unit="deg", angle_sign="right")) as drive:
        assert drive.angle_rad == pytest.approx(-np.radians(plain))
        assert drive.info.angle_source == "given by the user"
    with open_drive(path, OpenOptions(angle_sign="right")) as drive:
        assert drive.angle_rad == pytest.approx(-plain)
        assert drive.info.angle_source.startswith("sign given by the user; unit: ")
    with pytest.raises(DriveError, match="'furlong' is not known"):
        open_drive(path, OpenOptions(angle_unit="furlong"))


def own_steering(path: Path, text: str, **values: object) -> Path:
    """A bag whose steering messages have a definition of their own."""
    name = "car_msgs/msg/Wheel"
    ros = Ros(1, {name: text})
    rows = list(messages(ros, TIMES, PICTURES))
    rows += [(ns, "/steering", name, ros.make(name, header=ros.header(ns), **values)) for ns in TIMES]
    return put_rosbag1(path, ros, rows, definitions={name: text})


def test_fields_are_found_by_name_in_another_definition(tmp_path: Path) -> None:
    text = "Header header\nstring[] names\nfloat64[3] a\nuint8 speed\nfloat64 steering_wheel_angle # degrees\nbool b\n"
    path = own_steering(
        tmp_path / "a.bag", text, names=["x", "yy"], a=np.zeros(3), speed=9, steering_wheel_angle=90.0, b=True
    )
    with open_drive(path) as drive:
        assert drive.angle_rad == pytest.approx(np.full(N, np.pi / 2))
        assert drive.speed_mps == pytest.approx(np.full(N, 9.0))
        assert drive.info.angle_unit == "deg"


def test_a_definition_without_the_field_is_said(tmp_path: Path) -> None:
    path = own_steering(tmp_path / "a.bag", "Header header\nfloat32 torque\n", torque=1.0)
    with open_drive(path) as drive:
        assert np.isnan(drive.angle_rad).all()
        assert any(
            "/steering (car_msgs/Wheel) has no field steering_wheel_angle (its fields: header, torque)" in n
            for n in drive.info.notes
        ), drive.info.notes


def test_a_definition_that_cannot_be_parsed_costs_only_the_steering(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "a.bag")
    path.write_bytes(
        path.read_bytes().replace(b"float32 steering_wheel_angle  ", b"flo!!32 steering_wheel_angle  ")
    )
    with open_drive(path) as drive:
        assert len(drive) == N
        assert np.isnan(drive.angle_rad).all()
        assert any("/vehicle/steering_report cannot be read: the definition" in n for n in drive.info.notes)


def test_opening_reads_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = [picture(0, 640, 480)] * 8
    path = small_bag(tmp_path / "a.bag", times_ns=TIMES[:8], jpegs_or_images=big, compressed=False)
    taken: list[int] = []
    real = message_file.FileView.read

    def counted(self: message_file.FileView, offset: int, size: int) -> bytes:
        data = real(self, offset, size)
        taken.append(len(data))
        return data

    monkeypatch.setattr(message_file.FileView, "read", counted)
    with open_drive(path) as drive:
        assert len(drive) == 8
        assert sum(taken) < 640 * 480 * 3 + 100_000  # the first frame, for its size
        taken.clear()
        drive.frame(5)
        assert sum(taken) < 640 * 480 * 3 + 1000


def test_a_chunk_is_unpacked_once_while_playing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_bag(tmp_path / "a.bag", compression="bz2", compressed=False)
    drive = open_drive(path)
    calls: list[int] = []
    real = message_file.unpack

    def counted(compression: str, data: bytes, raw_size: int) -> bytes:
        calls.append(raw_size)
        return real(compression, data, raw_size)

    monkeypatch.setattr(message_file, "unpack", counted)
    for i in range(len(drive)):
        drive.frame(i)
    assert len(calls) <= 1
    drive.close()
    drive.close()


def test_swapped_cameras_of_2016_10_25_are_noted(tmp_path: Path) -> None:
    start = 1477411200 * 10**9  # that day, 16:00 UTC
    with open_drive(small_bag(tmp_path / "a.bag", times_ns=times(N, start_ns=start))) as drive:
        assert any("2016-10-25" in n and "--camera left" in n for n in drive.info.notes)
        assert np.isnan(drive.angle_rad).all()  # the steering is of another day


def test_bags_without_a_camera_say_what_they_hold(shared: Path) -> None:
    root = shared / "data" / "broken-media"
    for name, topics in (
        (
            "example-bz2.bag",
            r"topics found: /rosout \(rosgraph_msgs/Log\), /tf .*/turtle1/color_sensor \(turtlesim/Color\)",
        ),
        ("example-unsorted-chunks.bag", r"topics found: foo \(std_msgs/String\)$"),
        ("no-messages.bag", r"topics found: none$"),
    ):
        with pytest.raises(DriveError, match=rf"{name} has no camera: .*{topics}"):
            open_drive(root / name)


def test_no_camera_asked_for_is_one_sentence(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "a.bag")
    with pytest.raises(
        DriveError, match=f"{STEERING_TOPIC} is not a camera that can be read; cameras found: center"
    ):
        open_drive(path, OpenOptions(camera=STEERING_TOPIC))


def test_definition_text_is_as_recorded() -> None:
    assert "# rad" in STEERING_2016
    assert "time stamp" in HEADER_ROS1


def test_a_clock_that_is_set_back_is_said(tmp_path: Path) -> None:
    times = [*TIMES[:10], *(t - 3_000_000_000 for t in TIMES[10:])]
    with open_drive(small_bag(tmp_path / "a.bag", times_ns=times)) as drive:
        assert sorted(times) == drive.timestamps_ns.tolist()
        assert any(
            "step back by more than a second, once, as where a clock was set" in n for n in drive.info.notes
        )
    with open_drive(small_bag(tmp_path / "b.bag")) as drive:
        assert not any("step back" in note for note in drive.info.notes)
