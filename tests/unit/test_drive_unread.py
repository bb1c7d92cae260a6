"""What lies beside a recording and was not read is said, whatever the format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bagmaker import small_bag
from exportmaker import make_drive
from picturemaker import grey_picture, write_table
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import DriveError

SAID = "not read, though beside it: "


def unread(path: Path) -> str:
    with open_drive(path, OpenOptions(angle_unit="rad")) as drive:
        notes = [note.removeprefix(SAID) for note in drive.info.notes if note.startswith(SAID)]
    assert len(notes) <= 1
    return notes[0] if notes else ""


# Of each recording below ../shared/data what is not read: looked up by hand.
UNREAD = {
    "gtsrb": "signnames.csv, train/00000/GT-00000.csv, train/00001/GT-00001.csv, train/00002/GT-00002.csv, "
    "train/00003/GT-00003.csv, train/00004/GT-00004.csv, 38 more",
    "udacity-csv-samples": "brake.csv, camera.csv, gear.csv, gps.csv, imu.csv, throttle.csv, 3 pictures",
    "deeptesla-style": "",
    "donkey-tub": "",
    "sullychen-garage": "",
    "photos": "",
    "udacity-ch2": "",
    "udacity-simulator": "",
    "udacity-ch2-video": "",
    "networks/drives/donkey-tub-v1": "",
    "networks/drives/lane-pictures-servo-labels": "",
    "road-video/test_video.mp4": "solidWhiteRight.mp4",
    "deeptesla-style/epoch30_front.avi": "",
    "networks/drives/lane-pictures-servo-labels/steering.csv": "",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", UNREAD)
def test_every_recording_says_what_is_not_read(shared: Path, name: str) -> None:
    assert unread(shared / "data" / name) == UNREAD[name]


@pytest.mark.shared
def test_the_list_above_has_every_recording(shared: Path) -> None:
    data = shared / "data"
    for folder in [*data.iterdir(), *(data / "networks/drives").iterdir()]:
        name = folder.relative_to(data).as_posix()
        if folder.is_dir() and name not in UNREAD:
            try:
                with open_drive(folder) as drive:
                    assert any(note.startswith(SAID) for note in drive.info.notes), name
            except DriveError:
                continue  # several recordings, or none


def test_tables_folders_and_pictures_beside(tmp_path: Path) -> None:
    for k in range(3):
        grey_picture(tmp_path / f"drive/IMG/{k}.png")
    write_table(tmp_path / "drive/labels.csv", "image,angle_rad", ["0.png,1", "1.png,2"])
    assert unread(tmp_path / "drive") == "IMG/2.png"
    for name in ("notes.txt", "README.md", "LICENSE", ".hidden", "gps.json", "lidar/a.pcd", "IMG/extra.csv"):
        path = tmp_path / "drive" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a,b\n1,2\n")
    assert unread(tmp_path / "drive") == "gps.json, IMG/extra.csv, notes.txt, lidar/, IMG/2.png"
    assert unread(tmp_path / "drive/labels.csv") == "gps.json, notes.txt"
    with open_drive(tmp_path / "drive/IMG") as drive:
        assert any(
            f"labels.csv in the folder above lists steering: open {tmp_path}" in n for n in drive.info.notes
        )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("filename,angle_deg\n0.png,\x001\n", "it is not a text file; give a CSV in UTF-8"),
        ("fi\x00lename,angle_deg\n0.png,1\n", "it is not a text file; give a CSV in UTF-8"),
        (
            'filename,angle_deg\n"0.png,1\n1.png,2\n',
            "it is not a CSV that can be read (line 3: a quote that was opened is never closed)",
        ),
        (
            f"filename,angle_deg,{'x' * 3_000_000}\n0.png,1,2\n",
            "it is not a CSV that can be read (line 1: a cell is longer than 131072 letters)",
        ),
        ("filename,angle_deg\n", "it has no rows below its header; its columns: filename, angle_deg"),
        ("", "it is empty"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path: Path, data: str, why: str) -> None:
    for name in ("0.png", "1.png"):
        grey_picture(tmp_path / "drive" / name)
    (tmp_path / "drive/labels.csv").write_text(data)
    assert unread(tmp_path / "drive") == f"labels.csv ({why})"


def test_what_vbp_predicted_is_not_offered_as_steering(tmp_path: Path) -> None:
    for name in ("0.png", "1.png"):
        grey_picture(tmp_path / "drive" / name)
    head = "frame,timestamp_ns,driven_deg,predicted_deg"
    write_table(tmp_path / "drive.csv", head, ["0,0,,3.5", "1,50000000,,3.6"])
    with open_drive(tmp_path / "drive") as drive:
        assert not any("steering" in note for note in drive.info.notes)
    video = make_drive(tmp_path / "clip", 3)
    video.with_suffix(".csv").unlink()
    (tmp_path / "drive.csv").rename(video.with_name("predicted.csv"))
    assert unread(video) == "predicted.csv"


def test_what_is_called_as_a_part_of_the_recording_but_is_none_is_said(tmp_path: Path) -> None:
    tub = tmp_path / "tub"
    grey_picture(tub / "images/0.jpg")
    record = json.dumps({"cam/image_array": "0.jpg", "user/angle": 0.1})
    for name in ("catalog_0.catalog", "catalog_0.catalog_manifest", "catalog_9.catalog", "record_5.json"):
        (tub / name).write_text(record)
    (tub / "manifest.json").write_text(json.dumps({"paths": ["catalog_0.catalog"]}))
    assert unread(tub) == "record_5.json, catalog_9.catalog"
    bags = tmp_path / "bags"
    bags.mkdir()
    small_bag(bags / "a.bag")
    (bags / "b.bag").write_bytes(b"not a bag")
    (bags / "c.bag.zst").write_bytes(b"of which a note says how it is unpacked")
    assert unread(bags) == "b.bag"


def test_a_list_beside_its_video_is_not_joined_to_the_pictures_of_other_folders(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    video = make_drive(tmp_path / "all/clip", 3)
    write_table(video.with_suffix(".csv"), "frame,angle_rad", ["1,0.1", "2,0.2", "3,0.3"])
    for k in range(1, 4):
        grey_picture(tmp_path / f"all/photos/{k}.png")
    with open_drive(tmp_path / "all") as drive:
        assert drive.info.kind == "video" and drive.angle_rad.tolist() == [0.1, 0.2, 0.3]
        said = [note for note in drive.info.notes if note.startswith("not read")]
    assert said == ["not read, though beside clip: photos/"]


def test_pictures_without_one_angle_say_why(tmp_path: Path) -> None:
    for k in range(2):
        grey_picture(tmp_path / f"{k}.png")
    why = "no measured angles: no table of them was found with the pictures"
    with open_drive(tmp_path) as drive:
        assert why in drive.info.notes
    write_table(tmp_path / "labels.csv", "image,angle_rad", ["0.png,1", "1.png,2"])
    with open_drive(tmp_path) as drive:
        assert why not in drive.info.notes


@pytest.mark.shared
def test_what_lies_around_the_one_recording_in_a_folder(tmp_path: Path, shared: Path) -> None:
    shutil.copytree(shared / "data/udacity-simulator", tmp_path / "all/drive")
    write_table(tmp_path / "all/gps.csv", "a,b", ["1,2"])
    with open_drive(tmp_path / "all") as drive:
        notes = [note for note in drive.info.notes if note.startswith("not read")]
    assert notes == ["not read, though beside drive: gps.csv"]


# Of each recording below ../shared/cases: looked up by hand.
BESIDE_CASES = {
    "01_donkey_user_steering": "not read, though beside tub: make.py",
    "01_donkey_user_steering/tub/images": "the folder above is a Donkeycar tub (manifest.json)",
    "02_donkey_tubs/a_empty_catalog": SAID + "2 pictures",
    "02_donkey_tubs/d_no_manifest/images": "the folder above is a Donkeycar tub (manifest.json)",
    "04_decimal_comma/b_semicolon": SAID + "20 pictures",
    "04_decimal_comma/b_semicolon/IMG": "the folder above is a simulator drive (driving_log.csv)",
    "05_cil_csv/c_filename_angle_deg/IMG": "labels.csv in the folder above lists steering",
    "09_ros_steering/twist": "",
    "12_airsim/a_old": "",
    "12_airsim/c_many": SAID + "24 pictures",
    "13_datasets/nuscenes": SAID + "samples/CAM_BACK/, samples/CAM_FRONT_LEFT/, samples/CAM_FRONT_RIGHT/, "
    "samples/LIDAR_TOP/",
    "20_videos/two_cameras.mp4": SAID + "jpeg_track_first.mkv",
    "23_hole_in_time/8h": "",
    "23_hole_in_time/8h/IMG": "the folder above is a simulator drive (driving_log.csv)",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", BESIDE_CASES)
def test_every_case_says_what_is_not_read(shared: Path, name: str) -> None:
    with open_drive(shared / "cases" / name) as drive:
        said = [n for n in drive.info.notes if n.startswith("not read") or "the folder above" in n]
    assert len(said) == bool(BESIDE_CASES[name])
    assert not said or said[0].startswith(BESIDE_CASES[name])
