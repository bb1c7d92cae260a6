"""Drives as files: all forms open with the same angles, the truth beside them, and what is said when it fails."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from vbp.cli import main
from vbp.drives import open_drive
from vbp.errors import VbpError
from vbp.simulate import Settings, load_truth, simulate
from vbp.simulate import write as write_module
from vbp.simulate.classes import ID, NAMES
from vbp.simulate.frame import render
from vbp.simulate.world import World

SETTINGS = Settings(frames=16, seed=11)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def jpeg_drive(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("drives") / "jpeg", SETTINGS, bag=True, workers=1)


@pytest.fixture(scope="module")
def video_drive(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("drives") / "video", SETTINGS, "h264", truth_every=5, workers=1)


@pytest.fixture(scope="module")
def world():
    return World(SETTINGS)


def test_all_forms_open_with_the_same_angles_and_times(jpeg_drive, video_drive, world):
    seen = []
    for path, kind in ((jpeg_drive, "udacity-csv"), (video_drive, "video"), (jpeg_drive / "bag", "rosbag1")):
        with open_drive(path) as drive:
            assert drive.info.kind == kind
            assert len(drive) == 16 and drive.frame(3).shape == (480, 640, 3)
            assert drive.info.fps == pytest.approx(20.0)
            seen.append((drive.timestamps_ns, drive.angle_rad, drive.speed_mps))
    for times, angles, speeds in seen:
        assert (times == world.timestamps_ns).all()
        assert (angles == seen[0][1]).all() and (speeds == seen[0][2]).all()
    assert np.abs(seen[0][1] - world.motion.wheel).max() < 1e-6


def test_pictures_are_the_frames_that_were_rendered(jpeg_drive, video_drive, world):
    image = render(world, 5).image.astype(float)
    for path, most in ((jpeg_drive, 4.0), (video_drive, 6.0)):
        with open_drive(path) as drive:
            assert np.abs(drive.frame(5) - image).mean() < most


def test_truth_comes_back_and_does_not_disturb_the_drive(jpeg_drive, world):
    truth = load_truth(jpeg_drive)
    assert truth.names == NAMES and truth.frames == tuple(range(16))
    frame = render(world, 7)
    assert (truth.classes(7) == frame.classes & 0x7F).all()
    assert (truth.shadow(7) == ((frame.classes & 0x80) > 0)).all()
    facts = truth.frame(7)
    assert facts["wheel_rad"] == pytest.approx(world.motion.wheel[7], abs=1e-6)
    assert facts["s_m"] == pytest.approx(world.motion.s[7], abs=1e-3)
    assert truth.facts["settings"]["seed"] == 11
    with open_drive(jpeg_drive) as drive:
        assert not drive.info.gaps
    assert load_truth(jpeg_drive / "truth").names == load_truth(jpeg_drive / "interpolated.csv").names


def test_lane_edges_in_the_truth_lie_beside_the_lane_lines(jpeg_drive):
    truth = load_truth(jpeg_drive)
    for i in (0, 15):
        facts, kind = truth.frame(i), truth.classes(i)
        hits = total = 0
        for name in ("lane_left_px", "lane_right_px"):
            for u, v in facts[name][:6]:
                if 15 <= u < 625 and 0 <= v < 480:
                    total += 1
                    part = kind[round(v) - 1 : round(v) + 2, round(u) - 12 : round(u) + 13]
                    hits += np.isin(part, [ID[n] for n in truth.lane_markings]).any()
        assert total >= 4 and hits >= total - 1


def test_truth_of_some_frames_only(video_drive):
    truth = load_truth(video_drive)
    assert truth.frames == (0, 5, 10, 15)
    assert truth.has(5) and not truth.has(6)
    with pytest.raises(VbpError, match="no ground truth of frame 6"):
        truth.classes(6)


def test_class_pictures_are_seen_in_colours_by_other_programs(jpeg_drive):
    seen = cv2.imread(str(jpeg_drive / "truth" / "classes" / "000003.png"))
    assert seen.shape == (480, 640, 3) and len(np.unique(seen.reshape(-1, 3), axis=0)) > 4


def test_two_workers_write_the_same_bytes_as_one(jpeg_drive, tmp_path):
    again = simulate(tmp_path / "again", SETTINGS, bag=True, workers=2)
    assert files(again) == files(jpeg_drive)


def test_another_seed_is_another_drive(jpeg_drive, tmp_path):
    other = simulate(tmp_path / "other", Settings(frames=2, seed=12), workers=1)
    ours, theirs = load_truth(jpeg_drive), load_truth(other)
    assert (ours.classes(0) != theirs.classes(0)).mean() > 0.05


def test_without_truth(tmp_path):
    folder = simulate(tmp_path / "d", Settings(frames=1), truth_every=0, workers=1)
    assert sorted(p.name for p in folder.iterdir()) == ["center", "interpolated.csv"]
    with pytest.raises(VbpError, match="has no ground truth"):
        load_truth(folder)


def test_truth_packed_into_one_file(jpeg_drive, tmp_path):
    folder = simulate(tmp_path / "d", SETTINGS, "h264", truth_every=3, workers=1, pack=True)
    assert sorted(p.name for p in folder.iterdir()) == ["center.mp4", "center_steering.csv", "truth.zip"]
    whole = load_truth(jpeg_drive)
    for path in (folder, folder / "truth.zip", folder / "center.mp4"):
        truth = load_truth(path)
        assert truth.frames == (0, 3, 6, 9, 12, 15)
        assert (truth.classes(3) == whole.classes(3)).all() and truth.frame(2) == whole.frame(2)
    with open_drive(folder) as drive:
        assert len(drive) == 16 and np.isfinite(drive.angle_rad).all()
    (folder / "truth.zip").write_bytes(b"PK no more")
    with pytest.raises(VbpError, match="truth.zip"):
        load_truth(folder)


# --- what goes wrong ---------------------------------------------------------------------------


def test_command_line(tmp_path, capsys):
    out = tmp_path / "d"
    assert main(["simulate", "-o", str(out), "--seconds", "0.1", "--workers", "1", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == 2 and facts["output"] == str(out)
    assert main(["info", str(out)]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frames", "0"], "0 frames cannot be made"),
        (["--frames", "9999999"], "cannot be made"),
        (["--seconds", "-1"], "cannot be made"),
        (["--seconds", "x"], "not a number"),
        (["--frames", "3", "--seconds", "1"], "not allowed with"),
        (["--frames", "3", "--fps", "0"], "frames per second"),
        (["--frames", "3", "--seed", "-5"], "seed"),
        (["--frames", "3", "--plant", "mirror"], "there is no spurious feature 'mirror'"),
        (["--frames", "3", "--workers", "0"], "--workers 0"),
        (["--frames", "3", "--truth-every", "0"], "--no-truth"),
        (["--frames", "3", "--format", "gif"], "invalid choice"),
    ],
)
def test_wrong_options_are_one_sentence_and_leave_nothing(tmp_path, capsys, options, said):
    try:
        status = main(["simulate", "-o", str(tmp_path / "d"), *options])
    except SystemExit as stop:
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2 and said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["simulate", "-o", str(tmp_path), "--frames", "1"]) == 2
    assert "not empty" in capsys.readouterr().err
    file = tmp_path / "mine.txt"
    assert main(["simulate", "-o", str(file), "--frames", "1"]) == 2
    assert "is a file" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"] and file.read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    assert simulate(folder, Settings(frames=1), workers=1) == folder
    assert (folder / "interpolated.csv").is_file()


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_full_disk_or_ctrl_c_leaves_nothing_behind(tmp_path, monkeypatch, problem):
    def stop(*_: object) -> None:
        raise problem

    monkeypatch.setattr(write_module, "write_interpolated", stop)
    with pytest.raises((VbpError, KeyboardInterrupt)) as caught:
        simulate(tmp_path / "d", Settings(frames=1), workers=1)
    if isinstance(problem, OSError):
        assert "the disk is full" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 99, "classes": [], "lane_markings": [], "classes_of_frames": [], "frames": []}'])  # fmt: skip
def test_a_damaged_truth_is_one_sentence(tmp_path, text):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "truth.json").write_text(text)
    with pytest.raises(VbpError, match="truth.json"):
        load_truth(tmp_path)
