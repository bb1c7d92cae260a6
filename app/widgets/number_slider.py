"""A labelled slider over a range of numbers."""

from __future__ import annotations

import math

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

from vbp.app import theme

STEPS = 400
BAR = 48  # least width of the bar, in pixels


class NumberSlider(QWidget):
    """From `low` to `high`, linear or in ratios (log), also in whole numbers; a double click puts the default back."""

    changed = Signal()

    def __init__(
        self,
        title: str,
        default: float,
        low: float,
        high: float,
        log: bool = False,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self._default, self._low, self._high, self._log, self._whole = default, low, high, log, whole
        self._value = math.nan
        self.title = QLabel(title)
        self.bar = QSlider(Qt.Orientation.Horizontal)
        self.bar.setRange(0, STEPS)
        self.bar.setMinimumWidth(BAR)
        self.bar.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.bar.setAccessibleName(title)
        self._number = QLabel()
        self._number.setFont(theme.number_font())
        self._number.setMinimumWidth(self._number.fontMetrics().horizontalAdvance("0.0001") + 6)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.title)
        row.addWidget(self.bar, 1)
        row.addWidget(self._number)
        self.set_value(default)
        self.bar.valueChanged.connect(self._moved)

    def value(self) -> float:
        """What was set, to the last digit, until the slider is moved."""
        return self._value

    def _of_bar(self) -> float:
        t = self.bar.value() / STEPS
        if self._log:
            value = self._low * (self._high / self._low) ** t
        else:
            value = self._low + t * (self._high - self._low)
        return float(round(value)) if self._whole else value

    def set_value(self, value: float) -> None:
        value = min(max(value, self._low), self._high)
        if self._log:
            t = math.log(value / self._low) / math.log(self._high / self._low)
        else:
            t = (value - self._low) / (self._high - self._low)
        with QSignalBlocker(self.bar):
            self.bar.setValue(round(t * STEPS))
        before, self._value = self._value, float(round(value)) if self._whole else float(value)
        self._number.setText(self.text())
        if before != self._value:
            self.changed.emit()

    def text(self) -> str:
        return f"{self.value():.3g}" if self.value() < 1e3 else f"{self.value():.0f}"

    def mouseDoubleClickEvent(self, event: object) -> None:
        self.set_value(self._default)

    def _moved(self) -> None:
        self._value = self._of_bar()
        self._number.setText(self.text())
        self.changed.emit()
