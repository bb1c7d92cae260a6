"""Udacity's exports, real and made, good and bad."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from picturemaker import grey_picture, write_table
from vbp.drives import udacity_csv
from vbp.drives.base import Gap, OpenOptions
from vbp.drives.picture_files import read_picture
from vbp.errors import DriveError, FrameError

OPTIONS = OpenOptions()
T0 = 1479425476188653632
STEP = 50_000_000


# --- Udacity's exports: the real ones -----------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize("name", ["", "camera.csv", "CH2_final_evaluation.csv"])
def test_ch2(shared: Path, name: str) -> None:
    path = shared / "data/udacity-ch2" / name
    assert udacity_csv.sniff(path)
    drive = udacity_csv.open(path, OPTIONS)
    rows = [
        line.split(",")
        for line in (shared / "data/udacity-ch2/CH2_final_evaluation.csv").read_text().split()[1:]
    ]
    assert len(drive) == 900 == len(rows)
    assert drive.timestamps_ns.tolist() == [int(row[0]) for row in rows]
    assert drive.angle_rad.tolist() == [float(row[1]) for row in rows]
    assert (drive.info.kind, drive.info.width, drive.info.height) == ("udacity-csv", 640, 480)
    assert (drive.info.camera, drive.info.cameras) == ("center", ("center",))
    assert drive.info.fps == pytest.approx(20, abs=0.1)
    assert drive.info.gaps == [] and drive.info.notes == []
    file = shared / f"data/udacity-ch2/center/{rows[450][0]}.jpg"
    np.testing.assert_array_equal(drive.frame(450), read_picture(file))


@pytest.mark.shared
def test_the_real_interpolated_csv(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/udacity-csv-samples"
    shutil.copyfile(source / "interpolated.csv", tmp_path / "interpolated.csv")
    lines = [line.split(",") for line in (source / "interpolated.csv").read_text().splitlines()[1:]]
    for camera in ("center", "left", "right"):
        rows = sorted((row for row in lines if row[4] == f"{camera}_camera"), key=lambda row: int(row[1]))
        for row in rows[1:]:
            (tmp_path / camera).mkdir(exist_ok=True)
            shutil.copyfile(source / f"{camera}.jpg", tmp_path / row[5])
        drive = udacity_csv.open(tmp_path, OpenOptions(camera=camera))
        assert drive.timestamps_ns.tolist() == [int(row[1]) for row in rows]
        assert drive.angle_rad.tolist() == [float(row[6]) for row in rows]
        assert drive.speed_mps.tolist() == [float(row[8]) for row in rows]
        assert drive.info.cameras == ("center", "left", "right")
        assert drive.info.gaps == [Gap(0, 0, "the picture is missing")]
        np.testing.assert_array_equal(drive.frame(1), read_picture(source / f"{camera}.jpg"))


@pytest.mark.shared
def test_the_samples_without_their_pictures_keep_the_labels(shared: Path) -> None:
    drive = udacity_csv.open(shared / "data/udacity-csv-samples", OPTIONS)
    assert len(drive) == 17 and np.isfinite(drive.angle_rad).all()
    assert (drive.info.width, drive.info.height) == (640, 480)  # as the list says
    assert drive.info.gaps == [Gap(0, 16, "the picture is missing")]
    assert any(note.startswith("none of the 17 pictures can be found") for note in drive.info.notes)
    with pytest.raises(FrameError, match=r"frame 3 .*center/\d+\.jpg"):
        drive.frame(3)
    alone = udacity_csv.open(
        shared / "data/udacity-csv-samples/camera.csv", OpenOptions(camera="right_camera")
    )
    assert (
        alone.info.camera == "right" and np.isnan(alone.angle_rad).all()
    )  # its samples end before the frames
    assert any("no frame lies between" in note for note in alone.info.notes)


# --- Udacity's exports: made ones ---------------------------------------------------------------------


def camera_csv(folder: Path, frames: int = 6, **how: str) -> Path:
    rows = [f"{T0 + STEP * k},center/{k}.png,center_camera" for k in range(frames)]
    for k in range(frames):
        grey_picture(folder / f"center/{k}.png", 10 * k)
    return write_table(folder / "camera.csv", "timestamp,filename,frame_id", rows, **how)


def steering_rows(count: int, offset: int = 0) -> list[str]:
    """20 ms apart; the angle is 0.001 for each millisecond after T0."""
    return [
        f"{T0 + offset + 20_000_000 * k},{(offset / 1e6 + 20 * k) * 0.001:.6f},{10 + k}" for k in range(count)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_camera_and_steering_are_synchronised(tmp_path: Path, end: str, encoding: str) -> None:
    camera_csv(tmp_path, end=end, encoding=encoding)
    rows = steering_rows(9, offset=60_000_000)
    rows[3:5] = [rows[4], rows[3]]  # out of order
    write_table(tmp_path / "steering.csv", "timestamp,angle,speed", rows, end, encoding)
    drive = udacity_csv.open(tmp_path, OPTIONS)
    np.testing.assert_allclose(drive.angle_rad, [np.nan, np.nan, 0.1, 0.15, 0.2, np.nan], atol=1e-12)
    np.testing.assert_allclose(drive.speed_mps, [np.nan, np.nan, 12, 14.5, 17, np.nan])
    assert [int(drive.frame(k)[0, 0, 0]) for k in range(6)] == [0, 10, 20, 30, 40, 50]
    same = udacity_csv.open(tmp_path / "steering.csv", OPTIONS)
    np.testing.assert_array_equal(same.angle_rad, drive.angle_rad)


def test_a_hole_in_the_steering_leaves_frames_unlabelled(tmp_path: Path) -> None:
    camera_csv(tmp_path)
    rows = [f"{T0},0,1", f"{T0 + 100_000_000},nan,1", f"{T0 + 250_000_000},1,1"]
    write_table(tmp_path / "steering.csv", "timestamp,angle,speed", rows)
    assert np.isfinite(udacity_csv.open(tmp_path, OPTIONS).angle_rad).all()
    drive = udacity_csv.open(tmp_path, OpenOptions(max_gap_s=0.1))
    assert np.isfinite(drive.angle_rad).tolist() == [True, False, False, False, False, True]


def test_camera_alone_is_unlabelled_with_a_note(tmp_path: Path) -> None:
    drive = udacity_csv.open(camera_csv(tmp_path), OPTIONS)
    assert np.isnan(drive.angle_rad).all() and drive.info.angle_unit == ""
    assert any("no steering" in note for note in drive.info.notes)


def test_a_bad_steering_list_leaves_good_pictures(tmp_path: Path) -> None:
    camera_csv(tmp_path)
    write_table(tmp_path / "steering.csv", "timestamp,wheel", ["1,2"])
    drive = udacity_csv.open(tmp_path, OPTIONS)
    assert len(drive) == 6 and np.isnan(drive.angle_rad).all()
    note = next(note for note in drive.info.notes if "no steering" in note)
    assert "lacks the column angle" in note and "timestamp, wheel" in note


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (
            "timestamp,file,frame_id",
            ["1,a.jpg,center_camera"],
            "lacks the column filename; it has: timestamp, file",
        ),
        ("filename,frame_id", ["a.jpg,center_camera"], "lacks the column timestamp"),
        ("timestamp,filename", [], "no rows below its header"),
        ("timestamp,filename", ["x,a.jpg", ",b.jpg", "nan,c.jpg"], "no row with an integer timestamp"),
        ("timestamp,filename", ['1,"a.jpg'], "not a CSV that can be read"),
        ("", [], "empty"),
    ],
)
def test_a_camera_list_that_cannot_be_used(tmp_path: Path, header: str, rows: list[str], said: str) -> None:
    path = write_table(tmp_path / "camera.csv", header, rows)
    assert udacity_csv.sniff(tmp_path) and udacity_csv.sniff(path)
    with pytest.raises(DriveError) as caught:
        udacity_csv.open(tmp_path, OPTIONS)
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_rows_out_of_order_twice_and_without_time(tmp_path: Path) -> None:
    header = "frame_id,filename,angle,speed,timestamp"
    order = [3, 0, 2, 2, 1]
    rows = [f"center_camera,center/{k}.png,0.{k},1,{T0 + k}" for k in order]
    rows += ["center_camera,center/0.png,0.5,1,soon", f"center_camera,other.png,0.9,1,{T0 + 1}"]
    write_table(tmp_path / "interpolated.csv", header, rows)
    for k in range(4):
        grey_picture(tmp_path / f"center/{k}.png", k)
    drive = udacity_csv.open(tmp_path, OPTIONS)
    assert drive.timestamps_ns.tolist() == [T0, T0 + 1, T0 + 1, T0 + 2, T0 + 3]
    assert drive.angle_rad.tolist() == [0.0, 0.1, 0.9, 0.2, 0.3]
    notes = " | ".join(drive.info.notes)
    for said in (
        "not in order of time",
        "1 rows of interpolated.csv occur twice",
        "1 rows of interpolated.csv have no",
    ):
        assert said in notes
    assert drive.info.gaps == [Gap(2, 2, "the picture is missing")]
    assert (drive.frame(4) == 3).all()


def test_times_in_another_unit_are_noted(tmp_path: Path) -> None:
    for n in range(4):
        grey_picture(tmp_path / f"center/{n}.jpg")
    for times in (
        [f"{1479425441.18 + n / 20:.6f}" for n in range(4)],
        [1479425441180 + 50 * n for n in range(4)],
    ):
        rows = [f"{t},center/{n}.jpg" for n, t in enumerate(times)]
        drive = udacity_csv.open(write_table(tmp_path / "camera.csv", "timestamp,filename", rows), OPTIONS)
        assert any("seem to be in another unit" in note for note in drive.info.notes)


def test_times_too_far_apart_for_int64(tmp_path: Path) -> None:
    grey_picture(tmp_path / "center/0.jpg")
    rows = [f"{t},center/0.jpg" for t in (-(2**63), T0, T0 + STEP, 2**63 - 1)]
    drive = udacity_csv.open(write_table(tmp_path / "camera.csv", "timestamp,filename", rows), OPTIONS)
    assert drive.timestamps_ns.tolist() == [T0, T0 + STEP]
    assert any("2 rows of camera.csv have no usable timestamp" in note for note in drive.info.notes)


def test_frames_before_the_first_steering_sample_are_not_zero(tmp_path: Path) -> None:
    header = "timestamp,filename,frame_id,angle,torque,speed"
    rows = [f"{T0 + k},{k}.png,center_camera," + ("0.0,0.0,0.0" if k < 3 else "0.0,0.1,5") for k in range(6)]
    rows += [f"{T0 + 6},6.png,center_camera,0.0,0.0,0.0", f"{T0 + 7},7.png,center_camera,,,"]
    write_table(tmp_path / "interpolated.csv", header, rows)
    drive = udacity_csv.open(tmp_path, OPTIONS)
    assert np.isnan(drive.angle_rad).tolist() == [True, True, True, False, False, False, False, True]
    assert np.isnan(drive.speed_mps[:3]).all() and drive.speed_mps[3] == 5
    assert any("3 frames lie before the first steering sample" in note for note in drive.info.notes)
    write_table(tmp_path / "steering.csv", "timestamp,angle", [f"{T0 + 1},0.0", f"{T0 + 9},0.0"])
    known = udacity_csv.open(
        tmp_path, OPTIONS
    )  # where the samples start is known: no zeros need be guessed at
    assert np.isnan(known.angle_rad).tolist() == [True] + [False] * 6 + [True]


def test_cameras(tmp_path: Path) -> None:
    rows = [
        f"{T0 + k},{camera}/{k}.png,{camera}_camera,0.1" for k in range(3) for camera in ("left", "right")
    ]
    path = write_table(tmp_path / "interpolated.csv", "timestamp,filename,frame_id,angle", rows)
    assert udacity_csv.open(path, OPTIONS).info.camera == "left"  # there is no center
    assert udacity_csv.open(path, OpenOptions(camera="RIGHT")).info.camera == "right"
    with pytest.raises(DriveError, match="no camera 'center'; it has: left, right"):
        udacity_csv.open(path, OpenOptions(camera="center"))
    rows = [f"{T0 + k},C:\\x\\{camera}\\{k}.png" for k in range(3) for camera in ("left", "center")]
    write_table(tmp_path / "interpolated.csv", "timestamp,filename,angle", [row + ",0.1" for row in rows])
    assert udacity_csv.open(path, OPTIONS).info.cameras == ("center", "left")
    write_table(tmp_path / "interpolated.csv", "timestamp,filename,angle", [f"{T0},a.png,0.1"])
    with pytest.raises(DriveError, match="leave out --camera"):
        udacity_csv.open(path, OpenOptions(camera="left"))


def test_the_users_unit_and_sign_count_more(tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "x.csv", "timestamp,filename,angle", [f"{T0},a.png,90", f"{T0 + 1},b.png,-45"]
    )
    drive = udacity_csv.open(path, OpenOptions(angle_unit="deg", angle_sign="right"))
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [-90, 45])
    assert (drive.info.angle_unit, drive.info.angle_sign) == ("deg", "right")
    assert drive.info.angle_source == "given by the user"
    half = udacity_csv.open(path, OpenOptions(angle_unit="unit")).info
    assert half.angle_unit == "unit:25" and half.angle_source.startswith(
        "unit given by the user; sign: Udacity"
    )
    with pytest.raises(DriveError, match="angle unit 'turns'"):
        udacity_csv.open(path, OpenOptions(angle_unit="turns"))


def test_names_in_a_list_stay_inside_the_folder(tmp_path: Path) -> None:
    grey_picture(tmp_path / "secret.png")
    drive_folder = tmp_path / "drive"
    grey_picture(drive_folder / "ok.png")
    (drive_folder / "leak.png").symlink_to(tmp_path / "secret.png")
    (drive_folder / "up").symlink_to(tmp_path)
    names = [
        "ok.png",
        "../secret.png",
        "up/secret.png",
        "leak.png",
        str(tmp_path / "secret.png"),
        "../../etc/passwd",
    ]
    write_table(
        drive_folder / "camera.csv", "timestamp,filename", [f"{T0 + k},{n}" for k, n in enumerate(names)]
    )
    drive = udacity_csv.open(drive_folder, OPTIONS)
    drive.frame(0)
    for k in range(1, len(names)):
        with pytest.raises(FrameError):
            drive.frame(k)
    assert drive.info.gaps == [
        Gap(1, 1, "the picture is missing"),
        Gap(2, 3, "the picture lies outside the drive's folder"),
        Gap(4, 5, "the picture is missing"),
    ]


def test_other_csvs_are_not_udacitys(tmp_path: Path) -> None:
    for name, header in [
        ("gps.csv", "timestamp,lat,long"),
        ("camera.csv", "fx,fy,cx"),
        ("x.csv", "frame,wheel"),
    ]:
        path = write_table(tmp_path / name, header, ["1,2,3"])
        assert not udacity_csv.sniff(path) and not udacity_csv.sniff(tmp_path)
    assert not udacity_csv.sniff(write_table(tmp_path / "steering.csv", "timestamp,angle", ["1,2"]))
    (tmp_path / "y.csv").mkdir()
    (tmp_path / "z.csv").write_bytes(bytes(range(256)))
    assert not udacity_csv.sniff(tmp_path) and not udacity_csv.sniff(tmp_path / "y.csv")
