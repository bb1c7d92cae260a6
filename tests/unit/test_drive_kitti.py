"""KITTI's raw recordings, laid out as their devkit's readme says: times to the nanosecond, the speed of oxts, no steering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picturemaker import grey_picture
from vbp.cli.main import main
from vbp.drives import kitti
from vbp.drives.base import OpenOptions
from vbp.drives.labels import date_ns
from vbp.drives.opening import open_drive
from vbp.errors import DriveError

START = 1_317_042_145_594_360_375  # 2011-09-26 13:02:25.594360375, as `date -u -d` counts
FRAMES = 6
FORMAT = [
    "lat",
    "lon",
    "alt",
    "roll",
    "pitch",
    "yaw",
    "vn",
    "ve",
    "vf",
    "vl",
    "vu",
    "ax",
    "ay",
    "az",
    "af",
    "al",
    "au",
    "wx",
    "wy",
    "wz",
    "wf",
    "wl",
    "wu",
    "posacc",
    "velacc",
    "navstat",
    "numsats",
]


def stamp(ns: int) -> str:
    return f"2011-09-26 13:02:{(ns - START) / 1e9 + 25.594360375:012.9f}"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Two cameras at 10 Hz of which the second is 5 ms later, and oxts at the times of the first, 3 m/s more each."""
    day = tmp_path / "2011_09_26"
    drive = day / "2011_09_26_drive_0001_sync"
    for camera, late in (("image_00", 0), ("image_02", 5_000_000)):
        for k in range(FRAMES):
            grey_picture(drive / camera / f"data/{k:010d}.png", 100 * (late > 0) + k)
        lines = [stamp(START + 100_000_000 * k + late) for k in range(FRAMES)]
        (drive / camera / "timestamps.txt").write_text("\n".join(lines) + "\n")
    (drive / "oxts/data").mkdir(parents=True)
    for k in range(FRAMES):
        values = [f"{3.0 * k}" if name == "vf" else f"{-k - n}" for n, name in enumerate(FORMAT)]
        (drive / f"oxts/data/{k:010d}.txt").write_text(" ".join(values))
    (drive / "oxts/timestamps.txt").write_text((drive / "image_00/timestamps.txt").read_text())
    (drive / "oxts/dataformat.txt").write_text("\n".join(f"{name}: words (m/s)" for name in FORMAT))
    (drive / "velodyne_points/data").mkdir(parents=True)
    (day / "calib_cam_to_cam.txt").write_text("S_02: 1.392000e+03 5.120000e+02\n")
    return day


def only(day: Path) -> Path:
    return day / "2011_09_26_drive_0001_sync"


def test_pictures_by_their_times_with_the_forward_velocity(day: Path) -> None:
    with open_drive(day, OpenOptions(camera="image_02")) as drive:
        assert drive.info.kind == "kitti-raw" and drive.info.cameras == ("image_00", "image_02")
        assert drive.timestamps_ns.tolist() == [START + 100_000_000 * k + 5_000_000 for k in range(FRAMES)]
        assert [int(image[0, 0, 0]) for image in drive if image is not None] == [
            100 + k for k in range(FRAMES)
        ]
        # 5 of 100 ms after each message; after the last one there is none
        np.testing.assert_allclose(drive.speed_mps[:-1], 3 * np.arange(FRAMES - 1) + 0.15, atol=1e-9)
        assert np.isnan(drive.speed_mps[-1]) and np.isnan(drive.angle_rad).all()
        notes = "\n".join(drive.info.notes)
    assert kitti.NO_STEERING in notes and "the only one in the folder" in notes
    with open_drive(only(day)) as drive:
        assert drive.info.camera == "image_00" and drive.timestamps_ns[0] == START
        np.testing.assert_allclose(drive.speed_mps, 3 * np.arange(FRAMES))
        (said,) = [note for note in drive.info.notes if note.startswith("not read")]
    assert said == "not read, though beside it: image_02/, velodyne_points/"


