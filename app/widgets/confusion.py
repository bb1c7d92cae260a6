"""A confusion matrix: how often a classifier takes one class for another, a row for each true class."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from vbp.app import theme
from vbp.readable import count

FEW = 12  # classes, of which all are shown
NAME = 130  # pixels of width of a class's name
FAINT, STRONG = 0.3, 0.6  # opacity of a cell: of one frame, and of all frames of its class

Cells = Mapping[tuple[int, int], int]


class ConfusionMatrix(QTableWidget):
    """Of more than FEW classes, those alone that are taken for another, or another for them."""

    wanted = Signal(int, int)  # the true and the predicted class of a cell that was chosen

    def __init__(self) -> None:
        super().__init__()
        self._cells: Cells = {}
        self._names: Mapping[int, str] = {}
        self._shown: list[int] = []
        self.setAccessibleName("Confusion matrix")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QTableWidget.Shape.NoFrame)
        self.setFont(theme.number_font())
        self._side = self.fontMetrics().height() + 4
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setMinimumSectionSize(10)
            header.setDefaultSectionSize(self._side)
            header.setHighlightSections(True)
        self.verticalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.verticalHeader().setTextElideMode(Qt.TextElideMode.ElideRight)
        self.verticalHeader().setMaximumWidth(NAME)
        self.cellClicked.connect(self._choose)
        self.cellActivated.connect(self._choose)
        theme.changed.connect(self._fill)

    def set_counts(self, cells: Cells, names: Mapping[int, str]) -> None:
        """cells: (true class, predicted class) -> frames. names: of every class in them."""
        if (cells, names) != (self._cells, self._names):
            self._cells, self._names = cells, names
            self._fill()

    def cell_of(self, true: int, predicted: int) -> QTableWidgetItem | None:
        """The cell of two classes; None where there is none."""
        if true not in self._shown or predicted not in self._shown:
            return None
        return self.item(self._shown.index(true), self._shown.index(predicted))

    def words(self, true: int, predicted: int) -> str:
        """A cell in words."""
        number = self._cells.get((true, predicted), 0)
        of = sum(n for (a, _), n in self._cells.items() if a == true)
        taken = "right" if true == predicted else f"taken for {self._names[predicted]}"
        return f"{self._names[true]}: {number} of {count(of, 'frame')} {taken}"

    def left_out(self) -> int:
        """How many classes are not shown, as nothing is wrong with them."""
        return len({k for cell in self._cells for k in cell}) - len(self._shown)

    def _fill(self) -> None:
        classes = sorted({k for cell in self._cells for k in cell})
        mixed = {k for a, b in self._cells if a != b for k in (a, b)}
        self._shown = classes if len(classes) <= FEW else [k for k in classes if k in mixed]
        self.clear()
        self.setRowCount(len(self._shown))
        self.setColumnCount(len(self._shown))
        widest = max((self.fontMetrics().horizontalAdvance(str(n)) for n in self._cells.values()), default=0)
        self.horizontalHeader().setDefaultSectionSize(max(self._side, widest) + 6)
        c = theme.colours()
        total = {a: 0 for a, _ in self._cells}
        for (a, _), n in self._cells.items():
            total[a] += n
        for row, a in enumerate(self._shown):
            head, top = QTableWidgetItem(f"{a}  {self._names[a]}"), QTableWidgetItem(str(a))
            head.setToolTip(f"True class: {self._names[a]}")
            top.setToolTip(f"Predicted class: {self._names[a]}")
            self.setVerticalHeaderItem(row, head)
            self.setHorizontalHeaderItem(row, top)
            for column, b in enumerate(self._shown):
                number = self._cells.get((a, b), 0)
                item = QTableWidgetItem(str(number) if number else "")
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                item.setToolTip(self.words(a, b) + ("\nClick: the next of them" if number else ""))
                if number:
                    shade = QColor(c.accent if a == b else c.error)
                    shade.setAlphaF(FAINT + (STRONG - FAINT) * number / total[a])
                    item.setBackground(shade)
                self.setItem(row, column, item)

    def _choose(self, row: int, column: int) -> None:
        a, b = self._shown[row], self._shown[column]
        if self._cells.get((a, b)):
            self.wanted.emit(a, b)
