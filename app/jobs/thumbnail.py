"""Small pictures of a recording's frames, read beside the playback: the recording is opened a second time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vbp.app.jobs.worker import Worker
from vbp.drives.base import Drive, Image, OpenOptions
from vbp.drives.opening import open_drive
from vbp.frames.reading import read_frame
from vbp.frames.running import CACHE_BYTES

IDLE_S = 20.0  # after which the recording is closed again


@dataclass(frozen=True)
class ThumbnailRequest:
    """frames: in the order in which they are wanted. height: of the small pictures, in pixels of the screen."""

    path: Path
    options: OpenOptions
    frames: tuple[int, ...]
    height: int


@dataclass(frozen=True)
class Thumbnail:
    """image: uint8 RGB (H, W, 3); None of a gap."""

    request: ThumbnailRequest
    frame: int
    image: Image | None


class ThumbnailJob:
    def __init__(self) -> None:
        self._drive: Drive | None = None
        self._of: tuple[Path, OpenOptions] | None = None
        self._last: ThumbnailRequest | None = None

    def __call__(self, request: ThumbnailRequest, worker: Worker[ThumbnailRequest]) -> float | None:
        """Tells a `Thumbnail` of each frame. Asked again for the same ones it has been idle, and closes the recording."""
        if request is self._last:
            self._close()
            return None
        self._last = request
        if self._of != (request.path, request.options):
            self._close()
            self._drive = open_drive(request.path, request.options)
            self._drive.limit_cache(CACHE_BYTES)
            self._of = (request.path, request.options)
        assert self._drive is not None
        for frame in request.frames:
            if frame < len(self._drive):
                seen = read_frame(self._drive, frame).image
                worker.tell(Thumbnail(request, frame, None if seen is None else small(seen, request.height)))
            if worker.superseded:
                break
        return IDLE_S

    def _close(self) -> None:
        drive, self._drive, self._of = self._drive, None, None
        if drive is not None:
            drive.close()


def small(image: Image, height: int) -> Image:
    """uint8 RGB of that height, or the picture itself where it is no larger."""
    if image.shape[0] <= height:
        return image
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
