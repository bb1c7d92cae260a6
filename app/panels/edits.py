"""Erase and watch: tools to change the picture, and what that does to the prediction."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.widgets.baseline_plot import BaselinePlot
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.edit_canvas import BOX, BRUSH, LARGEST, SMALLEST
from vbp.app.widgets.undo_keys import UndoKeys
from vbp.edits.edit import ADJUSTMENTS, FILLS
from vbp.readable import UNKNOWN, signed

SHARES = (5, 10, 15)  # per cent of what the network sees
# kind -> (the slider's ends, steps in one of the edit's units, the unit)
SLIDERS: dict[str, tuple[int, int, float, str]] = {
    "brightness": (-128, 128, 1, ""),
    "contrast": (0, 200, 100, " %"),
    "blur": (0, 100, 10, " px"),
    "noise": (0, 64, 1, ""),
    "shift": (-100, 100, 1, " px"),
    "roll": (-200, 200, 10, "°"),
}
TIPS = {
    "brightness": "Grey levels added to the picture",
    "contrast": "Times the distance to mid-grey",
    "blur": "Blur of the whole picture: its sigma in pixels",
    "noise": "Noise: its standard deviation in grey levels",
    "shift": "Pixels sideways, to the right",
    "roll": "Degrees round the middle, counter-clockwise",
}
EMPTY = "Erase something in the picture with the brush or the rectangle, and watch the prediction."
WARNING = "An edited picture is unlike those of the training: what the network says of it may be, too."


class EditPanel(UndoKeys):
    """Says what is asked for; shows what it is told."""

    tool_chosen = Signal(str)  # "" for none
    fill_chosen = Signal(str)
    size_chosen = Signal(int)
    adjusted = Signal(str, float)  # kind, value
    follow_chosen = Signal(bool)
    marked_wanted = Signal(float, bool)  # the strongest share of the mask; whether all else is to be erased
    test_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._tools = QButtonGroup(self)
        self._tools.setExclusive(False)
        self.brush = self._tool(
            "Brush", BRUSH, "Draw over what is to be erased; the mouse wheel sizes the brush"
        )
        self.box = self._tool("Rectangle", BOX, "Draw a rectangle to erase; drag it about, or its corners")
        self.fill = ComboBox()
        for name, tip in FILLS.items():
            self.fill.addItem(name, name)
            self.fill.setItemData(self.fill.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.fill.setToolTip(
            "What erased places are filled with: " + "; ".join(f"{n}: {t}" for n, t in FILLS.items())
        )
        self.fill.setAccessibleName("Fill")
        self.radius = QSlider(Qt.Orientation.Horizontal)
        self.radius.setRange(SMALLEST, LARGEST)
        self.radius.setValue(12)
        self.radius.setToolTip("The brush's radius in pixels of the picture (mouse wheel over the picture)")
        self.radius.setAccessibleName("Brush size")
        self.place = ComboBox()
        self.place.addItems(["Stay in place", "Follow the picture"])
        self.place.setToolTip(
            "Where erased places are on other frames: the same pixels, or moved along with the picture"
        )
        self.undo, self.redo, self.clear = (self._button(text) for text in ("Undo", "Redo", "Clear"))
        self.undo.setToolTip("Take the last step back (Ctrl+Z)")
        self.redo.setToolTip("Do it again (Ctrl+Shift+Z)")
        self.clear.setToolTip("Show the picture as it was recorded")
        self.share = ComboBox()
        for share in SHARES:
            self.share.addItem(f"Strongest {share} %", share / 100)
        self.share.setToolTip("How much of what the network sees: where the mask is strongest")
        self.erase, self.keep = self._button("Erase it"), self._button("Keep only that")
        self.erase.setToolTip("Erase what the mask marks strongest")
        self.keep.setToolTip("Erase all but what the mask marks strongest")
        self.test = self._button("Shift what the maps mark")
        self.test.setToolTip(
            "Shift what each map marks sideways, and the rest, and see which turns the wheel: the test of the maps of this frame"
        )
        self.sliders: dict[str, QSlider] = {}
        self._values: dict[str, QLabel] = {}
        self.change = QLabel()
        self.change.setFont(theme.number_font())
        self.plot = BaselinePlot()
        self.words = QLabel()
        for label in (self.change, self.words):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._lay_out()
        self.setMinimumSize(180, 100)
        self._tools.buttonClicked.connect(self._on_tool)
        self.fill.activated.connect(lambda k: self.fill_chosen.emit(self.fill.itemData(k)))
        self.radius.valueChanged.connect(self.size_chosen)
        self.place.activated.connect(lambda k: self.follow_chosen.emit(k == 1))
        self.erase.clicked.connect(lambda: self.marked_wanted.emit(self.share.currentData(), False))
        self.keep.clicked.connect(lambda: self.marked_wanted.emit(self.share.currentData(), True))
        self.test.clicked.connect(self.test_wanted)
        self.show_steps(False, False)
        self.show_result("", math.nan, math.nan, "°")

    def _button(self, text: str) -> QPushButton:
        button = QPushButton(text)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setStyleSheet("QPushButton { padding: 1px 6px; }")
        return button

    def _tool(self, text: str, name: str, tip: str) -> QPushButton:
        button = self._button(text)
        button.setCheckable(True)
        button.setStyleSheet(
            "QPushButton { padding: 1px 6px; } QPushButton:checked { border: 2px solid palette(highlight); }"
        )
        button.setProperty("tool", name)
        button.setToolTip(tip)
        self._tools.addButton(button)
        return button

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addWidget(self.change)
        column.addWidget(self.plot)
        column.addWidget(self.words)
        for widgets in (
            (self.brush, self.box, self.fill),
            (QLabel("Size"), self.radius),
            (self.undo, self.redo, self.clear),
            (self.share, self.erase, self.keep),
            (self.test,),
            (self.place,),
        ):
            row = QHBoxLayout()
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)
            column.addLayout(row)
        grid = QGridLayout()
        grid.setVerticalSpacing(1)
        for k, (kind, (low, high, times, _)) in enumerate(SLIDERS.items()):
            slider, value = QSlider(Qt.Orientation.Horizontal), QLabel()
            slider.setRange(low, high)
            slider.setValue(round(ADJUSTMENTS[kind][2] * times))
            slider.setToolTip(TIPS[kind])
            slider.setAccessibleName(kind.capitalize())
            value.setFont(theme.number_font())
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("-000.0 px"))
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.sliders[kind], self._values[kind] = slider, value
            grid.addWidget(QLabel(kind.capitalize()), k, 0)
            grid.addWidget(slider, k, 1)
            grid.addWidget(value, k, 2)
            slider.valueChanged.connect(lambda at, kind=kind, times=times: self._on_slider(kind, at / times))
            self._write(kind)
        column.addLayout(grid)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    def _on_tool(self, button: QPushButton) -> None:
        for other in self._tools.buttons():
            if other is not button:
                other.setChecked(False)
        self.tool_chosen.emit(button.property("tool") if button.isChecked() else "")

    def put_tool_away(self) -> None:
        for button in self._tools.buttons():
            button.setChecked(False)

    def _on_slider(self, kind: str, value: float) -> None:
        self._write(kind)
        self.adjusted.emit(kind, value)

    def _write(self, kind: str) -> None:
        _, _, times, unit = SLIDERS[kind]
        at = self.sliders[kind].value()
        self._values[kind].setText(f"{at if kind == 'contrast' or times == 1 else at / times:g}{unit}")

    # What it is told; none of these says anything.

    def show_value(self, kind: str, value: float) -> None:
        slider, at = self.sliders[kind], round(value * SLIDERS[kind][2])
        if slider.value() == at:  # with every move of the brush
            return
        slider.blockSignals(True)
        slider.setValue(at)
        slider.blockSignals(False)
        self._write(kind)

    def show_size(self, radius: int) -> None:
        self.radius.blockSignals(True)
        self.radius.setValue(radius)
        self.radius.blockSignals(False)

    def show_steps(self, back: bool, forth: bool) -> None:
        self.undo.setEnabled(back)
        self.redo.setEnabled(forth)
        self.clear.setEnabled(back)

    def show_result(self, edited: str, before: float, after: float, unit: str) -> None:
        """edited: what was done, in words; "" where nothing was."""
        if not edited:
            self.change.setText("")
            self.words.setText(EMPTY)
            self.plot.set_changes(None)
            return
        change = after - before
        numbers = [UNKNOWN if math.isnan(v) else signed(v) + unit for v in (before, after, change)]
        self.change.setText("before {}   now {}   change {}".format(*numbers))
        self.words.setText(WARNING)

    def show_baseline(
        self, words: str, change: float | None = None, others: tuple[float, ...] = (), unit: str = ""
    ) -> None:
        self.plot.set_changes(change, others, unit)
        self.words.setText(f"{words[:1].upper()}{words[1:]}. {WARNING}" if words else WARNING)
