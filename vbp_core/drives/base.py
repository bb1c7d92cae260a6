"""The Drive contract: a recording on disk, whatever its format."""

from __future__ import annotations

import operator
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from vbp.errors import DriveError, FrameError, VbpError
from vbp.readable import clean

Image = NDArray[np.uint8]  # RGB, (H, W, 3)

CACHE_BYTES = 128 * 2**20  # of decoded pictures: 7 s of 640x480 at 20 a second


@dataclass(frozen=True)
class OpenOptions:
    """What a user may say about a recording; `None` takes what the format states.

    camera: which of several cameras ("center", "left", "right", or a topic).
    angle_unit: "rad", "deg", "unit" (-1..1 of 25 degrees) or "unit:DEGREES"; "rad:RATIO" or "deg:RATIO" for the angle of a
    front wheel, of which the steering wheel's is RATIO times.
    angle_sign: "left" or "right", the side that counts as positive in the file.
    max_gap_s: farther than this from a steering sample, a frame is unlabelled.
    steering, speed: of a recording of ROS messages, where they are: "TOPIC", "TOPIC.FIELD", "TOPIC.FIELD.FIELD" or
    "TOPIC.FIELD.NAME" (of a list: its number, or the joint's name). The speed is in metres per second.
    fps: frames per second of pictures, or of a raw video stream, that state no times.
    """

    camera: str | None = None
    angle_unit: str | None = None
    angle_sign: str | None = None
    max_gap_s: float = 0.2
    steering: str | None = None
    speed: str | None = None
    fps: float | None = None

    def check(self) -> None:
        """Raises DriveError for a number that cannot be, and for text with characters that no name has."""
        if self.fps is not None and not 1e-3 <= self.fps <= 1e6:
            raise DriveError(
                f"{self.fps:g} frames per second is no rate that can be shown; give one such as 20"
            )
        if not self.max_gap_s >= 0:
            raise DriveError(f"a gap of {self.max_gap_s:g} s cannot be; give 0 or more, such as 0.2")
        for name, value in asdict(self).items():
            if isinstance(value, str) and any(c < " " or c == "\x7f" for c in value):
                raise DriveError(f"the {name.replace('_', ' ')} {value[:60]!r} holds control characters")


@dataclass(frozen=True)
class Gap:
    """Frames first..last (inclusive, indices of the drive) that are missing or cannot be shown; reason: one sentence."""

    first: int
    last: int
    reason: str


