"""ROS2 bags: SQLite and MCAP storage, with and without definitions, cut off and damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bagmaker import (
    START_NS,
    STEERING_TOPIC,
    STEERING_TYPE,
    Message,
    Ros,
    file_of,
    messages,
    picture,
    put_rosbag2,
    times,
)
from vbp.drives import OpenOptions, open_drive, rosbag2
from vbp.errors import DriveError, FrameError

N = 20
TIMES = times(N)
STEER_TIMES = times(60, 50.0, START_NS - 100_000_000)
ANGLES = np.cos(np.arange(60) / 9).astype(np.float32)
SPEEDS = np.linspace(3, 12, 60).astype(np.float32)
PICTURES = [picture(i) for i in range(N)]

# The definition as a ROS2 driver has it: no `seq` in the header, and the fields in another order
STEERING_ROS2 = """std_msgs/Header header
bool enabled
float32 speed
string[] faults
float64 steering_wheel_angle
"""


def rows_of(ros: Ros, compressed: bool = True) -> list[Message]:
    return list(messages(ros, TIMES, PICTURES, STEER_TIMES, ANGLES, SPEEDS, compressed=compressed))


def small_bag(path: Path, compressed: bool = True, **changes: str) -> Path:
    ros = Ros(2)
    return put_rosbag2(path, ros, rows_of(ros, compressed), **changes)


def check(path: Path, labelled: bool = True) -> None:
    with open_drive(path) as drive:
        assert drive.info.kind == "rosbag2"
        assert drive.timestamps_ns.tolist() == TIMES
        assert (drive.info.width, drive.info.height, drive.info.camera) == (64, 48, "center")
        expected = np.interp(TIMES, STEER_TIMES, ANGLES.astype(float))
        if labelled:
            assert drive.angle_rad == pytest.approx(expected, abs=1e-4)
            assert np.nanmin(drive.speed_mps) > 3
        else:
            assert np.isnan(drive.angle_rad).all()
        for i in (0, 1, 2, 19, 7, 3):
            assert np.array_equal(drive.frame(i), PICTURES[i])


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
@pytest.mark.parametrize("zipped", [None, "message"])
def test_every_storage_gives_the_same_drive(
    tmp_path: Path, compressed: bool, storage: str, zipped: str | None
) -> None:
    if storage == "mcap" and zipped:
        pytest.skip("rosbags does not write MCAP with single compressed messages")
    path = small_bag(tmp_path / "bag", compressed, storage=storage, **({"zipped": zipped} if zipped else {}))
    check(path)


def test_a_bare_file_works_and_so_does_a_folder_without_metadata(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "bag")
    (path / "metadata.yaml").unlink()
    check(path)
    file = next(path.glob("*.db3"))
    check(file)
    check(file.rename(tmp_path / "no suffix?#%20"))


def test_real_frames(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/udacity-ch2/center").glob("*.jpg"))[:40]
    ros = Ros(2)
    rows = list(messages(ros, [int(f.stem) for f in files], [f.read_bytes() for f in files]))
    with open_drive(put_rosbag2(tmp_path / "bag", ros, rows)) as drive:
        assert drive.timestamps_ns.tolist() == [int(f.stem) for f in files]
        for i in (0, 39, 20):
            assert np.array_equal(drive.frame(i), cv2.imread(str(files[i]))[..., ::-1])


def test_fields_are_found_by_name_whatever_their_alignment(tmp_path: Path) -> None:
    ros = Ros(2, {STEERING_TYPE: STEERING_ROS2})
    rows = list(messages(ros, TIMES, PICTURES))
    for i, ns in enumerate(TIMES):
        data = ros.make(
            STEERING_TYPE,
            header=ros.header(ns, "x" * (i % 9)),
            enabled=True,
            speed=float(i),
            faults=["y" * (j + i % 5) for j in range(i % 4)],
            steering_wheel_angle=i / 10,
        )
        rows.append((ns, STEERING_TOPIC, STEERING_TYPE, data))
    for storage in ("sqlite3", "mcap"):
        with open_drive(put_rosbag2(tmp_path / storage, ros, rows, storage=storage)) as drive:
            assert drive.angle_rad == pytest.approx(np.arange(N) / 10)
            assert drive.speed_mps == pytest.approx(np.arange(N))


def test_big_endian_messages(tmp_path: Path) -> None:
    ros = Ros(2)
    rows: list[Message] = []
    for i, ns in enumerate(TIMES):
        message = ros.store.types["sensor_msgs/msg/CompressedImage"](
            header=ros.header(ns), format="png", data=np.frombuffer(file_of(PICTURES[i]), np.uint8)
        )
        data = ros.store.serialize_cdr(message, "sensor_msgs/msg/CompressedImage", little_endian=False)
        rows.append(
            (ns, "/center_camera/image_color/compressed", "sensor_msgs/msg/CompressedImage", bytes(data))
        )
    check(put_rosbag2(tmp_path / "bag", ros, rows), labelled=False)


def without_definitions(path: Path) -> Path:
    """As ROS2 wrote them before 2023."""
    file = next(path.glob("*.db3"))
    db = sqlite3.connect(file)
    db.execute("DROP TABLE message_definitions")
    db.commit()
    db.close()
    return path


def test_without_definitions_the_standard_messages_are_known(tmp_path: Path) -> None:
    path = without_definitions(small_bag(tmp_path / "bag"))
    check(path, labelled=False)
    with open_drive(path) as drive:
        assert any(
            "/vehicle/steering_report cannot be read: the recording carries no definition of dbw_mkz_msgs"
            in n
            for n in drive.info.notes
        ), drive.info.notes


def test_missing_and_packed_parts(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "bag")
    file = next(path.glob("*.db3"))
    metadata = path / "metadata.yaml"
    text = metadata.read_text()
    assert file.name in text
    metadata.write_text(text.replace(f"- {file.name}", f"- {file.name}\n  - bag_1.db3"))
    with open_drive(path) as drive:
        assert len(drive) == N
        assert any("lists files that are missing or damaged: bag_1.db3" in n for n in drive.info.notes)
    file.unlink()
    with pytest.raises(DriveError, match=r"bag has a metadata.yaml but no readable .db3 or .mcap file"):
        open_drive(path)
    zipped = small_bag(tmp_path / "zipped", zipped="file")
    with pytest.raises(
        DriveError, match=r"\.db3\.zstd is compressed as a whole; unpack it with `zstd -d .* -o "
    ):
        open_drive(zipped)


def test_another_database_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "other.db3"
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE t (a)")
    db.commit()
    db.close()
    with pytest.raises(DriveError, match=r"other.db3 is an SQLite file but no ROS2 bag"):
        open_drive(file)


def test_a_bag_without_a_camera_says_what_it_holds(tmp_path: Path) -> None:
    ros = Ros(2)
    rows = [m for m in rows_of(ros) if m[1] == STEERING_TOPIC]
    with pytest.raises(
        DriveError, match=r"topics found: /vehicle/steering_report \(dbw_mkz_msgs/SteeringReport\)$"
    ):
        open_drive(put_rosbag2(tmp_path / "bag", ros, rows))


def test_a_bag_that_a_recorder_has_open_is_read_and_not_changed(tmp_path: Path) -> None:
    file = next(small_bag(tmp_path / "bag").glob("*.db3"))
    before = file.read_bytes()
    check(file)
    assert file.read_bytes() == before


def use(path: Path) -> None:
    """Open and read all of it: it works in part, or there is one sentence."""
    try:
        with open_drive(path) as drive:
            assert len(drive) > 0
            for i in range(len(drive)):
                try:
                    assert drive.frame(i).shape == (drive.info.height, drive.info.width, 3)
                except FrameError as error:
                    assert "\n" not in str(error)
    except DriveError as error:
        assert "\n" not in str(error)
        assert path.name in str(error)


@pytest.fixture(scope="module")
def sample_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return next(small_bag(tmp_path_factory.mktemp("bags") / "bag").glob("*.db3")).read_bytes()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(part=st.floats(0, 1))
def test_cut_anywhere(sample_bytes: bytes, tmp_path: Path, part: float) -> None:
    path = tmp_path / "cut.db3"
    path.write_bytes(sample_bytes[: int(part * len(sample_bytes))])
    use(path)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=30))
def test_damaged_anywhere(sample_bytes: bytes, tmp_path: Path, flips: list[tuple[float, int]]) -> None:
    data = bytearray(sample_bytes)
    for part, value in flips:
        data[int(part * (len(data) - 1))] = value
    path = tmp_path / "damaged.db3"
    path.write_bytes(bytes(data))
    use(path)


def test_half_a_database_is_one_sentence(tmp_path: Path, sample_bytes: bytes) -> None:
    path = tmp_path / "half.db3"
    path.write_bytes(sample_bytes[: len(sample_bytes) // 2])
    with pytest.raises(
        DriveError, match=r"half.db3 is damaged or cut off, SQLite cannot read it .*\.recover"
    ):
        open_drive(path)


def test_sniff_never_raises(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text("title: something else")
    (tmp_path / "x.db3").write_bytes(b"SQLite")
    assert not rosbag2.sniff(tmp_path)
    assert not rosbag2.sniff(tmp_path / "x.db3")
    assert not rosbag2.sniff(tmp_path / "missing")
    assert rosbag2.sniff(small_bag(tmp_path / "bag", storage="mcap"))


def test_options_are_taken(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "bag")
    with open_drive(path, OpenOptions(angle_sign="right")) as drive, open_drive(path) as plain:
        assert drive.angle_rad == pytest.approx(-plain.angle_rad)
    with pytest.raises(DriveError, match="no camera 'left'; cameras found: center"):
        open_drive(path, OpenOptions(camera="left"))
