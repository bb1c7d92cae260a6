"""The list of what the maps explain: of an angle, or of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu

from vbp.app.widgets.boxes import ComboBox
from vbp.classes import class_name

if TYPE_CHECKING:
    from vbp.models.spec import NetworkSpec

# (title, target as `vbp.explain.parse_target` reads it, tip)
ANGLE = (
    ("Angle", "output", "Evidence for steering left, and against it"),
    ("Negative", "negative", "Evidence for steering right, and against it"),
    ("Magnitude", "magnitude", "Evidence for a large angle, to either side"),
    ("Error", "error", "Evidence that raises driven − predicted"),
    ("Size of the error", "error-magnitude", "Evidence that makes the prediction worse"),
)


class TargetBox(ComboBox):
    """Keeps a choice for angles and one for classes, whichever network is at work."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._wanted = {False: "output", True: "class"}
        self._of_classes = False
        self.setMaxVisibleItems(24)
        self.setEnabled(False)
        self.activated.connect(self._picked)

    def restore(self, angle: str, of_class: str) -> None:
        """What was chosen last; what no network has counts as not chosen."""
        self._wanted = {False: angle, True: of_class}

    def choose(self, target: str) -> None:
        """Of an angle, or where it begins with "class" of classes; what the network in use does not have changes nothing."""
        of_classes = target.startswith("class")
        self._wanted[of_classes] = target
        if of_classes == self._of_classes and (row := self.findData(target)) >= 0:
            self._pick(row)

    def target(self) -> str:
        return str(self.currentData() or "")

    def set_spec(self, spec: NetworkSpec) -> None:
        """What can be explained of this network."""
        self._of_classes = spec.is_classifier
        rows = list(ANGLE)
        if spec.is_classifier:
            rows = [("Predicted class", "class", "Evidence for the predicted class")]
            for k in range(len(spec.classes)):
                name = class_name(spec, k)
                rows.append((name, f"class:{k}", f"Evidence for {name}, whichever class is predicted"))
        self.clear()
        for title, target, tip in rows:
            self.addItem(title, target)
            self.setItemData(self.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(max(0, self.findData(self._wanted[self._of_classes])))
        self.setEnabled(True)
        self.chosen.emit(self.target())

    def fill_menu(self, menu: QMenu) -> None:
        """The same choice, for who looks for it in a menu."""
        menu.clear()
        for row in range(self.count()):
            action = menu.addAction(self.itemText(row), lambda row=row: self._pick(row))
            action.setCheckable(True)
            action.setChecked(row == self.currentIndex())
        menu.setToolTipsVisible(True)

    def _pick(self, row: int) -> None:
        self.setCurrentIndex(row)
        self._picked()

    def _picked(self) -> None:
        self._wanted[self._of_classes] = self.target()
        self.chosen.emit(self.target())
