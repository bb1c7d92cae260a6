"""A live session that vbp recorded: a folder with video.mkv, frames.csv and vbp-recording.json.

It may have been cut off at any byte, by a full disk or a lost battery: what is whole of it opens.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import CACHE_BYTES, Drive, Image, OpenOptions
from vbp.drives.convention import Convention
from vbp.drives.tables import note_read
from vbp.drives.video_drive import VideoDrive
from vbp.drives.video_index import VideoIndex, build_index
from vbp.errors import DriveError
from vbp.readable import clean
from vbp.reading import open_file, read_file

FORMAT, VERSION = "vbp-recording", 2
HEAD, VIDEO, ROWS = "vbp-recording.json", "video.mkv", "frames.csv"
# First those of every table of ours; of angles the degrees are for people, the radians are exact. seq: which of the
# camera's frames it was.
COLUMNS = (
    "frame",
    "timestamp_ns",
    "driven_deg",
    "predicted_deg",
    "error_deg",
    "speed_mps",
    "driven_rad",
    "predicted_rad",
    "measured_timestamp_ns",
    "seq",
    "class",
    "probability",
    "class_name",
)
# number of columns -> where driven_rad, predicted_rad, speed_mps, probability and class are; version 1 had 9, and 7
# before there were classifiers.
_PLACES = {len(COLUMNS): (6, 7, 5, 11, 10), 9: (2, 3, 4, 8, 7), 7: (2, 3, 4, None, None)}
MAX_ROWS_BYTES = 2**31  # some months at 30 frames per second
MAX_FRAMES = 2**27  # a damaged number must not make a huge drive
_MAX_HEAD_BYTES = 2**20
PAUSE_NS = 1_000_000_000
LISTED = 10  # of pauses
_ASTRAY_NS = 50_000_000  # a time this far from the video's clock is damaged, if the times are out of order

Row = tuple[int, int, float, float, float, float, int]  # as parse_row has it
_INT64 = np.iinfo(np.int64)


def sniff(path: Path) -> bool:
    """The folder, or one of the three files in it. Never raises."""
    try:
        folder = _folder_of(path)
        return folder is not None and (folder / HEAD).is_file()
    except (OSError, ValueError):
        return False


def _folder_of(path: Path) -> Path | None:
    if path.is_dir():
        return path
    return path.absolute().parent if path.name in (HEAD, VIDEO, ROWS) else None


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a recording of vbp. Raises DriveError with one sentence where nothing of it can be shown."""
    folder = _folder_of(path) or path
    head = read_head(folder / HEAD)
    video = folder / VIDEO
    if not video.is_file():
        raise DriveError(
            f"{folder} is a recording by vbp whose {VIDEO} is missing; put it back, or record again"
        )
    rows = read_rows(folder / ROWS)
    for name in (HEAD, VIDEO, ROWS):
        note_read(folder / name)
    drive = RecordingDrive(build_index(video), head.size)
    info = drive.info
    info.kind, info.path, info.camera = FORMAT, folder, head.camera
    info.notes = [*head.notes, *(n for n in info.notes if "header promises" not in n), *rows.notes]
    _join(drive, rows)
    info.notes += pauses(drive.timestamps_ns)
    convention = Convention("rad", "left", "recorded by vbp").overruled_by(options)
    if bool(np.isfinite(drive.angle_rad).any()):
        drive.set_labels(convention.radians(drive.angle_rad), drive.speed_mps)
        convention.note_in(info)
    return drive


class RecordingDrive(VideoDrive):
    """The video without the columns and rows that were added to make its size even.

    What the network said while it was recorded: predicted_rad, (N,) float64, radians, NaN where it said nothing;
    of a classifier predicted_class, (N,) int64, -1 where it said nothing, with its probability, (N,) float64.
    """

    predicted_rad: NDArray[np.float64]
    predicted_class: NDArray[np.int64]
    probability: NDArray[np.float64]

    def __init__(
        self, index: VideoIndex, size: tuple[int, int] | None, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._size = size
        super().__init__(index, cache_bytes)
        self.predicted_rad = np.full(len(self), np.nan)
        self.predicted_class = np.full(len(self), -1, np.int64)
        self.probability = np.full(len(self), np.nan)
        if size is not None:
            self.info.width = min(size[0], self.info.width)
            self.info.height = min(size[1], self.info.height)

    def _cut(self, image: Image) -> Image:
        if self._size is None:
            return image
        width, height = self._size
        return np.ascontiguousarray(image[:height, :width])

    def _remember(self, i: int, image: Image) -> None:
        super()._remember(i, self._cut(image))

    def _decode(self, i: int) -> Image:
        return self._cut(super()._decode(i))


@dataclass
class Head:
    """What vbp-recording.json says; size (width, height) is None where it cannot be read."""

    camera: str = ""
    model: str = ""
    size: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)


