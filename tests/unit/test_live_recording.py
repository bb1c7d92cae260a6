"""What is recorded of a camera opens again: exact times, the same pictures, what was measured and predicted."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livemaker import scene
from recordingmaker import START_NS, STEP_NS, live_frame, number_of, predicted_class, record, result
from vbp.cli import main
from vbp.drives import OpenOptions, open_drive, recording
from vbp.drives.recording import HEAD, ROWS, VIDEO
from vbp.errors import VbpError
from vbp.frames import table
from vbp.live.recorder import Recorder
from vbp.live.records import LiveFrame


@pytest.mark.parametrize("size", [(320, 240), (161, 121), (160, 121), (161, 120), (640, 126), (1280, 961)])
def test_what_was_put_comes_out(tmp_path: Path, size: tuple[int, int]) -> None:
    n = 45 if size[0] < 1000 else 9
    frames = record(tmp_path / "drive", n, *size)
    with open_drive(tmp_path / "drive") as drive:
        assert drive.info.kind == "vbp-recording" and (drive.info.width, drive.info.height) == size
        assert drive.timestamps_ns.dtype == np.int64
        assert drive.timestamps_ns.tolist() == [f.timestamp_ns for f in frames]
        for i in (0, n - 1, n // 2, n // 2 + 1, 3):
            image = drive.frame(i)
            assert image.shape == frames[i].image.shape and number_of(image) == i
            below = slice(2 * (size[0] // 40) + 8, None)
            difference = image[below].astype(int) - frames[i].image[below].astype(int)
            assert np.abs(difference).mean() < 3 and np.abs(difference).max() < 32
        angles = [math.nan if i % 3 == 0 else 0.1 * i + 1e-17 for i in range(n)]
        np.testing.assert_array_equal(drive.angle_rad, angles)
        np.testing.assert_array_equal(
            drive.speed_mps, [math.nan if i % 3 == 0 else 3.3 * i for i in range(n)]
        )
        np.testing.assert_array_equal(
            drive.predicted_rad,  # type: ignore[attr-defined]
            [math.nan if i % 5 == 0 else -0.01 * i for i in range(n)],
        )
        assert drive.info.gaps == [] and drive.info.camera == "camera 0"
        assert (
            "recorded by vbp from camera 0 with NetSVF" in drive.info.notes[0] and len(drive.info.notes) == 1
        )
        assert (drive.info.angle_unit, drive.info.angle_sign) == ("rad", "left")


def test_the_video_is_what_ffprobe_says_of_a_video(tmp_path: Path) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    record(tmp_path / "drive", 45, 161, 121)
    command = [
        "ffprobe",
        "-v",
        "error",
        "-count_frames",
        "-show_streams",
        "-show_entries",
        "frame=pts_time,key_frame",
    ]
    done = subprocess.run(
        [*command, "-of", "json", tmp_path / "drive" / VIDEO], capture_output=True, check=True, text=True
    )
    assert done.stderr == ""
    told = json.loads(done.stdout)
    stream = told["streams"][0]
    assert (stream["width"], stream["height"], stream["nb_read_frames"]) == (162, 122, "45")
    if stream["codec_name"] == "h264":
        assert (stream["pix_fmt"], stream["color_space"], stream["color_range"]) == (
            "yuv420p",
            "smpte170m",
            "tv",
        )
        assert stream["has_b_frames"] == 0
    times = [float(f["pts_time"]) for f in told["frames"]]
    np.testing.assert_allclose(
        times, [(i * STEP_NS + (i * 7919) % 1_000_003) / 1e9 for i in range(45)], atol=6e-4
    )
    keys = [i for i, f in enumerate(told["frames"]) if f["key_frame"]]
    assert keys[0] == 0 and max(np.diff([*keys, 45])) <= 21


def test_each_of_its_files_opens_the_recording(tmp_path: Path) -> None:
    record(tmp_path / "drive", 5)
    for name in (HEAD, VIDEO, ROWS):
        with open_drive(tmp_path / "drive" / name) as drive:
            assert drive.info.kind == "vbp-recording" and len(drive) == 5


def test_the_user_may_overrule_sign_and_unit(tmp_path: Path) -> None:
    record(tmp_path / "drive", 5)
    with open_drive(tmp_path / "drive", OpenOptions(angle_sign="right")) as drive:
        assert drive.angle_rad[1] == pytest.approx(-0.1)


def test_times_closer_than_a_millisecond_and_far_apart_stay_exact(tmp_path: Path) -> None:
    stamps = [START_NS + t for t in (0, 1, 2, 3, 10**6, 10**9, 10**9 + 1, 10**12)]
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=math.nan, camera="")
    for i, stamp in enumerate(stamps):
        recorder.put(live_frame(i, scene(), stamp))
    recorder.stop()
    with open_drive(tmp_path / "d") as drive:
        assert drive.timestamps_ns.tolist() == stamps
        assert [number_of(drive.frame(i)) for i in range(len(stamps))] == list(range(len(stamps)))


def test_frames_of_another_size_are_fitted_in_and_that_is_told(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=20, camera="c")
    wide = np.full((120, 320, 3), 200, np.uint8)
    recorder.put(live_frame(0, scene()))
    recorder.put(LiveFrame(2, START_NS + STEP_NS, wide))
    recorder.put(LiveFrame(3, START_NS + 2 * STEP_NS, wide[:60, :80]))
    assert recorder.stop().resized == 2
    with open_drive(tmp_path / "d") as drive:
        assert any(
            "2 frames came in another size and were fitted into 160×120" in n for n in drive.info.notes
        )
        image = drive.frame(1)
        assert image[60].min() > 190 and image[:28].max() < 12 and image[92:].max() < 12  # its shape is kept
        assert drive.frame(2).min() > 190  # as wide as the recording, after it was scaled


def test_a_pause_of_the_camera_is_told_as_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = [0.0, 0.05, 0.1, 3.4, 3.45, 3.5, 3.9, 3.95]  # two pauses, the second no longer than a hiccup
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=20, camera="c")
    for i, at in enumerate(seconds):
        recorder.put(live_frame(i, scene(), START_NS + round(at * 1e9)))
    recorder.stop()
    assert main(["info", str(tmp_path / "d")]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "gap" in line]
    assert [line.split(maxsplit=1)[1] for line in said] == [
        "a gap of 3.3 s after frame 2 (at 0.1 s): the camera sent no frames"
    ]
    slow = np.arange(5, dtype=np.int64) * 4 * 10**9  # a camera of one frame in four seconds
    assert recording.pauses(slow) == recording.pauses(slow[:1]) == []
    often = np.arange(60, dtype=np.int64) * 10**8 + (np.arange(60) // 4) * 3 * 10**9
    assert recording.pauses(often)[-1] == "and 4 more such gaps" and len(recording.pauses(often)) == 11


# --- where it may be recorded ------------------------------------------------------------------


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, words in (("full", "holds files already"), ("file", "is a file"), ("no/new", "is no folder")):
        with pytest.raises(VbpError, match=words):
            Recorder(tmp_path / name, size=(16, 16), fps_hint=20, camera="")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine" == (tmp_path / "file").read_text()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "thesis.txt"]
    (tmp_path / "empty").mkdir()
    record(tmp_path / "empty", 3)
    with pytest.raises(VbpError, match="holds files already"):
        record(tmp_path / "empty", 3)


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(VbpError, match="cannot be recorded into"):
        Recorder("/proc/vbp-recording", size=(16, 16), fps_hint=20, camera="")


# --- its table ---


def test_its_table_begins_with_the_columns_of_every_table(whole_recording: Path) -> None:
    with (whole_recording / ROWS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    common = list(table.COLUMNS)[:6]
    assert list(rows[0])[:6] == common == list(recording.COLUMNS)[:6]
    assert {"class", "class_name", "probability"} <= set(rows[0]) & set(table.CLASS_COLUMNS)
    assert (rows[7]["frame"], rows[7]["seq"]) == ("7", "15")
    assert int(rows[7]["timestamp_ns"]) - int(rows[7]["measured_timestamp_ns"]) == 3
    driven, predicted = math.degrees(0.1 * 7), math.degrees(-0.07)
    assert float(rows[7]["driven_deg"]) == pytest.approx(driven)
    assert float(rows[7]["predicted_deg"]) == pytest.approx(predicted)
    assert float(rows[7]["error_deg"]) == pytest.approx(driven - predicted)
    assert rows[6]["driven_deg"] == rows[6]["error_deg"] == rows[5]["predicted_deg"] == ""


def test_classes_are_recorded_with_their_probability(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "d", size=(320, 240), fps_hint=20.0, camera="c")
    for i in range(4):
        results = () if i == 2 else (result(math.nan, predicted_class(i, i / 3)),)
        recorder.put(replace(live_frame(i, scene(320, 240)), results=results))
    recorder.stop()
    with open_drive(tmp_path / "d") as drive:
        assert isinstance(drive, recording.RecordingDrive)
        assert drive.predicted_class.tolist() == [0, 1, -1, 3]
        np.testing.assert_array_equal(drive.probability, [0, 1 / 3, math.nan, 1])
        assert np.isnan(drive.predicted_rad).all() and np.isnan(drive.angle_rad).all()


def test_networks_that_were_used_are_named_in_order(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=20.0, camera="c")
    for i, name in enumerate(["", "NetSVF", "NetSVF", "tiny (random weights)", "NetSVF"]):
        results = (replace(result(0.1), network=name),) if name else ()
        recorder.put(replace(live_frame(i, scene()), results=results))
    recorder.stop()
    assert json.loads((tmp_path / "d" / HEAD).read_text())["model"] == "NetSVF, tiny (random weights)"
