"""The Drive contract: a recording on disk, whatever its format."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # RGB, (H, W, 3)

CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class OpenOptions:
    """What a user may say about a recording; `None` takes what the format states.

    camera: which of several cameras ("center", "left", "right", or a topic).
    angle_unit: "rad", "deg", "unit" (-1..1 of 25 degrees) or "unit:DEGREES".
    angle_sign: "left" or "right", the side that counts as positive in the file.
    max_gap_s: farther than this from a steering sample, a frame is unlabelled.
    """

    camera: str | None = None
    angle_unit: str | None = None
    angle_sign: str | None = None
    max_gap_s: float = 0.2


@dataclass(frozen=True)
class Gap:
    """Frames first..last (inclusive, indices of the drive) that are missing or cannot be shown, and why."""

    first: int
    last: int
    reason: str


@dataclass
class DriveInfo:
    """What was found, and what was taken for granted, in words for `vbp info`."""

    kind: str  # short and stable: "udacity-csv", "rosbag1", "video", ...
    path: Path
    width: int
    height: int
    fps: float  # median rate of the frames, 0 for fewer than two
    camera: str = ""
    cameras: tuple[str, ...] = ()
    angle_unit: str = ""  # "rad", "deg", "unit:25"; empty without steering
    angle_sign: str = ""  # the side that is positive in the file: "left" or "right"
    angle_source: str = ""  # where unit and sign are known from
    notes: list[str] = field(default_factory=list)  # warnings, one sentence each
    gaps: list[Gap] = field(default_factory=list)
    classes: tuple[str, ...] = ()  # of a folder of class images: the folders' names

    def to_json(self) -> dict[str, Any]:
        out = dict(self.__dict__)
        out["path"] = str(self.path)
        out["cameras"] = list(self.cameras)
        out["classes"] = list(self.classes)
        out["gaps"] = [dict(g.__dict__) for g in self.gaps]
        return out


class Drive(ABC):
    """A recording: frames with time stamps, and where known the steering wheel angle and the speed.

    Opening indexes; it never decodes the whole recording. Memory is bounded by `cache_bytes`,
    whatever the length. A drive belongs to one thread at a time for `frame`; the arrays may be
    read from any thread.

    timestamps_ns: (N,) int64, sorted. angle_rad: (N,) float64, steering WHEEL angle in radians,
    positive to the left, NaN where unlabelled. speed_mps: (N,) float64, metres per second, NaN
    where unknown. labels: (N,) int64, the number in `info.classes` of what each picture shows, None for a
    recording without classes. names: each frame's picture as the recording calls it, where it has such names.
    """

    info: DriveInfo
    timestamps_ns: NDArray[np.int64]
    angle_rad: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    labels: NDArray[np.int64] | None = None
    names: Sequence[str] = ()

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._cache: OrderedDict[int, Image] = OrderedDict()
        self._cache_bytes = 0
        self._cache_limit = cache_bytes
        self._cache_lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.timestamps_ns)

    def frame(self, i: int) -> Image:
        """Frame `i`, uint8 RGB (H, W, 3), read-only. Raises IndexError, or FrameError for a bad frame."""
        if not 0 <= i < len(self):
            raise IndexError(f"frame {i} of a drive of {len(self)} frames")
        with self._cache_lock:
            hit = self._cache.get(i)
            if hit is not None:
                self._cache.move_to_end(i)
                return hit
        image = self._decode(i)
        self._remember(i, image)
        return image

    def _remember(self, i: int, image: Image) -> None:
        """Keep a decoded frame; readers that decode several on the way to one may call this for each."""
        image.flags.writeable = False
        with self._cache_lock:
            if i in self._cache:
                return
            self._cache[i] = image
            self._cache_bytes += image.nbytes
            while self._cache_bytes > self._cache_limit and len(self._cache) > 1:
                _, old = self._cache.popitem(last=False)
                self._cache_bytes -= old.nbytes

    def encoded(self, i: int) -> bytes | None:
        """Frame `i` as the JPEG or PNG file that the recording holds, if any viewer shows it as `frame` does.

        None where there is no such file: the frame is to be encoded. Raises IndexError, or FrameError.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"frame {i} of a drive of {len(self)} frames")
        return None

    def limit_cache(self, cache_bytes: int) -> None:
        """Keep at most so much of what was decoded: for who goes through a drive once, from front to back."""
        with self._cache_lock:
            self._cache_limit = cache_bytes

    @abstractmethod
    def _decode(self, i: int) -> Image:
        """Decode frame `i` (in range): uint8 RGB, C-contiguous. Raises FrameError where it cannot."""

    def forget(self) -> None:
        """Let go of the decoded frames that are kept, for whoever has seen all that it wants of them."""
        with self._cache_lock:
            self._cache.clear()
            self._cache_bytes = 0

    def close(self) -> None:
        """Release files. Safe to call twice."""
        self.forget()

    def __enter__(self) -> Drive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def median_fps(timestamps_ns: NDArray[np.int64]) -> float:
    """Median frame rate, Hz; 0.0 for fewer than two distinct time stamps."""
    steps = np.diff(timestamps_ns)
    steps = steps[steps > 0]
    return float(1e9 / np.median(steps)) if len(steps) else 0.0
