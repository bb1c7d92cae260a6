"""A link in a recording's folder that leads out of it is not followed, whatever it leads to, and that is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from picturemaker import grey_picture, write_table
from vbp.drives.opening import open_drive
from vbp.errors import DriveError
from videomaker import scenes, write_video

SAID = "is a link that leads out of the recording's folder and is not followed"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Files of the user's, beside the folder that a stranger sent."""
    folder = tmp_path / "private"
    for name in ("a.png", "b.png"):
        grey_picture(folder / name)
    write_table(folder / "labels.csv", "image,angle_rad", ["0.png,1", "1.png,2"])
    (tmp_path / "sent").mkdir()
    return folder


def test_pictures(private: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    (sent / "leak.png").symlink_to(private / "a.png")
    with pytest.raises(DriveError, match=SAID):
        open_drive(sent)
    grey_picture(sent / "0.png")
    (sent / "1.png").symlink_to("0.png")
    (sent / "up").symlink_to(private)
    with open_drive(sent) as drive:
        assert [Path(file or "").name for file in drive.files] == ["0.png", "1.png"]
    with open_drive(sent / "leak.png") as drive:  # named by the user
        assert len(drive) == 1


def test_lists(private: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    for k in range(2):
        grey_picture(sent / f"{k}.png")
    (sent / "labels.csv").symlink_to(private / "labels.csv")
    with open_drive(sent) as drive:
        assert any(f"labels.csv ({SAID})" in note for note in drive.info.notes)
        assert np.isnan(drive.angle_rad).all()
    (sent / "labels.csv").unlink()
    (sent / "notes.json").symlink_to(private / "labels.csv")
    with open_drive(sent) as drive:
        assert any(f"notes.json ({SAID})" in note for note in drive.info.notes)
    shutil.copy(private / "labels.csv", sent / "real.csv")
    (sent / "labels.csv").symlink_to("real.csv")
    with open_drive(sent) as drive:
        assert drive.angle_rad.tolist() == [1, 2]


def test_videos_and_bags(private: Path, tmp_path: Path) -> None:
    write_video(private / "v.mp4", scenes(5))
    (private / "b.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    sent = tmp_path / "sent"
    for name in ("v.mp4", "b.bag"):
        (sent / name).symlink_to(private / name)
        with pytest.raises(DriveError, match=f"{name} {SAID}"):
            open_drive(sent)
        (sent / name).unlink()


def test_a_folder_that_is_itself_a_link_is_opened(private: Path, tmp_path: Path) -> None:
    for k in range(2):
        grey_picture(private / f"{k}.png")
    (tmp_path / "link").symlink_to(private)
    with open_drive(tmp_path / "link") as drive:
        assert drive.angle_rad.tolist() == [1, 2]
