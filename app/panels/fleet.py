"""Fleet: the findings of all drives of an indexed fleet, to sort, to filter by SQL and to step through; and its errors."""

from __future__ import annotations

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
from vbp.app.panels.fleet_rows import FleetRows
from vbp.app.panels.title import Caption
from vbp.app.widgets.bars import Bars

EMPTY = "The findings of all drives that vbp index went through appear here. Open the folder that it wrote."
CONDITION = "Condition, such as: abs(error_deg) > 8 AND speed_mps > 10"
WITH_BARS = 210  # pixels of height of the panel, from which on there is room for the errors below the rows


class FleetPanel(QWidget):
    open_wanted = Signal()
    condition_given = Signal(str)  # "" for all findings
    like_wanted = Signal(int)  # a row: what is most like it is to be shown
    back_wanted = Signal()  # from what is like one to all findings

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._status = Caption(Qt.AlignmentFlag.AlignLeft)
        self.back = QPushButton("All findings")
        self.back.setToolTip("Back from what is like one moment to the findings of all drives")
        self.back.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.back.setStyleSheet("QPushButton { padding: 0 8px; }")
        self.back.setFixedHeight(self.fontMetrics().height() + 4)
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self._status, 1)
        line.addWidget(self.back)
        self.condition = QLineEdit()
        self.condition.setPlaceholderText(CONDITION)
        self.condition.setToolTip(
            "Only the findings for which this holds, in SQL, as vbp find takes it; Enter asks. Columns: kind, value, weight, seconds, "
            "error_deg, speed_mps, curvature, driven_deg, predicted_deg, mask_strength, drive, peak_frame, …"
        )
        self.condition.setClearButtonEnabled(True)
        self.condition.setAccessibleName("Condition")
        self._trouble = QLabel()
        self._trouble.setTextFormat(Qt.TextFormat.PlainText)
        self._trouble.setWordWrap(True)
        self._trouble.setContentsMargins(8, 2, 8, 2)
        self.table = FleetRows()
        self._empty = QLabel(EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self.button = QPushButton("Open a fleet…")
        first = QWidget()
        middle = QVBoxLayout(first)
        middle.setContentsMargins(14, 8, 14, 8)
        middle.addStretch(1)
        middle.addWidget(self._empty)
        middle.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        middle.addStretch(1)
        self.stack = QStackedWidget()
        self.stack.addWidget(first)
        self.stack.addWidget(self.table)
        self.speed, self.curvature = Bars(), Bars()
        self._bars = QWidget()
        beside = QHBoxLayout(self._bars)
        beside.setContentsMargins(0, 2, 0, 2)
        beside.setSpacing(8)
        for bars in (self.speed, self.curvature):
            beside.addWidget(bars, 1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        top = QHBoxLayout()
        top.setContentsMargins(6, 3, 6, 3)
        top.addWidget(self.condition)
        outer.addLayout(top)
        outer.addWidget(self._trouble)
        outer.addWidget(self.stack, 1)
        outer.addWidget(self._bars)
        self.setMinimumSize(180, 100)
        self.menu = QMenu(self)
        self.like_action = self.menu.addAction("More like this")
        self.like_action.setToolTip("The moments of all drives that are most like this one to the network")
        self.like_action.triggered.connect(lambda _: self.like_wanted.emit(self._row()))
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._ask_menu)
        self.condition.returnPressed.connect(lambda: self._give(self.condition.text()))
        self.condition.textChanged.connect(
            lambda text: None if text else self._give("")
        )  # by its button, too
        self.button.clicked.connect(self.open_wanted)
        self.back.clicked.connect(self.back_wanted)
        self._asked = ""  # the condition that was given last
        theme.changed.connect(self._dress)
        self._dress()
        self.clear()

    def clear(self) -> None:
        """No fleet is open."""
        self._asked = ""
        self.condition.clear()
        self.condition.setEnabled(False)
        self.back.hide()
        self._status.set_text("")
        self.set_trouble("")
        self._empty.setText(EMPTY)
        self.button.show()
        self.stack.setCurrentIndex(0)
        for bars in (self.speed, self.curvature):
            bars.set_bars("", (), "", ())
        self._place_bars()

    def set_opening(self, name: str) -> None:
        self.clear()
        self._empty.setText(f"Opening {name} …")
        self.button.hide()

    def set_open(self) -> None:
        self.condition.setEnabled(True)

    def set_status(self, text: str, alike: bool = False) -> None:
        """alike: what is shown is like one moment, and not all findings."""
        self._status.set_text(text)
        self.back.setVisible(alike)

    def set_found(self, some: bool) -> None:
        """Whether there are rows."""
        self._empty.setText("Nothing was found")
        self.button.hide()
        self.stack.setCurrentIndex(1 if some else 0)

    def set_trouble(self, text: str) -> None:
        """What is wrong with what was asked for, in one sentence; "" for nothing."""
        self._trouble.setText(text)
        self._trouble.setVisible(bool(text))

    @property
    def trouble(self) -> str:
        return self._trouble.text()

    @property
    def status(self) -> str:
        return self._status.text()

    def ask(self, condition: str) -> None:
        """As if it had been typed."""
        self.condition.setText(condition)
        self._give(condition)

    def _give(self, condition: str) -> None:
        if condition.strip() != self._asked or self.trouble:
            self._asked = condition.strip()
            self.condition_given.emit(self._asked)

    def _row(self) -> int:
        return self.table.currentIndex().row()

    def _ask_menu(self, at: QPoint) -> None:
        if self._row() >= 0:
            self.menu.popup(self.table.viewport().mapToGlobal(at))

    def _place_bars(self) -> None:
        self._bars.setVisible(self.height() >= WITH_BARS and bool(self.speed.bars or self.curvature.bars))

    def show_errors(self) -> None:
        """There are bars now."""
        self._place_bars()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_bars()

    def _dress(self) -> None:
        c = theme.colours()
        self._empty.setStyleSheet(f"color: {c.muted.name()};")
        self._trouble.setStyleSheet(f"color: {c.warning.name()};")
