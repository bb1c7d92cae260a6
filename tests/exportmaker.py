"""A drive to export, and ffprobe's word on what came out."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vbp.drives.base import OpenOptions
from vbp.export.frames import open_source
from vbp.export.job import Job, Settings
from vbp.results import FrameResult
from videomaker import scenes, write_video

WIDTH, HEIGHT = 320, 240


def make_drive(folder: Path, frames: int = 12, times_ms: list[int] | None = None) -> Path:
    """A video with a steering CSV beside it. Returns the video."""
    folder.mkdir(exist_ok=True)
    path = write_video(
        folder / "drive.mkv",
        scenes(frames, WIDTH, HEIGHT),
        times_ms=times_ms,
        options={"crf": "10", "x264-params": "keyint=10:scenecut=0:bframes=0"},
    )
    rows = [f"{i},{np.sin(i / 5):.4f}" for i in range(frames)]
    (folder / "drive.csv").write_text("\n".join(["frame,angle_rad", *rows]) + "\n")
    return path


def make_job(drive: Path, output: Path, first: int, last: int, force: bool = False, **settings: Any) -> Job:
    chosen = {"size": (320, 180), "encoder": "cpu", **settings}
    return Job(drive, OpenOptions(), "NetSVF", "cpu", output, first, last, force, Settings(**chosen))


def ffprobe(path: Path, *show: str) -> dict[str, Any]:
    """What ffprobe says, with its complaints as an error."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("needs ffprobe")
    command = [program, "-v", "error", "-select_streams", "v", "-of", "json", "-count_frames"]
    command += ["-show_streams", "-show_format", *show, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def frame_times(path: Path) -> list[float]:
    """Presentation times in seconds, in the order shown."""
    return [float(f["pts_time"]) for f in ffprobe(path, "-show_frames")["frames"]]


def boxes(path: Path) -> list[str]:
    """The outermost boxes of an MP4."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        found.append(data[at + 4 : at + 8].decode("latin1"))
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def frames_of(job: Job) -> list[FrameResult]:
    """The frames of a job with what its panels show."""
    with open_source(job) as source, closing(source.frames()) as frames:
        return list(frames)
