"""What is recorded opens again: exact times, the same pictures, and all but the last moment after a kill -9."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livemaker import draw_clock, read_clock, scene
from vbp.cli import main
from vbp.drives import OpenOptions, open_drive, recording
from vbp.drives.recording import HEAD, ROWS, VIDEO, parse_row, read_rows
from vbp.errors import DriveError, VbpError
from vbp.frames import table
from vbp.live import recorder as recorder_module
from vbp.live import recording_files
from vbp.live.recorder import MOST_FRAMES, Recorder
from vbp.live.records import LiveFrame
from vbp.overlay import Rect
from vbp.results import ClassPrediction, NetworkResult
from videomaker import linear

START_NS = 1_479_425_441_182_877_835  # a time that a float64 does not hold
STEP_NS = 50_000_000


def live_frame(i: int, picture: np.ndarray, timestamp_ns: int | None = None) -> LiveFrame:
    stamp = START_NS + i * STEP_NS + (i * 7919) % 1_000_003 if timestamp_ns is None else timestamp_ns
    return LiveFrame(2 * i + 1, stamp, draw_clock(picture, i, 0), arrived_ns=i)


def result(angle_rad: float, classes: ClassPrediction | None = None) -> NetworkResult:
    return NetworkResult("NetSVF", angle_rad, Rect(0, 0, 2, 2), np.zeros((2, 2), np.uint8), classes=classes)


def predicted_class(number: int, probability: float, name: str = "a sign") -> ClassPrediction:
    return ClassPrediction(number, name, probability, -1, "", 100 * probability)


def record(folder: Path, count: int, width: int = 320, height: int = 240) -> list[LiveFrame]:
    picture = scene(width, height)
    frames = [live_frame(i, picture) for i in range(count)]
    recorder = Recorder(folder, size=(width, height), fps_hint=20.0, camera="camera 0")
    for i, frame in enumerate(frames):
        known = frame
        if i % 3:
            known = replace(
                frame,
                driven_rad=0.1 * i + 1e-17,
                speed_mps=3.3 * i,
                measured_ns=frame.timestamp_ns - 3,
            )
        recorder.put(known if i % 5 == 0 else replace(known, results=(result(-0.01 * i),)))
    state = recorder.stop()
    assert (state.frames, state.dropped, state.failure) == (count, 0, "")
    return frames


def number_of(picture: np.ndarray) -> int:
    return read_clock(picture)[0]


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


# --- too slow, or no more room ---------------------------------------------------------------------


def test_a_camera_that_is_lost_for_long_leaves_the_recording_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "IDLE_S", 0.0001)
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=20, camera="")
    recorder.put(live_frame(0, scene()))
    flush, times = recorder._files.flush, []
    recorder._files.flush = lambda: times.append(flush())  # type: ignore[method-assign, func-returns-value]
    while len(times) < 2000:
        time.sleep(0.01)
    recorder.put(live_frame(1, scene()))
    assert recorder.stop().frames == 2


def test_put_never_waits_and_counts_what_it_drops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    write = recording_files.RecordingFiles.write

    def slow(self: recording_files.RecordingFiles, *args: object) -> None:
        go.wait(30)
        write(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(recording_files.RecordingFiles, "write", slow)
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=20, camera="")
    taken = [recorder.put(live_frame(i, scene())) for i in range(MOST_FRAMES + 40)]
    dropped = taken.count(False)
    assert dropped in (39, 40)  # one may be in the writer's hands
    assert recorder.state.dropped == dropped
    go.set()
    assert recorder.stop().frames == len(taken) - dropped
    with pytest.raises(VbpError, match="has ended"):
        recorder.put(live_frame(0, scene()))
    with open_drive(tmp_path / "d") as drive:
        kept = [i for i, was in enumerate(taken) if was]
        assert number_of(drive.frame(len(drive) - 1)) == kept[-1]
        assert any(f"{dropped} frames were not recorded" in n for n in drive.info.notes)


FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from test_live_recording import *
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
rng = np.random.default_rng(0)
recorder = Recorder(sys.argv[1], size=(160, 120), fps_hint=20, camera="c")
n = 0
try:
    for n in range(3000):
        noise = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        while not recorder.put(live_frame(n, noise)):
            time.sleep(0.01)
except VbpError as error:
    print(error)
try:
    recorder.stop()
except VbpError:
    print(recorder.state.frames)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are of POSIX")
def test_a_full_disk_is_told_and_what_was_written_opens(tmp_path: Path) -> None:
    limit = 400_000
    script = "import time\n" + FULL_DISK
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "d", str(limit), Path(__file__).parent],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    message, frames = done.stdout.splitlines()
    assert "ended at" in message and "what was written before is kept" in message and done.stderr == ""
    with open_drive(tmp_path / "d") as drive:
        assert int(frames) - len(drive) <= 20  # a second
        assert number_of(drive.frame(len(drive) - 1)) == len(drive) - 1
        assert drive.timestamps_ns.tolist() == [
            live_frame(i, scene()).timestamp_ns for i in range(len(drive))
        ]
        assert any("the recording ended too early" in n for n in drive.info.notes)


# --- kill -9 -------------------------------------------------------------------------------------------

KILLED = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_live_recording import *
recorder = Recorder(sys.argv[1], size=(320, 240), fps_hint=20, camera="c")
picture = scene(320, 240)
for n in range(100000):
    while not recorder.put(live_frame(n, picture)):
        time.sleep(0.001)
    print(recorder.state.frames, flush=True)
    time.sleep(0.002)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")
@pytest.mark.parametrize("moment", [30, 101, 257])
def test_a_kill_loses_at_most_the_last_second(tmp_path: Path, moment: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path / "d", Path(__file__).parent],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert child.stdout is not None
    written = 0
    while written < moment:
        written = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    written = int(([str(written), *child.stdout.read().split()])[-1])
    child.wait()
    with open_drive(tmp_path / "d") as drive:
        assert written - len(drive) <= 20  # frames are 50 ms apart
        assert drive.timestamps_ns.tolist() == [
            live_frame(i, scene()).timestamp_ns for i in range(len(drive))
        ]
        for i in (0, len(drive) // 2, len(drive) - 1):
            assert number_of(drive.frame(i)) == i
        assert any("cut off" in n for n in drive.info.notes) and drive.info.gaps == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "drive"
    record(folder, 60)
    return folder


@pytest.mark.parametrize("part", [0.0, 0.01, 0.1, 0.3, 0.5, 0.77, 0.9, 0.99])
def test_a_video_cut_at_any_byte_opens_or_says_why_not(whole: Path, tmp_path: Path, part: float) -> None:
    folder = shutil.copytree(whole, tmp_path / "d")
    video = folder / VIDEO
    os.truncate(video, int(video.stat().st_size * part))
    try:
        with open_drive(folder) as drive:
            n = len(drive)
            assert n == len(linear(video)) and (part < 0.9 or n >= 40)
            gaps = {i for gap in drive.info.gaps for i in range(gap.first, gap.last + 1)}
            for i in {0, n // 2, n - 2, n - 1} - gaps - {-1}:
                assert number_of(drive.frame(i)) == i
            assert n == 60 or any(
                f"the last {60 - n} of 60 frames are not in the video" in x for x in drive.info.notes
            )
    except DriveError as error:
        assert part < 0.2 and VIDEO in str(error) and "\n" not in str(error)


# --- damage ----------------------------------------------------------------------------------------------


def lines_of(count: int) -> bytes:
    head = ",".join(recording.COLUMNS) + "\n"
    # No network says both an angle and a class, but the file can.
    found = result(-0.25, predicted_class(14, 0.1, 'keep "right", always'))
    rows = [
        recording_files.row(
            i,
            replace(
                live_frame(i, scene()), driven_rad=0.5 * i, speed_mps=2.0, measured_ns=1, results=(found,)
            ),
        )
        for i in range(count)
    ]
    return head.encode() + b"".join(rows)


WHOLE_ROWS = lines_of(12)


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE_ROWS)))
def test_rows_cut_anywhere_are_the_whole_lines(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    path.write_bytes(WHOLE_ROWS[:cut])
    rows = read_rows(path)
    n = max(WHOLE_ROWS[:cut].count(b"\n") - 1, 0)
    assert len(rows.good) == n and rows.good.all() and rows.notes == []
    assert rows.timestamps_ns.tolist() == [START_NS + i * STEP_NS + (i * 7919) % 1_000_003 for i in range(n)]
    assert rows.driven_rad.tolist() == [0.5 * i for i in range(n)]
    assert rows.predicted_rad.tolist() == [-0.25] * n
    assert rows.predicted_class.tolist() == [14] * n and rows.probability.tolist() == [0.1] * n


@settings(max_examples=300)
@given(st.data())
def test_damaged_rows_never_raise_and_good_rows_keep_their_frame(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    at = data.draw(st.integers(0, len(WHOLE_ROWS) - 1))
    junk = data.draw(st.binary(max_size=40))
    gone = data.draw(st.integers(0, 60))
    body = WHOLE_ROWS[:at] + junk + WHOLE_ROWS[at + gone :]
    path.write_bytes(body)
    rows = read_rows(path)
    assert len(rows.good) == len(rows.timestamps_ns) == len(rows.driven_rad) <= 10**6
    lines = set(body.split(b"\n")[:-1])
    for i in np.flatnonzero(rows.good):  # each says what a line of its number says
        assert any(
            (row := parse_row(line)) is not None and row[0] == i and row[1] == rows.timestamps_ns[i]
            for line in lines
        )
    if at > len(WHOLE_ROWS) // 2 and b"\n" not in junk:
        before = WHOLE_ROWS[:at].count(b"\n") - 1
        assert rows.good[: before - 1].all()  # what is before the damage is not touched by it


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


def test_its_table_begins_with_the_columns_of_every_table(whole: Path) -> None:
    with (whole / ROWS).open(newline="") as file:
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


def test_any_name_of_a_class_can_be_read_back_by_who_knows_csv() -> None:
    row = next(csv.DictReader(io.StringIO(WHOLE_ROWS.decode())))
    assert row["class_name"] == 'keep "right", always' and row["class"] == "14"
    found = result(0.0, predicted_class(1, 0.5, "two\nlines, and \r\n more"))
    line = recording_files.row(0, replace(live_frame(0, scene()), results=(found,)))
    assert line.count(b"\n") == 1 and parse_row(line, current=True) is not None
    assert next(csv.reader([line.decode()]))[-1] == "two lines, and more"


def test_networks_that_were_used_are_named_in_order(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "d", size=(160, 120), fps_hint=20.0, camera="c")
    for i, name in enumerate(["", "NetSVF", "NetSVF", "tiny (random weights)", "NetSVF"]):
        results = (replace(result(0.1), network=name),) if name else ()
        recorder.put(replace(live_frame(i, scene()), results=results))
    recorder.stop()
    assert json.loads((tmp_path / "d" / HEAD).read_text())["model"] == "NetSVF, tiny (random weights)"


OLDER = (
    "frame,timestamp_ns,measured_rad,predicted_rad,speed_mps,measured_timestamp_ns,seq,"
    "predicted_class,probability"
)


@pytest.mark.parametrize("columns", [7, 9])  # before there were classifiers, and with them
def test_recordings_of_version_1_are_read(whole: Path, tmp_path: Path, columns: int) -> None:
    def older(folder: Path) -> None:
        with (folder / ROWS).open(newline="") as file:
            rows = list(csv.DictReader(file))
        lines = [OLDER]
        for n, row in enumerate(rows):
            before = [row[name] for name in ("frame", "timestamp_ns", "driven_rad", "predicted_rad")]
            lines.append(
                ",".join([*before, row["speed_mps"], row["measured_timestamp_ns"], "1", str(n), "0.5"])
            )
        (folder / ROWS).write_text("".join(",".join(line.split(",")[:columns]) + "\n" for line in lines))
        head = json.loads((folder / HEAD).read_text())
        (folder / HEAD).write_text(json.dumps({**head, "version": 1}))

    with open_drive(whole) as new, open_drive(copy_with(whole, tmp_path, older)) as old:
        assert isinstance(old, recording.RecordingDrive) and isinstance(new, recording.RecordingDrive)
        assert old.timestamps_ns.tolist() == new.timestamps_ns.tolist() and old.info.notes == new.info.notes
        np.testing.assert_array_equal(old.angle_rad, new.angle_rad)
        np.testing.assert_array_equal(old.speed_mps, new.speed_mps)
        np.testing.assert_array_equal(old.predicted_rad, new.predicted_rad)
        assert np.isfinite(old.predicted_rad).any()
        assert old.predicted_class.tolist() == (list(range(60)) if columns == 9 else [-1] * 60)


def test_a_row_that_lost_cells_is_not_taken_for_one_of_an_older_recording() -> None:
    line = WHOLE_ROWS.splitlines(keepends=True)[3]
    assert parse_row(line, current=True) is not None
    for columns in (7, 9):
        cut = b",".join(b"1" for _ in range(columns)) + b"\n"
        assert parse_row(cut, current=True) is None and parse_row(cut) is not None


@given(st.binary(max_size=200))
def test_a_line_of_anything_is_a_row_or_none(line: bytes) -> None:
    row = parse_row(line)
    if row is not None:
        assert row[0] >= 0 and not np.isinf(row[2:]).any()


def copy_with(whole: Path, tmp_path: Path, edit) -> Path:
    folder = shutil.copytree(whole, tmp_path / "d")
    edit(folder)
    return folder


def replace_row(folder: Path, number: int, line: bytes) -> None:
    lines = (folder / ROWS).read_bytes().split(b"\n")
    lines[number + 1] = line
    (folder / ROWS).write_bytes(b"\n".join(lines))


def stamps(count: int) -> list[int]:
    return [live_frame(i, scene()).timestamp_ns for i in range(count)]


def test_a_damaged_line_costs_the_label_of_its_frame_only(whole: Path, tmp_path: Path) -> None:
    folder = copy_with(whole, tmp_path, lambda f: replace_row(f, 20, b"20,14794\0\0\0\0\0,,"))
    with open_drive(folder) as drive:
        assert (
            len(drive) == 60
            and np.isnan(drive.angle_rad[20])
            and np.isfinite(drive.angle_rad[[19, 22]]).all()
        )
        wanted = stamps(60)
        assert abs(int(drive.timestamps_ns[20]) - wanted[20]) <= 2_000_000  # by the video's clock
        assert np.delete(drive.timestamps_ns, 20).tolist() == np.delete(wanted, 20).tolist()
        assert any("1 lines of frames.csv are damaged" in n for n in drive.info.notes)


@pytest.mark.parametrize("time_ns", [b"9" * 18, b"0", b"1479425481182877835"])
def test_a_damaged_time_stamp_does_not_move_the_others(whole: Path, tmp_path: Path, time_ns: bytes) -> None:
    folder = copy_with(whole, tmp_path, lambda f: replace_row(f, 20, b"20," + time_ns + b",0.5,,,,,,,,,,"))
    with open_drive(folder) as drive:
        wanted = stamps(60)
        assert abs(int(drive.timestamps_ns[20]) - wanted[20]) <= 2_000_000
        assert np.delete(drive.timestamps_ns, 20).tolist() == np.delete(wanted, 20).tolist()
        assert any("1 time stamps in frames.csv are damaged" in n for n in drive.info.notes)


def test_rows_that_end_before_the_video_leave_out_the_rest(whole: Path, tmp_path: Path) -> None:
    def cut(folder: Path) -> None:
        (folder / ROWS).write_bytes(b"\n".join((folder / ROWS).read_bytes().split(b"\n")[:41]) + b"\n40,1479")

    with open_drive(copy_with(whole, tmp_path, cut)) as drive:
        assert len(drive) == 40 and drive.timestamps_ns.tolist() == stamps(40)
        assert any("the last 20 of 60 frames have no row" in n for n in drive.info.notes)


@pytest.mark.parametrize("text", [None, b"", b"frame,\n", b"\0" * 500, b"\xff\xfe" * 99, b"a,b,c\n1,2,3\n"])
def test_without_rows_the_video_is_shown_with_its_own_times(
    whole: Path, tmp_path: Path, text: bytes | None
) -> None:
    def edit(folder: Path) -> None:
        (folder / ROWS).unlink()
        if text is not None:
            (folder / ROWS).write_bytes(text)

    with open_drive(copy_with(whole, tmp_path, edit)) as drive:
        assert len(drive) == 60 and drive.timestamps_ns[0] == 0 and np.isnan(drive.angle_rad).all()
        assert any("the times are the video's own" in n for n in drive.info.notes)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": "other"}',
        b'{"format": "vbp-recording", "version": 1}',
        b"\xff" * 9,
        b"[" * 100_000,
        b'{"format": "vbp-recording", "version": 1, "width": -1, "height": 1e99}',
    ],
)
def test_a_damaged_head_is_told_and_the_rest_opens(whole: Path, tmp_path: Path, text: bytes) -> None:
    folder = copy_with(whole, tmp_path, lambda f: (f / HEAD).write_bytes(text))
    with open_drive(folder) as drive:
        assert len(drive) == 60 and drive.timestamps_ns.tolist() == stamps(60)
        assert any("vbp-recording.json is damaged" in n for n in drive.info.notes)


def test_what_cannot_be_opened_is_said_in_one_sentence(whole: Path, tmp_path: Path) -> None:
    def newer(folder: Path) -> None:
        head = json.loads((folder / HEAD).read_text())
        (folder / HEAD).write_text(json.dumps({**head, "version": 99}))

    with pytest.raises(DriveError, match="written by a newer vbp"):
        open_drive(copy_with(whole, tmp_path, newer))
    shutil.rmtree(tmp_path / "d")
    with pytest.raises(DriveError, match=r"without its video\.mkv"):
        open_drive(copy_with(whole, tmp_path, lambda f: (f / VIDEO).unlink()))
    shutil.rmtree(tmp_path / "d")
    with pytest.raises(DriveError, match=r"video\.mkv"):
        open_drive(copy_with(whole, tmp_path, lambda f: (f / VIDEO).write_bytes(b"")))


def test_a_recording_that_was_never_ended_says_so(whole: Path, tmp_path: Path) -> None:
    def edit(folder: Path) -> None:
        head = json.loads((folder / HEAD).read_text())
        del head["end"]
        (folder / HEAD).write_text(json.dumps(head))

    with open_drive(copy_with(whole, tmp_path, edit)) as drive:
        assert "the recording was cut off: vbp did not end it" in drive.info.notes
