"""A video with a steering CSV beside it: pairing, units and signs, time bases."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vbp.drives import OpenOptions, open_drive, video
from vbp.drives.csv_layout import find_layout
from vbp.errors import DriveError, NeedsAngleUnitError
from videomaker import scenes, write_video

N = 40  # frames, 20 per second
START = 1479425441182877835  # ns since 1970; float64 cannot hold it


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", scenes(N, 64, 48))


@pytest.fixture
def folder(tmp_path: Path, clip: Path) -> Path:
    shutil.copy(clip, tmp_path / "drive.mp4")
    return tmp_path


def opened(folder: Path, text: str, name: str = "drive.csv", **options: str):
    (folder / name).write_bytes(text.encode())
    return open_drive(folder / "drive.mp4", OpenOptions(**options))


def table(header: str, rows) -> str:
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


# --- pairing --------------------------------------------------------------------------------------

DEGREES = "frame,angle_deg\n0,1\n1,2\n"


@pytest.mark.parametrize(
    ("video_name", "csv_name"),
    [
        ("drive.mp4", "drive.csv"),
        ("drive.mp4", "drive_steering.csv"),
        ("drive.mp4", "DRIVE-angles.CSV"),
        ("epoch30_front.mp4", "epoch30_steering.csv"),
        ("drive.mp4", "labels.csv"),  # the only one beside the only video
    ],
)
def test_the_csv_beside_a_video_is_found_from_either(
    tmp_path: Path, clip: Path, video_name: str, csv_name: str
) -> None:
    shutil.copy(clip, tmp_path / video_name)
    (tmp_path / csv_name).write_text(DEGREES)
    for path in (tmp_path, tmp_path / video_name, tmp_path / csv_name):
        with open_drive(path) as drive:
            assert np.isfinite(drive.angle_rad[:2]).all(), path
            assert drive.info.path == tmp_path / video_name


def test_the_closest_name_wins_and_the_others_are_noted(folder: Path) -> None:
    (folder / "drive_steering.csv").write_text("frame,angle_deg\n0,5\n")
    (folder / "drive_other.csv").write_text("frame,angle_deg\n0,7\n")
    (folder / "drive_predicted.csv").write_text("frame,timestamp_ns,angle_deg,predicted_deg\n0,0,9,9\n")
    with open_drive(folder / "drive.mp4") as drive:
        assert drive.angle_rad[0] == pytest.approx(np.radians(5))
        assert any("drive_other.csv" in note and "drive_steering.csv" in note for note in drive.info.notes)


def test_equally_close_names_are_not_chosen_between(folder: Path) -> None:
    (folder / "drive_a.csv").write_text(DEGREES)
    (folder / "drive_b.csv").write_text(DEGREES)
    with pytest.raises(DriveError, match=r"drive_a\.csv, drive_b\.csv"):
        open_drive(folder / "drive.mp4")
    with open_drive(folder / "drive_b.csv") as drive:
        assert len(drive) == N


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (bytes(range(256)), "is not a text file"),
        (b"time,gear\n1,2\n", "no column with a steering angle"),
    ],
)
def test_a_csv_of_the_videos_name_that_is_no_use_is_noted(folder: Path, content: bytes, words: str) -> None:
    (folder / "drive.csv").write_bytes(content)
    drive = open_drive(folder / "drive.mp4")
    assert not np.isfinite(drive.angle_rad).any()
    assert any("drive.csv" in note and words in note for note in drive.info.notes)


def test_several_videos_for_one_csv(folder: Path) -> None:
    shutil.copy(folder / "drive.mp4", folder / "other.mp4")
    (folder / "labels.csv").write_text(DEGREES)
    with pytest.raises(DriveError, match=r"drive\.mp4, other\.mp4"):
        open_drive(folder / "labels.csv")
    with open_drive(folder / "drive.mp4") as drive:  # a video of its own right, without labels
        assert np.isnan(drive.angle_rad).all() and any("labels.csv" in n for n in drive.info.notes)


def test_a_csv_without_video_or_without_steering(tmp_path: Path, folder: Path) -> None:
    (folder / "drive.mp4").unlink()
    (folder / "alone.csv").write_text(DEGREES)
    assert video.sniff(folder / "alone.csv")
    with pytest.raises(DriveError, match="no video beside"):
        open_drive(folder / "alone.csv")
    (folder / "sales.csv").write_text("name,price\nx,1\n")
    assert not video.sniff(folder / "sales.csv")


# --- units and signs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("angle_deg", "deg"),
        ("angle_rad", "rad"),
        ("steering_angle_deg", "deg"),
        ("Steering Angle [rad]", "rad"),
        ("steering_wheel_angle", "rad"),
        ("steering_wheel_angle_degrees", "deg"),
        ("wheel (deg)", "deg"),
    ],
)
def test_the_unit_is_in_the_name(folder: Path, column: str, unit: str) -> None:
    with opened(folder, table(f"frame,{column}", [(i, 0.25) for i in range(N)])) as drive:
        expected = 0.25 if unit == "rad" else np.radians(0.25)
        assert np.allclose(drive.angle_rad, expected)
        assert drive.info.angle_unit == unit and "column name" in drive.info.angle_source


@pytest.mark.parametrize("column", ["angle", "steering", "steering_angle", "wheel"])
def test_an_unstated_unit_is_asked_for(folder: Path, column: str) -> None:
    text = table(f"frame,{column}", [(i, 0.5) for i in range(N)])
    with pytest.raises(NeedsAngleUnitError, match="--angle-unit rad or --angle-unit deg") as caught:
        opened(folder, text)
    assert "drive.csv" in str(caught.value) and "\n" not in str(caught.value)
    with opened(folder, text, angle_unit="deg", angle_sign="right") as drive:
        assert np.allclose(drive.angle_rad, -np.radians(0.5))
        assert drive.info.angle_source == "given by the user"
    with opened(folder, text, angle_unit="unit:90") as drive:
        assert np.allclose(drive.angle_rad, np.radians(45))
    with pytest.raises(DriveError, match="furlong"):
        opened(folder, text, angle_unit="furlong")


def test_udacitys_names_with_other_times_do_not_prove_its_unit(folder: Path) -> None:
    with pytest.raises(NeedsAngleUnitError):
        opened(folder, table("timestamp,angle", [(0.05 * i, 0.5) for i in range(N)]))


@pytest.mark.parametrize(
    ("column", "factor"), [("speed_mps", 1), ("speed_kmh", 1 / 3.6), ("speed_mph", 0.44704), ("speed", 1)]
)
def test_speed(folder: Path, column: str, factor: float) -> None:
    with opened(folder, table(f"frame,angle_deg,{column}", [(i, 1, 10) for i in range(N)])) as drive:
        assert np.allclose(drive.speed_mps, 10 * factor)
        assert any("metres per second" in note for note in drive.info.notes) == (column == "speed")


@pytest.mark.parametrize("angle", ["angle_deg", "driven_deg"])  # as it was called at first, and is now
def test_vbps_own_csv_is_read_back(folder: Path, angle: str) -> None:
    rows = [(i, 50_000_000 * i, 2.5 * i if i != 7 else "", 1, 1, 14.2) for i in range(N)]
    with opened(
        folder, table(f"frame,timestamp_ns,{angle},predicted_deg,error_deg,speed_mps", rows)
    ) as drive:
        expected = np.radians([2.5 * i for i in range(N)])
        assert np.allclose(np.delete(drive.angle_rad, 7), np.delete(expected, 7))
        assert drive.angle_rad[7] == pytest.approx(expected[7])  # between its neighbours
        assert np.allclose(drive.speed_mps, 14.2)
        assert "written by vbp" in drive.info.angle_source


# --- times ----------------------------------------------------------------------------------------


def test_a_row_per_frame_gives_the_frames_its_times(folder: Path) -> None:
    times = START + np.cumsum(np.random.default_rng(0).integers(1, 10**8, N))
    with opened(folder, table("timestamp,angle", zip(times, np.arange(N) / 100, strict=True))) as drive:
        assert np.array_equal(drive.timestamps_ns, times)
        assert np.array_equal(drive.angle_rad, np.arange(N) / 100)


def test_absolute_times_at_another_rate_start_with_the_video(folder: Path) -> None:
    times = START + np.arange(0, 1_000_000_000, 20_000_000)  # 50 Hz, one second
    with opened(folder, table("timestamp,angle", zip(times, np.arange(50) * 0.02, strict=True))) as drive:
        assert np.array_equal(drive.timestamps_ns - START, np.arange(N) * 50_000_000)
        assert np.allclose(drive.angle_rad[:20], np.arange(20) * 0.05)
        assert np.isnan(drive.angle_rad[20:]).all()  # behind the last sample: unlabelled, not held
        assert any("first row" in note for note in drive.info.notes)


@pytest.mark.parametrize(
    ("column", "scale"),
    [("time_s", 1), ("t_ms", 1e3), ("timestamp_us", 1e6), ("time_ns", 1e9), ("t", 1), ("t", 1e3)],
)
def test_times_within_the_video(folder: Path, column: str, scale: float) -> None:
    rows = [(repr(0.02 * i) if scale == 1 else round(0.02 * i * scale), 0.02 * i) for i in range(100)]
    with opened(folder, table(f"{column},angle_rad", rows)) as drive:
        assert np.allclose(drive.angle_rad, np.arange(N) * 0.05, atol=1e-9)
        assert any("does not state its unit" in note for note in drive.info.notes) == (column == "t")


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("timestamp_ns", [str(START + 50_000_001 * i) for i in range(N)]),
        ("timestamp", [f"{START // 10**9}.{(START % 10**9 + 1001 * i):09d}" for i in range(N)]),
        ("time_us", [str(START // 1000 + 50_000 * i) for i in range(N)]),
        ("time_ms", [str(START // 10**6 + 50 * i) for i in range(N)]),
    ],
)
def test_absolute_times_are_exact_in_every_unit(folder: Path, column: str, cells: list[str]) -> None:
    digits = {"timestamp_ns": 0, "time_us": 3, "time_ms": 6, "timestamp": 9}[column]
    expected = [int(c.replace(".", "")) if "." in c else int(c) * 10**digits for c in cells]
    with opened(folder, table(f"{column},angle_rad", zip(cells, [0.1] * N, strict=True))) as drive:
        assert drive.timestamps_ns.tolist() == expected


def test_a_name_that_its_numbers_contradict_is_noted(folder: Path) -> None:
    rows = [(START // 10**6 + 50 * i, i + 1, 10) for i in range(N)]
    with opened(folder, table("ts_micro,frame,wheel", rows)) as drive:
        assert drive.timestamps_ns[0] == START // 10**6 * 10**6
        assert any("named for microseconds, but its numbers are milliseconds" in n for n in drive.info.notes)


def test_true_deeptesla_times_and_numbers_from_0(folder: Path) -> None:
    """As its course shows them: ts_micro, frame_index from 0, wheel."""
    rows = [(1464305394391807 + 33333 * i, i, -0.5 - i) for i in range(N)]
    with opened(folder, table("ts_micro,frame_index,wheel", rows)) as drive:
        assert drive.timestamps_ns[1] == (1464305394391807 + 33333) * 1000
        assert np.allclose(drive.angle_rad, np.radians([0.5 + i for i in range(N)]))


def test_rows_for_some_frames_are_interpolated_within_the_limit(folder: Path) -> None:
    text = table("frame,angle_rad", [(4, 0.4), (6, 0.6), (30, 3.0)])
    with opened(folder, text) as drive:
        assert np.allclose(drive.angle_rad[[4, 5, 6, 30]], [0.4, 0.5, 0.6, 3.0])
        assert np.isnan(drive.angle_rad[[3, 11, 25, 31]]).all()


def test_more_or_fewer_rows_and_frames_out_of_range(folder: Path) -> None:
    rows = [(i, 0.01 * i) for i in range(-2, N + 5)] + [(3, 9.9)]
    with opened(folder, table("frame,angle_rad", rows)) as drive:
        assert np.allclose(drive.angle_rad, np.arange(N) * 0.01)
        assert any("does not have" in n for n in drive.info.notes) and any(
            "several" in n for n in drive.info.notes
        )


def test_times_that_run_backwards_do_not_become_the_frames_times(folder: Path) -> None:
    times = [START + 50_000_000 * i for i in range(N)]
    times[10], times[11] = times[11], times[10]
    with opened(folder, table("timestamp,angle", [(t, i) for i, t in enumerate(times)])) as drive:
        assert (np.diff(drive.timestamps_ns) >= 0).all()
        assert np.array_equal(drive.angle_rad, np.arange(N))
        assert any("backwards" in note for note in drive.info.notes)


def test_angles_alone_count_as_one_row_per_frame_or_not_at_all(folder: Path) -> None:
    (folder / "drive.csv").write_text(table("angle_deg", [(i,) for i in range(N)]))
    with open_drive(folder / "drive.mp4") as drive:  # not taken unasked: it names neither frame nor time
        assert np.isnan(drive.angle_rad).all()
    with video.open(folder / "drive.csv", OpenOptions()) as drive:
        assert np.allclose(np.degrees(drive.angle_rad), np.arange(N))
    (folder / "drive.csv").write_text(table("angle_deg", [(i,) for i in range(N + 3)]))
    with pytest.raises(DriveError, match=f"{N + 3} rows for {N} frames"):
        video.open(folder / "drive.csv", OpenOptions())


def test_a_cut_video_keeps_the_rows_of_the_frames_it_has(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "cut.mp4",
        scenes(N, 64, 48),
        options={"x264-params": "keyint=5:bframes=0"},
        container_options={"movflags": "faststart"},
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    rows = [(START + 49_000_000 * i, i / 100) for i in range(N)]
    (tmp_path / "cut.csv").write_text(table("timestamp,angle", rows))
    with open_drive(path) as drive:
        assert 5 < len(drive) < N
        assert drive.timestamps_ns.tolist() == [t for t, _ in rows[: len(drive)]]
        assert np.array_equal(drive.angle_rad, [a for _, a in rows[: len(drive)]])
        assert any("cut short" in note for note in drive.info.notes)


def test_bom_crlf_semicolons_and_empty_cells(folder: Path) -> None:
    text = "\ufefftimestamp;angle\r\n" + "".join(f"{START + 50_000_000 * i};0,{i:02d}\r\n" for i in range(N))
    with opened(folder, text.replace(";0,05\r\n", ";\r\n")) as drive:
        assert drive.timestamps_ns[0] == START and drive.angle_rad[6] == pytest.approx(0.06)
        assert np.isnan(drive.angle_rad[5])


@pytest.mark.parametrize(
    "text",
    ["", "frame,angle_deg\n", "frame,angle_deg\nx,1\ny,2\n", "time_s,angle_deg\nnan,1\n", "frame\n1\n"],
)
def test_a_csv_without_use_is_one_sentence(folder: Path, text: str) -> None:
    (folder / "drive.csv").write_text(text)
    with pytest.raises(DriveError) as caught:
        video.open(folder / "drive.csv", OpenOptions())
    assert "drive.csv" in str(caught.value) and "\n" not in str(caught.value)


CELL = st.one_of(st.integers(-(10**20), 10**20), st.floats(), st.text("0123456789.eE+-n", max_size=6)).map(
    str
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.sampled_from(
        ["frame,angle_rad", "time_s,angle_rad", "timestamp,angle", "frame,timestamp,angle_deg,speed"]
    ),
    rows=st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=12),
)
def test_any_numbers_give_a_sound_drive_or_one_sentence(
    folder: Path, header: str, rows: list[list[str]]
) -> None:
    try:
        drive = opened(folder, table(header, rows))
    except DriveError as error:
        assert "\n" not in str(error)
        return
    with drive:
        assert len(drive.timestamps_ns) == len(drive.angle_rad) == len(drive.speed_mps) == N
        assert drive.timestamps_ns.dtype == np.int64 and (np.diff(drive.timestamps_ns) >= 0).all()
        assert not np.isinf(drive.angle_rad).any()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"frame", "angle_deg"}, ("angle_deg", "deg", "frame", "", 0)),
        ({"timestamp_ns", "angle", "angle_rad"}, ("angle_rad", "rad", "", "timestamp_ns", 1)),
        (
            {"time_s", "timestamp_ns", "steering_angle_deg"},
            ("steering_angle_deg", "deg", "", "timestamp_ns", 1),
        ),
        ({"Time (ms)", "SWA [deg]"}, ("swa [deg]", "deg", "", "time (ms)", 10**6)),
    ],
)
def test_layouts(columns: set[str], expected: tuple) -> None:
    layout = find_layout(columns)
    assert layout is not None
    assert (layout.angle, layout.angle_unit, layout.frame, layout.time, layout.time_scale) == expected
    assert find_layout({"frame", "speed", "predicted_deg"}) is None
