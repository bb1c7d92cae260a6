"""Notes: written, taken back, stepped through, and shown in their panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from vbp.app.control.export import ExportControl
from vbp.app.panels.notes import NotesPanel
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.widgets.notice import Notice
from vbp.errors import VbpError
from vbp.export.job import Part
from vbp.readable import count
from vbp.session.note import Note, one_line, title_of
from vbp.session.table import read_notes, write_notes

FILTER, PAGES = "Tables (*.csv)", "Pages (*.html)"


class NotesControl(QObject):
    """show_panel: makes the panel of notes seen."""

    def __init__(
        self,
        window: QWidget,
        player: Player,
        marks: Marks,
        panel: NotesPanel,
        notice: Notice,
        exports: ExportControl,
        show_panel: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window = window
        self._player, self._marks, self._panel = player, marks, panel
        self._notice, self._exports, self._show_panel = notice, exports, show_panel
        marks.changed.connect(self._fill)
        panel.added.connect(self.write)
        panel.removed.connect(self._remove)
        panel.rewritten.connect(marks.change)
        panel.chosen.connect(self._show)

    def toggle(self) -> None:
        """A bookmark at this frame, or what is noted on it away."""
        frame = self._player.target
        here = [note for note in self._marks.notes if note.frame == note.end == frame]
        self._marks.toggle_bookmark(frame)
        self._say_removed([note for note in here if not note.is_plain])

    def write(self) -> None:
        """A note on this frame, to be written at once."""
        if self._player.drive is None:
            return
        frame = self._player.target
        here = [note for note in self._marks.notes if note.frame == note.end == frame]
        self._write(here[0] if here else self._marks.note_at(frame))

    def write_range(self) -> None:
        """A note on the frames from A to B."""
        marks = self._marks
        if marks.a is None or marks.b is None:
            self._notice.show_message("A note on a range goes from A to B: set them with [ and ] first")
            return
        self._write(marks.note_at(marks.a, marks.b))

    def write_on(self, first: int, last: int, name: str) -> None:
        """A note on these frames, with a name to begin with; or what is noted on them already."""
        here = [note for note in self._marks.notes if (note.frame, note.end) == (first, last)]
        self._write(here[0] if here else replace(self._marks.note_at(first, last), name=one_line(name)))

    def _write(self, note: Note) -> None:
        self._player.pause()
        self._marks.add([note])
        self._show_panel()
        self._panel.select(note, write=True)

    def ask_save(self) -> None:
        """All notes as a table, which the command line writes too."""
        path = self._player.path
        if path is None or self._player.drive is None:
            return
        start = str(path.with_name(f"{path.stem}-notes.csv"))
        name, _ = QFileDialog.getSaveFileName(self._window, "Save the notes as a table", start, FILTER)
        if name:
            target = Path(name) if Path(name).suffix else Path(f"{name}.csv")
            self._try(lambda: write_notes(self._marks.notes, target, path), f"The notes are saved: {target}")

    def ask_report(self) -> None:
        """All notes as a page, which the command line writes too."""
        path = self._player.path
        if path is None or self._player.drive is None:
            return
        if not self._marks.notes:
            self._notice.show_message("There are no notes yet; Shift+B writes one on this frame")
            return
        start = str(self._exports.folder() / f"{path.stem}-notes.html")
        name, _ = QFileDialog.getSaveFileName(self._window, "Report of the notes", start, PAGES)
        if name:
            self.make_report(Path(name) if Path(name).suffix else Path(f"{name}.html"))

    def make_report(self, path: Path) -> None:
        """Among the exports."""
        parts = [Part(note.frame, note.end, title_of(note)) for note in self._marks.notes]
        outside = len(self._marks.outside)
        remarks = [f"{count(outside, 'note')} outside of this recording."] * bool(outside)
        self._exports.add_parts(path, parts, "notes", remarks)

    def ask_read(self) -> None:
        """Notes of a table, beside those that are there; one step to take back."""
        if self._player.drive is None:
            return
        name, _ = QFileDialog.getOpenFileName(self._window, "Read notes from a table", "", FILTER)
        if name:
            before = len(self._marks.notes)
            self._try(lambda: self._marks.add(read_notes(Path(name))))
            if more := len(self._marks.notes) - before:
                self._show_panel()
                self._notice.show_message(
                    f"{count(more, 'note')} added", "info", [("Undo", self._marks.undo)]
                )

    def _try(self, call: Callable[[], None], done: str = "") -> None:
        try:
            call()
        except VbpError as error:
            self._notice.show_message(str(error), "error")
        else:
            self._notice.show_message(done or "There is no note in it that is not here already")

    def go(self, direction: int) -> None:
        """To the next (1) or previous (-1) note that the filter lets pass; round the end."""
        shown = self._panel.shown
        if not shown:
            return
        at = self._player.target
        ahead = (
            [n for n in shown if n.frame > at] if direction > 0 else [n for n in shown if n.frame < at][::-1]
        )
        note = (ahead or (shown if direction > 0 else shown[::-1]))[0]
        self._panel.select(note)
        self._player.seek(note.frame)

    def _show(self, note: Note) -> None:
        self._player.pause()
        self._player.seek(note.frame)

    def _remove(self, notes: list[Note]) -> None:
        self._marks.remove(notes)
        self._say_removed([note for note in notes if not note.is_plain])

    def _say_removed(self, notes: list[Note]) -> None:
        """What somebody wrote does not go without a word."""
        if notes:
            words = f"The note “{notes[0].words}” is" if len(notes) == 1 else f"{len(notes)} notes are"
            self._notice.show_message(f"{words} deleted", "info", [("Undo", self._marks.undo)])

    def _fill(self) -> None:
        drive = self._player.drive
        start = int(drive.timestamps_ns[0]) if drive is not None and len(drive) else 0
        self._panel.set_notes(self._marks.notes, start, len(self._marks.outside))
