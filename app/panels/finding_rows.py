"""The rows of the findings' panel: a picture of the peak, and what is known of it, to sort by any column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QItemSelectionModel, Qt, QTimer, Signal
from PySide6.QtGui import QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from vbp.app.panels.row_picture import RowPicture
from vbp.findings.finding import Finding
from vbp.findings.kinds import KINDS
from vbp.findings.table import core_words, peak_words
from vbp.readable import clock, how_long

COLUMNS = ("Kind", "Start", "Length", "At its peak", "Frame", "Weight", "Verdict")
WEIGHT, VERDICT = 5, 6
NUMBERS = (1, 2, 4, 5)  # columns
VERDICTS = {"real": "real fault", "known": "known already", "ignored": "ignored: hidden"}


class FindingRows(QTableWidget):
    """picture_of: the small picture of a frame, None while there is none; whoever makes them hears of `seen`."""

    seen = Signal(tuple)  # the peaks of the rows in view, the upper first; when others come into view

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.picture_of: Callable[[int], QPixmap | None] = lambda frame: None
        self._found: list[Finding] = []
        self._start_ns = 0
        self._verdicts: Mapping[str, str] = {}
        self._seen: tuple[int, ...] = ()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._look)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._keep_in_view)
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setFrameShape(QTableWidget.Shape.NoFrame)
        self.verticalHeader().hide()
        height = 2 * self.fontMetrics().height() + 4
        self.verticalHeader().setDefaultSectionSize(height)
        self.setItemDelegateForColumn(0, RowPicture(self, height - 4, self._picture))
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().moveSection(VERDICT, 1)  # the last ones are out of view in a narrow panel
        self.setSortingEnabled(True)
        self.sortByColumn(WEIGHT, Qt.SortOrder.DescendingOrder)

    def fill(self, found: Sequence[Finding], start_ns: int, verdicts: Mapping[str, str]) -> None:
        """start_ns: the time stamp of the recording's first frame. verdicts: by `Finding.key`. Chosen ones stay so."""
        chosen = {f.key for f in self.chosen_rows}
        self.setColumnHidden(VERDICT, not any(f.key in verdicts for f in found))
        self.setRowCount(0)  # first: Qt asks for the pictures of the rows meanwhile
        self._found, self._start_ns, self._verdicts = list(found), start_ns, verdicts
        self._seen = ()
        self.setSortingEnabled(False)
        self.setRowCount(len(found))
        for row, f in enumerate(found):
            numbers = (list(KINDS).index(f.kind), f.start, f.seconds, abs(f.value), f.peak, f.weight)
            said = list(VERDICTS).index(verdicts[f.key]) if f.key in verdicts else len(VERDICTS)
            cells = zip(texts(f, start_ns, verdicts), (*numbers, said), strict=True)
            also, cores = ", ".join(KINDS[k].title for k in f.also), core_words(f)
            tip = [KINDS[f.kind].meaning, *[f"also: {also}"] * bool(also)]
            for column, (text, number) in enumerate(cells):
                cell = Cell(text, float(number), row)
                cell.setToolTip("\n".join([*tip, *[f"worst in frames {cores}"] * bool(cores)]))
                if column in NUMBERS:
                    cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, cell)
        self.setSortingEnabled(True)
        self._select_again(chosen)

    def _select_again(self, keys: set[str]) -> None:
        found = ((row, self.of_row(row)) for row in range(self.rowCount()))
        rows = [row for row, f in found if f is not None and f.key in keys]
        self.clearSelection()
        model, flag = self.selectionModel(), QItemSelectionModel.SelectionFlag
        for row in rows:  # not by `selectRow`, which asks which keys are held
            model.select(self.model().index(row, 0), flag.Select | flag.Rows)
        if rows:
            model.setCurrentIndex(self.model().index(rows[0], 0), flag.NoUpdate)

    def show_picture(self, frame: int) -> None:
        """The picture of a frame was made."""
        if frame in self._seen:
            self.viewport().update()

    def _picture(self, row: int) -> QPixmap | None:
        finding = self.of_row(row)
        return self.picture_of(finding.peak) if finding is not None else None

    def of_row(self, row: int) -> Finding | None:
        """None where there is no such row."""
        item = self.item(row, 0)
        return self._found[item.data(Qt.ItemDataRole.UserRole)] if item is not None else None

    @property
    def chosen(self) -> Finding | None:
        return self.of_row(self.currentRow())

    @property
    def chosen_rows(self) -> list[Finding]:
        """Those that are selected, in the table's order."""
        rows = sorted({index.row() for index in self.selectedIndexes()})
        return [finding for row in rows if (finding := self.of_row(row)) is not None]

    def select(self, finding: Finding) -> None:
        """Choose its row, without a word."""
        for row in range(self.rowCount()):
            if (there := self.of_row(row)) is not None and there.key == finding.key:
                self.selectRow(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        head = (
            self.horizontalHeader()
        )  # which gives its last column 100 pixels where there are not so many left
        head.resizeSection(VERDICT, head.sectionSizeHint(VERDICT))
        self._later.start()  # when the scroll bars know of it, too

    def _keep_in_view(self) -> None:
        """The chosen row was, and a lower panel must not hide it."""
        if self.chosen_rows:
            self.scrollTo(self.currentIndex())

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        self._soon.start()  # whatever brought other rows into view: they are painted

    def _look(self) -> None:
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        last = self.rowCount() - 1 if last < 0 else last
        rows = (self.of_row(row) for row in range(max(first, 0), last + 1))
        peaks = tuple(f.peak for f in rows if f is not None)
        if peaks != self._seen:
            self._seen = peaks
            self.seen.emit(peaks)


class Cell(QTableWidgetItem):
    """Sorted by its number, not by its words."""

    def __init__(self, text: str, number: float, row: int) -> None:
        super().__init__(text)
        self.number = number
        self.setData(Qt.ItemDataRole.UserRole, row)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return self.number < other.number if isinstance(other, Cell) else super().__lt__(other)


def texts(f: Finding, start_ns: int, verdicts: Mapping[str, str]) -> tuple[str, ...]:
    """A row's, by column."""
    start = clock((f.start_ns - start_ns) / 1e9)
    words = KINDS[f.kind].title, start, how_long(f.seconds), peak_words(f), str(f.peak)
    return (*words, f"{f.weight:.2f}", verdicts.get(f.key, ""))
