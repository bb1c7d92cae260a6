"""The inputs of ../shared/cases, which public reports told of: each with the value that its case.md or its maker gives."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vbp.drives import OpenOptions, open_drive
from vbp.drives.holes import find_holes
from vbp.errors import DriveError, NeedsAngleUnitError

pytestmark = pytest.mark.shared

NAN = math.nan
RAD = math.degrees(1)


def steering(i: int) -> float:
    """What the makers write as the angle of frame i (common.py), in the unit of each."""
    return 0.3 * math.sin(2 * math.pi * i / 20)


# case -> unit that the user says, degrees to the left for 1 of the unit, the maker's frames that are shown,
# and those of them without a label
CASES: dict[str, tuple[str | None, float, list[int], list[int]]] = {
    "01_donkey_user_steering/tub": (None, -25, [*range(12)], []),
    "02_donkey_tubs/a_empty_catalog": (None, -25, [0, 1, 2, 5, 6, 7, 8, 9], []),
    "02_donkey_tubs/b_cut": (None, -25, [0, 1, 2, 5, 6, 7, 8, 9], [5, 6, 7]),
    "02_donkey_tubs/d_no_manifest": (None, -25, [*range(10)], []),
    "04_decimal_comma/a_comma_comma": (None, -25, [*range(10)], []),
    "04_decimal_comma/b_semicolon": (None, -25, [*range(10)], []),
    "05_cil_csv/a_driving_log": ("unit", 25, [*range(12)], []),
    "05_cil_csv/b_image_steering": ("unit", 25, [*range(12)], []),
    "05_cil_csv/c_filename_angle_deg": (None, RAD, [*range(12)], []),
    "05_cil_csv/d_frame_steering_beside": (None, RAD, [*range(12)], []),
    "12_airsim/a_old": (None, -40, [*range(12)], []),
    "12_airsim/b_new": (None, -40, [*range(12)], []),
    "12_airsim/c_many": (None, -40, [*range(12)], []),
    "23_hole_in_time/10min": (None, -25, [*range(12)], []),
    "23_hole_in_time/8h": (None, -25, [*range(12)], []),
}


@pytest.mark.parametrize("name", CASES)
def test_every_frame_has_its_angle(shared: Path, name: str) -> None:
    unit, factor, frames, unlabelled = CASES[name]
    path = shared / "cases" / name
    if unit is not None:
        with pytest.raises(NeedsAngleUnitError):
            open_drive(path)
    with open_drive(path, OpenOptions(angle_unit=unit)) as drive:
        expected = [NAN if i in unlabelled else factor * steering(i) for i in frames]
        np.testing.assert_allclose(np.degrees(drive.angle_rad), expected, atol=0.01)
        for k, i in enumerate(frames):  # the red bar is as long as the frame's number
            row = drive.frame(k)[5].astype(int)
            assert abs(int(((row[:, 0] > 150) & (row[:, 2] < 120)).sum()) - bar(i, row.shape[0])) <= 3


def bar(i: int, width: int) -> int:
    return min(3 * i, width - 2)


def test_two_tubs_in_a_folder_are_a_list_to_choose_from(shared: Path) -> None:
    with pytest.raises(DriveError, match=r"2 recordings \(tub_1_19-11-14, tub_2_19-11-14\); open one"):
        open_drive(shared / "cases/02_donkey_tubs/c_data")


@pytest.mark.parametrize(("name", "hole_s"), [("10min", 600.0), ("8h", 28_800.0)])
def test_a_hole_is_found_where_it_is(shared: Path, name: str, hole_s: float) -> None:
    with open_drive(shared / "cases/23_hole_in_time" / name) as drive:
        ((after, length_s),) = find_holes(drive.timestamps_ns)
    assert after == 5
    assert length_s == pytest.approx(hole_s, abs=0.2)


def test_airsim_has_its_times_and_speed(shared: Path) -> None:
    with open_drive(shared / "cases/12_airsim/c_many") as drive:
        assert set(np.diff(drive.timestamps_ns)) == {100_000_000}
        np.testing.assert_allclose(drive.speed_mps, 5.2)


@pytest.mark.parametrize("name", ["v5_mcap", "v5_sqlite"])
def test_a_bag_of_today_opens(shared: Path, name: str) -> None:
    with open_drive(shared / "cases/10_bags" / name) as drive:
        assert len(drive) == 6
        assert drive.frame(5).std() > 5


@pytest.mark.parametrize(
    "name", ["drive.bag", "drive.mcap", "drive.mp4", "pictures", "sim", "net.pt2", "weights.safetensors"]
)
def test_a_pointer_of_git_lfs_is_called_one(shared: Path, name: str) -> None:
    with pytest.raises(DriveError, match="is a Git LFS pointer, not the file itself: run `git lfs pull`"):
        open_drive(shared / "cases/11_lfs_pointer" / name)


def test_cameras_side_by_side_are_no_classes(shared: Path) -> None:
    folder = shared / "cases/13_datasets"
    with open_drive(folder / "carla_rgb", OpenOptions(angle_unit="unit")) as drive:
        np.testing.assert_allclose(np.degrees(drive.angle_rad), 25 * 0.01 * np.arange(8), atol=0.01)
    with open_drive(folder / "nuscenes") as drive:
        assert len(drive) == 8 and drive.info.kind == "nuscenes"
        assert drive.angle_rad[0] == 3.06  # left: https://github.com/nutonomy/nuscenes-devkit/issues/371
        assert np.isnan(drive.angle_rad[1:]).all()  # its messages are of the first half second
    for camera in ("CAM_BACK", "CAM_FRONT_LEFT"):
        with open_drive(folder / "nuscenes", OpenOptions(camera=camera)) as drive:
            assert drive.info.camera == camera


@pytest.mark.parametrize(
    ("name", "camera", "shown"),
    [("jpeg_track_first.mkv", None, "1"), ("two_cameras.mp4", None, "0"), ("two_cameras.mp4", "1", "1")],
)
def test_the_video_of_a_file_with_two(shared: Path, name: str, camera: str | None, shown: str) -> None:
    with open_drive(shared / "cases/20_videos" / name, OpenOptions(camera=camera)) as drive:
        assert (len(drive), drive.info.camera) == (39, shown)


CHILD = """
import contextlib, io, json, re, sys
from vbp.cli.main import main
for command in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]  # ru_maxrss has the parent's in it
    print(json.dumps([code, int(peak) // 1024, out.getvalue(), err.getvalue()]), flush=True)
"""
RECORDINGS = (
    "dk1",
    "dk2",
    "dk3",
    "fan",
    "overflow.avi",
    "sc",
    "sim",
    "tr",
    "tr2",
    "tr3",
    "z.db3",
)  # that open
NONE = ("g.db3", "hang.mp4", "jpeg_tem", "png", "png16", "run", "run2", "tiff_long8", "tm", "y", "z.mcap")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_attack_takes_the_machine(shared: Path, tmp_path: Path) -> None:
    """Every file of the case by the command that a user would type; its limit on time is that of the whole test."""
    attacks = shared / "cases/24_attacks"
    commands = [["info", name] for name in (*RECORDINGS, *NONE)] + [["measure", f"tr{k}"] for k in ("", 2, 3)]
    good = len(RECORDINGS)
    for command in commands:
        command[1] = str(attacks / command[1])
    drive = str(shared / "data/udacity-ch2")
    commands.append(["evolution", str(attacks / "run"), drive, "--frame", "3", "-o", str(tmp_path / "e.png")])
    shutil.copy(attacks / "tm/m.toml", tmp_path / "m.toml")
    shutil.copy(shared / "data/networks/light-steering-onnx/steering_model_light.onnx", tmp_path / "m.onnx")
    commands.append(["check-model", str(tmp_path / "m.onnx")])
    angles = f"can:virtual:x?dbc={attacks / 'dbc/c.dbc'}&signal=SteeringWheelAngle"
    commands.append(["camera", "rtsp://127.0.0.1:9/x", "--no-window", "--angles", angles, "--seconds", "1"])
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=160,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(commands), (commands[len(said)], done.stderr[-2000:])
    for k, (command, (code, peak_mb, out, err)) in enumerate(zip(commands, said, strict=True)):
        assert peak_mb < 1000, command
        if k < good:
            assert code == 0 and "frames " in out and not err, (command, err)
        else:
            assert code == 2 and not out and err.startswith("vbp: "), (command, out, err)
            assert err.count("\n") == 1, (command, err)
