"""Udacity's exports and simulator logs, real and made, good and bad; and what open_drive says of the rest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vbp.drives import donkey, images, opening, sullychen, udacity_csv, udacity_simulator
from vbp.drives.base import Gap, OpenOptions
from vbp.drives.opening import Format, open_drive
from vbp.drives.picture_files import read_picture
from vbp.errors import DriveError, FrameError

OPTIONS = OpenOptions()
T0 = 1479425476188653632
STEP = 50_000_000


def picture(path: Path, level: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((24, 32, 3), level, np.uint8))


def write(path: Path, header: str, rows: list[str], end: str = "\n", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([header, *rows]).encode(encoding))
    return path


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
        picture(folder / f"center/{k}.png", 10 * k)
    return write(folder / "camera.csv", "timestamp,filename,frame_id", rows, **how)


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
    write(tmp_path / "steering.csv", "timestamp,angle,speed", rows, end, encoding)
    drive = udacity_csv.open(tmp_path, OPTIONS)
    np.testing.assert_allclose(drive.angle_rad, [np.nan, np.nan, 0.1, 0.15, 0.2, np.nan], atol=1e-12)
    np.testing.assert_allclose(drive.speed_mps, [np.nan, np.nan, 12, 14.5, 17, np.nan])
    assert [int(drive.frame(k)[0, 0, 0]) for k in range(6)] == [0, 10, 20, 30, 40, 50]
    same = udacity_csv.open(tmp_path / "steering.csv", OPTIONS)
    np.testing.assert_array_equal(same.angle_rad, drive.angle_rad)


def test_a_hole_in_the_steering_leaves_frames_unlabelled(tmp_path: Path) -> None:
    camera_csv(tmp_path)
    rows = [f"{T0},0,1", f"{T0 + 100_000_000},nan,1", f"{T0 + 250_000_000},1,1"]
    write(tmp_path / "steering.csv", "timestamp,angle,speed", rows)
    assert np.isfinite(udacity_csv.open(tmp_path, OPTIONS).angle_rad).all()
    drive = udacity_csv.open(tmp_path, OpenOptions(max_gap_s=0.1))
    assert np.isfinite(drive.angle_rad).tolist() == [True, False, False, False, False, True]


def test_camera_alone_is_unlabelled_with_a_note(tmp_path: Path) -> None:
    drive = udacity_csv.open(camera_csv(tmp_path), OPTIONS)
    assert np.isnan(drive.angle_rad).all() and drive.info.angle_unit == ""
    assert any("no steering" in note for note in drive.info.notes)


def test_a_bad_steering_list_leaves_good_pictures(tmp_path: Path) -> None:
    camera_csv(tmp_path)
    write(tmp_path / "steering.csv", "timestamp,wheel", ["1,2"])
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
    path = write(tmp_path / "camera.csv", header, rows)
    assert udacity_csv.sniff(tmp_path) and udacity_csv.sniff(path)
    with pytest.raises(DriveError) as caught:
        udacity_csv.open(tmp_path, OPTIONS)
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_rows_out_of_order_twice_and_without_time(tmp_path: Path) -> None:
    header = "frame_id,filename,angle,speed,timestamp"
    order = [3, 0, 2, 2, 1]
    rows = [f"center_camera,center/{k}.png,0.{k},1,{T0 + k}" for k in order]
    rows += ["center_camera,center/0.png,0.5,1,soon", f"center_camera,other.png,0.9,1,{T0 + 1}"]
    write(tmp_path / "interpolated.csv", header, rows)
    for k in range(4):
        picture(tmp_path / f"center/{k}.png", k)
    drive = udacity_csv.open(tmp_path, OPTIONS)
    assert drive.timestamps_ns.tolist() == [T0, T0 + 1, T0 + 1, T0 + 2, T0 + 3]
    assert drive.angle_rad.tolist() == [0.0, 0.1, 0.9, 0.2, 0.3]
    notes = " | ".join(drive.info.notes)
    for said in (
        "not in the order of time",
        "1 rows of interpolated.csv occur twice",
        "1 rows of interpolated.csv have no",
    ):
        assert said in notes
    assert drive.info.gaps == [Gap(2, 2, "the picture is missing")]
    assert (drive.frame(4) == 3).all()


def test_times_in_another_unit_are_noted(tmp_path: Path) -> None:
    for n in range(4):
        picture(tmp_path / f"center/{n}.jpg")
    for times in (
        [f"{1479425441.18 + n / 20:.6f}" for n in range(4)],
        [1479425441180 + 50 * n for n in range(4)],
    ):
        rows = [f"{t},center/{n}.jpg" for n, t in enumerate(times)]
        drive = udacity_csv.open(write(tmp_path / "camera.csv", "timestamp,filename", rows), OPTIONS)
        assert any("seem to be in another unit" in note for note in drive.info.notes)


def test_times_too_far_apart_for_int64(tmp_path: Path) -> None:
    picture(tmp_path / "center/0.jpg")
    rows = [f"{t},center/0.jpg" for t in (-(2**63), T0, T0 + STEP, 2**63 - 1)]
    drive = udacity_csv.open(write(tmp_path / "camera.csv", "timestamp,filename", rows), OPTIONS)
    assert drive.timestamps_ns.tolist() == [T0, T0 + STEP]
    assert any("2 rows of camera.csv have no usable timestamp" in note for note in drive.info.notes)


def test_frames_before_the_first_steering_sample_are_not_zero(tmp_path: Path) -> None:
    header = "timestamp,filename,frame_id,angle,torque,speed"
    rows = [f"{T0 + k},{k}.png,center_camera," + ("0.0,0.0,0.0" if k < 3 else "0.0,0.1,5") for k in range(6)]
    rows += [f"{T0 + 6},6.png,center_camera,0.0,0.0,0.0", f"{T0 + 7},7.png,center_camera,,,"]
    write(tmp_path / "interpolated.csv", header, rows)
    drive = udacity_csv.open(tmp_path, OPTIONS)
    assert np.isnan(drive.angle_rad).tolist() == [True, True, True, False, False, False, False, True]
    assert np.isnan(drive.speed_mps[:3]).all() and drive.speed_mps[3] == 5
    assert any("3 frames lie before the first steering sample" in note for note in drive.info.notes)
    write(tmp_path / "steering.csv", "timestamp,angle", [f"{T0 + 1},0.0", f"{T0 + 9},0.0"])
    known = udacity_csv.open(
        tmp_path, OPTIONS
    )  # where the samples start is known: no zeros need be guessed at
    assert np.isnan(known.angle_rad).tolist() == [True] + [False] * 6 + [True]


def test_cameras(tmp_path: Path) -> None:
    rows = [
        f"{T0 + k},{camera}/{k}.png,{camera}_camera,0.1" for k in range(3) for camera in ("left", "right")
    ]
    path = write(tmp_path / "interpolated.csv", "timestamp,filename,frame_id,angle", rows)
    assert udacity_csv.open(path, OPTIONS).info.camera == "left"  # there is no center
    assert udacity_csv.open(path, OpenOptions(camera="RIGHT")).info.camera == "right"
    with pytest.raises(DriveError, match="no camera 'center'; it has: left, right"):
        udacity_csv.open(path, OpenOptions(camera="center"))
    rows = [f"{T0 + k},C:\\x\\{camera}\\{k}.png" for k in range(3) for camera in ("left", "center")]
    write(tmp_path / "interpolated.csv", "timestamp,filename,angle", [row + ",0.1" for row in rows])
    assert udacity_csv.open(path, OPTIONS).info.cameras == ("center", "left")
    write(tmp_path / "interpolated.csv", "timestamp,filename,angle", [f"{T0},a.png,0.1"])
    with pytest.raises(DriveError, match="leave the camera out"):
        udacity_csv.open(path, OpenOptions(camera="left"))


def test_the_users_unit_and_sign_count_more(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "timestamp,filename,angle", [f"{T0},a.png,90", f"{T0 + 1},b.png,-45"])
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
    picture(tmp_path / "secret.png")
    drive_folder = tmp_path / "drive"
    picture(drive_folder / "ok.png")
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
    write(drive_folder / "camera.csv", "timestamp,filename", [f"{T0 + k},{n}" for k, n in enumerate(names)])
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
        path = write(tmp_path / name, header, ["1,2,3"])
        assert not udacity_csv.sniff(path) and not udacity_csv.sniff(tmp_path)
    assert not udacity_csv.sniff(write(tmp_path / "steering.csv", "timestamp,angle", ["1,2"]))
    (tmp_path / "y.csv").mkdir()
    (tmp_path / "z.csv").write_bytes(bytes(range(256)))
    assert not udacity_csv.sniff(tmp_path) and not udacity_csv.sniff(tmp_path / "y.csv")


# --- the simulator ------------------------------------------------------------------------------------


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
            picture(folder / "IMG" / name, 50 * level + k)
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
    path = write(tmp_path / "driving_log.csv", rows[0], rows[1:], end, "utf-8-sig" if header else "utf-8")
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
    path = write(tmp_path / "driving_log.csv", header, [rows[2], rows[0], "broken.png,,,0.5,0,0,1", rows[1]])
    drive = udacity_simulator.open(path, OPTIONS)
    assert (np.diff(drive.timestamps_ns) > 0).all() and len(drive) == 3
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [5, 2.5, 0], atol=1e-9)
    notes = " | ".join(drive.info.notes)
    assert "not in the order of time" in notes and "1 rows name no picture with a time" in notes
    write(path, header, ["a.png,,,0.5,0,0,1", "b.png,,,nan,0,0,1", "c_2016_99_99_99_99_99_999.png,,,x,0,0,1"])
    untimed = udacity_simulator.open(path, OPTIONS)
    assert len(untimed) == 3 and untimed.info.fps == 10 and np.isnan(untimed.angle_rad[1:]).all()
    assert untimed.info.cameras == ("center",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("center,left,right,throttle\na,b,c,1\n", "lacks the column steering"),
        ("C:\\a.jpg,b.jpg,c.jpg,0,25,1,0,22,5\n", "first line has 9 columns"),
        ("hello world\n", "no simulator log"),
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


# --- who takes what -----------------------------------------------------------------------------------

MINE = {
    "udacity-csv": udacity_csv,
    "udacity-simulator": udacity_simulator,
    "donkey": donkey,
    "sullychen": sullychen,
    "images": images,
}


@pytest.fixture
def only_mine(monkeypatch: pytest.MonkeyPatch) -> None:
    formats = tuple(fmt for fmt in opening.FORMATS if fmt.name in MINE)
    assert len(formats) == len(MINE) and all(isinstance(fmt, Format) for fmt in formats)
    monkeypatch.setattr(opening, "FORMATS", formats)


@pytest.mark.shared
def test_no_format_takes_the_data_of_another(shared: Path) -> None:
    data = shared / "data"
    claims = {
        path.relative_to(data).as_posix(): [name for name, module in MINE.items() if module.sniff(path)]
        for path in [*data.iterdir(), *data.glob("*/*"), *data.glob("broken-media/csv-spectrum/*")]
        if path.is_dir() or path.suffix not in (".jpg", ".png")
    }
    for name, kinds in {
        "udacity-ch2": ["udacity-csv", "images"],
        "udacity-ch2/center": ["images"],
        "udacity-csv-samples": ["udacity-csv", "images"],
        "udacity-simulator": ["udacity-simulator", "images"],
        "sullychen-garage": ["sullychen", "images"],
        "donkey-tub": ["donkey", "images"],
        "gtsrb": ["images"],
        "photos": ["images"],
        "road-video": [],
        "deeptesla-style": [],
        "udacity-ch2-video": [],
    }.items():
        assert claims.pop(name) == kinds, name
    for name, kinds in claims.items():
        if (
            Path(name).suffix in (".mp4", ".mkv", ".avi", ".bag", ".md")
            or "spectrum" in name
            or "deeptesla" in name
        ):
            assert kinds == [], name


@pytest.mark.shared
@pytest.mark.usefixtures("only_mine")
def test_open_drive_finds_the_format(shared: Path) -> None:
    for folder, kind in [
        ("udacity-ch2", "udacity-csv"),
        ("udacity-simulator", "udacity-simulator"),
        ("sullychen-garage", "sullychen"),
        ("donkey-tub", "donkey"),
        ("photos", "images"),
    ]:
        with open_drive(shared / "data" / folder) as drive:
            assert drive.info.kind == kind
            assert (np.diff(drive.timestamps_ns) >= 0).all() and drive.timestamps_ns.dtype == np.int64
            assert len(drive.angle_rad) == len(drive.speed_mps) == len(drive)


@pytest.mark.usefixtures("only_mine")
def test_what_is_said_of_what_nobody_takes(tmp_path: Path) -> None:
    steering = write(tmp_path / "a/angles.csv", "timestamp,angle", ["1,2"])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "zero.csv").touch()
    (tmp_path / "utf16.csv").write_bytes("a,b\n1,2\n".encode("utf-16-le"))
    for path, said in [
        (steering, "lists steering but names no pictures"),
        (steering.parent, "angles.csv lists steering but names no pictures"),
        (write(tmp_path / "b/c.csv", "one,two", ["1,2"]), r"its columns: one, two\); accepted"),
        (tmp_path / "utf16.csv", "UTF-16"),
        (tmp_path / "zero.csv", "is an empty file"),
        (tmp_path / "nothing", "is an empty folder"),
        (tmp_path / "pipe", "neither a file nor a folder"),
        (tmp_path / "absent", "does not exist"),
        (tmp_path / ("x" * 5000), "cannot be read|does not exist"),
        (tmp_path / "nul\0", "cannot be read|does not exist"),
        (write(tmp_path / "d/readme.md", "hello", []), "is no recording that vbp knows"),
    ]:
        with pytest.raises(DriveError, match=said) as caught:
            open_drive(path)
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("only_mine")
def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    for module in MINE.values():
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", refuse)
            patch.setattr(os, "listdir", refuse)
            assert not module.sniff(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        patch.setattr(os, "listdir", refuse)
        with pytest.raises(DriveError, match="cannot be read: Permission denied"):
            open_drive(tmp_path)
