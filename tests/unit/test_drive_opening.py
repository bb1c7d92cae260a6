"""Which format takes what, and what open_drive says of what nobody takes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from picturemaker import grey_picture, write_table
from vbp.cli.main import main
from vbp.drives import donkey, images, opening, sullychen, udacity_csv, udacity_simulator
from vbp.drives.base import OpenOptions
from vbp.drives.opening import FORMATS, Format, open_drive
from vbp.errors import DriveError

OPTIONS = OpenOptions()


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
    steering = write_table(tmp_path / "a/angles.csv", "timestamp,angle", ["1,2"])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "zero.csv").touch()
    (tmp_path / "utf16.csv").write_bytes("a,b\n1,2\n".encode("utf-16-le"))
    for path, said in [
        (steering, "lists steering angles but no pictures"),
        (steering.parent, "angles.csv lists steering angles but no pictures"),
        (write_table(tmp_path / "b/c.csv", "one,two", ["1,2"]), r"its columns: one, two\); accepted"),
        (tmp_path / "utf16.csv", "UTF-16"),
        (tmp_path / "zero.csv", "is an empty file"),
        (tmp_path / "nothing", "is an empty folder"),
        (tmp_path / "pipe", "neither a file nor a folder"),
        (tmp_path / "absent", "does not exist"),
        (tmp_path / ("x" * 5000), "cannot be read|does not exist"),
        (tmp_path / "nul\0", "cannot be read|does not exist"),
        (write_table(tmp_path / "d/readme.md", "hello", []), "is not a recording that vbp can read"),
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (OpenOptions(fps=-1.0), "-1 frames per second is no rate"),
        (OpenOptions(max_gap_s=-0.1), "a gap of -0.1 s cannot be"),
        (OpenOptions(max_gap_s=float("nan")), "a gap of nan s cannot be"),
        (OpenOptions(camera="left\n\x1b[31m"), r"the camera 'left\n\x1b[31m' holds control characters"),
        (OpenOptions(steering="/a\tb"), r"the steering '/a\tb' holds control characters"),
    ],
)
def test_options_that_cannot_be_are_refused_of_every_recording(options: OpenOptions, words: str) -> None:
    with pytest.raises(DriveError) as caught:
        open_drive(Path(__file__).parents[2] / "assets/demo", options)
    assert words in str(caught.value)


def test_a_message_is_short_and_info_lists_the_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.xyz").write_text("nothing")
    assert main(["info", str(tmp_path / "a.xyz")]) == 2
    said = capsys.readouterr().err.replace(str(tmp_path), "")
    assert "`vbp info --formats`" in said and len(said) < 200
    assert main(["info", "--formats"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [f.name for f in FORMATS]
    assert main(["info"]) == 2


@pytest.mark.parametrize(
    ("folder", "pictures", "beside"),
    [
        ("samples/CAM_FRONT", "n__CAM_FRONT__1531883530412470.png", "sweeps"),
        ("image_02/data", "0000000000.png", "image_02/timestamps.txt"),
    ],
)
def test_who_opens_the_pictures_of_a_camera_alone_is_told(
    tmp_path: Path, folder: str, pictures: str, beside: str
) -> None:
    grey_picture(tmp_path / folder / pictures)
    (tmp_path / beside).touch()
    with open_drive(tmp_path / folder) as drive:
        assert any(f"open {tmp_path} for their times and " in note for note in drive.info.notes)
