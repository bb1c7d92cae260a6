"""Notes on the recording: a table to write in, to filter and to step through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.title import Caption
from vbp.readable import clock
from vbp.session.note import Note, one_line

EMPTY = "What you note on this drive appears here: B marks a frame, Shift+B writes a note on it, Ctrl+B one from A to B."
NOTHING = "No note has these letters in its name, tag or text"
COLUMNS = ("Time", "Name", "Tag", "Text")
FIELDS = ("", "name", "tag", "text")


class NotesTable(QTableWidget):
    removed = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete:
            self.removed.emit()
        else:
            super().keyPressEvent(event)


class NotesPanel(QWidget):
    added = Signal()  # on the frame that is shown
    removed = Signal(object)  # Notes
    chosen = Signal(object)  # a Note: it is to be shown
    rewritten = Signal(object, object)  # a Note, and what it is now

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._status = Caption(Qt.AlignmentFlag.AlignLeft)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter")
        self.filter.setAccessibleName("Filter of the notes")
        self.filter.setToolTip("Only notes with these letters in their name, tag or text")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(150)
        self.add, self.delete = QPushButton("Add"), QPushButton("Delete")
        self.add.setToolTip("Write a note on this frame (Shift+B)")
        self.delete.setToolTip("Delete the chosen notes; Ctrl+Z brings them back")
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self._status, 1)
        for widget in (self.filter, self.add, self.delete):
            widget.setFixedHeight(self.fontMetrics().height() + 4)
            line.addWidget(widget)
        for button in (self.add, self.delete):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setStyleSheet("QPushButton { padding: 0 8px; }")
        self.table = NotesTable(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setFrameShape(QTableWidget.Shape.NoFrame)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.table.horizontalHeader().setHighlightSections(False)
        for column, width in enumerate((116, 110, 70)):
            self.table.setColumnWidth(column, width)
        self._empty = QLabel(EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(14, 8, 14, 8)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._empty)
        self.stack.addWidget(self.table)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.stack)
        self.setMinimumSize(180, 100)
        self._all: list[Note] = []
        self._start_ns = self._outside = 0
        self.shown: list[Note] = []  # those that the filter lets pass, in order
        self.filter.textChanged.connect(lambda _: self._fill())
        self.table.cellClicked.connect(lambda row, _: self.chosen.emit(self.shown[row]))
        self.table.itemChanged.connect(self._rewrite)
        self.table.removed.connect(self._remove)
        self.delete.clicked.connect(self._remove)
        self.add.clicked.connect(self.added)
        theme.changed.connect(self._dress)
        self._dress()
        self._fill()

    def set_notes(self, notes: Sequence[Note], start_ns: int, outside: int) -> None:
        """start_ns: the time stamp of the first frame. outside: how many are kept that lie outside of the recording."""
        self._all, self._start_ns, self._outside = list(notes), start_ns, outside
        self._fill()

    def select(self, note: Note, write: bool = False) -> None:
        """Choose a note's row, and write: begin to write its name."""
        if write and note not in self.shown:
            self.filter.clear()
        if note in self.shown:
            row = self.shown.index(note)
            self.table.setCurrentCell(row, 1)
            if write:
                self.table.setFocus()
                self.table.edit(self.table.model().index(row, 1))

    def _fill(self) -> None:
        """The cells that are there take new words: one of them may be in the user's hand."""
        wanted = self.filter.text().casefold().split()
        self.shown = [
            n for n in self._all if all(w in f"{n.name} {n.tag} {n.text}".casefold() for w in wanted)
        ]
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(self.shown))
            for row, note in enumerate(self.shown):
                for column, text in enumerate((self._time(note), note.name, note.tag, note.text)):
                    item = self.table.item(row, column)
                    if item is None:
                        item = QTableWidgetItem()
                        if column == 0:
                            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                        self.table.setItem(row, column, item)
                    item.setText(text)
                    item.setToolTip(self._frames(note) if column == 0 else text)
        self._empty.setText(NOTHING if self._all else EMPTY)
        self.stack.setCurrentIndex(1 if self.shown else 0)
        self.delete.setEnabled(bool(self.shown))
        total, count = len(self._all), len(self.shown)
        parts = [f"{self._outside} outside of this drive"] * bool(self._outside)
        parts += ["" if not total else f"{count}" if count == total else f"{count} of {total}"]
        self._status.set_text(", ".join(filter(None, parts)))

    @staticmethod
    def _frames(note: Note) -> str:
        return f"frames {note.frame} to {note.end}" if note.end > note.frame else f"frame {note.frame}"

    def _time(self, note: Note) -> str:
        first, last = ((ns - self._start_ns) / 1e9 for ns in (note.frame_ns or 0, note.end_ns or 0))
        return f"{clock(first)}–{clock(last)}" if note.end > note.frame else clock(first)

    def _rewrite(self, item: QTableWidgetItem) -> None:
        field = FIELDS[item.column()]
        if field and item.row() < len(self.shown):
            note = self.shown[item.row()]
            words = {name: getattr(note, name) for name in FIELDS[1:]} | {field: one_line(item.text())}
            self.rewritten.emit(note, replace(note, name=words["name"], tag=words["tag"], text=words["text"]))

    def _remove(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        if rows:
            self.removed.emit([self.shown[row] for row in sorted(rows)])

    def _dress(self) -> None:
        self._empty.setStyleSheet(f"color: {theme.colours().muted.name()};")
