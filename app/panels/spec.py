"""The form of a network's specification: what the network gets of a picture, and what its output means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy import uint8
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from vbp.app import theme
from vbp.app.panels import spec_words as words
from vbp.app.panels.spec_fields import SpecFields
from vbp.app.widgets.input_view import InputView
from vbp.models.spec import NetworkSpec
from vbp.overlay import Rect

if TYPE_CHECKING:
    from vbp.models.assume import Output

NO_NETWORK = "Open a network to see what it gets of a picture"
FIT = "Fit to this drive"
LOWEST, HIGHEST = 96, 240  # pixels of what the network gets


class SpecPanel(QWidget):
    """`changed` carries the NetworkSpec that the form says now; where it says none, `error` has the reason."""

    changed = Signal(object)
    crop_wanted = Signal(bool)  # to be drawn over the picture, or no longer
    fit_wanted = Signal()
    fit_cancelled = Signal()
    undone = Signal()
    was_reset = Signal()
    saved = Signal()
    saved_elsewhere = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._blocked = ""
        self.view = InputView()
        self.view.clear(NO_NETWORK)
        self.about = _label()
        self.fields = SpecFields((self.view, self.about))
        self._make_footer()
        box = QVBoxLayout(self)
        box.setContentsMargins(8, 6, 8, 8)
        box.setSpacing(6)
        box.addWidget(self.fields, 1)
        box.addLayout(self.footer)
        self.setMinimumSize(270, 200)
        self.fields.changed.connect(self.changed)
        self.fields.wrong.connect(self.say_error)
        self.fields.crop_wanted.connect(self.crop_wanted)
        theme.changed.connect(self._dress)
        self._dress()
        self._enable()

    def _make_footer(self) -> None:
        self.error, self.question, self.verdict = _label(), _label(), _label()
        self.figure, self.figure_of = QLabel("–"), _label()
        font = theme.number_font()
        font.setPointSizeF(font.pointSizeF() * 1.7)
        font.setBold(True)
        self.figure.setFont(font)
        self.figure.setAccessibleName("Correlation with the driver")
        self.figure.setMinimumWidth(self.figure.fontMetrics().horizontalAdvance("+0.00") + 4)
        self.fit = QPushButton(FIT)
        self.fit.setToolTip(
            "Try colours, ranges, crops and signs on the drive's labelled frames, and fill in what fits best"
        )
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(4)
        self.progress.hide()
        self.undo, self.reset = QPushButton("Undo"), QPushButton("Reset")
        self.undo.setToolTip("Take back the last change")
        self.reset.setToolTip("Back to what the network was opened with")
        self.save = QPushButton("Save")
        self.elsewhere = QPushButton("Save elsewhere…")
        self.elsewhere.hide()
        figures = QHBoxLayout()
        figures.setSpacing(8)
        figures.addWidget(self.figure)
        figures.addWidget(self.figure_of, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.fit, self.undo, self.reset, self.save):
            button.setStyleSheet("QPushButton { padding: 3px 8px; }")
            buttons.addWidget(button, int(button is self.fit))
        self.footer = QVBoxLayout()
        self.footer.setSpacing(4)
        self.footer.addLayout(figures)
        for part in (self.error, self.verdict, self.question, self.elsewhere, self.progress):
            self.footer.addWidget(part)
        self.footer.addLayout(buttons)
        self.fit.clicked.connect(self._fit_clicked)
        self.undo.clicked.connect(self.undone)
        self.reset.clicked.connect(self.was_reset)
        self.save.clicked.connect(self.saved)
        self.elsewhere.clicked.connect(self.saved_elsewhere)

    def set_network(self, outputs: Sequence[Output], blocked: str, open_size: bool = False) -> None:
        """outputs: what the network calls them. blocked: why its specification cannot be saved. open_size: it takes any size."""
        self._blocked = blocked
        self.fields.set_network(outputs, open_size)
        self.say_verdict("")
        self.ask("")

    def set_spec(self, spec: NetworkSpec, can_undo: bool, is_changed: bool) -> None:
        """What the form shows; nothing is sent."""
        self.fields.set_spec(spec)
        text = f"{spec.name}: {spec.input_height}×{spec.input_width} {words.colour(spec)}, {words.range_words(spec)}"
        if spec.resizes_first:
            text += ", scaled before the crop"
        if spec.blur:
            text += f", blurred over {spec.blur}×{spec.blur}"
        _say(self.about, text)
        self.undo.setEnabled(can_undo)
        self.reset.setEnabled(is_changed)
        self.say_error("")

    def set_picture(self, size: tuple[int, int], rect: Rect) -> None:
        """Of the picture on the screen, (width, height), and what the network sees of it."""
        self.fields.set_picture(size, rect)

    def set_input(
        self, shown: NDArray[uint8], channels: Sequence[NDArray[uint8]], names: Sequence[str]
    ) -> None:
        """As InputView has it."""
        self.view.set_input(shown, channels, names)

    def say_error(self, text: str) -> None:
        """Why the form says no specification; "" where it does."""
        _say(self.error, text)
        self._enable()

    def say_agreement(self, figure: str, of: str) -> None:
        self.figure.setText(figure)
        self.figure_of.setText(of)

    def say_verdict(self, text: str) -> None:
        """What the search came to."""
        _say(self.verdict, text)

    def say_fitting(self, share: float | None) -> None:
        """How much of the search is done; None: there is none."""
        self.progress.setVisible(share is not None)
        self.progress.setValue(round(1000 * (share or 0.0)))
        self.fit.setText(FIT if share is None else f"Cancel ({100 * share:.0f} %)")

    def ask(self, text: str, save: str = "Save") -> None:
        """Before something is replaced, or where it cannot be written: what `Save` would do then."""
        _say(self.question, text)
        self.elsewhere.setVisible(bool(text))
        self.save.setText(save)

    def _fit_clicked(self) -> None:
        (self.fit_cancelled if self.progress.isVisible() else self.fit_wanted).emit()

    def _enable(self) -> None:
        known = self.fields.spec is not None
        self.save.setEnabled(known and not self._blocked and not self.error.text())
        self.save.setToolTip(self._blocked or "Write the specification to a TOML file beside the network")
        self.fit.setEnabled(known)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.view.setFixedHeight(min(max(LOWEST, self.height() // 5), HIGHEST))

    def _dress(self) -> None:
        c = theme.colours()
        self.error.setStyleSheet(f"color: {c.error.name()};")
        for label in (self.about, self.figure_of):
            label.setStyleSheet(f"color: {c.muted.name()};")


def _label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.hide()
    return label


def _say(label: QLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))