def test_what_info_prints(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(day)]) == 0
    printed = capsys.readouterr().out
    assert "speed      0.0 to 15.0 m/s" in printed and kitti.NO_STEERING in printed
    assert "calib_cam_to_cam.txt" in printed


def test_several_drives_are_a_list_also_by_days(day: Path) -> None:
    only(day).rename(day / "2011_09_26_drive_0005_extract")
    grey_picture(day / "2011_09_26_drive_0002_sync/image_03/data/0000000000.png")
    (day / "2011_09_26_drive_0002_sync/image_03/timestamps.txt").write_text(stamp(START))
    names = "2011_09_26_drive_0002_sync, 2011_09_26_drive_0005_extract"
    with pytest.raises(DriveError, match=rf"holds 2 recordings \({names}\); open one of them"):
        open_drive(day)
    with pytest.raises(DriveError, match="holds 2 recordings .2011_09_26/2011_09_26_drive_0002_sync, "):
        open_drive(day.parent)


def test_missing_pictures_are_gaps_and_missing_times_are_named(day: Path) -> None:
    drive_folder = only(day)
    (drive_folder / "image_00/data/0000000002.png").unlink()
    lines = (drive_folder / "image_00/timestamps.txt").read_text().splitlines()
    (drive_folder / "image_00/timestamps.txt").write_text("\n".join([*lines[:3], "?", lines[4]]))
    (drive_folder / "oxts/data/0000000001.txt").write_text("1 2 3")
    with open_drive(drive_folder) as drive:
        assert drive.timestamps_ns.tolist() == [START + 100_000_000 * k for k in (0, 1, 2, 4)]
        assert [(gap.first, gap.last) for gap in drive.info.gaps] == [(2, 2)]
        np.testing.assert_allclose(drive.speed_mps, 3 * np.array([0, 1, 2, 4]))  # between its neighbours
        notes = "\n".join(drive.info.notes)
    assert "2 of 5 pictures are left out: image_00/timestamps.txt has no time for them" in notes
    assert "1 of 6 files of oxts/data are left out" in notes


def test_without_oxts_there_is_no_speed_and_without_times_no_drive(day: Path) -> None:
    drive_folder = only(day)
    (drive_folder / "oxts/timestamps.txt").unlink()
    with open_drive(drive_folder) as drive:
        assert np.isnan(drive.speed_mps).all() and any("no speed: " in note for note in drive.info.notes)
    (drive_folder / "image_00/timestamps.txt").write_bytes(b"\xff\0nothing\n")
    with pytest.raises(DriveError, match="has no line with a time"):
        open_drive(drive_folder)
    (drive_folder / "image_00/timestamps.txt").unlink()
    with pytest.raises(DriveError, match="timestamps.txt, which states the times, cannot be read"):
        open_drive(drive_folder)


def test_links_that_lead_out_are_not_followed(day: Path, tmp_path: Path) -> None:
    for part in ("oxts/data", "image_02/data"):
        (only(day) / part).rename(tmp_path / part.replace("/", "-"))
        (only(day) / part).symlink_to(tmp_path / part.replace("/", "-"))
    with open_drive(only(day)) as drive:
        assert np.isnan(drive.speed_mps).all()
    with pytest.raises(DriveError, match="has no picture in data/"):
        open_drive(only(day), OpenOptions(camera="image_02"))


@settings(max_examples=60, deadline=None)
@given(ns=st.integers(0, kitti.MOST_BYTES * 10**9))
def test_times_are_read_to_the_nanosecond(ns: int) -> None:
    text = np.datetime_as_string(np.datetime64(ns, "ns")).replace("T", " ")
    assert date_ns(text) == ns


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=80) | st.lists(st.floats(), max_size=12).map(lambda x: " ".join(map(repr, x)).encode())
)
def test_any_message_is_a_number_or_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("oxts") / "0.txt"
    file.write_bytes(data)
    value = kitti._number(file, kitti.FORWARD)
    cells = data.split()
    try:
        expected = float(cells[kitti.FORWARD])
    except (IndexError, ValueError):
        expected = np.nan
    assert value == expected or (np.isnan(value) and not np.isfinite(expected))
