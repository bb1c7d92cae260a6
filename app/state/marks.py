"""Notes (a bookmark is one without words), and the part A..B that is repeated, of the open recording; kept at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from vbp.app.state.settings import Settings
from vbp.session.note import Note, in_order, placed

MOST_UNDONE = 200  # changes of notes that can be taken back


class Marks(QObject):
    changed = Signal()
    notes_changed = Signal()  # they are on the disk by then

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._source = ""
        self._times: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.notes: list[Note] = []
        self.outside: list[Note] = []  # of what this recording does not have; kept all the same
        self._undo: list[list[Note]] = []
        self._redo: list[list[Note]] = []
        self.a: int | None = None
        self.b: int | None = None
        self.looping = False

    def set_drive(
        self, path: Path | None, timestamps_ns: NDArray[np.int64], fps: float | None = None
    ) -> None:
        """Another recording, with what is kept of it. fps: what the user says, of one that states no times."""
        self._source, self._times = str(path.resolve()) if path is not None else "", timestamps_ns
        kept = self._settings.document(self._source)
        self.notes, self.outside = placed(kept.notes, timestamps_ns, by_frame=fps != kept.options.fps)
        self._undo, self._redo = [], []
        frames = self.frames
        self.a, self.b = (f if f is not None and f < frames else None for f in (kept.a, kept.b))
        self.looping = kept.looping
        self.changed.emit()

    @property
    def frames(self) -> int:
        return len(self._times)

    @property
    def bookmarks(self) -> list[int]:
        """The frames at which notes begin."""
        return sorted({note.frame for note in self.notes})

    # Notes.

    def note_at(self, frame: int, end: int | None = None) -> Note:
        """A new note without words, not kept yet."""
        end = frame if end is None else end
        return Note(frame, end, int(self._times[frame]), int(self._times[end]))

    def add(self, notes: Iterable[Note]) -> None:
        """Those that are not there yet."""
        new = [note for note in dict.fromkeys(notes) if note not in self.notes]
        inside, outside = placed(new, self._times)
        self.outside += [note for note in outside if note not in self.outside]
        self._set_notes([*self.notes, *inside])

    def remove(self, notes: Iterable[Note]) -> None:
        gone = list(notes)
        self._set_notes([note for note in self.notes if note not in gone])

    def change(self, note: Note, other: Note) -> None:
        """Another note in the place of one."""
        if note in self.notes and other != note:
            at = self.notes.index(note)
            self._set_notes([*self.notes[:at], other, *self.notes[at + 1 :]])

    def undo(self) -> None:
        """Take back the last change of notes."""
        if self._undo:
            self._redo.append(self.notes)
            self.notes = self._undo.pop()
            self._keep_notes()

    def redo(self) -> None:
        if self._redo:
            self._undo.append(self.notes)
            self.notes = self._redo.pop()
            self._keep_notes()

    def _set_notes(self, notes: list[Note]) -> None:
        if not self._source or not self.frames:
            return
        self._undo = [*self._undo[-MOST_UNDONE + 1 :], self.notes]
        self._redo = []
        self.notes = list(in_order(notes))
        self._keep_notes()

    def _keep_notes(self) -> None:
        self._settings.change_document(self._source, notes=in_order([*self.notes, *self.outside]))
        self._settings.flush()  # now: whatever becomes of the program, a note that is seen is kept
        self.notes_changed.emit()
        self.changed.emit()

    # The part A..B.

    def set_part(self, a: int | None, b: int | None) -> None:
        """The part A..B; a mark that would lie on the wrong side of the other takes it along."""
        if a is not None and b is not None and a > b:
            a, b = (a, None) if a != self.a else (None, b)
        self.a, self.b = a, b
        self._keep()

    def toggle_bookmark(self, frame: int) -> None:
        """A note on this frame alone, or none any more."""
        here = [note for note in self.notes if note.frame == note.end == frame]
        if here:
            self.remove(here)
        elif self.frames:
            self.add([self.note_at(frame)])

    def loop(self) -> tuple[int, int] | None:
        """The part to repeat, or None."""
        if not self.looping or not self.frames:
            return None
        return (0 if self.a is None else self.a, self.frames - 1 if self.b is None else self.b)

    def set_looping(self, on: bool) -> None:
        self.looping = on
        self._keep()

    def _keep(self) -> None:
        if self._source:
            self._settings.change_document(self._source, a=self.a, b=self.b, looping=self.looping)
        self.changed.emit()
