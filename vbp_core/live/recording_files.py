"""The files of a recording: video in Matroska, a line per frame in a CSV, a small JSON beside them.

Whatever is written reaches the system at once: of the video in clusters of a quarter of a second, of the CSV by
lines. So a process that is killed loses no more; once a second both are forced to the disk, for power cuts.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import time
from contextlib import suppress
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from vbp.drives.base import Image
from vbp.drives.recording import COLUMNS, FORMAT, HEAD, ROWS, VERSION, VIDEO
from vbp.errors import VbpError
from vbp.live.records import LiveFrame
from vbp.models.atomic import atomic_write
from vbp.readable import cell

_CLUSTER_MS = 250
_MILLISECOND = Fraction(1, 1000)
_SYNC_S = 1.0
# crf 17: no difference can be seen. zerolatency: each frame comes out at once, none is held back to be lost.
_H264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "17"}
_LARGE = 1_200_000  # pixels, from which a picture is coded in two halves at once
_MJPEG = {"qmin": "1", "qmax": "3"}  # for builds of libav without x264


class RecordingFiles:
    """Belongs to one thread after it was made. frames, resized, seconds and bytes may be read from any."""

    def __init__(self, folder: Path, size: tuple[int, int], fps_hint: float, camera: str) -> None:
        self.frames = self.resized = self.bytes = 0
        self.seconds = 0.0
        self._folder, self._size = folder, size
        self._first_ns = 0
        self._last_pts = -1
        self._networks: list[str] = []
        self._synced = time.monotonic()
        make_new_folder(folder)
        self._head: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "camera": camera,
            "model": "",
            "width": size[0],
            "height": size[1],
            "angle": "steering wheel, radians, positive to the left",
            "started": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        }
        try:
            self._write_head()
            self._rows = (folder / ROWS).open("xb", buffering=0)
            self._rows.write((",".join(COLUMNS) + "\n").encode())
            self._open_video(fps_hint)
        except (OSError, av.FFmpegError) as error:
            raise VbpError(f"{folder} cannot be recorded into: {error.strerror or error}") from error

    def _open_video(self, fps_hint: float) -> None:
        path = self._folder / VIDEO
        path.open("xb").close()
        limits = {"cluster_time_limit": str(_CLUSTER_MS), "flush_packets": "1"}
        self._container = av.open(f"file:{path.absolute()}", "w", format="matroska", options=limits)
        rate = Fraction(min(max(fps_hint, 1.0), 240.0) if math.isfinite(fps_hint) else 25.0)
        h264 = "libx264" in av.codecs_available
        self._stream: VideoStream = self._container.add_stream(
            "libx264" if h264 else "mjpeg",
            rate=rate.limit_denominator(1000),
            options=_H264 if h264 else _MJPEG,
        )
        stream = self._stream
        stream.width, stream.height = (n + n % 2 for n in self._size)
        stream.pix_fmt = "yuv420p" if h264 else "yuvj420p"
        stream.codec_context.time_base = _MILLISECOND
        # A key frame a second: quick to step in, and no more than that is lost where a byte is damaged.
        stream.codec_context.gop_size = max(round(rate), 1)
        stream.codec_context.color_range = 1 if h264 else 2
        for name in ("colorspace", "color_trc", "color_primaries"):
            setattr(stream.codec_context, name, 6)  # SMPTE 170M, which is what the conversion makes
        self._container.start_encoding()
        self._container_sync = os.open(path, os.O_RDONLY)

    def write(self, frame: LiveFrame) -> None:
        """Raises OSError or av.FFmpegError."""
        assert frame.image is not None
        self._note_network(frame)
        if self.frames == 0:
            self._first_ns = frame.timestamp_ns
        since_ns = frame.timestamp_ns - self._first_ns
        # Matroska counts milliseconds; the exact time is in the CSV.
        pts = max(round(since_ns / 1_000_000), self._last_pts + 1)
        self._last_pts = pts
        picture = self._picture(self._even(self._fitted(frame.image)))
        picture.pts, picture.time_base = pts, _MILLISECOND
        line = row(self.frames, frame)
        for packet in self._stream.encode(picture):
            self._container.mux_one(packet)
        if self._rows.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.frames += 1
        self.seconds = since_ns / 1e9
        self.flush()

    def _note_network(self, frame: LiveFrame) -> None:
        """Networks are named in the order in which they were used: another may be chosen while a recording is made."""
        name = frame.results[0].network if frame.results else ""
        if name and name not in self._networks:
            self._networks.append(name)
            self._head["model"] = ", ".join(self._networks)
            self._write_head()

    def flush(self) -> None:
        """Force to the disk what is older than a second."""
        now = time.monotonic()
        if now - self._synced < _SYNC_S:
            return
        self._synced = now
        for file in (self._container_sync, self._rows.fileno()):
            os.fsync(file)
        self.bytes = sum(os.fstat(f).st_size for f in (self._container_sync, self._rows.fileno()))

    def close(self, dropped: int, failure: str) -> None:
        """Make the files whole; after a failure as far as it goes. Raises OSError or av.FFmpegError."""
        trouble: Exception | None = None
        for step in (self._end_video, self.flush, self._rows.close):
            try:
                step()
            except Exception as error:
                trouble = trouble or error
        with suppress(OSError):
            self.bytes = sum((self._folder / name).stat().st_size for name in (VIDEO, ROWS))
        if trouble is not None and not failure:
            failure = str(getattr(trouble, "strerror", None) or trouble)
        self._head["end"] = {
            "frames": self.frames,
            "dropped": dropped,
            "resized": self.resized,
            "failure": failure,
        }
        with suppress(OSError):  # a full disk; the recording opens as one that was cut off
            self._write_head()
        os.close(self._container_sync)
        if trouble is not None:
            raise trouble

    def _end_video(self) -> None:
        try:
            for packet in self._stream.encode(None):
                self._container.mux_one(packet)
        finally:
            self._container.close()

    def _picture(self, image: Image) -> av.VideoFrame:
        if self._stream.pix_fmt == "yuv420p":  # OpenCV converts faster than libswscale
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            return av.VideoFrame.from_ndarray(np.asarray(planes, dtype=np.uint8), format="yuv420p")
        return av.VideoFrame.from_ndarray(image, format="rgb24")

    def _fitted(self, image: Image) -> Image:
        """A frame of another size is scaled into the recording's, its shape kept, black beside it."""
        height, width = image.shape[:2]
        if (width, height) == self._size:
            return image
        self.resized += 1
        scale = min(self._size[0] / width, self._size[1] / height)
        inner = (max(round(width * scale), 1), max(round(height * scale), 1))
        out = np.zeros((self._size[1], self._size[0], 3), dtype=np.uint8)
        x, y = (self._size[0] - inner[0]) // 2, (self._size[1] - inner[1]) // 2
        out[y : y + inner[1], x : x + inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
        return out

    def _even(self, image: Image) -> Image:
        """H.264 halves the colours' size: an odd side gets its last row or column once more."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    def _write_head(self) -> None:
        text = json.dumps(self._head, indent=1, ensure_ascii=False) + "\n"
        with atomic_write(self._folder / HEAD, on_disk=True) as temporary:
            temporary.write_text(text, encoding="utf-8")


def row(number: int, frame: LiveFrame) -> bytes:
    """A line of frames.csv; numbers are written so that they are read back exactly, unknown ones are empty."""
    classes = frame.result.classes if frame.result is not None else None
    cells = [str(number), str(frame.timestamp_ns)]
    cells += [_number(math.degrees(v)) for v in (frame.driven_rad, frame.predicted_rad, frame.error_rad)]
    cells += [_number(v) for v in (frame.speed_mps, frame.driven_rad, frame.predicted_rad)]
    cells += ["" if frame.measured_ns is None else str(frame.measured_ns), str(frame.index)]
    if classes is None:
        cells += ["", "", ""]
    else:
        cells += [str(classes.number), _number(classes.probability), cell(" ".join(classes.name.split()))]
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def make_new_folder(folder: Path) -> None:
    """Make `folder`; an empty one that is there will do. Raises VbpError."""
    try:
        if not folder.parent.is_dir():
            raise VbpError(f"{folder.parent} is no folder; make it first, or record elsewhere")
        folder.mkdir(exist_ok=True)
        if any(folder.iterdir()):
            raise VbpError(f"{folder} holds files already; give the name of a new folder to record into")
    except FileExistsError:
        raise VbpError(f"{folder} is a file; give the name of a new folder to record into") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VbpError(f"{folder} cannot be recorded into: {reason}") from error
