"""The fields of the form of a network's specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QScrollArea, QWidget

from vbp.app import theme
from vbp.app.panels import spec_words as words
from vbp.app.widgets.boxes import ComboBox, NumberBox
from vbp.errors import VbpError
from vbp.models.presets import PRESETS
from vbp.models.spec import OUTPUTS, READINGS, UNITS, NetworkSpec
from vbp.models.spec_picture import RESIZES
from vbp.overlay import Rect

if TYPE_CHECKING:
    from vbp.models.assume import Output

SIDES = ("left", "right")


class SpecFields(QScrollArea):
    """`changed` carries the NetworkSpec that they say, `wrong` why they say none ("" where they do)."""

    changed = Signal(object)
    wrong = Signal(str)
    crop_wanted = Signal(bool)  # to be drawn over the picture, or no longer

    def __init__(self, above: Sequence[QWidget] = ()) -> None:
        """above: what stands over the fields and is scrolled with them."""
        super().__init__()
        self.spec: NetworkSpec | None = None
        self._size: tuple[int, int] | None = None  # of the picture on the screen, (width, height)
        self._choices: list[words.Choice] = []
        self._outputs: Sequence[Output] = ()
        self._make_fields()
        for k, widget in enumerate(above):
            self.form.insertRow(k, widget)
        page = QWidget()
        page.setLayout(self.form)
        self.setWidget(page)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(page.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width())
        self._enable()

    def _make_fields(self) -> None:
        self.preset, self.colour, self.range, self.resize_box = (ComboBox() for _ in range(4))
        self.meaning, self.output, self.reading, self.unit, self.sign = (ComboBox() for _ in range(5))
        self.preset.addItem("choose…", "")
        for name in PRESETS:
            self.preset.addItem(name, name)
        self.range.setEditable(True)
        self.range.setInsertPolicy(ComboBox.InsertPolicy.NoInsert)
        self.range.addItems(list(words.RANGES))
        self.range.setToolTip("What black and white become before the network gets them")
        for box, names in (
            (self.resize_box, RESIZES),
            (self.meaning, OUTPUTS),
            (self.reading, READINGS),
            (self.unit, UNITS),
            (self.sign, SIDES),
        ):
            for name in names:
                box.addItem(name.replace("_", " "), name)
        self.resize_box.setToolTip(
            "How the picture is scaled to the network's input; auto: by area where it shrinks"
        )
        self.sign.setToolTip("The side to which the network's output is positive")
        self.height_box, self.width_box = _number(1, 4096, 0), _number(1, 4096, 0)
        self.scale, self.offset = _number(1e-6, 1e6, 4), _number(-1e6, 1e6, 4)
        self.scale.setToolTip("What the output is multiplied by to be the angle in this unit")
        self.offset.setToolTip("What the output is when the wheel is straight; it is taken off first")
        self.wheelbase, self.ratio = _number(0, 100, 3), _number(0, 100, 3)
        self.wheelbase.setSuffix(" m")
        self.crop = QLineEdit()
        self.crop.setToolTip("x, y, width and height in pixels of the picture")
        self.crop.setFont(theme.number_font())
        self.crop.setMinimumWidth(90)
        self.draw = QPushButton("Draw")
        self.draw.setCheckable(True)
        self.draw.setToolTip("Draw the crop with the mouse on the picture")
        self.whole = QPushButton("Whole")
        self.whole.setToolTip("The whole picture")
        self.form = QFormLayout()
        self.form.setContentsMargins(0, 0, 6, 0)
        self.form.setHorizontalSpacing(10)
        self.form.setVerticalSpacing(4)
        self.form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rows: dict[str, QWidget] = {}
        for title, *parts in (
            ("Preset", self.preset),
            ("Input", self.height_box, QLabel("×"), self.width_box),
            ("Crop", self.crop, self.draw, self.whole),
            ("Colour", self.colour),
            ("Range", self.range),
            ("Resize", self.resize_box),
            ("Output is", self.meaning),
            ("Steering", self.output),
            ("Bins", self.reading),
            ("Unit", self.scale, self.unit),
            ("Positive", self.sign),
            ("Straight at", self.offset),
            ("Wheelbase", self.wheelbase),
            ("Ratio", self.ratio),
        ):
            self._add_row(title, parts)
        self.preset.activated.connect(self._take_preset)
        for box in (
            self.colour,
            self.resize_box,
            self.meaning,
            self.output,
            self.reading,
            self.unit,
            self.sign,
        ):
            box.activated.connect(self._take)
        self.range.activated.connect(self._take)
        edit = self.range.lineEdit()
        assert edit is not None
        edit.textEdited.connect(self._take)
        self.crop.textEdited.connect(self._take_crop)
        for number in (self.height_box, self.width_box, self.scale, self.offset, self.wheelbase, self.ratio):
            number.valueChanged.connect(self._take)
        self.draw.toggled.connect(self.crop_wanted)
        self.whole.clicked.connect(self._take_whole)

    def _add_row(self, title: str, parts: Sequence[QWidget]) -> None:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for part in parts:
            row.addWidget(part, 0 if isinstance(part, QPushButton | QLabel) else 1)
            part.setAccessibleName(title)
            if isinstance(part, ComboBox):
                part.setSizeAdjustPolicy(ComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
                part.setMinimumContentsLength(4)
            if isinstance(part, QPushButton):
                part.setStyleSheet("QPushButton { padding: 2px 5px; }")
        self.form.addRow(title, line)
        self._rows[title] = line

    def set_network(self, outputs: Sequence[Output], open_size: bool) -> None:
        """outputs: what the network calls them. open_size: it takes pictures of any size."""
        self._outputs = outputs
        self.form.setRowVisible(self._rows["Input"], open_size)

    def set_picture(self, size: tuple[int, int], rect: Rect) -> None:
        """Of the picture on the screen, (width, height), and what the network sees of it."""
        self._size = size
        text = words.crop_words(rect)
        if not self.crop.hasFocus() and text != self.crop.text():
            self.crop.setText(text)
            self.crop.setCursorPosition(0)  # of a long one the beginning is seen
        self._enable()

    def set_spec(self, spec: NetworkSpec) -> None:
        """What the fields show; nothing is sent."""
        self.spec = spec
        self._choices = words.choices(self._outputs, spec)
        fields = (self.colour, self.output, self.range, self.resize_box, self.meaning, self.reading, self.unit,
                  self.sign, self.scale, self.offset, self.wheelbase, self.ratio, self.height_box, self.width_box)  # fmt: skip
        blockers = [QSignalBlocker(field) for field in fields]
        for box, names, current in (
            (self.colour, words.colours(spec), words.colour(spec)),
            (self.output, [c.words for c in self._choices], None),
        ):
            box.clear()
            for k, name in enumerate(names):
                box.addItem(name, k if current is None else name)
            box.setCurrentIndex(
                words.chosen(self._choices, spec) or 0 if current is None else names.index(current)
            )
        for chosen, value in (
            (self.resize_box, spec.resize),
            (self.meaning, spec.output),
            (self.reading, spec.output_reading),
            (self.unit, spec.output_unit),
            (self.sign, spec.output_sign),
        ):
            chosen.setCurrentIndex(chosen.findData(value))
        self.range.setEditText(words.range_words(spec))
        for number, value_of in (
            (self.scale, spec.output_scale),
            (self.offset, spec.output_offset),
            (self.wheelbase, spec.wheelbase_m),
            (self.ratio, spec.steering_ratio),
            (self.height_box, spec.input_height),
            (self.width_box, spec.input_width),
        ):
            number.setValue(value_of)
        blockers.clear()
        angle = not spec.is_classifier
        turning = angle and spec.output_unit == "1/m"
        for title, seen in (
            ("Steering", angle),
            ("Bins", angle and bool(spec.output_bins)),
            ("Unit", angle),
            ("Positive", angle),
            ("Straight at", angle),
            ("Wheelbase", turning),
            ("Ratio", turning),
        ):
            self.form.setRowVisible(self._rows[title], seen)
        self._enable()

    # From its fields.

    def _take(self) -> None:
        spec = self.spec
        if spec is None:
            return
        try:
            made = words.with_range(spec, self.range.currentText())
            at = self.output.currentIndex()
            if not made.is_classifier and 0 <= at < len(self._choices):
                made = words.with_choice(made, self._choices[at])
            if self.colour.currentData() != words.colour(spec):
                made = replace(made, colour=self.colour.currentData())
            output = self.meaning.currentData()
            self._send(
                replace(
                    made,
                    resize=self.resize_box.currentData(),
                    output=output,
                    output_bins=() if output == "class" else made.output_bins,
                    classes=made.classes if output == "class" else (),
                    output_reading=self.reading.currentData(),
                    output_unit=self.unit.currentData(),
                    output_sign=self.sign.currentData(),
                    output_scale=_value(self.scale, spec.output_scale),
                    output_offset=_value(self.offset, spec.output_offset),
                    wheelbase_m=_value(self.wheelbase, spec.wheelbase_m),
                    steering_ratio=_value(self.ratio, spec.steering_ratio),
                    input_height=round(self.height_box.value()),
                    input_width=round(self.width_box.value()),
                )
            )
        except VbpError as error:
            turning = self.unit.currentData() == "1/m"
            self.form.setRowVisible(self._rows["Wheelbase"], turning)
            self.form.setRowVisible(self._rows["Ratio"], turning)
            self.wrong.emit(str(error))

    def _take_preset(self) -> None:
        name, spec = self.preset.currentData(), self.spec
        self.preset.setCurrentIndex(0)
        if spec is not None and name:
            try:
                self._send(words.with_preset(spec, name))
            except VbpError as error:
                self.wrong.emit(f"{name}: {error}")

    def _take_crop(self) -> None:
        if self.spec is None or self._size is None:
            return
        try:
            self._send(words.with_crop(self.spec, words.parse_crop(self.crop.text(), self._size), self._size))
        except VbpError as error:
            self.wrong.emit(str(error))

    def _take_whole(self) -> None:
        if self.spec is not None and self._size is not None:
            self._send(words.with_crop(self.spec, Rect(0, 0, *self._size), self._size))

    def _send(self, spec: NetworkSpec) -> None:
        self.wrong.emit("")
        if spec != self.spec:
            self.changed.emit(spec)

    def _enable(self) -> None:
        for line in self._rows.values():
            line.setEnabled(self.spec is not None)
        for part in (self.crop, self.draw, self.whole):
            part.setEnabled(self._size is not None)


class _Number(NumberBox):
    def textFromValue(self, value: float) -> str:
        """Without the zeros that say nothing."""
        return f"{value:.{self.decimals()}f}".rstrip("0").rstrip(".") if self.decimals() else f"{value:.0f}"


def _number(low: float, high: float, decimals: int) -> NumberBox:
    box = _Number()
    box.setDecimals(decimals)
    box.setRange(low, high)
    box.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
    box.setKeyboardTracking(True)
    return box


def _value(box: NumberBox, before: float) -> float:
    """What the box says; it rounds, and what nobody changed stays as it was."""
    return before if abs(box.value() - before) <= 10.0 ** -box.decimals() / 2 else box.value()
