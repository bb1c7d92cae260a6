"""Drives whose frames are picture files: decoding to uint8 RGB, and marking the files that cannot be shown."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import CACHE_BYTES, Drive, DriveInfo, Gap, Image, median_fps
from vbp.drives.paths import FolderIndex
from vbp.drives.picture_header import read_header
from vbp.errors import FrameError
from vbp.reading import LFS, LFS_ADVICE, read_file

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp"})
ACCEPTED = "JPEG, PNG, WebP, BMP, TIFF, PPM and PGM"
MOST_BYTES = 2**27  # of the decoded picture: 44 million pixels of 8 bits; decoding takes a few times that
MAX_PIXELS = MOST_BYTES // 3
MOST_PASSES = 2**30  # pixels gone over; a JPEG of a few bytes may ask for any number
MAX_FILE_BYTES = 2**28
PROBES = 5
TRIES = 50

# A damaged picture is reported once, as a gap; OpenCV would print a line of its own per attempt.
# (libjpeg and libpng still print some warnings themselves.)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class PictureError(Exception):
    """Why one picture cannot be shown, without its name: "is truncated"."""


def decode_picture(data: bytes) -> Image:
    """The bytes of a picture file -> uint8 RGB (H, W, 3), C-contiguous.

    Grey becomes three equal channels, 16 bit its high byte, an alpha channel is left out, EXIF
    orientation is applied. Raises PictureError.
    """
    header = read_header(data)
    if data.startswith(LFS):
        raise PictureError(LFS_ADVICE)
    if header is None:
        raise PictureError(
            f"is not a picture of a known format; accepted: {ACCEPTED}" if data else "is an empty file"
        )
    if not header.whole:
        raise PictureError(f"is a truncated {header.kind} file")
    pixels = header.width * header.height
    if pixels * header.bytes > MAX_PIXELS:
        of = f" of {8 * header.bytes} bits" if header.bytes > 1 else ""
        raise PictureError(
            f"claims {header.width} x {header.height} pixels{of}; up to {MAX_PIXELS // 10**6} million of 8 bits are read"
        )
    if pixels * header.passes > MOST_PASSES:
        raise PictureError(
            f"is a {header.kind} file that is to be gone over {header.passes} times, which takes too long"
        )
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (cv2.error, MemoryError) as error:
        raise PictureError(f"is a {header.kind} file that cannot be decoded") from error
    if bgr is None or bgr.size == 0:
        raise PictureError(f"is a damaged {header.kind} file")
    if bgr.dtype == np.uint16:  # by hand, for OpenCV's readers do not all round alike
        bgr = (bgr // 256).astype(np.uint8)
    elif bgr.dtype != np.uint8:
        raise PictureError(f"is a {header.kind} file of {bgr.dtype} pixels; 8 and 16 bit are accepted")
    return np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_picture(path: str | Path) -> Image:
    """A picture file -> uint8 RGB (H, W, 3); any name the system allows. Raises PictureError."""
    try:
        data = read_file(path, MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise PictureError("is missing") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return decode_picture(data)


def shown_alike(data: bytes) -> bool:
    """Whether every viewer shows this picture file as `decode_picture` does: JPEG or PNG, nothing special.

    Not those with EXIF data, which may turn the picture, with an alpha channel, or with 16 bits.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return b"Exif\x00\x00" not in data[: 2**16]
    # The bit depth and the kind of colour (0 grey, 2 RGB) of a PNG
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:26] in (b"\x08\x00", b"\x08\x02")


def gap_ranges(reasons: Sequence[str]) -> list[Gap]:
    """One gap per run of frames with the same reason; frames with an empty reason are fine."""
    gaps = []
    for reason, run in groupby(range(len(reasons)), key=reasons.__getitem__):
        if reason:
            frames = list(run)
            gaps.append(Gap(frames[0], frames[-1], reason))
    return gaps


def with_gap(gaps: Sequence[Gap], i: int, reason: str) -> list[Gap]:
    """The gaps, in order, with frame `i` in one: a neighbour's, if the reason is the same."""
    k = bisect_right(gaps, i, key=lambda gap: gap.first)
    before, after = list(gaps[:k]), list(gaps[k:])
    if before and before[-1].last >= i:
        return list(gaps)
    first = last = i
    if before and before[-1].last == i - 1 and before[-1].reason == reason:
        first = before.pop().first
    if after and after[0].first == i + 1 and after[0].reason == reason:
        last = after.pop(0).last
    return [*before, Gap(first, last, reason), *after]


