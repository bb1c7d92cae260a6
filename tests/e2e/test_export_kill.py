"""An export that is killed at any moment: what has the final name is whole, what has a part's name plays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from exportmaker import ffprobe, make_drive

ROOT = Path(__file__).resolve().parents[2]
N = 60
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_drive(tmp_path_factory.mktemp("drive"), N)


def started(drive: Path, output: Path, *options: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = ["export", str(drive), "-o", str(output), "--json-progress", "--size", "320x180", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "vbp", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


def wait_for(process: subprocess.Popen[bytes], done: int) -> None:
    """Until so many frames are done."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("done", N) >= done:
            return


def playable(path: Path) -> int:
    """Frames that a player gets out of it, which are all good."""
    with av.open(str(path)) as container:
        return sum(not frame.is_corrupt for frame in container.decode(video=0))


@posix
@pytest.mark.parametrize(
    ("name", "done", "wait_s"), [("a.mp4", 1, 0.0), ("b.mkv", 35, 0.0), ("c.mp4", N, 0.01)]
)
def test_killed(drive: Path, tmp_path: Path, name: str, done: int, wait_s: float) -> None:
    process = started(drive, tmp_path / name)
    wait_for(process, done)
    time.sleep(wait_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    final, part = tmp_path / name, tmp_path / name.replace(".", ".part.")
    assert set(tmp_path.iterdir()) <= {final, part}
    if final.exists():
        assert int(ffprobe(final)["streams"][0]["nb_read_frames"]) == N
    if part.exists():
        assert playable(part) >= 1


@posix
def test_ctrl_c_leaves_a_part_and_says_so(drive: Path, tmp_path: Path) -> None:
    process = started(drive, tmp_path / "clip.mp4")
    wait_for(process, 25)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "clip.part.mp4" in stderr.decode() and "Traceback" not in stderr.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["clip.part.mp4"]
    assert playable(tmp_path / "clip.part.mp4") >= 20


def test_who_asked_for_it_is_gone(drive: Path, tmp_path: Path) -> None:
    """A window that crashed does not leave its exports running."""
    process = started(drive, tmp_path / "clip.mp4")
    wait_for(process, 5)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    process.communicate(timeout=120)
    assert not (tmp_path / "clip.mp4").exists()


def test_cancelled_from_outside(drive: Path, tmp_path: Path) -> None:
    process = started(drive, tmp_path / "clip.mp4")
    wait_for(process, 5)
    _, stderr = process.communicate(b"cancel\n")
    assert process.returncode == 2 and b"cancelled" in stderr
    assert list(tmp_path.iterdir()) == []
