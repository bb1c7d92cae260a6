"""nuScenes: one camera's samples and sweeps in the order of time, with the CAN bus's steering and speed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from picturemaker import grey_picture
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive

START = 1_531_883_530_412_470  # microseconds, as in scene 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures a second of two cameras, every fifth of them a sample; 20 messages a second of their first 0.8 s."""
    root = tmp_path / "nuscenes"
    for c, camera in enumerate(("CAM_BACK", "CAM_FRONT")):
        for k in range(10):
            part = "sweeps" if k % 5 else "samples"
            name = f"n015-2018-07-18-11-07-57+0800__{camera}__{START + 100_000 * k}.jpg"
            grey_picture(root / part / camera / name, 100 * c + 10 * k)
    for extra in ("samples/LIDAR_TOP/a.pcd.bin", "maps/x.txt", "v1.0-mini/scene.json"):
        (root / extra).parent.mkdir(parents=True, exist_ok=True)
        (root / extra).write_text("[]")
    times = [START + 50_000 * k for k in range(17)]
    write(root, "steeranglefeedback", [{"utime": t, "value": (t - START) / 1e6} for t in times])
    write(root, "pose", [{"utime": t, "vel": [(t - START) / 1e5, 0.0, 0.0]} for t in times])
    return root


def write(root: Path, kind: str, messages: object, scene: int = 1) -> None:
    (root / "can_bus").mkdir(exist_ok=True)
    (root / f"can_bus/scene-{scene:04}_{kind}.json").write_text(json.dumps(messages))


def test_samples_and_sweeps_are_one_drive_with_its_steering(folder: Path) -> None:
    write(folder, "ms_imu", [])
    with open_drive(folder) as drive:
        assert drive.info.kind == "nuscenes" and drive.info.cameras == ("CAM_BACK", "CAM_FRONT")
        assert drive.info.camera == "CAM_FRONT" and drive.info.fps == pytest.approx(10)
        assert drive.timestamps_ns.tolist() == [(START + 100_000 * k) * 1000 for k in range(10)]
        assert [int(image[0, 0, 0]) for image in drive if image is not None] == [
            100 + 10 * k for k in range(10)
        ]
        # radians of the wheel, left positive: https://github.com/nutonomy/nuscenes-devkit/issues/371
        np.testing.assert_allclose(drive.angle_rad[:9], np.arange(9) / 10, atol=1e-12)
        np.testing.assert_allclose(drive.speed_mps[:9], np.arange(9), atol=1e-9)
        assert np.isnan(drive.angle_rad[9]) and np.isnan(drive.speed_mps[9])
        notes = "\n".join(drive.info.notes)
    assert "1 of 10 pictures have no steering: can_bus has no messages within 0.2 s" in notes
    for name in ("can_bus/scene-0001_ms_imu.json", "samples/CAM_BACK/", "sweeps/CAM_BACK/", "v1.0-mini/"):
        assert name in notes
    assert "steeranglefeedback" not in notes and "pose" not in notes
    with open_drive(folder, OpenOptions(camera="CAM_BACK", angle_sign="right", angle_unit="deg")) as drive:
        assert drive.angle_rad[1] == pytest.approx(-np.radians(0.1))


def test_without_the_can_bus_it_is_said_where_the_steering_is(folder: Path) -> None:
    for file in (folder / "can_bus").iterdir():
        file.unlink()
    with open_drive(folder) as drive:
        assert np.isnan(drive.angle_rad).all() and not drive.info.angle_unit
        assert any("no steering: nuScenes has it in its CAN bus expansion" in n for n in drive.info.notes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"a": 1}',
        "[1]",
        '[{"utime": 1e400, "value": 1}]',
        '[{"utime": "x"}]',
        '[{"utime": 1, "value": 1e999999}, {"utime": NaN, "value": 2}]',
        "[" + '{"utime": 9' + "9" * 400 + ', "value": 1}]',
    ],
)
def test_damaged_messages_are_left_out(folder: Path, text: str) -> None:
    (folder / "can_bus/scene-0002_steeranglefeedback.json").write_text(text)
    with open_drive(folder) as drive:
        np.testing.assert_allclose(drive.angle_rad[:9], np.arange(9) / 10, atol=1e-12)


def test_a_link_that_leads_out_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "can_bus").rename(tmp_path / "elsewhere")
    (folder / "can_bus").symlink_to(tmp_path / "elsewhere")
    with open_drive(folder) as drive:
        assert np.isnan(drive.angle_rad).all()