def locate(names: Sequence[str], index: FolderIndex, info: DriveInfo) -> tuple[list[str | None], list[str]]:
    """Each named picture's path in the drive's folder, and why there is none; notes how many are missing."""
    found = [index.find(name) for name in names]
    reasons = [reason for _, reason in found]
    lost = [i for i, reason in enumerate(reasons) if reason]
    if lost:
        found_count = len(names) - len(lost)
        advice = "the others are gaps" if found_count else "put them into the folder of their list"
        info.notes.append(
            f"{found_count or 'none'} of the {len(names)} pictures can be found in {index.root} "
            f"(not found: {names[lost[0]] or 'a row without a name'}); {advice}"
        )
    return [file for file, _ in found], reasons


class PictureDrive(Drive):
    """Frames from picture files, one per time stamp.

    files: the path of each frame's picture, None where it is missing. names: as the recording calls
    them, for messages (the paths, when None). reasons: why a file is None, one per frame.
    same_size: a picture of another size than the drive's is a gap, for a recording has one camera; the
    drive's size is the most common of a few pictures spread over it. Without it any size is shown.
    `info` gets width, height (unless no picture can be read), fps and gaps.
    """

    def __init__(
        self,
        info: DriveInfo,
        timestamps_ns: NDArray[np.int64],
        angle_rad: NDArray[np.float64],
        speed_mps: NDArray[np.float64],
        files: Sequence[str | None],
        *,
        names: Sequence[str] | None = None,
        reasons: Sequence[str] | None = None,
        same_size: bool = True,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        super().__init__(cache_bytes)
        self.info = info
        self.timestamps_ns = timestamps_ns
        self.angle_rad = angle_rad
        self.speed_mps = speed_mps
        self.files = files
        self._names = names
        self._reasons = reasons
        self._size: tuple[int, int] | None = None
        info.fps = median_fps(timestamps_ns)
        if reasons is not None:
            info.gaps = gap_ranges(reasons)
        self._probe(same_size)

    def _probe(self, same_size: bool) -> None:
        """The size of most of a few pictures; one odd picture must not condemn all the others."""
        present = [i for i, file in enumerate(self.files) if file is not None]
        if not present:
            return
        sizes: dict[int, tuple[int, int]] = {}
        for i in dict.fromkeys(present[k * (len(present) - 1) // (PROBES - 1)] for k in range(PROBES)):
            self._measure(i, sizes)
        for i in present[:TRIES]:  # when those are all bad
            if sizes:
                break
            self._measure(i, sizes)
        if not sizes:
            return
        size = Counter(sizes.values()).most_common(1)[0][0]
        self.info.width, self.info.height = size
        if same_size:
            self._size = size
            for i, other in sizes.items():
                if other != size:
                    self._mark(i, PictureError(_other_size(other, size)))

    def _measure(self, i: int, sizes: dict[int, tuple[int, int]]) -> None:
        try:
            height, width, _ = read_picture(self.files[i] or "").shape
            sizes[i] = (width, height)
        except PictureError as error:
            self._mark(i, error)

    def _mark(self, i: int, error: PictureError) -> None:
        self.info.gaps = with_gap(self.info.gaps, i, f"the picture {error}")

    def _decode(self, i: int) -> Image:
        file = self.files[i]
        if file is None:
            reason = self._reasons[i] if self._reasons is not None else "the picture is missing"
            raise FrameError(f"frame {i} cannot be shown: {reason} ({self._name(i)})")
        try:
            image = read_picture(file)
            height, width, _ = image.shape
            if self._size is not None and self._size != (width, height):
                raise PictureError(_other_size((width, height), self._size))
        except PictureError as error:
            self._mark(i, error)
            raise FrameError(f"frame {i} cannot be shown: {self._name(i)} {error}") from error
        return image

    def encoded(self, i: int) -> bytes | None:
        super().encoded(i)
        self.frame(i)  # raises what there is to raise
        try:
            data = read_file(self.files[i] or "", MAX_FILE_BYTES)
        except OSError:
            return None  # gone since; the frame itself is at hand
        return data if shown_alike(data) else None

    def _name(self, i: int) -> str:
        name = self._names[i] if self._names is not None else os.path.basename(self.files[i] or "")
        return name or "no name"


def _other_size(size: tuple[int, int], expected: tuple[int, int]) -> str:
    return f"has {size[0]} x {size[1]} pixels, the drive has {expected[0]} x {expected[1]}"
