"""comma2k19: segments as the data set's README lays them out, NumPy files without an ending among them."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from picturemaker import grey_picture
from vbp.cli.main import main
from vbp.drives.base import OpenOptions
from vbp.drives.numpy_file import MOST_BYTES, read_numbers
from vbp.drives.opening import open_drive
from vbp.errors import DriveError

FRAMES = 40
BOOT = 46_408.625  # seconds since the device was switched on
TIMES = BOOT + np.arange(FRAMES) / 20
ROUTE = "b0c9d2329ad1606b|2018-07-27--06-03-57"
STEERING, SPEED = "processed_log/CAN/steering_angle", "processed_log/CAN/speed"


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("comma") / "video.hevc"
    with av.open(str(path), "w", format="hevc") as out:
        video = out.add_stream("libx265", rate=25)  # which the stream states, and is not true
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"x265-params": "log-level=none"}
        for k in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 4 * k, np.uint8), format="rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path.read_bytes()


def array(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, values)


def segment(folder: Path, stream: bytes) -> Path:
    """Steering of 1 degree more each tenth of a second for all of its time, speed for its first second."""
    array(folder / "global_pose/frame_times", TIMES)
    array(folder / "global_pose/frame_positions", np.zeros((FRAMES, 3)))
    log = BOOT - 0.5 + np.arange(300) / 100
    array(folder / STEERING / "t", log)
    array(folder / STEERING / "value", (log - BOOT) * 10)
    array(folder / SPEED / "t", log[:150])
    array(folder / SPEED / "value", np.full((150, 1), 25.0))
    array(folder / "processed_log/CAN/raw_can/t", log)
    (folder / "video.hevc").write_bytes(stream)
    (folder / "raw_log.bz2").write_bytes(b"BZh9")
    grey_picture(folder / "preview.png")
    return folder


@pytest.fixture
def folder(tmp_path: Path, stream: bytes) -> Path:
    return segment(tmp_path / "Chunk_1" / ROUTE / "3", stream)


def test_frames_by_their_times_with_steering_and_speed(folder: Path) -> None:
    for opened in (folder, folder / "video.hevc", folder.parent.parent):
        with open_drive(opened) as drive:
            assert drive.info.kind == "comma2k19" and drive.info.fps == pytest.approx(20)
            assert drive.timestamps_ns.tolist() == [
                46_408_625_000_000 + 50_000_000 * k for k in range(FRAMES)
            ]
            np.testing.assert_allclose(np.degrees(drive.angle_rad), np.arange(FRAMES) / 2, atol=1e-6)
            np.testing.assert_allclose(drive.speed_mps[:20], 25)
            assert np.isnan(drive.speed_mps[20:]).all()
            assert (drive.info.angle_unit, drive.info.angle_sign) == ("deg", "left")
            assert int(drive.frame(10)[0, 0, 0]) == pytest.approx(60, abs=3)
            notes = "\n".join(drive.info.notes)
        assert "20 of 40 frames have no speed" in notes and "frames per second" not in notes
        if opened != folder / "video.hevc":
            for name in ("raw_log.bz2", "preview.png", "processed_log/CAN/raw_can/", "frame_positions"):
                assert name in notes
            assert "frame_times" not in notes and STEERING not in notes and "video.hevc" not in notes
    with open_drive(folder, OpenOptions(angle_unit="rad", angle_sign="right", fps=5)) as drive:
        assert drive.angle_rad[2] == pytest.approx(-1) and drive.info.fps == pytest.approx(20)
        assert any("--fps was not used" in note for note in drive.info.notes)


def test_the_name_of_the_speed_in_the_description(folder: Path) -> None:
    (folder / SPEED).rename(folder / "processed_log/CAN/car_speed")
    with open_drive(folder) as drive:
        assert drive.speed_mps[0] == 25


def test_segments_are_a_list_to_choose_from(folder: Path, stream: bytes) -> None:
    segment(folder.parent / "12", stream)
    with pytest.raises(DriveError, match=r"holds 2 recordings \(3, 12\); open one of them"):
        open_drive(folder.parent)
    with pytest.raises(DriveError) as error:
        open_drive(folder.parent.parent)
    assert f"holds 2 recordings ({ROUTE}/3, {ROUTE}/12)" in str(error.value)


def test_what_info_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "angle      0.00° to +19.50°, left positive" in printed
    assert "steering   in deg, left positive: comma2k19's description" in printed
    assert "raw_log.bz2" in printed and "preview.png" in printed


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode()


class Caught:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was read",))


BAD = {
    "empty": b"",
    "text": b"1\n2\n3\n",
    "a pickle": pickle.dumps(Caught()),
    "an array of objects": npy(np.array([1, 2], dtype=object)),
    "a picture of numbers": npy(np.zeros((40, 3))),
    "cut short": npy(np.zeros(40))[:-1],
    "eight terabytes": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"),
    "less than nothing": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n"),
    "too deep": header("(" * 9000),
    "no dtype": header("{'descr': 'zz', 'fortran_order': False, 'shape': (1,), }\n"),
    "pieces": npy(np.zeros(40, dtype=[("a", "f8")])),
    "another version": b"\x93NUMPY\x09\0",
    "another length": npy(np.zeros(7)),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_damaged_file_costs_what_it_says_and_no_more(folder: Path, bad: str) -> None:
    (folder / STEERING / "value").write_bytes(BAD[bad])
    with open_drive(folder) as drive:
        assert np.isnan(drive.angle_rad).all() and drive.speed_mps[0] == 25 and not drive.info.angle_unit
        (note,) = [note for note in drive.info.notes if note.startswith("no steering: ")]
        assert "steering_angle" in note and "\n" not in note
    (folder / "global_pose/frame_times").write_bytes(BAD[bad])
    with open_drive(folder) as drive:
        assert np.isnan(drive.angle_rad).all() and drive.timestamps_ns[0] == 0
        assert any("no steering, for nothing says when a frame was taken: " in n for n in drive.info.notes)


@pytest.mark.parametrize("times", [TIMES[::-1], TIMES * np.nan, TIMES * 1e300, TIMES[:-1], -TIMES * 1e9])
def test_times_that_cannot_be_are_not_used(folder: Path, times: np.ndarray) -> None:
    array(folder / "global_pose/frame_times", times)
    with open_drive(folder) as drive:
        assert drive.timestamps_ns[0] == 0 and np.isnan(drive.angle_rad).all()


def test_a_video_that_is_cut_short_keeps_its_first_times(folder: Path) -> None:
    array(folder / "global_pose/frame_times", BOOT + np.arange(FRAMES + 3) / 20)
    with open_drive(folder) as drive:
        assert drive.timestamps_ns[-1] == 46_408_625_000_000 + 50_000_000 * (FRAMES - 1)
        assert any("the last 3 times have no frame" in note for note in drive.info.notes)


def test_a_link_that_leads_out_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / STEERING).rename(tmp_path / "elsewhere")
    (folder / STEERING).symlink_to(tmp_path / "elsewhere")
    with open_drive(folder) as drive:
        assert np.isnan(drive.angle_rad).all() and drive.speed_mps[0] == 25


@settings(max_examples=80, deadline=None)
@given(
    values=hnp.arrays(
        hnp.floating_dtypes(sizes=(32, 64), endianness="?") | hnp.integer_dtypes(endianness="?"),
        st.integers(0, 30).flatmap(lambda n: st.sampled_from([(n,), (n, 1)])),
    ),
    cut=st.integers(0, 200),
    flipped=st.integers(0, 10**6),
)
def test_numbers_are_those_that_numpy_wrote(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, cut: int, flipped: int
) -> None:
    file = tmp_path_factory.mktemp("npy") / "value"
    data = npy(values)
    file.write_bytes(data)
    np.testing.assert_array_equal(read_numbers(file), values.reshape(-1).astype(np.float64))
    if cut and cut <= values.nbytes:
        file.write_bytes(data[:-cut])
        with pytest.raises(DriveError, match="is cut short"):
            read_numbers(file)
    damaged = bytearray(data)
    damaged[flipped % len(data)] ^= 1 + flipped % 255
    file.write_bytes(damaged)
    try:
        assert len(read_numbers(file)) * 1 <= MOST_BYTES
    except DriveError as error:
        assert str(error).startswith(str(file))
