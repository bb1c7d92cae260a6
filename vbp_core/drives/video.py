"""A video file, with or without a steering CSV beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive, OpenOptions, even_times
from vbp.drives.csv_layout import has_layout
from vbp.drives.numpy_file import MOST_S, nanoseconds, read_numbers
from vbp.drives.paths import leads_out
from vbp.drives.tables import first_columns, note_read
from vbp.drives.video_drive import VideoDrive
from vbp.drives.video_files import csv_for, looks_like_video, video_for, videos_in
from vbp.drives.video_index import build_index
from vbp.drives.video_labels import read_labels
from vbp.errors import DriveError, SeveralError

NOMINAL_HZ = 25
FRAME_TIMES = "frame_times"  # comma2k19: seconds, as a NumPy array, beside the video or in global_pose


def sniff(path: Path) -> bool:
    """A video, a folder with one, or a steering CSV. Looks at the first bytes only; never raises."""
    try:
        if path.is_dir():
            return bool(videos_in(path))
        if path.suffix.lower() == ".csv":
            return has_layout(first_columns(path))
        return looks_like_video(path)
    except (OSError, ValueError):
        return False


def open(path: Path, options: OpenOptions) -> Drive:
    """Open a video, a folder with exactly one video, or a steering CSV with its video beside it.

    Without a CSV the drive is unlabelled and its time stamps are the video's, 0 at the first frame.
    Raises DriveError with one sentence, NeedsAngleUnitError when the CSV does not state its unit.
    """
    csv: Path | None
    if path.is_dir():
        videos = videos_in(path)
        if len(videos) != 1:
            names = ", ".join(p.name for p in videos[:10]) + (", ..." if len(videos) > 10 else "")
            raise SeveralError(f"{path} holds {len(videos)} videos ({names}); open one of them")
        video = videos[0]
        csv, notes = csv_for(video)
    elif path.suffix.lower() == ".csv":
        csv = path
        video, notes = video_for(csv)
    else:
        video = path
        csv, notes = csv_for(video)
    index = build_index(video, options.camera)
    timed = index.timed or options.fps is not None
    if not index.timed:
        index = replace(
            index, times_ns=even_times(len(index.order), NOMINAL_HZ if options.fps is None else options.fps)
        )
    drive = VideoDrive(index)
    drive.info.notes.extend(notes)
    if csv is not None:
        try:
            labels = read_labels(csv, options, index.times_ns, index.promised, timed=timed)
        except DriveError:
            drive.close()
            raise
        drive.set_times(labels.timestamps_ns)
        drive.set_labels(labels.angle_rad, labels.speed_mps)
        labels.convention.note_in(drive.info)
        drive.info.notes.extend(labels.notes)
    if not timed and drive.timestamps_ns is index.times_ns:
        times = _frame_times(video, len(index.order))
        if times is not None:
            drive.set_times(times)
            drive.info.notes.append(f"the times of the frames are those of {FRAME_TIMES}")
            return drive
        drive.info.notes.append(
            f"the stream has no times and states no rate; {NOMINAL_HZ} frames per second are assumed: "
            f"pass --fps if it is another"
        )
    return drive


def _frame_times(video: Path, frames: int) -> NDArray[np.int64] | None:
    """The time of each frame, (frames,) int64 nanoseconds, from a file beside the video; None where that has others."""
    for file in (video.parent / FRAME_TIMES, video.parent / "global_pose" / FRAME_TIMES):
        if leads_out(file, video.parent) or not file.is_file():
            continue
        try:
            seconds = read_numbers(file)
        except DriveError:
            continue
        if len(seconds) == frames and (np.abs(seconds) < MOST_S).all() and (np.diff(seconds) >= 0).all():
            note_read(file)
            return nanoseconds(seconds)
    return None
