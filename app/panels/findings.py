"""Findings: the moments of the recording that are worth looking at, as a table to sort, to filter and to step through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.finding_rows import VERDICTS, FindingRows, texts
from vbp.app.panels.title import Caption
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.confusion import ConfusionMatrix
from vbp.classes import ClassScores
from vbp.findings.finding import Finding
from vbp.findings.kinds import KINDS

EMPTY = (
    "The moments of this drive that are worth looking at appear here: large errors, steps, weak masks, wrong labels. "
    "Predict the whole drive (P), or look through it with its masks."
)
ALL, KINDS_TIP = "All kinds", "Only the findings of one kind"
WITH_FILTER = 480  # pixels of width, from which on the title has room for words to filter by


class FindingsPanel(QWidget):
    asked = Signal()  # to look through the drive
    cancelled = Signal()
    chosen = Signal(object)  # a Finding: its peak is to be shown
    part_wanted = Signal(object)  # a Finding: A and B are to be set to it
    verdict_given = Signal(object, str)  # a Finding; "" takes it back
    note_wanted = Signal(object)  # a Finding
    table_wanted = Signal()  # as a CSV
    reel_wanted = Signal()
    threshold_wanted = Signal()  # another one for errors
    cell_wanted = Signal(int, int)  # a frame of this true class that is taken for that one is to be shown
    filtered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._status = Caption(Qt.AlignmentFlag.AlignLeft)
        self.kinds = ComboBox()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Filter")
        self.search.setToolTip("Only the findings in whose row this stands")
        self.search.setClearButtonEnabled(True)
        self.menu = QMenu(self)
        self.ignored = self.menu.addAction("Show ignored ones")
        self.ignored.setCheckable(True)
        self.threshold_action = self.menu.addAction("Threshold for errors…")
        self.threshold_action.setToolTip(
            "From how many degrees on an error is found, instead of what fits the drive"
        )
        self.table_action = self.menu.addAction("Save as a table…")
        self.reel_action = self.menu.addAction("Make a reel…")
        self.reel_action.setToolTip(
            "One clip of the chosen findings, or of all in the table, a title before each"
        )
        self.more = QPushButton("⋯")
        self.more.setToolTip("Verdicts, a note, ignored findings, the threshold for errors, a table, a reel")
        self.more.setAccessibleName("More")
        self.part = QPushButton("Set A–B")
        self.part.setToolTip("The part to repeat is the chosen finding")
        self.button = QPushButton("Look through")
        self.button.setToolTip("Run the network over the whole drive, with its masks")
        self.matrix_button = QPushButton()
        self.matrix_button.setCheckable(True)
        self.matrix_button.setToolTip(
            "How often one class is taken for another, instead of the findings: a click on a number goes to the next of "
            "those frames. Rows are the true classes, columns the predicted ones; from A to B where that is set"
        )
        for button in (self.part, self.button, self.more, self.matrix_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setStyleSheet("QPushButton { padding: 0 8px; }")
        for widget in (self.search, self.kinds, self.part, self.button, self.more, self.matrix_button):
            widget.setFixedHeight(self.fontMetrics().height() + 4)
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self._status, 1)
        for widget in (self.search, self.kinds, self.part, self.button, self.more):
            line.addWidget(widget)
        self.search.setMaximumWidth(110)
        self.table = FindingRows()
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
        self.matrix = ConfusionMatrix()
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 0, 6, 2)
        foot.addWidget(self.figures, 1)
        foot.addWidget(self.matrix_button)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._empty)
        self.stack.addWidget(self.table)
        self.stack.addWidget(self.matrix)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.stack, 1)
        outer.addLayout(foot)
        self.setMinimumSize(180, 100)
        self._all: list[Finding] = []
        self._shown: list[Finding] = []
        self._verdicts: Mapping[str, str] = {}
        self._working = self._partly = False  # partly: not all kinds were looked for
        self._from = ""  # what errors reach, where that was chosen
        self.search.textChanged.connect(lambda _: self._fill())
        self.ignored.toggled.connect(lambda _: self._fill())
        self.threshold_action.triggered.connect(lambda _: self.threshold_wanted.emit())
        self.table_action.triggered.connect(lambda _: self.table_wanted.emit())
        self.reel_action.triggered.connect(lambda _: self.reel_wanted.emit())
        self._judging = [
            self.menu.addAction(text, lambda word=word: self._judge(word))
            for word, text in (*((w, w.capitalize()) for w in VERDICTS), ("", "No verdict"))
        ]
        self.note_action = self.menu.addAction("Write a note on it")
        self.note_action.triggered.connect(lambda _: self.note_wanted.emit(self.table.chosen_rows[0]))
        self.menu.insertSeparator(self._judging[0])
        self.menu.insertAction(self.ignored, self.note_action)
        self.menu.insertSeparator(self.ignored)
        self.more.clicked.connect(
            lambda: self._ask_menu(self.more.mapToGlobal(self.more.rect().bottomLeft()))
        )
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(
            lambda at: self._ask_menu(self.table.viewport().mapToGlobal(at))
        )
        self.table.cellClicked.connect(self._choose)
        self.table.cellActivated.connect(self._choose)
        self.matrix.wanted.connect(self.cell_wanted)
        self.matrix_button.toggled.connect(lambda _: self._turn())
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
        self._partly = bool(left_out)
        for widget in (self.table, self.kinds):
            widget.setToolTip("\n".join(filter(None, (KINDS_TIP * (widget is self.kinds), left_out))))
        self._fill()
        self.set_working(None)

    def set_threshold(self, text: str) -> None:
        """What errors must reach to be found, in words; "" for what fits the drive."""
        self._from = text
        self._status.set_text(self._count())

    def set_verdicts(self, verdicts: Mapping[str, str]) -> None:
        """By `Finding.key`."""
        self._verdicts = verdicts
        self._fill()

    def set_working(self, share: float | None, left: str = "") -> None:
        """How much of the drive was looked through, 0 to 1; None while nothing is done. left: how long it takes, in words."""
        self._working = share is not None
        self.button.setText("Cancel" if self._working else "Look through")
        self._status.set_text(
            f"{100 * share:.0f} %{left and ', '}{left}" if share is not None else self._count()
        )

    def set_figures(
        self,
        lines: Sequence[str],
        scores: ClassScores | None = None,
        name: Callable[[int], str] = str,
    ) -> None:
        """How well what was predicted fits, of the drive and of A to B. scores, name: of a classifier, for its matrix."""
        cells = scores.cells if scores is not None else {}
        self.matrix.set_counts(cells, {k: name(k) for cell in cells for k in cell})
        self.matrix_button.setVisible(bool(cells))
        self.figures.setText("\n".join(lines))
        self.figures.setVisible(bool(lines))
        self._turn()

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
    def found(self) -> list[Finding]:
        """All, the heaviest first."""
        return self._all

    @property
    def rows(self) -> list[Finding]:
        """Those in the table, in its order."""
        rows = (self.table.of_row(row) for row in range(self.table.rowCount()))
        return [finding for finding in rows if finding is not None]

    @property
    def for_reel(self) -> list[Finding]:
        """Several that are selected, or else all in the table, in its order."""
        chosen = self.table.chosen_rows
        return chosen if len(chosen) > 1 else self.rows

    @property
    def shown(self) -> list[Finding]:
        """Those in the table, in the order of time."""
        return sorted(self._shown, key=lambda f: f.start)

    def _count(self) -> str:
        total, shown = len(self._all), len(self._shown)
        known = f"{total} found" if shown == total else f"{shown} of {total}"
        words = [known, *["not all kinds"] * self._partly, *[f"errors from {self._from}"] * bool(self._from)]
        return ", ".join(words) if total or self._from else ""

    def _fill(self) -> None:
        name, text = self.kinds.currentData() or "", self.search.text().strip().casefold()
        self._shown = [
            f
            for f in self._all
            if (not name or name in (f.kind, *f.also))
            and (self.ignored.isChecked() or self._verdicts.get(f.key) != "ignored")
            and (not text or text in self._words(f).casefold())
        ]
        self.table.fill(self._shown, self._start_ns, self._verdicts)
        self._turn()
        self._status.set_text(self._count())
        self.filtered.emit()

    def _turn(self) -> None:
        """The findings, the matrix, or that there is nothing."""
        matrix = self.matrix_button.isChecked() and self.matrix.rowCount() > 0
        self.matrix_button.setText("Findings" if matrix else "Confusion matrix")
        self.stack.setCurrentIndex(2 if matrix else 1 if self._shown else 0)
        self.part.setEnabled(bool(self._shown) and not matrix)

    def _words(self, f: Finding) -> str:
        row = texts(f, self._start_ns, self._verdicts)
        return " ".join((*row, *(KINDS[k].title for k in f.also)))

    def _ask_menu(self, at: QPoint) -> None:
        for action in self._judging:
            action.setEnabled(bool(self.table.chosen_rows))
        self.note_action.setEnabled(len(self.table.chosen_rows) == 1)
        count = len(self.for_reel)
        whose = f"the {count} chosen" if 1 < count == len(self.table.chosen_rows) else f"all {count}"
        self.reel_action.setText(f"Make a reel of {whose}…" if count > 1 else "Make a reel…")
        for action in (self.table_action, self.reel_action):
            action.setEnabled(bool(self._shown))
        self.menu.popup(at)

    def _judge(self, word: str) -> None:
        for finding in self.table.chosen_rows:
            self.verdict_given.emit(finding, word)

    def _choose(self, row: int, _: int = 0) -> None:
        if (finding := self.table.of_row(row)) is not None:
            self.chosen.emit(finding)

    def _want_part(self) -> None:
        finding = self.table.chosen or self.table.of_row(0)
        if finding is not None:
            self.part_wanted.emit(finding)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.search.setVisible(self.width() >= WITH_FILTER or bool(self.search.text()))

    def _dress(self) -> None:
        muted = f"color: {theme.colours().muted.name()};"
        self._empty.setStyleSheet(muted)
        self.figures.setStyleSheet(muted)
