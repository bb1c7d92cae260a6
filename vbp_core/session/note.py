"""Notes on a recording: on one frame, or on a range of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vbp.readable import printable

TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:\.\d{1,9})?)", re.ASCII)
LONGEST = 4000  # letters of a text


@dataclass(frozen=True)
class Note:
    """On frames frame..end (both included). frame_ns, end_ns: their time stamps, None of bookmarks from before there were any."""

    frame: int
    end: int
    frame_ns: int | None = None
    end_ns: int | None = None
    name: str = ""
    tag: str = ""
    text: str = ""

    @property
    def is_plain(self) -> bool:
        """A bookmark without a word."""
        return self.frame == self.end and not (self.name or self.tag or self.text)

    @property
    def words(self) -> str:
        """What it is called in one line."""
        tag = f"[{self.tag}]" if self.tag else ""
        return " ".join(filter(None, (self.name or self.text[:60], tag))) or "bookmark"


def title_of(note: Note) -> tuple[str, ...]:
    """What it is called, and what it says, for a page or a clip."""
    tag = f"[{note.tag}]" if note.tag else ""
    return (" ".join(filter(None, (note.name or "Bookmark", tag))), *([note.text] if note.text else []))


def one_line(text: str) -> str:
    """What a note's name, tag or text is kept as: one line of letters, not endless."""
    return printable(" ".join(text.split()))[:LONGEST]


def in_order(notes: Sequence[Note]) -> tuple[Note, ...]:
    return tuple(sorted(notes, key=lambda note: (note.frame, note.end)))


def placed(
    notes: Sequence[Note], timestamps_ns: NDArray[np.int64], by_frame: bool = False
) -> tuple[list[Note], list[Note]]:
    """The notes at their frames of a recording of (N,) sorted time stamps, and those that lie outside of it.

    By time: the frames may be others than when the note was written. by_frame: by number, as the recording states no times
    and is played at another rate.
    """
    count = len(timestamps_ns)
    step = int(np.median(np.diff(timestamps_ns))) if count > 1 else 0
    inside: list[Note] = []
    outside: list[Note] = []
    for note in notes:
        if by_frame or note.frame_ns is None or note.end_ns is None:
            if note.end >= count:
                outside.append(note)
                continue
            first, last = int(timestamps_ns[note.frame]), int(timestamps_ns[note.end])
            inside.append(replace(note, frame_ns=first, end_ns=last))
            continue
        ends = [
            _at(timestamps_ns, step, *end) for end in ((note.frame, note.frame_ns), (note.end, note.end_ns))
        ]
        if ends[0] is None or ends[1] is None:
            outside.append(note)
        else:
            inside.append(replace(note, frame=ends[0], end=max(ends[0], ends[1])))
    return list(in_order(inside)), outside


def _at(timestamps_ns: NDArray[np.int64], step: int, frame: int, ns: int) -> int | None:
    """The frame of a time stamp, or the nearest one; None outside of the recording."""
    count = len(timestamps_ns)
    if frame < count and int(timestamps_ns[frame]) == ns:
        return frame
    if not count or not int(timestamps_ns[0]) - step <= ns <= int(timestamps_ns[-1]) + step:
        return None
    return nearest_frame(timestamps_ns, ns)


def nearest_frame(timestamps_ns: NDArray[np.int64], ns: int) -> int:
    """The frame whose time stamp, of (N,) sorted ones, N > 0, is nearest."""
    after = min(len(timestamps_ns) - 1, int(np.searchsorted(timestamps_ns, ns)))
    before = max(0, after - 1)
    nearer_before = ns - int(timestamps_ns[before]) < int(timestamps_ns[after]) - ns
    return before if nearer_before else after


def frame_at(text: str, timestamps_ns: NDArray[np.int64]) -> int | None:
    """The frame that "1234" (its number), "12:34.5" or "1:02:03" (a time since the first frame) says; None where it says
    none of this recording, of (N,) sorted time stamps."""
    text = text.strip().replace(",", ".")
    if text.isascii() and text.isdecimal() and len(text) < 18:
        return int(text) if int(text) < len(timestamps_ns) else None
    found = TIME.fullmatch(text)
    if found is None or not len(timestamps_ns):
        return None
    hours, minutes, seconds = int(found[1] or 0), int(found[2]), float(found[3])
    ns = int(timestamps_ns[0]) + (hours * 3600 + minutes * 60) * 10**9 + round(seconds * 1e9)
    if (minutes >= 60 and found[1]) or seconds >= 60 or ns > int(timestamps_ns[-1]) + 10**9:
        return None
    return nearest_frame(timestamps_ns, ns)
