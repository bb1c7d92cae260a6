"""What the network tells of the frame: an angle on the wheel, or classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QStackedWidget

from vbp.app.widgets.class_view import ClassView
from vbp.app.widgets.wheel import SteeringView
from vbp.classes import UNKNOWN, class_name

if TYPE_CHECKING:
    from vbp.models.spec import NetworkSpec
    from vbp.results import NetworkResult


class PredictionPanel(QStackedWidget):
    """The wheel of a steering network, the bars of a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.steering = SteeringView()
        self.classes = ClassView()
        self.addWidget(self.steering)
        self.addWidget(self.classes)
        self._spec: NetworkSpec | None = None

    def set_spec(self, spec: NetworkSpec) -> None:
        """Another network is at work."""
        self._spec = spec
        self.classes.set_classes((), None)
        self.setCurrentWidget(self.classes if spec.is_classifier else self.steering)

    def show_pass(self, shot: NetworkResult | None, driven_rad: float, truth: int = UNKNOWN) -> None:
        """truth: the true class, where the network tells classes. driven_rad: NaN where unknown."""
        self.steering.set_angles(driven_rad, shot.angle_rad if shot is not None else float("nan"))
        spec, found = self._spec, shot.probabilities if shot is not None else None
        if spec is None or found is None:
            self.classes.set_classes((), None)
            return
        names: Sequence[str] = [class_name(spec, k) for k in range(len(found))]
        self.classes.set_classes(names, found, truth)

    def words(self, shot: NetworkResult, truth: int = UNKNOWN) -> list[str]:
        """Of a classifier, what it tells and what is true, a line each; none of a steering network."""
        if self._spec is None or shot.probabilities is None:
            return []
        best = int(shot.probabilities.argmax())
        told = f"{class_name(self._spec, best)}   {100 * shot.probabilities[best]:.1f} %"
        known = f"true class: {class_name(self._spec, truth)}" if truth >= 0 else "true class not known"
        return [told, "right" if truth == best else known]

    def set_frame(self, index: int, total: int, time_text: str) -> None:
        self.steering.set_frame(index, total, time_text)
        self.classes.set_frame(index, total, time_text)
