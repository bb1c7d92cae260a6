"""Small pictures of recordings' frames, read beside the playback: a recording is opened a second time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vbp.app.jobs.worker import Worker
from vbp.drives.base import Drive, Image, OpenOptions
from vbp.drives.opening import open_drive
from vbp.errors import VbpError
from vbp.frames.reading import read_frame
from vbp.frames.running import CACHE_BYTES

IDLE_S = 20.0  # after which the recordings are closed again
MOST_OPEN = 4  # recordings


@dataclass(frozen=True)
class ThumbnailRequest:
    """wanted: recordings and their frames, in the order in which they are wanted. height: of the small pictures, in pixels of the screen."""

    options: OpenOptions
    wanted: tuple[tuple[Path, int], ...]
    height: int


@dataclass(frozen=True)
class Thumbnail:
    """image: uint8 RGB (H, W, 3); None of a gap, and of a recording that does not open."""

    request: ThumbnailRequest
    path: Path
    frame: int
    image: Image | None


class ThumbnailJob:
    def __init__(self) -> None:
        self._open: OrderedDict[Path, Drive] = OrderedDict()
        self._options = OpenOptions()
        self._last: ThumbnailRequest | None = None

    def __call__(self, request: ThumbnailRequest, worker: Worker[ThumbnailRequest]) -> float | None:
        """Tells a `Thumbnail` of each frame. Asked again for the same ones it has been idle, and closes the recordings."""
        if request is self._last:
            self._close(0)
            return None
        self._last = request
        if request.options != self._options:
            self._close(0)
            self._options = request.options
        for path, frame in request.wanted:
            try:
                drive = self._drive(path)
            except VbpError:  # whoever opens it is told why
                worker.tell(Thumbnail(request, path, frame, None))
            else:
                if frame < len(drive):
                    seen = read_frame(drive, frame).image
                    image = None if seen is None else small(seen, request.height)
                    worker.tell(Thumbnail(request, path, frame, image))
            if worker.superseded:
                break
        return IDLE_S

    def _drive(self, path: Path) -> Drive:
        """Opened, or still open. Raises VbpError."""
        drive = self._open.get(path)
        if drive is None:
            self._close(MOST_OPEN - 1)
            drive = self._open[path] = open_drive(path, self._options)
            drive.limit_cache(CACHE_BYTES // MOST_OPEN)
        self._open.move_to_end(path)
        return drive

    def _close(self, left: int) -> None:
        """All but those that were wanted last."""
        while len(self._open) > left:
            self._open.popitem(last=False)[1].close()


def small(image: Image, height: int) -> Image:
    """uint8 RGB of that height, or the picture itself where it is no larger."""
    if image.shape[0] <= height:
        return image
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
