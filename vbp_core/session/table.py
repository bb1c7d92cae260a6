"""Notes as a table (CSV): written for spreadsheets, read back as they were."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from vbp.drives.tables import read_table
from vbp.errors import VbpError
from vbp.files import whole_file
from vbp.readable import cell
from vbp.session.note import Note, one_line

COLUMNS = ("frame", "timestamp_ns", "end_frame", "end_timestamp_ns", "name", "tag", "text")
HEAD = ",".join(COLUMNS).encode()
FORMULA = ("=", "+", "-", "@", "'")


def write_notes(notes: Sequence[Note], path: Path, source: Path | None, force: bool = False) -> None:
    """A file that is whole or not there. Raises VbpError; where another kind of file stands, without `force`."""
    with (
        whole_file(path, _is_ours, source, force) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for note in notes:
            words = (_cell(text) for text in (note.name, note.tag, note.text))
            writer.writerow((note.frame, note.frame_ns, note.end, note.end_ns, *words))


def read_notes(path: Path) -> list[Note]:
    """What `write_notes` wrote, or any CSV with a column frame; the others may be missing. Raises VbpError."""
    table = read_table(path, keep=COLUMNS)
    table.require("frame")
    numbers = {name: table.integers(name) for name in COLUMNS[:4] if name in table.cells}
    frames, known = numbers["frame"]
    words = [table.cells.get(name, [""] * len(frames)) for name in COLUMNS[4:]]
    notes = []
    for k, frame in enumerate(frames.tolist()):
        frame_ns, end, end_ns = (
            int(numbers[name][0][k]) if name in numbers and numbers[name][1][k] else None
            for name in COLUMNS[1:4]
        )
        end = frame if end is None else end
        if end == frame and end_ns is None:
            end_ns = frame_ns
        if not known[k] or not 0 <= frame <= end:
            raise VbpError(
                f"{path}: row {k + 2} names no frames of a recording; give a frame, and an end_frame after it"
            )
        notes.append(Note(frame, end, frame_ns, end_ns, *(one_line(_plain(column[k])) for column in words)))
    return notes


def _cell(text: str) -> str:
    """`cell`, from which the text can be told again."""
    return f"'{text}" if text.startswith("'") else str(cell(text))


def _plain(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:2] in FORMULA and text[1:] else text


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(len(HEAD))
    return not head or head == HEAD