@dataclass
class DriveInfo:
    """What was found, and what was assumed, in words for `vbp info`.

    kind: short and stable, as "udacity-csv", "rosbag1", "video". path: as it was opened. width, height: of a picture, in
    pixels; 0 where none can be read. fps: the median rate of the frames, Hz, 0 for fewer than two. camera: the one
    that is shown, of cameras. angle_unit: "rad", "deg", "unit:25", empty without steering. angle_sign: the side that
    is positive in the file, "left" or "right". angle_source: where unit and sign are known from. notes: warnings, one
    sentence each. gaps: those known so far. classes: of a folder of class images, the folders' names. numbers: of a
    recording of ROS messages, "TOPIC.FIELD" of what may be chosen as steering or speed, the likely ones first.
    """

    kind: str
    path: Path
    width: int
    height: int
    fps: float
    camera: str = ""
    cameras: tuple[str, ...] = ()
    angle_unit: str = ""
    angle_sign: str = ""
    angle_source: str = ""
    notes: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the recording is called, in files and pictures: of a path that may hold anything."""
        return clean(self.path.name)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values for a JSON file: the path as text, each gap as a dict."""
        out = dict(self.__dict__)
        out["path"] = str(self.path)
        out["cameras"] = list(self.cameras)
        out["classes"] = list(self.classes)
        out["numbers"] = list(self.numbers)
        out["gaps"] = [dict(g.__dict__) for g in self.gaps]
        return out


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Several frames of a drive, N of them, in the order in which they were asked for.

    indices: (N,) int64, each from 0 to the drive's length - 1. images: N uint8 RGB pictures (H, W, 3), read-only,
    of one size but in a folder of pictures of many. is_gap: (N,) bool, True where the frame cannot be shown: its picture
    is black then. timestamps_ns: (N,) int64 nanoseconds. angle_rad: (N,) float64, the measured steering WHEEL angle in
    radians, positive to the left, NaN where unlabelled. speed_mps: (N,) float64, metres per second, NaN where unknown.
    """

    indices: NDArray[np.int64]
    images: list[Image]
    is_gap: NDArray[np.bool_]
    timestamps_ns: NDArray[np.int64]
    angle_rad: NDArray[np.float64]
    speed_mps: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        if not len(self):
            return "<FrameBatch: no frames>"
        height, width = self.images[0].shape[:2]
        which = f"{_count(len(self), 'frame')}, {self.indices[0]} to {self.indices[-1]}"
        return f"<FrameBatch: {which}, {width} x {height}, {_count(int(self.is_gap.sum()), 'gap')}>"


class Drive(ABC):
    """A recording: frames with time stamps, and where known the steering wheel angle and the speed.

    It is a sequence of its frames: `len(drive)`, `drive[i]`, `drive[a:b]`, and `for image in drive`.
    Opening indexes; it never decodes the whole recording. Memory is bounded by `cache_bytes`,
    whatever the length. A drive belongs to one thread at a time for `frame`; the arrays may be
    read from any thread.

    timestamps_ns: (N,) int64, sorted. angle_rad: (N,) float64, steering WHEEL angle in radians,
    positive to the left, NaN where unlabelled. speed_mps: (N,) float64, metres per second, NaN
    where unknown. labels: (N,) int64, the number in `info.classes` of what each picture shows, None for a
    recording without classes. names: each frame's picture as the recording calls it, where it has such names.
    files: each frame's picture file, None where it is missing; empty where the frames are no files.
    """

    info: DriveInfo
    timestamps_ns: NDArray[np.int64]
    angle_rad: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    labels: NDArray[np.int64] | None = None
    names: Sequence[str] = ()
    files: Sequence[str | None] = ()

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._cache: OrderedDict[int, Image] = OrderedDict()
        self._cache_bytes = 0
        self._cache_limit = cache_bytes
        self._cache_lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.timestamps_ns)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Image: ...

    @overload
    def __getitem__(self, key: slice) -> FrameBatch: ...

    def __getitem__(self, key: SupportsIndex | slice) -> Image | FrameBatch:
        """`drive[i]` is `frame(i)`, `drive[a:b:c]` is `frames` of these; negative numbers count from the end.

        Raises IndexError for a frame that is not there, FrameError for a bad one where it is asked for alone.
        """
        if isinstance(key, slice):
            return self.frames(range(len(self))[key])
        return self.frame(self._from_front(operator.index(key)))

    def __iter__(self) -> Iterator[Image | None]:
        """Every frame from the first to the last, uint8 RGB (H, W, 3); None where a frame cannot be shown."""
        for i in range(len(self)):
            try:
                image: Image | None = self.frame(i)
            except FrameError:
                image = None
            yield image

    def __repr__(self) -> str:
        times, info = self.timestamps_ns, self.info
        lost = sum(gap.last - gap.first + 1 for gap in info.gaps)
        parts = [
            _count(len(self), "frame"),
            f"{info.width} x {info.height}",
            f"{(int(times[-1]) - int(times[0])) / 1e9:.1f} s at {info.fps:.1f} Hz" if len(self) else "",
            f"{len(info.classes)} classes" if info.classes else "",
            f"{int(np.isfinite(self.angle_rad).sum())} with a measured angle" if not info.classes else "",
            f"{lost} of them known to be gaps" if lost else "",
        ]
        return f"<{info.kind} drive {info.path}: {', '.join(part for part in parts if part)}>"

    def frames(self, indices: Iterable[SupportsIndex]) -> FrameBatch:
        """The frames of these indices, in this order; negative ones count from the end. A bad frame is a gap in it.

        All are decoded at once, each once and from front to back, so that N pictures must fit into memory.
        Raises IndexError for a frame that is not there, TypeError for an index that is no whole number.
        """
        wanted = [self._from_front(operator.index(i)) for i in indices]
        images: dict[int, Image] = {}
        gaps: set[int] = set()
        for i in sorted(set(wanted)):
            try:
                images[i] = self.frame(i)
            except FrameError:
                gaps.add(i)
                images[i] = np.zeros((self.info.height, self.info.width, 3), np.uint8)
                images[i].flags.writeable = False
        at = np.array(wanted, dtype=np.int64)
        return FrameBatch(
            at,
            [images[i] for i in wanted],
            np.array([i in gaps for i in wanted], dtype=np.bool_),
            self.timestamps_ns[at],
            self.angle_rad[at],
            self.speed_mps[at],
        )

    def _from_front(self, i: int) -> int:
        """A frame's number, where a negative one counts from the end. Raises IndexError."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"frame {i} of a drive of {len(self)} frames")
        return i % len(self)

    def frame(self, i: int) -> Image:
        """Frame `i`, uint8 RGB (H, W, 3), read-only. Raises IndexError, or FrameError for a bad frame."""
        if not 0 <= i < len(self):
            raise IndexError(f"frame {i} of a drive of {len(self)} frames")
        with self._cache_lock:
            hit = self._cache.get(i)
            if hit is not None:
                self._cache.move_to_end(i)
                return hit
        try:
            image = self._decode(i)
        except (VbpError, MemoryError):
            raise
        except Exception as error:  # whatever damaged data make of a decoder
            raise FrameError(
                f"frame {i} cannot be shown: its data are damaged ({type(error).__name__})"
            ) from error
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

    def start_before(self, i: int) -> int:
        """The last frame up to `i` at which decoding can start: `i` itself where every picture stands alone, else a key frame.

        0 where there is none before. Raises IndexError.
        """
        return self._from_front(i)

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


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"


def even_times(frames: int, fps: float) -> NDArray[np.int64]:
    """Time stamps of frames at a fixed rate, (frames,) int64 nanoseconds from 0."""
    return np.array([round(k * 1e9 / fps) for k in range(frames)], dtype=np.int64)


def median_fps(timestamps_ns: NDArray[np.int64]) -> float:
    """Median frame rate, Hz; 0.0 for fewer than two distinct time stamps."""
    steps = np.diff(timestamps_ns)
    steps = steps[steps > 0]
    return float(1e9 / np.median(steps)) if len(steps) else 0.0
