"""A simulated drive as files: Udacity's export or a video, on request a ROS1 bag, and the truth beside it."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vbp.errors import VbpError
from vbp.files import hidden_folder
from vbp.simulate import png
from vbp.simulate.bag import BagWriter
from vbp.simulate.classes import palette
from vbp.simulate.cue import CUES
from vbp.simulate.geometry import describe
from vbp.simulate.workers import Job, frames
from vbp.simulate.world import Settings, World

FORMATS = ("jpeg", "h264")
TRUTH = "truth"
VIDEO = "center.mp4"
MAX_FRAMES = 500_000


def simulate(
    folder: str | Path,
    settings: Settings,
    format: str = "jpeg",
    bag: bool = False,
    truth_every: int = 1,
    workers: int | None = None,
    progress: bool | None = False,
    crf: int = 20,
    pack: bool = False,
) -> Path:
    """Render a drive into `folder`, which must not exist or be empty; returns the folder.

    format: "jpeg" (center/*.jpg and interpolated.csv) or "h264" (center.mp4 and center_steering.csv).
    bag: also bag/drive.bag. truth_every: of every k-th frame the classes, 0 for no truth at all.
    workers: processes, None for one per core; their number does not change a byte. With more than one a script
    needs `if __name__ == "__main__":` around the call, as multiprocessing asks. progress: a bar on
    stderr; None where it is a terminal. crf: quality of the video, lower is better. pack: the truth as one
    truth.zip, smaller than the folder.
    The folder appears when it is complete. Raises VbpError.
    """
    _check(settings, format, truth_every)
    target = Path(folder).expanduser()
    if workers is None:
        workers = min(os.cpu_count() or 1, 16)
    workers = max(1, min(workers, settings.frames // 8))
    with _whole_folder(target) as temporary:
        world = World(settings)
        _write(temporary, world, format, bag, truth_every, workers, progress, crf)
        if pack and truth_every:
            pack_truth(temporary / TRUTH)
    return target


def _check(settings: Settings, format: str, truth_every: int) -> None:
    if not 1 <= settings.frames <= MAX_FRAMES:
        raise VbpError(f"a drive of {settings.frames} frames cannot be made; 1 to {MAX_FRAMES} are accepted")
    if not 1.0 <= settings.fps <= 200.0:
        raise VbpError(f"{settings.fps:g} frames per second cannot be made; 1 to 200 are accepted")
    if not 0 <= settings.seed < 2**63:
        raise VbpError(f"the seed {settings.seed} is out of range; 0 to 2^63 - 1 are accepted")
    if settings.plant is not None and settings.plant not in CUES:
        raise VbpError(f"there is no spurious feature {settings.plant!r}; accepted: {', '.join(CUES)}")
    if format not in FORMATS:
        raise VbpError(f"there is no format {format!r}; accepted: {', '.join(FORMATS)}")
    if truth_every < 0:
        raise VbpError("the ground truth is written of every k-th frame; give k of 1 or more, or 0 for none")


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place at the end, if nothing was raised."""
    if target.exists() and not target.is_dir():
        raise VbpError(f"{target} is a file; give the name of a folder to make")
    try:
        if target.is_dir() and any(target.iterdir()):
            raise VbpError(f"{target} is not empty; give a folder that does not exist or is empty")
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VbpError(f"{target} cannot be made: {error.strerror or error}") from error
    try:
        with hidden_folder(target) as temporary:
            yield temporary
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else (error.strerror or str(error))
        raise VbpError(f"{target} cannot be written: {what}; nothing was written") from error


def _write(
    folder: Path,
    world: World,
    format: str,
    bag: bool,
    truth_every: int,
    workers: int,
    progress: bool | None,
    crf: int,
) -> None:
    times = world.timestamps_ns
    n = world.settings.frames
    angles = world.motion.wheel.astype(np.float32).astype(
        np.float64
    )  # a bag holds float32: all forms say the same
    speeds = world.motion.speed.astype(np.float32).astype(np.float64)
    job = Job(jpeg=format == "jpeg" or bag, raw=format == "h264", truth_every=truth_every)
    classes = folder / TRUTH / "classes"
    if truth_every:
        classes.mkdir(parents=True)
    with ExitStack() as stack:
        video = stack.enter_context(VideoWriter(folder / VIDEO, world.settings.fps, crf)) if job.raw else None
        bags = stack.enter_context(BagWriter(folder / "bag" / "drive.bag")) if bag else None
        if format == "jpeg":
            (folder / "center").mkdir()
        hidden = None if progress is None else not progress
        bar = stack.enter_context(tqdm(total=n, unit="frame", disable=hidden))
        for i, frame in enumerate(frames(world, job, workers)):
            if format == "jpeg":
                (folder / "center" / f"{times[i]}.jpg").write_bytes(frame.jpeg)
            if video is not None and frame.raw is not None:
                video.add(frame.raw)
            if bags is not None:
                bags.add(int(times[i]), frame.jpeg, float(angles[i]), float(speeds[i]))
            if frame.classes:
                (classes / f"{i:06d}.png").write_bytes(frame.classes)
            bar.update()
    if format == "jpeg":
        write_interpolated(folder / "interpolated.csv", world, angles, speeds)
    else:
        write_steering(folder / f"{Path(VIDEO).stem}_steering.csv", times, angles, speeds)
    if truth_every:
        text = json.dumps(describe(world, list(range(0, n, truth_every))), separators=(",", ":"))
        (folder / TRUTH / "truth.json").write_text(text, encoding="utf-8")


def write_interpolated(
    path: Path, world: World, angles: NDArray[np.float64], speeds: NDArray[np.float64]
) -> None:
    """Udacity's list: radians of the wheel, left positive; m/s; degrees; metres."""
    m, camera = world.motion, world.camera
    height = world.road.at(world.road.z, m.s)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        file.write("index,timestamp,width,height,frame_id,filename,angle,torque,speed,lat,long,alt\n")
        for i, t in enumerate(world.timestamps_ns):
            # metres as degrees near 37.5 N 122.3 W: a place on a map for readers that want one
            lat, long = 37.5 + m.y[i] / 111_000.0, -122.3 + m.x[i] / 88_000.0
            torque = 0.4 * angles[i]
            picture = camera.width, camera.height_px, "center_camera", f"center/{t}.jpg"
            motion = repr(float(angles[i])), f"{torque:.4f}", repr(float(speeds[i]))
            writer.writerow([t, t, *picture, *motion, f"{lat:.7f}", f"{long:.7f}", f"{20 + height[i]:.3f}"])


def write_steering(
    path: Path, times: NDArray[np.int64], angles: NDArray[np.float64], speeds: NDArray[np.float64]
) -> None:
    """The list beside a video: units are in the names of its columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame", "timestamp_ns", "steering_wheel_angle_rad", "speed_mps"])
        for i, t in enumerate(times):
            writer.writerow([i, int(t), repr(float(angles[i])), repr(float(speeds[i]))])


def pack_truth(folder: Path) -> None:
    """truth/ -> truth.zip, with its pictures compressed as far as they go."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                data = file.read_bytes()
                if file.suffix == ".png":
                    data = png.encode(png.decode(data), palette(), level=9)
                # no times of today: the same drive gives the same file
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
                packed = zipfile.ZIP_STORED if file.suffix == ".png" else zipfile.ZIP_DEFLATED
                archive.writestr(entry, data, packed, 9)
    shutil.rmtree(folder)


class VideoWriter:
    """H.264 in an MP4 file. One thread: the same pictures give the same bytes."""

    def __init__(self, path: Path, fps: float, crf: int) -> None:
        self._path, self._fps, self._crf = path, fps, crf

    def __enter__(self) -> VideoWriter:
        self._rate = Fraction(self._fps).limit_denominator(1001)
        self._file = av.open(str(self._path), "w", options={"movflags": "+faststart"})
        stream = self._file.add_stream("libx264", rate=self._rate)
        stream.pix_fmt = "yuv420p"
        stream.options = {
            "crf": str(self._crf),
            "preset": "veryfast" if self._crf <= 20 else "slow",
            "threads": "1",
            "g": "40",
        }
        self._stream = stream
        self._next = 0
        return self

    def add(self, image: NDArray[np.uint8]) -> None:
        """One frame, uint8 RGB (H, W, 3)."""
        if not self._next:
            self._stream.height, self._stream.width = image.shape[:2]
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = self._next, 1 / self._rate
        self._next += 1
        for packet in self._stream.encode(frame):
            self._file.mux(packet)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for packet in self._stream.encode():
                    self._file.mux(packet)
        finally:
            self._file.close()
