"""One explanation over the network's input: which method, and the numbers that it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from vbp.app import theme
from vbp.app.panels.masked import MaskedView
from vbp.app.panels.title import Caption
from vbp.app.state.overlay import Overlay
from vbp.app.widgets.boxes import ComboBox
from vbp.results import MapRequest

if TYPE_CHECKING:
    from vbp.explain import Method, Parameter

STEPS = 400  # of a slider
SETTLE_MS = 40  # while a slider is dragged, maps are asked for this often
CHARACTERS = 12  # of a method's title that are seen at least
BAR = 48  # least width of a slider's bar, in pixels
TIGHT = 260  # pixels of width; below, the method's name comes before how late it is
NARROW = 430  # pixels; below, the title line has no room for sliders


class MethodPanel(QWidget):
    """name: of the panel, or, without a chooser, of its one method. first: the method shown until another is chosen."""

    parameters_changed = Signal()
    method_changed = Signal(str)  # its title

    def __init__(self, name: str, empty: str, first: str = "", chooser: bool = False) -> None:
        super().__init__()
        self.name = name
        self.method = first or name
        self._methods: Mapping[str, Method] = {}
        self._values: dict[str, dict[str, float]] = {}  # of each method that was chosen here
        self.view = MaskedView()
        self.view.set_empty(empty)
        self.view.setMinimumSize(160, 24)
        self.view.setAccessibleName("Picture with the map")
        self._controls: dict[str, _Slider | QCheckBox] = {}
        self._narrow = False
        self.header = QWidget()  # for the panel's title line
        self.chooser = ComboBox() if chooser else None
        self._left = Caption(Qt.AlignmentFlag.AlignLeft)
        self._right = Caption(Qt.AlignmentFlag.AlignRight)
        self._row = QHBoxLayout(self.header)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        if self.chooser is not None:
            self.chooser.setToolTip("The attribution method of this panel")
            self.chooser.setAccessibleName("Method")
            self.chooser.setSizeAdjustPolicy(ComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            self.chooser.setMinimumContentsLength(CHARACTERS)
            self.chooser.setStyleSheet("QComboBox { padding: 0 4px 0 8px; }")  # all of a "p" is seen
            self.chooser.setMaximumHeight(self.chooser.fontMetrics().height() + 6)
            self.chooser.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # the keys belong to playing
            self.chooser.setEnabled(False)
            self.chooser.activated.connect(self._chosen)
            self._row.addWidget(self.chooser)
            self._left.hide()  # the chooser says the same
        self._row.addWidget(self._left, 2)
        self._row.addWidget(self._right, 2)
        self._late = self._right.fontMetrics().horizontalAdvance("0.00 s late") * chooser  # pixels
        self._more = QWidget()
        self._more_row = QHBoxLayout(self._more)
        self._more_row.setContentsMargins(8, 0, 8, 0)
        self._more_row.setSpacing(10)
        self._more.hide()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.parameters_changed)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self._more)
        box.addWidget(self.view, 1)

    def set_methods(self, methods: Mapping[str, Method]) -> None:
        """What can be chosen, once it is known: the methods bring torch with them."""
        if self._methods:
            return
        self._methods = methods
        if self.method not in methods:
            self.method = next(iter(methods))
        if self.chooser is not None:
            for method in methods.values():
                self.chooser.addItem(method.title, method.name)
                tip = f"{method.source}{' (takes seconds, while nothing plays)' if method.slow else ''}"
                self.chooser.setItemData(self.chooser.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
            self.chooser.setEnabled(True)
        self._show_method()

    def choose(self, name: str, values: Mapping[str, float] | None = None) -> None:
        """Show another method, with its numbers as they were when it was last shown here."""
        if values is not None:
            self._values[name] = dict(values)
        if name != self.method or values is not None:
            self.method = name
            if self._methods:
                self._show_method()
            self.parameters_changed.emit()

    def _chosen(self, row: int) -> None:
        assert self.chooser is not None
        self.choose(str(self.chooser.itemData(row)))

    def _show_method(self) -> None:
        method = self._methods[self.method]
        for old in self._controls.values():
            old.hide()
            old.deleteLater()
        self._controls = {}
        if self.chooser is not None:
            self.chooser.setCurrentIndex(self.chooser.findData(method.name))
        kept = self._values.get(method.name, {})
        for parameter in method.parameters:
            self._controls[parameter.name] = self._control(method, parameter)
            if parameter.name in kept:
                self.set_parameter(parameter.name, kept[parameter.name])
        self._place_controls()
        self.method_changed.emit(method.title)

    def _place_controls(self) -> None:
        """The title line has room for one slider and a switch beside it; the rest get a line of their own."""
        for k, control in enumerate(self._controls.values()):
            switch = isinstance(control, QCheckBox)
            row = self._row if not self._narrow and (k == 0 or (k == 1 and switch)) else self._more_row
            at = row.count() - (row is self._row)  # the caption stays last
            row.insertWidget(at, control, 0 if switch else 3)
        self._more.setVisible(any(c.parentWidget() is self._more for c in self._controls.values()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._right.setMinimumWidth(self._late if self.width() >= TIGHT else 0)
        if self._narrow != (self.width() < NARROW):
            self._narrow = not self._narrow
            self.view.low = (
                self._narrow
            )  # so do its neighbours', whether they have a row of numbers above or not
            for control in self._controls.values():
                for row in (self._row, self._more_row):
                    row.removeWidget(control)
            self._place_controls()

    def _control(self, method: Method, parameter: Parameter) -> _Slider | QCheckBox:
        control: _Slider | QCheckBox
        if parameter.switch:
            control = QCheckBox(parameter.title)
            control.setChecked(bool(parameter.default))
            control.toggled.connect(self._touched)
        else:
            control = _Slider(parameter)
            control.changed.connect(self._touched)
        control.setToolTip(f"{method.title}: {parameter.tip or parameter.title}")
        return control

    def parameters(self) -> dict[str, float]:
        return {
            name: control.value() if isinstance(control, _Slider) else float(control.isChecked())
            for name, control in self._controls.items()
        }

    def values_of(self, method: str) -> dict[str, float]:
        """The numbers of a method as they are or were here; empty where it was never shown."""
        return self.parameters() if method == self.method else dict(self._values.get(method, {}))

    def request(self) -> MapRequest:
        """What is shown here, to be asked for."""
        return MapRequest(self.method, tuple(self.parameters().items()))

    def set_parameter(self, name: str, value: float) -> None:
        control = self._controls.get(name)
        if isinstance(control, _Slider):
            control.set_value(value)
        elif control is not None:
            control.setChecked(bool(value))

    def set_caption(self, left: str, right: str = "") -> None:
        """Beside the title: what is shown, and how late it is or what is odd about it."""
        self._left.set_text(left)
        self._right.set_text(right)

    def caption(self) -> str:
        """What stands at the right of the title."""
        return self._right.text()

    def show_map(self, image: NDArray[np.uint8] | None, mask: NDArray[np.float32] | None) -> None:
        self.view.set_masked(image, mask)

    def set_overlay(self, overlay: Overlay) -> None:
        self.view.set_overlay(overlay)

    def _touched(self) -> None:
        self._values[self.method] = self.parameters()
        if not self._settle.isActive():
            self._settle.start()


class _Slider(QWidget):
    """A labelled slider over a range, linear or logarithmic; a double click puts the default back."""

    changed = Signal()

    def __init__(self, parameter: Parameter) -> None:
        super().__init__()
        self.parameter = parameter
        self._value = math.nan
        self._bar = QSlider(Qt.Orientation.Horizontal)
        self._bar.setRange(0, STEPS)
        self._bar.setMinimumWidth(BAR)
        self._bar.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._bar.setAccessibleName(parameter.title)
        self._number = QLabel()
        self._number.setFont(theme.number_font())
        self._number.setMinimumWidth(self._number.fontMetrics().horizontalAdvance("0.0001") + 6)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel(parameter.title))
        row.addWidget(self._bar, 1)
        row.addWidget(self._number)
        self.set_value(parameter.default)
        self._bar.valueChanged.connect(self._moved)

    def value(self) -> float:
        """What was set, to the last digit, until the slider is moved."""
        return self._value

    def _of_bar(self) -> float:
        p, t = self.parameter, self._bar.value() / STEPS
        if p.log:
            value = 10 ** (math.log10(p.minimum) + t * (math.log10(p.maximum) - math.log10(p.minimum)))
        else:
            value = p.minimum + t * (p.maximum - p.minimum)
        return float(round(value)) if p.whole else value

    def set_value(self, value: float) -> None:
        p = self.parameter
        value = min(max(value, p.minimum), p.maximum)
        if p.log:
            t = math.log(value / p.minimum) / math.log(p.maximum / p.minimum)
        else:
            t = (value - p.minimum) / (p.maximum - p.minimum)
        with QSignalBlocker(self._bar):
            self._bar.setValue(round(t * STEPS))
        before, self._value = self._value, float(round(value)) if p.whole else float(value)
        self._number.setText(self.text())
        if before != self._value:
            self.changed.emit()

    def text(self) -> str:
        return f"{self.value():.3g}" if self.value() < 1e3 else f"{self.value():.0f}"

    def mouseDoubleClickEvent(self, event: object) -> None:
        self.set_value(self.parameter.default)

    def _moved(self) -> None:
        self._value = self._of_bar()
        self._number.setText(self.text())
        self.changed.emit()