def read_head(path: Path) -> Head:
    """Raises DriveError for a newer version alone: a note says what is damaged."""
    try:
        data = json.loads(read_file(path, _MAX_HEAD_BYTES))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError("it is not of a recording")
        version = data.get("version")
        if isinstance(version, int) and version > VERSION:
            raise DriveError(f"{path} was written by a newer vbp (version {version}); update vbp to open it")
        size = (data["width"], data["height"])
        if not all(type(n) is int and 0 < n < 2**16 for n in size):
            raise ValueError("its picture size is not valid")
    except (OSError, ValueError, KeyError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its content is not understood"
        return Head(notes=[f"{path.name} is damaged ({reason}): its camera and network are not known"])
    camera, model = _word(data.get("camera")), _word(data.get("model"))
    by = f"recorded by vbp from {camera or 'a camera'}" + (f" with {model}" if model else "")
    notes = [f"{by}; the predictions made while recording are in {ROWS}"] if model else [by]
    end = data.get("end")
    if not isinstance(end, dict):
        notes.append("the recording was cut off: vbp ended before it was finished")
        end = {}
    if reason := _word(end.get("failure")):
        notes.append(f"the recording ended too early: {reason}")
    if (n := end.get("dropped")) and isinstance(n, int):
        notes.append(f"{n} frames were not recorded, as the disk or the encoder was too slow")
    if (n := end.get("resized")) and isinstance(n, int):
        frames = "1 frame" if n == 1 else f"{n} frames"
        were = "was" if n == 1 else "were"
        notes.append(f"{frames} came in another size and {were} fitted into {size[0]}×{size[1]}")
    return Head(camera, model, size, notes)


def pauses(timestamps_ns: NDArray[np.int64]) -> list[str]:
    """A sentence for each time in which the camera sent nothing: longer than a second and than five usual steps."""
    if len(timestamps_ns) < 2:
        return []
    steps = np.diff(timestamps_ns)
    after = np.flatnonzero(steps > max(PAUSE_NS, 5 * int(np.median(steps))))
    since = (timestamps_ns[after] - timestamps_ns[0]) / 1e9
    notes = [
        f"a gap of {steps[i] / 1e9:.1f} s after frame {i} (at {at:.1f} s): the camera sent no frames"
        for i, at in zip(after.tolist(), since.tolist(), strict=True)
    ]
    more = [f"and {len(notes) - LISTED} more such gaps"] if len(notes) > LISTED else []
    return notes[:LISTED] + more


def _word(value: Any) -> str:
    return clean(" ".join(value.split())) if isinstance(value, str) else ""


@dataclass
class Rows:
    """frames.csv: of each frame whether it has a row, and what that says.

    good: (N,) bool. timestamps_ns: (N,) int64. driven_rad, predicted_rad, speed_mps, probability: (N,) float64,
    NaN where there is none. predicted_class: (N,) int64, -1 where there is none.
    """

    good: NDArray[np.bool_]
    timestamps_ns: NDArray[np.int64]
    driven_rad: NDArray[np.float64]
    predicted_rad: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    predicted_class: NDArray[np.int64]
    probability: NDArray[np.float64]
    notes: list[str]


def read_rows(path: Path) -> Rows:
    """Rows by the frame number that each bears. A last line without its end was cut off and does not count;
    other lines that are damaged are left out, and a note says so. Never raises."""
    notes: list[str] = []
    found: list[Row] = []
    damaged, current = 0, False
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_ROWS_BYTES:
                raise OSError(0, "it is too long")
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break  # cut in the middle; the video has lost more than this line
                if number == 0 and line.startswith(b"frame,"):
                    current = line.rstrip() == ",".join(COLUMNS).encode()
                    continue
                row = parse_row(line, current)
                if row is None:
                    damaged += 1
                else:
                    found.append(row)
    except OSError as error:
        notes.append(f"{path.name} cannot be read ({error.strerror or error})")
    rows = _in_order(found)
    damaged += len(found) - len(rows)
    n = max((r[0] for r in rows), default=-1) + 1
    good, times = np.zeros(n, np.bool_), np.zeros(n, np.int64)
    values, classes = np.full((4, n), np.nan), np.full(n, -1, np.int64)
    for frame, time_ns, driven, predicted, speed, probability, number in rows:
        good[frame], times[frame], classes[frame] = True, time_ns, number
        values[:, frame] = driven, predicted, speed, probability
    if damaged:
        notes.append(f"{damaged} lines of {path.name} are damaged: those frames are unlabelled")
    return Rows(good, times, values[0], values[1], values[2], classes, values[3], notes)


def _in_order(found: list[Row]) -> list[Row]:
    """Rows whose number follows the one before, or is confirmed by the row after it: a damaged number is neither."""
    out: list[Row] = []
    for i, row in enumerate(found):
        last = out[-1][0] if out else -1
        after = found[i + 1][0] if i + 1 < len(found) else -1
        if row[0] == last + 1 or (last < row[0] < MAX_FRAMES and after == row[0] + 1):
            out.append(row)
    return out


def parse_row(line: bytes, current: bool = False) -> Row | None:
    """frame, timestamp_ns, driven_rad, predicted_rad, speed_mps, probability, class; unknown numbers are NaN, an
    unknown class is -1. current: the file's head names today's columns; else their number says which they are.
    None for a line that is none of ours."""
    # A class may have any name: its column is the last one, and is not read.
    cells = line.rstrip(b"\r\n").split(b",", len(COLUMNS) - 1)
    if len(cells) not in _PLACES or (current and len(cells) != len(COLUMNS)):
        return None
    *values, kind = (b"" if place is None else cells[place] for place in _PLACES[len(cells)])
    try:
        frame, time_ns, number = int(cells[0]), int(cells[1]), int(kind) if kind else -1
        numbers = [float(cell) if cell else np.nan for cell in values]
    except ValueError:
        return None
    # Within half of int64, so that differences of times stay within it.
    if not (0 <= frame <= _INT64.max and abs(time_ns) <= _INT64.max // 2) or np.isinf(numbers).any():
        return None
    if not -1 <= number <= _INT64.max:
        return None
    return frame, time_ns, numbers[0], numbers[1], numbers[2], numbers[3], number


def _join(drive: RecordingDrive, rows: Rows) -> None:
    """Frame k of the video has row k. The shorter of both wins, and where a row lacks, its time is between those
    of its neighbours."""
    in_video, in_rows = len(drive), len(rows.good)
    if not rows.good.any():
        drive.info.notes.append(f"{ROWS} has no row of any frame: the times are the video's own")
        return
    n = min(in_video, in_rows)
    if in_rows > in_video:
        drive.info.notes.append(
            f"the last {in_rows - in_video} of {in_rows} frames are not in the video: it was cut off"
        )
    elif in_video > in_rows:
        drive.info.notes.append(
            f"the last {in_video - in_rows} of {in_video} frames have no row in {ROWS} and are left out"
        )
    good, times = rows.good[:n], rows.timestamps_ns[:n].copy()
    if not good.any():
        drive.info.notes.append(f"{ROWS} has no row of these frames: the times are the video's own")
        return
    own = drive.timestamps_ns[:n]
    known = np.flatnonzero(good)
    if bool((np.diff(times[known]) < 0).any()):
        # The video's clock is that of the rows, to a millisecond, but for where it starts.
        start = np.sort((times - own)[known])[len(known) // 2]  # in int64: a float would lose 256 ns
        astray = known[np.abs(times[known] - own[known] - start) > _ASTRAY_NS]
        drive.info.notes.append(f"{len(astray)} time stamps in {ROWS} are damaged: those are the video's")
        known = np.setdiff1d(known, astray)
        if not len(known):
            return
    for i in np.setdiff1d(np.arange(n), known):
        j = known[np.argmin(np.abs(known - i))]
        times[i] = times[j] + (own[i] - own[j])
    drive.set_times(np.maximum.accumulate(times))
    drive.set_labels(rows.driven_rad[:n].copy(), rows.speed_mps[:n].copy())
    drive.predicted_rad = rows.predicted_rad[:n].copy()
    drive.predicted_class = rows.predicted_class[:n].copy()
    drive.probability = rows.probability[:n].copy()
