"""Raw H.264 and H.265, which hold no times: labels are never joined by times that were invented."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from picturemaker import grey_picture, write_table
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import DriveError

FRAMES = 60
ANGLES = np.round(0.5 * np.sin(np.arange(FRAMES) / 8), 5)


@pytest.fixture(scope="module", params=["h264", "hevc"])
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream that states no rate, as a car's recorder writes it; B frames are in it."""
    path = tmp_path_factory.mktemp("raw") / f"fcamera.{request.param}"
    with av.open(str(path), "w", format=request.param) as out:
        coder = {"h264": "libx264", "hevc": "libx265"}[request.param]
        video = out.add_stream(coder, rate=20)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if coder == "libx265":
            video.options = {"x265-params": "log-level=none:vui-timing-info=0:vui-hrd-info=0:info=0"}
        for k in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 3 * k, np.uint8), format="rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


def at(stream: Path, folder: Path, header: str = "", rows: list[str] | None = None) -> Path:
    copy = folder / stream.name
    copy.write_bytes(stream.read_bytes())
    if rows is not None:
        write_table(folder / "fcamera.csv", header, rows)
    return copy


def states_a_rate(stream: Path) -> bool:
    with av.open(str(stream)) as container:
        return bool(container.streams.video[0].codec_context.framerate)


def test_a_rate_that_nobody_states_is_said_and_can_be_given(stream: Path, tmp_path: Path) -> None:
    path = at(stream, tmp_path)
    with open_drive(path) as drive:
        stated = states_a_rate(path)
        assert drive.info.fps == pytest.approx(20 if stated else 25)  # a rate in the stream counts
        assert any("pass --fps if it is another" in note for note in drive.info.notes) == (not stated)
    if not stated:
        with open_drive(path, OpenOptions(fps=20)) as drive:
            assert drive.timestamps_ns.tolist() == [50_000_000 * k for k in range(FRAMES)]
            assert not any("--fps" in note for note in drive.info.notes)
        for fps in (0, -1, 1e9, float("nan")):
            with pytest.raises(DriveError, match="no rate that can be shown"):
                open_drive(path, OpenOptions(fps=fps))


@pytest.mark.parametrize("start", ["0.000", "1600000000.000"])
def test_a_row_for_each_frame_is_taken_row_by_row(stream: Path, tmp_path: Path, start: str) -> None:
    rows = [f"{float(start) + 0.05 * k:.3f},{a}" for k, a in enumerate(ANGLES)]
    with open_drive(at(stream, tmp_path, "time_s,angle_rad", rows)) as drive:
        np.testing.assert_allclose(drive.angle_rad, ANGLES)
        assert drive.info.fps == pytest.approx(20, rel=1e-3)


def test_rows_of_another_rate_are_not_joined_by_an_invented_one(stream: Path, tmp_path: Path) -> None:
    if states_a_rate(stream):
        pytest.skip("this encoder writes the rate into the stream")
    rows = [f"{0.01 * k:.3f},{0.01 * k:.3f}" for k in range(300)]
    path = at(stream, tmp_path, "time_s,angle_rad", rows)
    with pytest.raises(DriveError, match=r"300 rows with times for 60 frames without: .* pass --fps"):
        open_drive(path)
    with open_drive(path, OpenOptions(fps=20)) as drive:
        np.testing.assert_allclose(drive.angle_rad, 0.05 * np.arange(FRAMES), atol=1e-9)


def test_frame_numbers_need_no_rate(stream: Path, tmp_path: Path) -> None:
    rows = [f"{k},{a}" for k, a in enumerate(ANGLES) if k % 2 == 0]
    with open_drive(at(stream, tmp_path, "frame,angle_rad", rows)) as drive:
        np.testing.assert_allclose(drive.angle_rad[::2], ANGLES[::2])


def test_a_rate_for_pictures_and_one_that_is_not_needed(tmp_path: Path) -> None:
    for k in range(3):
        grey_picture(tmp_path / "p" / f"{k}.png")
        grey_picture(tmp_path / "l" / f"{k}.png")
    write_table(tmp_path / "l/list.csv", "image,angle_rad", ["0.png,1", "1.png,2", "2.png,3"])
    for name in "pl":
        with open_drive(tmp_path / name, OpenOptions(fps=4)) as drive:
            assert drive.timestamps_ns.tolist() == [0, 250_000_000, 500_000_000]
            assert not any("per second" in note for note in drive.info.notes)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["b_by_time", "c_by_frame", "d_by_epoch"])
def test_the_case_that_was_reported(shared: Path, name: str) -> None:
    folder = shared / "cases/03_raw_hevc" / name
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    expected = np.loadtxt(folder / "fcamera.csv", delimiter=",", skiprows=1)[:, 1]
    with open_drive(folder) as drive:
        np.testing.assert_allclose(drive.angle_rad, expected)


@pytest.mark.parametrize("place", ["frame_times", "global_pose/frame_times"])
def test_the_frame_times_of_comma2k19(stream: Path, tmp_path: Path, place: str) -> None:
    if states_a_rate(stream):
        pytest.skip("this encoder writes the rate into the stream")
    path = at(stream, tmp_path)
    seconds = 46408.625 + np.arange(FRAMES) / 16
    (tmp_path / place).parent.mkdir(exist_ok=True)
    for times, used in (
        (seconds, True),
        (seconds[:-1], False),
        (seconds[::-1], False),
        (seconds * np.nan, False),
    ):
        with (tmp_path / place).open("wb") as file:
            np.save(file, times)
        for opened in (path, tmp_path):
            with open_drive(opened) as drive:
                assert drive.info.fps == pytest.approx(16 if used else 25)
                assert (int(drive.timestamps_ns[0]) == 46_408_625_000_000) == used
                assert used or any("25 frames per second" in note for note in drive.info.notes)
                said = any("not read" in note for note in drive.info.notes)
                assert said == (opened == tmp_path and not used)
