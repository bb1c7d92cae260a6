"""Which panels an export has: a box for each, those of the window's methods first, and a list of the other methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QWidget

from vbp.app.widgets.boxes import ComboBox
from vbp.export.job import DEFAULT_PANELS

# Before and after the methods.
FIRST = {"camera": "Camera with the mask", "plain": "Camera alone"}
LAST = {"maps": "Layers", "plot": "Angle plot"}


class PanelBoxes(QWidget):
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QCheckBox] = {}
        self._titles: Mapping[str, str] = {}
        self._on_screen: tuple[str, ...] = ()
        self._added: list[str] = []  # methods that the user chose beside those on the screen
        self.others = ComboBox()
        self.others.setAccessibleName("Another method")
        self.others.activated.connect(lambda row: self.add_method(self.others.itemData(row)))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(4)

    def set_methods(self, titles: Mapping[str, str], on_screen: Sequence[str]) -> None:
        """titles: of all methods, by name. on_screen: of those that the window shows; what is new of them is chosen."""
        self._titles, self._on_screen = titles, tuple(on_screen)
        self._show()

    def add_method(self, name: str | None) -> None:
        """A panel for a method that the window does not show."""
        if name:
            self._added.append(name)
            self._show()
            self.changed.emit()

    def chosen(self) -> tuple[str, ...]:
        return tuple(name for name, box in self.boxes.items() if box.isChecked())

    def _show(self) -> None:
        methods = {n: self._titles[n] for n in (*self._on_screen, *self._added) if n in self._titles}
        before, self.boxes = self.boxes, {}
        for n, (name, title) in enumerate((FIRST | methods | LAST).items()):
            box = before.pop(name, None)
            if box is None:
                box = QCheckBox(title)
                box.setChecked(name in methods or name in DEFAULT_PANELS)
                box.toggled.connect(self.changed)
            self.boxes[name] = box
            self._grid.addWidget(box, n // 2, n % 2)
        for box in before.values():
            box.hide()
            box.deleteLater()
        self._grid.addWidget(self.others, len(self.boxes), 0, 1, 2)
        self.others.clear()
        self.others.addItem("Add a method…")
        for name, title in self._titles.items():
            if name not in methods:
                self.others.addItem(title, name)
