"""Folders that hold more than one thing: cameras side by side, several recordings, classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from picturemaker import grey_picture, write_table
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import DriveError, SeveralError

STAMPS = [1531883530412470 + 500_000 * k for k in range(4)]

# Names of the pictures of each camera, as data sets write them; the camera that is shown when none is asked for
CAMERAS = {
    "nuscenes": (
        {
            c: [f"samples/{c}/n015-2018-07-18__{c}__{t + 7 * k}.png" for t in STAMPS]
            for k, c in enumerate(["CAM_BACK", "CAM_FRONT", "CAM_FRONT_LEFT"])
        },
        "CAM_FRONT",
    ),
    "kitti": (
        {c: [f"{c}/data/{k:010d}.png" for k in range(4)] for c in ("image_00", "image_02")},
        "image_00",
    ),
    "carla": (
        {c: [f"{c}/{k:08d}.png" for k in range(4)] for c in ("rgb_left", "rgb_front", "depth_front")},
        "rgb_front",
    ),
    "stereo": ({c: [f"{c}/{t}.png" for t in STAMPS] for c in ("left", "right")}, "left"),
    "numbered": ({c: [f"{c}/{k}.png" for k in range(4)] for c in ("cam0", "cam1")}, "cam0"),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_cameras_side_by_side_are_one_drive(tmp_path: Path, name: str) -> None:
    cameras, shown = CAMERAS[name]
    for c, files in enumerate(cameras.values()):
        for k, file in enumerate(files):
            grey_picture(tmp_path / "set" / file, 50 * c + k)
    (tmp_path / "set/can_bus").mkdir()
    (tmp_path / "set/can_bus/scene.json").write_text("[]")
    for wanted in (None, *cameras):
        with open_drive(tmp_path / "set", OpenOptions(camera=wanted)) as drive:
            assert drive.info.camera == (wanted or shown) and set(drive.info.cameras) == set(cameras)
            start = 50 * list(cameras).index(wanted or shown)
            assert [int(image[0, 0, 0]) for image in drive if image is not None] == [
                start + k for k in range(4)
            ]
            assert any("can_bus/" in note for note in drive.info.notes)
    with pytest.raises(DriveError, match="no camera 'up'"):
        open_drive(tmp_path / "set", OpenOptions(camera="up"))


def test_a_table_of_numbers_labels_each_of_the_cameras(tmp_path: Path) -> None:
    for camera in ("rgb_front", "rgb_left"):
        for k in range(100, 104):
            grey_picture(tmp_path / camera / f"{k:08d}.png")
    write_table(tmp_path / "m.csv", "frame,steer,speed", [f"{k},0.{k - 100},5" for k in range(100, 104)])
    for camera in ("rgb_front", "rgb_left"):
        with open_drive(tmp_path, OpenOptions(camera=camera, angle_unit="rad")) as drive:
            assert drive.angle_rad.tolist() == [0, 0.1, 0.2, 0.3] and drive.info.camera == camera
            assert all(f"/{camera}/" in (file or "") for file in drive.files)


@pytest.mark.parametrize(
    "names", [("cat", "dog"), ("00000", "00001"), ("turn_left", "go", "turn_right"), ("stop", "yield")]
)
def test_classes_stay_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        for k in range(3):
            grey_picture(tmp_path / name / f"{k}.png")
    with open_drive(tmp_path) as drive:
        assert set(drive.info.classes) == set(names)


def test_views_that_do_not_run_in_parallel_are_no_cameras(tmp_path: Path) -> None:
    for k in range(3):
        grey_picture(tmp_path / "front" / f"a{k}.png")
        grey_picture(tmp_path / "rear" / f"b{k}.png")
    with open_drive(tmp_path) as drive:
        assert drive.info.cameras == ()


def old_tub(folder: Path) -> None:
    for k in range(3):
        grey_picture(folder / f"{k}_cam-image_array_.jpg")
        record = {"cam/image_array": f"{k}_cam-image_array_.jpg", "user/angle": 0.1, "user/throttle": 0}
        (folder / f"record_{k}.json").write_text(json.dumps(record))


def test_several_recordings_are_named_and_a_single_one_is_opened(tmp_path: Path) -> None:
    old_tub(tmp_path / "data/tub_1")
    (tmp_path / "data/notes").mkdir()
    with open_drive(tmp_path / "data") as drive:
        assert drive.info.kind == "donkey" and np.isfinite(drive.angle_rad).all()
        assert any("the recording is tub_1, the only one in the folder" in note for note in drive.info.notes)
    old_tub(tmp_path / "data/tub_2")
    with pytest.raises(DriveError, match=r"holds 2 recordings \(tub_1, tub_2\); open one of them"):
        open_drive(tmp_path / "data")
    for name in ("a", "b"):
        grey_picture(tmp_path / "lists" / name / "1.png")
        write_table(tmp_path / "lists" / name / "labels.csv", "image,angle_rad", ["1.png,1"])
        grey_picture(tmp_path / "runs" / f"2020-01-0{len(name)}_{name}" / "1.png")
    with pytest.raises(DriveError, match=r"holds 2 recordings \(a, b\)"):
        open_drive(tmp_path / "lists")
    with pytest.raises(DriveError, match="holds 2 recordings"):
        open_drive(tmp_path / "runs")


def test_a_tub_without_its_manifest(tmp_path: Path) -> None:
    lines = []
    for k in range(12):
        grey_picture(tmp_path / f"images/{k}_cam_image_array_.jpg")
        lines.append(
            json.dumps({"_index": k, "cam/image_array": f"{k}_cam_image_array_.jpg", "user/angle": k / 100})
        )
    (tmp_path / "catalog_10.catalog").write_text("\n".join(lines[10:]))
    (tmp_path / "catalog_2.catalog").write_text("\n".join(lines[:10]))
    with open_drive(tmp_path, OpenOptions(angle_unit="rad", angle_sign="left")) as drive:
        np.testing.assert_allclose(drive.angle_rad, np.arange(12) / 100)
        assert any("manifest.json is missing" in note for note in drive.info.notes)


def test_a_list_to_choose_from_is_not_hidden_by_what_is_in_one_of_them(tmp_path: Path) -> None:
    for name in ("tub_1", "tub_2"):
        old_tub(tmp_path / name)
    (tmp_path / "tub_1/more.jpg").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    with pytest.raises(SeveralError, match=r"holds 2 recordings \(tub_1, tub_2\)"):
        open_drive(tmp_path)


def test_pictures_around_a_recording_are_not_passed_over_for_one_that_lies_deeper(tmp_path: Path) -> None:
    for k in range(3):
        grey_picture(tmp_path / f"IMG/{k}.png")
    old_tub(tmp_path / "out/deep/tub")
    with open_drive(tmp_path) as drive:
        assert drive.info.kind == "images"
    old_tub(tmp_path / "days/monday/tub_1")
    with open_drive(tmp_path / "days") as drive:
        assert drive.info.kind == "donkey" and len(drive) == 3
        assert "the recording is monday/tub_1, the only one in the folder" in drive.info.notes
