"""Folders of pictures, in natural order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from picturemaker import RGB, encode, picture, shade
from vbp.drives import images
from vbp.drives.base import OpenOptions
from vbp.errors import DriveError, FrameError

OPTIONS = OpenOptions()


def shades(drive) -> list[int]:  # type: ignore[no-untyped-def]
    return [int(drive.frame(i)[0, 0, 0]) for i in range(len(drive))]


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    for k in (10, 2, 1, 30, 9):
        picture(tmp_path / f"img{k}.png", shade(k))
    picture(tmp_path / ".hidden.png", shade(99))
    (tmp_path / "._img1.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "img5.jpg").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert images.sniff(tmp_path)
    drive = images.open(tmp_path, OPTIONS)
    assert shades(drive) == [1, 2, 9, 10, 30]
    assert drive.info.kind == "images" and drive.info.fps == 20
    assert np.isnan(drive.angle_rad).all() and np.isnan(drive.speed_mps).all()
    assert any("20 frames per second are assumed" in note for note in drive.info.notes)
    assert drive.info.gaps == []


def test_sizes_may_differ_in_a_folder_of_pictures(tmp_path: Path) -> None:
    for k, size in enumerate([(24, 32), (48, 64), (24, 32)]):
        picture(tmp_path / f"{k}.png", shade(k, size))
    (tmp_path / "3.png").write_bytes(b"junk")
    drive = images.open(tmp_path, OPTIONS)
    assert drive.frame(1).shape == (48, 64, 3)
    assert any("different sizes" in note for note in drive.info.notes)
    with pytest.raises(FrameError, match=r"3\.png is not a picture"):
        drive.frame(3)
    assert [(g.first, g.last) for g in drive.info.gaps] == [(3, 3)]


def test_sub_folders_where_there_are_no_pictures_above(tmp_path: Path) -> None:
    for k, name in enumerate(["a/2/x.png", "a/10/x.png", "b/x2.png", "b/x10.png"]):
        picture(tmp_path / name, shade(k))
    (tmp_path / "c").symlink_to(tmp_path)  # a circle
    assert shades(images.open(tmp_path, OPTIONS)) == [0, 1, 2, 3]
    deep = tmp_path / "deep"
    picture(deep / "1/2/3/4/5/x.png")
    assert not images.sniff(deep)


def test_three_cameras_in_sub_folders_are_not_one_sequence(tmp_path: Path) -> None:
    for k, camera in enumerate(["center", "left", "right"]):
        picture(tmp_path / camera / "1.png", shade(k))
        picture(tmp_path / camera / "2.png", shade(k))
    assert shades(images.open(tmp_path, OPTIONS)) == [0, 0]
    right = images.open(tmp_path, OpenOptions(camera="right"))
    assert shades(right) == [2, 2] and right.info.camera == "right"
    with pytest.raises(DriveError, match="no camera 'rear'; it has: center, left, right"):
        images.open(tmp_path, OpenOptions(camera="rear"))
    with pytest.raises(DriveError, match="leave out --camera"):
        images.open(tmp_path / "left", OpenOptions(camera="left"))


def test_one_picture_whatever_its_name(tmp_path: Path) -> None:
    liar = tmp_path / "frame.dat"
    liar.write_bytes(encode("png"))
    assert images.sniff(liar)
    drive = images.open(liar, OPTIONS)
    np.testing.assert_array_equal(drive.frame(0), RGB)
    assert len(drive) == 1 and drive.info.fps == 0
    png_named_jpg = tmp_path / "a.jpg"
    png_named_jpg.write_bytes(encode("png"))
    np.testing.assert_array_equal(images.open(png_named_jpg, OPTIONS).frame(0), RGB)


def test_pictures_that_cannot_be_opened(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(encode("jpg")[:200])
    assert images.sniff(bad)
    with pytest.raises(DriveError, match=r"bad\.jpg is a truncated JPEG file; accepted: JPEG"):
        images.open(bad, OPTIONS)
    (tmp_path / "f").mkdir()
    for k in range(3):
        (tmp_path / f"f/{k}.png").write_text("junk")
    with pytest.raises(DriveError, match=r"none of the 3 pictures in .* can be decoded \(the first, 0\.png"):
        images.open(tmp_path / "f", OPTIONS)
    with pytest.raises(DriveError, match="one picture"):
        images.open(bad, OpenOptions(camera="left"))


@pytest.mark.shared
def test_real_folders_of_pictures(shared: Path) -> None:
    data = shared / "data"
    signs = images.open(data / "gtsrb", OPTIONS)
    assert len(signs) == 1290 and signs.frame(1289).ndim == 3
    assert len(images.open(data / "photos", OPTIONS)) == 4
    ch2 = images.open(data / "udacity-ch2/center", OPTIONS)
    assert (len(ch2), ch2.info.width, ch2.info.height) == (900, 640, 480)
    one = images.open(data / "broken-media/Landscape_6.jpg", OPTIONS)
    assert (one.info.width, one.info.height) == (1800, 1200)
