"""A recording that is cut off opens: a disk that is slow or full, kill -9, a video that ends anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from livemaker import scene
from recordingmaker import live_frame, number_of
from vbp.drives import open_drive
from vbp.drives.recording import VIDEO
from vbp.errors import DriveError, VbpError
from vbp.live import recorder as recorder_module
from vbp.live import recording_files
from vbp.live.recorder import MOST_FRAMES, Recorder
from videomaker import linear


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
import time
import numpy as np
from livemaker import scene
from recordingmaker import live_frame
from vbp.errors import VbpError
from vbp.live.recorder import Recorder
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
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "d", str(limit)],
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


KILLED = """
import sys, time
from livemaker import scene
from recordingmaker import live_frame
from vbp.live.recorder import Recorder
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
        [sys.executable, "-c", KILLED, tmp_path / "d"],
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


@pytest.mark.parametrize("part", [0.0, 0.01, 0.1, 0.3, 0.5, 0.77, 0.9, 0.99])
def test_a_video_cut_at_any_byte_opens_or_says_why_not(
    whole_recording: Path, tmp_path: Path, part: float
) -> None:
    folder = shutil.copytree(whole_recording, tmp_path / "d")
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
