"""SullyChen's lists of pictures and angles."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from picturemaker import picture, shade
from vbp.drives import sullychen
from vbp.drives.base import Gap, OpenOptions
from vbp.drives.picture_files import (
    read_picture,
)

OPTIONS = OpenOptions()


@pytest.mark.shared
def test_sullychen_garage(shared: Path) -> None:
    folder = shared / "data/sullychen-garage"
    assert sullychen.sniff(folder) and sullychen.sniff(folder / "data.txt")
    drive = sullychen.open(folder, OPTIONS)
    assert len(drive) == 201 and np.isfinite(drive.angle_rad).sum() == 101
    lines = [line.split() for line in (folder / "data.txt").read_text().splitlines()]
    np.testing.assert_allclose(
        np.degrees(drive.angle_rad[:101]), [-float(angle) for _, angle in lines], atol=1e-12
    )
    assert np.isnan(drive.angle_rad[101:]).all()
    assert drive.info.fps == pytest.approx(30, abs=1e-3)
    assert any("30 frames per second" in note for note in drive.info.notes)
    np.testing.assert_array_equal(drive.frame(10), read_picture(folder / "10.jpg"))
    assert (drive.info.angle_unit, drive.info.angle_sign, drive.info.gaps) == ("deg", "right", [])
    given = sullychen.open(folder, OpenOptions(angle_unit="rad", angle_sign="left"))
    assert given.info.angle_source == "given by the user"
    np.testing.assert_allclose(given.angle_rad[23], 11.7)


def test_sullychen_with_times_and_a_picture_folder(tmp_path: Path) -> None:
    for k in range(4):
        picture(tmp_path / f"data/{k}.jpg", shade(k * 60))
    (tmp_path / "data.txt").write_bytes(
        b"\xef\xbb\xbf0.jpg 1.000000,2018-07-01 17:09:44:912\r\n2.jpg -2.5,2018-07-01 17:09:44:999\r\n"
        b"\r\n1.jpg nan,2018-07-01 17:09:44:950\r\nrubbish\r\n3.jpg 4.0\r\n9.jpg 4.0,2018-07-01 17:09:45.1\r\n"
    )
    assert sullychen.sniff(tmp_path)
    drive = sullychen.open(tmp_path, OPTIONS)
    assert drive.timestamps_ns.tolist() == [
        1530464984912000000,
        1530464984950000000,
        1530464984999000000,
        1530464985100000000,
    ]
    np.testing.assert_allclose(np.degrees(drive.angle_rad), [-1, np.nan, 2.5, -4])
    assert drive.info.gaps == [Gap(3, 3, "the picture is missing")]
    assert any("1 lines" in note for note in drive.info.notes) and any(
        "no time" in note for note in drive.info.notes
    )


def test_sullychen_names_stay_inside(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    picture(tmp_path / "drive/0.jpg")
    (tmp_path / "drive/leak.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "drive/data.txt").write_text("0.jpg 0\n../secret.jpg 1\nleak.jpg 2\n../../etc/passwd.jpg 3\n")
    drive = sullychen.open(tmp_path / "drive", OPTIONS)
    assert len(drive) == 4 and sum(g.last - g.first + 1 for g in drive.info.gaps) == 3


def test_other_text_files_are_not_sullychen(tmp_path: Path) -> None:
    for text in (b"", b"hello\nworld\n", b"\xff\xfe\0\0", b"a.txt 5\n", b"1 2 3\n", bytes(range(256))):
        (tmp_path / "data.txt").write_bytes(text)
        assert not sullychen.sniff(tmp_path)
    os.remove(tmp_path / "data.txt")
    (tmp_path / "data.txt").mkdir()
    assert not sullychen.sniff(tmp_path)
