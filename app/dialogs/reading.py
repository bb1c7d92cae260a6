"""How a recording is read, where it does not say that itself or not what is wanted: the command line's options."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from vbp.app.widgets.boxes import ComboBox, NumberBox
from vbp.drives.base import DriveInfo, OpenOptions
from vbp.errors import VbpError

AS_IT_SAYS = "as the recording says"
UNITS = (
    (AS_IT_SAYS, None),
    ("Radians", "rad"),
    ("Degrees", "deg"),
    ("−1 to 1, of 25°", "unit"),
    ("Radians, of the front wheels", "rad:"),
    ("Degrees, of the front wheels", "deg:"),
)
SIDES = ((AS_IT_SAYS, None), ("Left", "left"), ("Right", "right"))
RATIO = 16.0  # turns of the wheel for one of the front wheels, of most cars


class ReadingDialog(QDialog):
    """`chosen` carries OpenOptions that were checked, and the least speed in m/s."""

    chosen = Signal(object, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("How the recording is read – vbp")
        self._before = OpenOptions()
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.camera, self.steering, self.speed = ComboBox(), ComboBox(), ComboBox()
        for box, name in ((self.camera, "Camera"), (self.steering, "Steering"), (self.speed, "Speed")):
            box.setEditable(True)
            box.setInsertPolicy(ComboBox.InsertPolicy.NoInsert)
            box.setAccessibleName(name)
            box.setMinimumWidth(320)
        self.unit, self.side = ComboBox(), ComboBox()
        for box, rows in ((self.unit, UNITS), (self.side, SIDES)):
            for title, value in rows:
                box.addItem(title, value)
        self.unit.setAccessibleName("Unit of the angle")
        self.side.setAccessibleName("Positive side")
        self.ratio, self.fps, self.min_speed = NumberBox(), NumberBox(), NumberBox()
        for number in (self.ratio, self.fps, self.min_speed):
            number.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
        self.ratio.setRange(0.1, 100.0)
        self.ratio.setPrefix("ratio ")
        self.ratio.setAccessibleName("Ratio of the steering")
        self.ratio.setToolTip("How many degrees the steering wheel turns for one degree of the front wheels")
        self.fps.setRange(0.0, 1e6)
        self.fps.setDecimals(3)
        self.fps.setSuffix(" per second")
        self.fps.setSpecialValueText(AS_IT_SAYS)
        self.fps.setAccessibleName("Frame rate")
        self.min_speed.setRange(0.0, 100.0)
        self.min_speed.setSuffix(" m/s")
        self.min_speed.setSpecialValueText("play all frames")
        self.min_speed.setAccessibleName("Least speed")
        self.error = QLabel()
        self.error.setWordWrap(True)
        units = QHBoxLayout()
        units.addWidget(self.unit, 1)
        units.addWidget(self.ratio)
        form = QFormLayout()
        form.setHorizontalSpacing(12)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Camera", self.camera)
        form.addRow("Steering from", self.steering)
        form.addRow("Unit of the angle", units)
        form.addRow("Positive side", self.side)
        form.addRow("Speed from", self.speed)
        form.addRow("Frame rate", self.fps)
        form.addRow("Least speed", self.min_speed)
        standard = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(standard.Open | standard.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(12)
        column.addWidget(self.said)
        column.addLayout(form)
        column.addWidget(self.error)
        column.addWidget(self.buttons)
        self.unit.currentIndexChanged.connect(self._show_ratio)
        self._show_ratio()

    def ask(
        self, name: str, options: OpenOptions, min_speed: float, info: DriveInfo | None, why: str = ""
    ) -> None:
        """Show it for a recording; info: what was found, None where it did not open, with the sentence that says why."""
        self._before = options
        self.setWindowTitle(f"How {name} is read – vbp")
        self.said.setText(why)
        self.said.setVisible(bool(why))
        self.error.hide()
        numbers = info.numbers if info is not None else ()
        cameras = info.cameras if info is not None and len(info.cameras) > 1 else ()
        for box, names, chosen in (
            (self.camera, cameras, options.camera),
            (self.steering, numbers, options.steering),
            (self.speed, numbers, options.speed),
        ):
            _offer(box, names, chosen)
            box.setEnabled(bool(names or chosen) or info is None)
        unit, _, ratio = (options.angle_unit or "").partition(":")
        of_tyres = bool(ratio) and unit != "unit"
        row = self.unit.findData(f"{unit}:" if of_tyres else unit)
        self.unit.setCurrentIndex(max(0, row))
        self.ratio.setValue(float(ratio) if of_tyres else RATIO)
        self.side.setCurrentIndex(max(0, self.side.findData(options.angle_sign)))
        self.fps.setValue(options.fps or 0.0)
        self.min_speed.setValue(min_speed)
        self.show()
        self.raise_()

    def options(self) -> OpenOptions:
        unit = self.unit.currentData()
        if unit is not None and unit.endswith(":"):
            unit += f"{self.ratio.value():g}"
        return OpenOptions(
            _text(self.camera),
            unit,
            self.side.currentData(),
            self._before.max_gap_s,
            _text(self.steering),
            _text(self.speed),
            self.fps.value() or None,
        )

    def accept(self) -> None:
        options = self.options()
        try:
            options.check()
        except VbpError as error:
            self.error.setText(str(error))
            self.error.show()
            return
        super().accept()
        self.chosen.emit(options, self.min_speed.value())

    def _show_ratio(self) -> None:
        self.ratio.setVisible(str(self.unit.currentData() or "").endswith(":"))


def _offer(box: ComboBox, names: Sequence[str], chosen: str | None) -> None:
    box.clear()
    box.addItems(list(names))
    box.setEditText(chosen or "")
    edit = box.lineEdit()
    if edit is not None:
        edit.setPlaceholderText(AS_IT_SAYS)


def _text(box: ComboBox) -> str | None:
    return box.currentText().strip() or None
