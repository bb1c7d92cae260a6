"""One explanation over the network's input, with the numbers that it takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from app import theme
from app.panels.masked import MaskedView, Overlay
from app.panels.title import Caption

if TYPE_CHECKING:
    from vbp_core.explain import Method, Parameter

STEPS = 400  # of a slider
SETTLE_MS = 40  # while a slider is dragged, maps are asked for this often


class MethodPanel(QWidget):
    parameters_changed = Signal()

    def __init__(self, name: str, empty: str) -> None:
        super().__init__()
        self.name = name
        self.view = MaskedView()
        self.view.set_empty(empty)
        self.view.setMinimumSize(160, 40)
        self.view.setAccessibleName("Picture with the map")
        self._controls: dict[str, _Slider | QCheckBox] = {}
        self.header = QWidget()  # for the panel's title line
        self._left = Caption(Qt.AlignmentFlag.AlignLeft)
        self._right = Caption(Qt.AlignmentFlag.AlignRight)
        self._row = QHBoxLayout(self.header)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(10)
        self._row.addWidget(self._left, 2)
        self._row.addWidget(self._right, 2)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.parameters_changed)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.view, 1)

    def set_method(self, method: Method) -> None:
        """Make the controls, once it is known what the method takes."""
        if self._controls or not method.parameters:
            return
        self._left.hide()  # the controls say the same
        for parameter in method.parameters:
            control: _Slider | QCheckBox
            if parameter.switch:
                control = QCheckBox(parameter.title)
                control.setChecked(bool(parameter.default))
                control.setToolTip(f"{method.title}: {parameter.title}")
                control.toggled.connect(self._touched)
                self._row.insertWidget(self._row.count() - 1, control)
            else:
                control = _Slider(parameter)
                control.setToolTip(f"{method.title}: {parameter.title}")
                control.changed.connect(self._touched)
                self._row.insertWidget(self._row.count() - 1, control, 3)
            self._controls[parameter.name] = control

    def parameters(self) -> dict[str, Any]:
        return {
            name: control.value() if isinstance(control, _Slider) else float(control.isChecked())
            for name, control in self._controls.items()
        }

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

    def show_map(self, image: NDArray[np.uint8] | None, mask: NDArray[np.float32] | None) -> None:
        self.view.set_masked(image, mask)

    def set_overlay(self, overlay: Overlay) -> None:
        self.view.set_overlay(overlay)

    def _touched(self) -> None:
        if not self._settle.isActive():
            self._settle.start()


class _Slider(QWidget):
    """A labelled slider over a range, linear or logarithmic; a double click puts the default back."""

    changed = Signal()

    def __init__(self, parameter: Parameter) -> None:
        super().__init__()
        self.parameter = parameter
        self._bar = QSlider(Qt.Orientation.Horizontal)
        self._bar.setRange(0, STEPS)
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
        p, t = self.parameter, self._bar.value() / STEPS
        if p.log:
            return 10 ** (math.log10(p.minimum) + t * (math.log10(p.maximum) - math.log10(p.minimum)))
        return p.minimum + t * (p.maximum - p.minimum)

    def set_value(self, value: float) -> None:
        p = self.parameter
        value = min(max(value, p.minimum), p.maximum)
        if p.log:
            t = math.log(value / p.minimum) / math.log(p.maximum / p.minimum)
        else:
            t = (value - p.minimum) / (p.maximum - p.minimum)
        self._bar.setValue(round(t * STEPS))
        self._number.setText(self.text())

    def text(self) -> str:
        return f"{self.value():.3g}" if self.value() < 1e3 else f"{self.value():.0f}"

    def mouseDoubleClickEvent(self, event: object) -> None:
        self.set_value(self.parameter.default)

    def _moved(self) -> None:
        self._number.setText(self.text())
        self.changed.emit()
