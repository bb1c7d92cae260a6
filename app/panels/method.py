"""One explanation over the network's input: which method, and the numbers that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget, QWidgetAction

from vbp.app import theme
from vbp.app.panels.masked import MaskedView
from vbp.app.panels.title import BUTTON, BUTTONS, Caption
from vbp.app.widgets.boxes import ComboBox
from vbp.app.widgets.number_slider import NumberSlider
from vbp.overlay import Overlay
from vbp.results import MapRequest

if TYPE_CHECKING:
    from vbp.explain import Method, Parameter

SETTLE_MS = 40  # while a slider is dragged, maps are asked for this often
CHARACTERS = 12  # of a method's title that are seen at least
TIGHT = 260  # pixels of width; below, the method's name comes before how late it is
POPUP = 260  # pixels of width of the sliders that the title line has no room for


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
        self.view.setMinimumSize(100, 24)
        self.view.setAccessibleName("Picture with the map")
        self._controls: dict[str, NumberSlider | QCheckBox] = {}
        self._in_title = True  # the controls
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
        self._make_popup()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.parameters_changed)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.view, 1)

    def _make_popup(self) -> None:
        """A map needs all of its panel's height, and as much as those beside it: no line of sliders lies over it."""
        self.more = QToolButton()
        self.more.setToolTip("The numbers of this method")
        self.more.setAccessibleName("The numbers of this method")
        self.more.setStyleSheet("QToolButton { padding: 1px; }")
        self.more.setAutoRaise(True)
        self.more.setIconSize(QSize(BUTTON, BUTTON))
        self.more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        theme.set_icon(self.more, "settings")
        page = QWidget()
        page.setMinimumWidth(POPUP)
        self._popup_column = QVBoxLayout(page)
        self._popup_column.setContentsMargins(12, 8, 12, 8)
        self._popup_column.setSpacing(6)
        self.popup = QMenu(self.more)
        action = QWidgetAction(self.popup)
        action.setDefaultWidget(page)
        self.popup.addAction(action)
        self.more.clicked.connect(self._open_popup)
        self.more.hide()
        self._row.insertWidget(self._row.count() - 1, self.more)

    def _open_popup(self) -> None:
        """Above the title: the map is to be seen while its numbers are set."""
        self.popup.popup(self.more.mapToGlobal(QPoint(0, -self.popup.sizeHint().height())))

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
        if self._methods and name not in self._methods:  # of another version, say
            return
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
        """All of them stand in the title line where they fit, or else behind a button there."""
        self._in_title = self._fits()
        for control in self._controls.values():
            for row in (self._row, self._popup_column):
                row.removeWidget(control)
            if self._in_title:
                at = self._row.indexOf(self.more)
                self._row.insertWidget(at, control, 0 if isinstance(control, QCheckBox) else 3)
            else:
                self._popup_column.addWidget(control)
            control.show()
        self.more.setVisible(bool(self._controls) and not self._in_title)

    def _fits(self) -> bool:
        needed = [control.minimumSizeHint().width() for control in self._controls.values()]
        chooser = self.chooser.sizeHint().width() if self.chooser is not None else 0
        spaces = (len(needed) + 2) * self._row.spacing()
        return sum(needed) + chooser + self._late + spaces + BUTTONS <= self.width()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._right.setMinimumWidth(self._late if self.width() >= TIGHT else 0)
        if self._in_title != self._fits():
            self._place_controls()

    def _control(self, method: Method, parameter: Parameter) -> NumberSlider | QCheckBox:
        control: NumberSlider | QCheckBox
        if parameter.switch:
            control = QCheckBox(parameter.title)
            control.setChecked(bool(parameter.default))
            control.toggled.connect(self._touched)
        else:
            control = NumberSlider(
                parameter.title,
                parameter.default,
                parameter.minimum,
                parameter.maximum,
                parameter.log,
                parameter.whole,
            )
            control.changed.connect(self._touched)
        control.setToolTip(f"{method.title}: {parameter.tip or parameter.title}")
        return control

    def parameters(self) -> dict[str, float]:
        return {
            name: control.value() if isinstance(control, NumberSlider) else float(control.isChecked())
            for name, control in self._controls.items()
        }

    def values_of(self, method: str) -> dict[str, float]:
        """The numbers of a method as they are or were here; empty where it was never shown."""
        is_shown = method == self.method and self._methods  # else it has no controls yet
        return self.parameters() if is_shown else dict(self._values.get(method, {}))

    def request(self) -> MapRequest:
        """What is shown here, to be asked for."""
        return MapRequest(self.method, tuple(self.parameters().items()))

    def set_parameter(self, name: str, value: float) -> None:
        control = self._controls.get(name)
        if isinstance(control, NumberSlider):
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

    def show_map(
        self,
        image: NDArray[np.uint8] | None,
        mask: NDArray[np.float32] | None,
        at: tuple[int, int, object] | None = None,
    ) -> None:
        """at: see `MaskedView.set_masked`."""
        self.view.set_masked(image, mask, None, at)

    def set_overlay(self, overlay: Overlay) -> None:
        self.view.set_overlay(overlay)

    def _touched(self) -> None:
        self._values[self.method] = self.parameters()
        if not self._settle.isActive():
            self._settle.start()
