"""ROS1 bags that are cut off or damaged, and files that are no bags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer

from bagmaker import (
    ANGLES,
    PICTURES,
    SPEEDS,
    STEER_TIMES,
    TIMES,
    N,
    Ros,
    file_of,
    messages,
    picture,
    put_rosbag1,
    small_bag,
)
from vbp.drives import open_drive, rosbag1
from vbp.errors import DriveError, FrameError


def test_a_picture_that_does_not_decode_is_a_gap(tmp_path: Path) -> None:
    jpegs = [file_of(p, ".jpg") for p in PICTURES]
    jpegs[0] = jpegs[0][:100]
    jpegs[7] = jpegs[7][: len(jpegs[7]) // 2]
    jpegs[9] = b""
    jpegs[11] = file_of(picture(0, 32, 32), ".jpg")
    with open_drive(small_bag(tmp_path / "a.bag", jpegs_or_images=jpegs)) as drive:
        assert len(drive) == N
        assert (drive.info.width, drive.info.height) == (64, 48)
        for i, why in ((0, "truncated"), (7, "truncated"), (9, "empty"), (11, "32x32 and the drive 64x48")):
            with pytest.raises(FrameError, match=rf"frame {i} of a.bag cannot be shown: .*{why}"):
                drive.frame(i)
        assert drive.frame(8).shape == (48, 64, 3)
        assert [g.first for g in drive.info.gaps] == [0, 7, 9, 11]


def test_a_drive_whose_every_picture_is_bad_is_an_error(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "a.bag", jpegs_or_images=[b"no picture"] * N)
    with pytest.raises(DriveError, match="no picture of /center_camera/image_color/compressed can be shown"):
        open_drive(path)


def test_bag_without_an_end_is_recovered_whole(tmp_path: Path) -> None:
    ros = Ros(1)
    rows = list(messages(ros, TIMES, PICTURES, STEER_TIMES, ANGLES, SPEEDS))
    path = put_rosbag1(tmp_path / "whole.bag", ros, rows, chunk_bytes=4096)
    data = path.read_bytes()
    at = data.rindex(b"op=\x07", 0, data.rindex(b"op=\x07"))
    first = data.index(b"op=\x06")
    assert at < first
    end = data[:first].rindex(b"MSG: std_msgs/Header")  # inside the index of the whole
    cut = tmp_path / "cut.bag"
    cut.write_bytes(data[:end])
    with open_drive(cut) as drive:
        assert drive.timestamps_ns.tolist() == TIMES
        assert not np.isnan(drive.angle_rad).any()
        assert np.array_equal(drive.frame(20), PICTURES[20])
        assert any(f"cut.bag is cut off after {end} bytes: its index is lost" in n for n in drive.info.notes)
    unclosed = tmp_path / "crash.bag.active"
    writer = Writer(unclosed)
    writer.chunk_threshold = 4096
    writer.open()
    connections = {}
    for ns, topic, kind, message in rows:
        if topic not in connections:
            text, md5 = ros.store.generate_msgdef(kind)
            connections[topic] = writer.add_connection(topic, kind, msgdef=text, md5sum=md5)
        writer.write(connections[topic], ns, message)
    writer.abort()
    with open_drive(unclosed) as drive:
        assert 20 < len(drive) <= N
        assert any("was not closed by its recorder" in n for n in drive.info.notes)


def test_half_a_bag_gives_half_the_drive_up_to_its_last_whole_message(tmp_path: Path) -> None:
    for compression in (None, "bz2", "lz4"):
        ros = Ros(1)
        rows = messages(ros, TIMES, PICTURES, STEER_TIMES, ANGLES, SPEEDS, compressed=False)
        path = put_rosbag1(tmp_path / f"{compression}.bag", ros, rows, compression, chunk_bytes=20_000)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with open_drive(path) as drive:
            assert len(drive) >= 10
            for i in range(len(drive)):
                assert np.array_equal(drive.frame(i), PICTURES[i])


def test_a_bag_cut_before_its_first_frame_says_so(tmp_path: Path) -> None:
    path = small_bag(tmp_path / "a.bag")
    path.write_bytes(path.read_bytes()[:4500])
    with pytest.raises(
        DriveError, match=r"a.bag has no camera: .*\(a.bag is cut off after 4500 bytes: .*topics found"
    ):
        open_drive(path)


def use(path: Path) -> None:
    """Open and read all of it: it works in part, or there is one sentence."""
    try:
        with open_drive(path) as drive:
            assert len(drive) == len(drive.angle_rad) == len(drive.speed_mps) > 0
            assert (np.diff(drive.timestamps_ns) >= 0).all()
            for i in range(len(drive)):
                try:
                    assert drive.frame(i).shape == (drive.info.height, drive.info.width, 3)
                except FrameError as error:
                    assert "\n" not in str(error)
    except DriveError as error:
        assert "\n" not in str(error)
        assert path.name in str(error)


@pytest.fixture(scope="module")
def sample_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("bags")
    out = {}
    for compression in (None, "bz2", "lz4"):
        ros = Ros(1)
        rows = list(
            messages(ros, TIMES[:8], [picture(i, 16, 12) for i in range(8)], STEER_TIMES, ANGLES, SPEEDS)
        )
        path = put_rosbag1(folder / f"{compression}.bag", ros, rows, compression, chunk_bytes=2500)
        out[str(compression)] = path.read_bytes()
    return out


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(["None", "bz2", "lz4"]), part=st.floats(0, 1))
def test_cut_anywhere(sample_bytes: dict[str, bytes], tmp_path: Path, kind: str, part: float) -> None:
    data = sample_bytes[kind]
    path = tmp_path / "cut.bag"
    path.write_bytes(data[: int(part * len(data))])
    use(path)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["None", "bz2", "lz4"]),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=30),
    lose_index=st.booleans(),
)
def test_damaged_anywhere(
    sample_bytes: dict[str, bytes],
    tmp_path: Path,
    kind: str,
    flips: list[tuple[float, int]],
    lose_index: bool,
) -> None:
    data = bytearray(sample_bytes[kind])
    if lose_index:
        del data[-600:]
    for part, value in flips:
        at = int(part * (len(data) - 1))
        if at >= 4200 or part > 0.9:  # most of the first 4 kB is padding
            data[at] = value
    path = tmp_path / "damaged.bag"
    path.write_bytes(bytes(data))
    use(path)


def test_other_versions_and_scraps_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.bag"
    path.write_bytes(b"#ROSBAG V1.2\n" + bytes(100))
    with pytest.raises(DriveError, match=r"version '1.2'; version 2.0 is read"):
        open_drive(path)
    path.write_bytes(b"#ROSBAG V2.0\n\x45")
    with pytest.raises(DriveError, match="cut off or damaged in its first bytes"):
        open_drive(path)


def test_a_bad_bag_in_a_folder_does_not_cost_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    small_bag(folder, split="sensor")
    (folder / "zz.bag").write_bytes(b"#ROSBAG V2.0\n\x45")
    with open_drive(folder) as drive:
        assert len(drive) == N
        assert any("zz.bag is cut off" in n for n in drive.info.notes)


def test_sniff_never_raises(tmp_path: Path) -> None:
    for name, data in (("empty.bag", b""), ("text.bag", b"#ROSBAG?"), ("x.jpg", b"\xff\xd8")):
        (tmp_path / name).write_bytes(data)
        assert not rosbag1.sniff(tmp_path / name)
    assert not rosbag1.sniff(tmp_path)
    assert not rosbag1.sniff(tmp_path / "missing")
    assert not rosbag1.sniff(Path("/dev/null"))
    assert rosbag1.sniff(small_bag(tmp_path / "without-suffix"))
