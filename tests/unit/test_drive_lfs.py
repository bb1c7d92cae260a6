"""A Git LFS pointer in the place of a recording, or of a part of one, is named as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from picturemaker import grey_picture, write_table
from vbp.drives.opening import open_drive
from vbp.engine import open_network
from vbp.errors import DriveError, FrameError, ModelError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "b05d" * 16 + "\nsize 2831\n"
SAID = "is a Git LFS pointer, not the file itself: run `git lfs pull`"


@pytest.mark.parametrize(
    "name",
    ["a.bag", "a.mcap", "a.db3", "a.mp4", "a.hevc", "a.csv", "driving_log.csv", "interpolated.csv", "data.txt", "a.jpg", "IMG/a.png", "manifest.json", "airsim_rec.txt"],
)  # fmt: skip
def test_the_only_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "set" / name
    path.parent.mkdir(parents=True)
    path.write_text(POINTER)
    for opened in (path, tmp_path / "set"):
        with pytest.raises(DriveError, match=SAID) as caught:
            open_drive(opened)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_a_picture_or_a_list_among_others(tmp_path: Path) -> None:
    grey_picture(tmp_path / "0.png")
    grey_picture(tmp_path / "2.png")
    (tmp_path / "1.png").write_text(POINTER)
    (tmp_path / "labels.csv").write_text(POINTER)
    with open_drive(tmp_path) as drive:
        with pytest.raises(FrameError, match=SAID):
            drive.frame(1)
        assert any(f"labels.csv ({SAID}" in note for note in drive.info.notes)
    write_table(tmp_path / "labels.csv", "image,angle_rad", ["0.png,1", "1.png,2", "2.png,3"])
    with open_drive(tmp_path) as drive:
        assert drive.angle_rad.tolist() == [1, 2, 3] and drive.info.gaps[0].first == 1


@pytest.mark.parametrize("name", ["net.pt2", "net.onnx", "net.safetensors", "net.pth", "net.h5"])
def test_a_network_s_file_that_is_a_pointer(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(ModelError, match=SAID):
        open_network(tmp_path / name)
    with pytest.raises(ModelError, match=SAID):
        open_network("module.of_mine:make", weights=tmp_path / name)
