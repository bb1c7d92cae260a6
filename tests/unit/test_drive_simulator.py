"""The Udacity simulator's logs, real and made, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from picturemaker import grey_picture, write_table
from vbp.drives import udacity_simulator
from vbp.drives.base import OpenOptions
from vbp.errors import DriveError, FrameError

OPTIONS = OpenOptions()


@pytest.mark.shared
def test_the_real_simulator_log(shared: Path) -> None:
    folder = shared / "data/udacity-simulator"
    assert udacity_simulator.sniff(folder) and udacity_simulator.sniff(folder / "driving_log.csv")
    drive = udacity_simulator.open(folder, OPTIONS)
    rows = [line.split(", ") for line in (folder / "driving_log.csv").read_text().splitlines()[1:]]
    rows = [[cell.strip() for cell in ",".join(row).split(",")] for row in rows]
    assert len(drive) == 8036 == len(rows)
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [-25 * float(row[3]) for row in rows], atol=1e-12)
    np.testing.assert_allclose(drive.speed_mps, [0.44704 * float(row[6]) for row in rows])
    assert not np.signbit(drive.angle_rad[drive.angle_rad == 0]).any()
    there = {p.name for p in (folder / "IMG").iterdir()}
    missing = {k for k, row in enumerate(rows) if row[0].removeprefix("IMG/") not in there}
    assert {k for gap in drive.info.gaps for k in range(gap.first, gap.last + 1)} == missing
    assert len(rows) - len(missing) == 80
    assert (drive.info.width, drive.info.height) == (320, 160)
    assert drive.timestamps_ns[0] == 1480599048287000000  # 2016-12-01 13:30:48.287
    assert drive.info.fps == pytest.approx(9.9, abs=0.1)
    good = next(k for k in range(8036) if k not in missing)
    assert drive.frame(good).shape == (160, 320, 3)
    with pytest.raises(FrameError, match="missing"):
        drive.frame(min(missing))
    notes = " | ".join(drive.info.notes)
    assert "miles per hour" in notes and "80 of the 8036" in notes


def sim_rows(folder: Path, prefix: str, count: int = 4) -> list[str]:
    rows = []
    for k in range(count):
        names = [
            f"{camera}_2019_04_02_19_25_33_{670 + 70 * k:03d}.png" for camera in ("center", "left", "right")
        ]
        for level, name in enumerate(names):
            grey_picture(folder / "IMG" / name, 50 * level + k)
        rows.append(",".join([*(prefix + name for name in names), f"{0.1 * k - 0.2:.2f}", "1", "0", "30.19"]))
    return rows


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    "prefix", ["C:\\Users\\Jürgen M\\sim, no. 2\\IMG\\", "/home/joe/Desktop/IMG/", "IMG/", ""]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_logs_of_other_machines(tmp_path: Path, header: bool, prefix: str, end: str) -> None:
    prefix = prefix.replace(", ", " ")
    rows = sim_rows(tmp_path, prefix)
    if header:
        rows.insert(0, "center,left,right,steering,throttle,brake,speed")
    path = write_table(
        tmp_path / "driving_log.csv", rows[0], rows[1:], end, "utf-8-sig" if header else "utf-8"
    )
    for level, camera in enumerate(["center", "left", "right"]):
        drive = udacity_simulator.open(path, OpenOptions(camera=camera))
        assert drive.info.gaps == [] and drive.info.camera == camera
        assert [int(drive.frame(k)[0, 0, 0]) for k in range(4)] == [50 * level + k for k in range(4)]
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [5, 2.5, 0, -2.5], atol=1e-9)
    assert np.diff(drive.timestamps_ns).tolist() == [70_000_000] * 3
    with pytest.raises(DriveError, match="no camera 'rear'; it has: center, left, right"):
        udacity_simulator.open(path, OpenOptions(camera="rear"))


def test_a_log_out_of_order_and_without_times(tmp_path: Path) -> None:
    rows = sim_rows(tmp_path, "")
    header = "center,left,right,steering,throttle,brake,speed"
    path = write_table(
        tmp_path / "driving_log.csv", header, [rows[2], rows[0], "broken.png,,,0.5,0,0,1", rows[1]]
    )
    drive = udacity_simulator.open(path, OPTIONS)
    assert (np.diff(drive.timestamps_ns) > 0).all() and len(drive) == 3
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [5, 2.5, 0], atol=1e-9)
    notes = " | ".join(drive.info.notes)
    assert "not in order of time" in notes and "1 rows name no picture with a time" in notes
    write_table(
        path, header, ["a.png,,,0.5,0,0,1", "b.png,,,nan,0,0,1", "c_2016_99_99_99_99_99_999.png,,,x,0,0,1"]
    )
    untimed = udacity_simulator.open(path, OPTIONS)
    assert len(untimed) == 3 and untimed.info.fps == 10 and np.isnan(untimed.angle_rad[1:]).all()
    assert untimed.info.cameras == ("center",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("center,left,right,throttle\na,b,c,1\n", "lacks the column steering"),
        ("C:\\a.jpg,b.jpg,c.jpg,0,25,1,0,22,5\n", "first line has 9 columns"),
        ("hello world\n", "not a simulator log"),
        ("steering,throttle,center\n", "no rows"),
        ("\0\1\0\0\2" * 40, "not a text file"),
        ("\n\n", "empty"),
    ],
)
def test_logs_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "driving_log.csv").write_text(text)
    assert udacity_simulator.sniff(tmp_path)
    with pytest.raises(DriveError, match=said) as caught:
        udacity_simulator.open(tmp_path, OPTIONS)
    assert str(tmp_path / "driving_log.csv") in str(caught.value) and "\n" not in str(caught.value)


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    rows = [
        row.replace(",", ";").replace(".19", ",19").replace("0.", "0,").replace(",png", ".png")
        for row in sim_rows(tmp_path, "")
    ]
    (tmp_path / "driving_log.csv").write_text("\n".join(rows))
    drive = udacity_simulator.open(tmp_path, OPTIONS)
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [5, 2.5, 0, -2.5], atol=1e-9)
    np.testing.assert_allclose(drive.speed_mps, 30.19 * 0.44704)
