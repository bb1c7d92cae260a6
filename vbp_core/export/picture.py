"""One frame as an annotated PNG, and how any of them becomes the bytes of a PNG that says who made it."""

from __future__ import annotations

import struct
import zlib
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, Image
from vbp.drives.holes import played_ns
from vbp.errors import VbpError
from vbp.export.compose import Composer
from vbp.export.facts import facts_of
from vbp.export.frames import Source, open_source, with_those_before
from vbp.export.job import Job
from vbp.export.part_file import growing
from vbp.export.registry import CancelledError, Progress
from vbp.files import check_target

SOFTWARE = b"Software\x00vbp"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
AROUND_S = 5.0  # seconds before and after, which the plot shows


def write(job: Job, progress: Progress) -> Path:
    """The frame `job.first` as a PNG, with the plot around it. Raises VbpError, CancelledError."""
    if job.first != job.last:
        raise VbpError(
            f"{job.output} holds one frame and {job.last - job.first + 1} are asked for; give one with --start, "
            "or say --format pictures for a folder of PNG files"
        )
    target = check_target(job.output, is_picture, job.drive_path, job.force)
    with open_source(job) as source:
        picture = still(source, job.first, progress)
    with growing(target, job.output) as file:
        Path(file.path).write_bytes(to_png(picture))
        file.finish()
    return job.output


def still(source: Source, index: int, progress: Progress) -> Image:
    """The picture of one frame, uint8 RGB, with the network's predictions around it where a plot is shown."""
    job, drive = source.job, source.drive
    around = [index]
    if "plot" in job.settings.panels:
        around = frames_around(drive, index).tolist()
    composer = Composer(
        facts_of(drive, source.engine, np.array(around), source.layers, source.usual), job.settings
    )
    with closing(source.frames(around, maps=(), layers=False)) as frames:
        for done, frame in enumerate(frames):
            composer.set_predicted(frame.index, frame.plotted)
            if not progress(done, len(around) + 1):
                raise CancelledError("the export was cancelled")
    with closing(source.frames(with_those_before(np.array([index]), job.settings))) as frames:
        for frame in frames:
            if frame.index != index:
                composer.look(frame)
            else:
                picture = composer.draw(frame, future=True)
    progress(len(around) + 1, len(around) + 1)
    return picture


def frames_around(drive: Drive, index: int) -> NDArray[np.int64]:
    """The frames that the plot of a single picture shows: those played within AROUND_S of it."""
    times, reach = played_ns(drive.timestamps_ns), int(AROUND_S * 1e9)
    a, b = np.searchsorted(times, (times[index] - reach, times[index] + reach + 1))
    return np.arange(a, b)


def to_png(picture: Image) -> bytes:
    """A PNG of (H, W, 3) RGB that names vbp as its maker."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].tobytes()
    after = len(SIGNATURE) + 25  # IHDR, which has to be the first
    text = b"tEXt" + SOFTWARE
    chunk = struct.pack(">I", len(SOFTWARE)) + text + struct.pack(">I", zlib.crc32(text))
    return data[:after] + chunk + data[after:]


def is_picture(path: Path) -> bool:
    """Whether an existing file is empty, or a PNG that this command wrote."""
    with path.open("rb") as file:
        head = file.read(len(SIGNATURE) + 25 + 8 + len(SOFTWARE))
    return not head or (head.startswith(SIGNATURE) and head.endswith(SOFTWARE))
