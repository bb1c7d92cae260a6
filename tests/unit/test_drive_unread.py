"""What lies beside a recording and was not read is said, whatever the format."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert unread(tmp_path / "drive") == "1 picture"
    for name in ("notes.txt", "README.md", "LICENSE", ".hidden", "gps.json", "lidar/a.pcd", "IMG/extra.csv"):
        path = tmp_path / "drive" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a,b\n1,2\n")
    assert unread(tmp_path / "drive") == "gps.json, IMG/extra.csv, notes.txt, lidar/, 1 picture"
    assert unread(tmp_path / "drive/labels.csv") == "gps.json, notes.txt"
    with open_drive(tmp_path / "drive/IMG") as drive:
        assert any(
            f"labels.csv in the folder above lists steering: open {tmp_path}" in n for n in drive.info.notes
        )
