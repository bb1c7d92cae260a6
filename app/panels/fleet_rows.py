"""The view of a fleet's findings: rows of one height, with a picture of the peak, of which only those in view are made."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QAbstractItemModel, QItemSelectionModel, Qt, QTimer, Signal
from PySide6.QtGui import QPaintEvent, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from vbp.app.panels.row_picture import RowPicture


class FleetRows(QTableView):
    """picture_of: the small picture of a row, None while there is none; whoever makes them hears of `seen`."""

    seen = Signal(int, int)  # the first and the last row in view; when others come into view
    chosen = Signal(int)  # a row was clicked, or Enter was hit on it
    order_wanted = Signal(int, bool)  # by which column, and whether the largest come first

    def __init__(self) -> None:
        super().__init__()
        self.picture_of: Callable[[int], QPixmap | None] = lambda row: None
        self._seen = (-1, -1)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._look)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        rows, head = self.verticalHeader(), self.horizontalHeader()
        rows.hide()
        height = 2 * self.fontMetrics().height() + 4
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # a million are not measured
        rows.setDefaultSectionSize(height)
        self.setItemDelegateForColumn(0, RowPicture(self, height - 4, lambda row: self.picture_of(row)))
        head.setResizeContentsPrecision(0)  # by the rows in view
        head.setStretchLastSection(True)
        head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        head.setHighlightSections(False)
        head.setSectionsClickable(True)
        head.setSortIndicatorShown(True)
        self.clicked.connect(lambda index: self.chosen.emit(index.row()))
        self.activated.connect(lambda index: self.chosen.emit(index.row()))

    def show_order(self, column: int, descending: bool) -> None:
        """In which order the rows are, without a word."""
        head = self.horizontalHeader()
        head.blockSignals(True)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        head.setSortIndicator(column, order)
        head.blockSignals(False)
        head.viewport().update()

    def setModel(self, model: QAbstractItemModel | None) -> None:
        super().setModel(model)
        head = self.horizontalHeader()
        head.sortIndicatorChanged.connect(
            lambda column, order: self.order_wanted.emit(column, order == Qt.SortOrder.DescendingOrder)
        )

    def select(self, row: int) -> None:
        """Choose it, without a word; -1: none."""
        if row < 0:
            self.clearSelection()
            return
        model, flag = self.model(), QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(
            model.index(row, 0), flag.ClearAndSelect | flag.Rows
        )  # which scrolls only where the row is near

    def show_chosen(self) -> None:
        self.scrollTo(self.currentIndex())

    def forget_seen(self) -> None:
        """There are other rows."""
        self._seen = (-1, -1)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        self._soon.start()  # whatever brought other rows into view: they are painted

    def _look(self) -> None:
        model = self.model()
        count = model.rowCount() if model is not None else 0
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        seen = (max(first, 0), count - 1 if last < 0 else last)
        if count and seen != self._seen:
            self._seen = seen
            self.seen.emit(*seen)
