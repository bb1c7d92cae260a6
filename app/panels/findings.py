"""Findings: the moments of the recording that are worth looking at, as a table to sort, to filter and to step through."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.title import Caption
from vbp.app.widgets.boxes import ComboBox
from vbp.findings.finding import Finding
from vbp.findings.kinds import KINDS
from vbp.findings.table import peak_words
from vbp.readable import clock, how_long

EMPTY = (
    "The moments of this drive that are worth looking at appear here: large errors, steps, weak masks, wrong labels. "
    "Predict the whole drive (P), or look through it with its masks."
)
ALL = "All kinds"
COLUMNS = ("Kind", "Start", "Length", "At its peak", "Frame", "Weight")
WEIGHT = len(COLUMNS) - 1


class Cell(QTableWidgetItem):
    """Sorted by its number, not by its words."""

    def __init__(self, text: str, number: float, row: int) -> None:
        super().__init__(text)
        self.number = number
        self.setData(Qt.ItemDataRole.UserRole, row)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return self.number < other.number if isinstance(other, Cell) else super().__lt__(other)


class FindingsPanel(QWidget):
    asked = Signal()  # to look through the drive
    cancelled = Signal()
    chosen = Signal(object)  # a Finding: its peak is to be shown
    part_wanted = Signal(object)  # a Finding: A and B are to be set to it
    filtered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._status = Caption(Qt.AlignmentFlag.AlignLeft)
        self.kinds = ComboBox()
        self.kinds.setToolTip("Only the findings of one kind")
        self.part = QPushButton("Set A–B")
        self.part.setToolTip("The part to repeat is the chosen finding")
        self.button = QPushButton("Look through")
        self.button.setToolTip("Run the network over the whole drive, with its masks")
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self._status, 1)
        for widget in (self.kinds, self.part, self.button):
            widget.setFixedHeight(self.fontMetrics().height() + 4)
            line.addWidget(widget)
        for button in (self.part, self.button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setStyleSheet("QPushButton { padding: 0 8px; }")
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setShowGrid(False)
        self.table.setFrameShape(QTableWidget.Shape.NoFrame)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(WEIGHT, Qt.SortOrder.DescendingOrder)
        self._empty = QLabel(EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(14, 8, 14, 8)
        self.figures = QLabel()
        self.figures.setTextFormat(Qt.TextFormat.PlainText)
        self.figures.setWordWrap(True)
        self.figures.setContentsMargins(8, 2, 8, 4)
        self.figures.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.figures.hide()
        self.stack = QStackedWidget()
        self.stack.addWidget(self._empty)
        self.stack.addWidget(self.table)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.stack, 1)
        outer.addWidget(self.figures)
        self.setMinimumSize(180, 100)
        self._all: list[Finding] = []
        self._shown: list[Finding] = []
        self._working = False
        self.table.cellClicked.connect(self._choose)
        self.table.cellActivated.connect(self._choose)
        self.kinds.activated.connect(lambda _: self._fill())
        self.button.clicked.connect(lambda: (self.cancelled if self._working else self.asked).emit())
        self.part.clicked.connect(self._want_part)
        theme.changed.connect(self._dress)
        self._dress()
        self.clear()

    # What is told to it.

    def set_findings(self, found: Sequence[Finding], start_ns: int, left_out: str = "") -> None:
        """start_ns: the time stamp of the recording's first frame. left_out: what was not looked for, and why."""
        self._all, self._start_ns = list(found), start_ns
        kept = self.kinds.currentData()
        self.kinds.clear()
        self.kinds.addItem(ALL, "")
        for name in dict.fromkeys(k for f in found for k in (f.kind, *f.also)):
            self.kinds.addItem(KINDS[name].title, name)
        self.kinds.setCurrentIndex(max(0, self.kinds.findData(kept)))
        self._empty.setText("Nothing was found" + (f"; {left_out}" if left_out else ""))
        self.table.setToolTip(left_out)
        self._fill()
        self.set_working(None)

    def set_working(self, share: float | None) -> None:
        """How much of the drive was looked through, 0 to 1; None while nothing is done."""
        self._working = share is not None
        self.button.setText("Cancel" if self._working else "Look through")
        self._status.set_text(f"{100 * share:.0f} %" if share is not None else self._count())

    def set_figures(self, lines: Sequence[str]) -> None:
        """How well what was predicted fits, of the drive and of A to B."""
        self.figures.setText("\n".join(lines))
        self.figures.setVisible(bool(lines))

    def set_trouble(self, text: str) -> None:
        self.clear()
        self._empty.setText(text)

    def clear(self) -> None:
        self.set_findings([], 0)
        self._empty.setText(EMPTY)
        self._status.set_text("")
        self.set_figures([])

    # What is asked of it.

    @property
    def shown(self) -> list[Finding]:
        """Those of the chosen kind, in the order of time."""
        return sorted(self._shown, key=lambda f: f.start)

    def select(self, finding: Finding) -> None:
        """Choose its row, without a word."""
        for row in range(self.table.rowCount()):
            if self._of_row(row) is finding:
                self.table.selectRow(row)

    def _count(self) -> str:
        total, shown = len(self._all), len(self._shown)
        return "" if not total else f"{total} found" if shown == total else f"{shown} of {total}"

    def _fill(self) -> None:
        name = self.kinds.currentData() or ""
        self._shown = [f for f in self._all if not name or name in (f.kind, *f.also)]
        self.table.setSortingEnabled(False)
        self.table.setRowCount(len(self._shown))
        for row, f in enumerate(self._shown):
            cells = (
                (KINDS[f.kind].title, list(KINDS).index(f.kind)),
                (clock((f.start_ns - self._start_ns) / 1e9), f.start),
                (how_long(f.seconds), f.seconds),
                (peak_words(f), abs(f.value)),
                (str(f.peak), f.peak),
                (f"{f.weight:.2f}", f.weight),
            )
            for column, (text, number) in enumerate(cells):
                cell = Cell(text, float(number), row)
                also = ", ".join(KINDS[k].title for k in f.also)
                cell.setToolTip(KINDS[f.kind].meaning + (f"; also: {also}" if also else ""))
                if column in (1, 2, 4, 5):
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, cell)
        self.table.setSortingEnabled(True)
        self.stack.setCurrentIndex(1 if self._shown else 0)
        self.part.setEnabled(bool(self._shown))
        self._status.set_text(self._count())
        self.filtered.emit()

    def _of_row(self, row: int) -> Finding | None:
        item = self.table.item(row, 0)
        return self._shown[item.data(Qt.ItemDataRole.UserRole)] if item is not None else None

    def _choose(self, row: int, _: int = 0) -> None:
        if (finding := self._of_row(row)) is not None:
            self.chosen.emit(finding)

    def _want_part(self) -> None:
        finding = self._of_row(max(0, self.table.currentRow()))
        if finding is not None:
            self.part_wanted.emit(finding)

    def _dress(self) -> None:
        muted = f"color: {theme.colours().muted.name()};"
        self._empty.setStyleSheet(muted)
        self.figures.setStyleSheet(muted)
