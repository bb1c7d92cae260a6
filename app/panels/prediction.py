"""The network's prediction of the frame: an angle on the wheel, or classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QStackedWidget

from vbp.app.widgets.class_view import ClassView
from vbp.app.widgets.wheel import SteeringView
from vbp.classes import UNKNOWN, class_name

if TYPE_CHECKING:
    from vbp.models.spec import NetworkSpec
    from vbp.results import FrameResult


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

    def clear(self) -> None:
        """No recording is open."""
        self.steering.set_angles(math.nan, math.nan)
        self.steering.set_speed(math.nan)
        self.classes.set_classes((), None)
        self._set_frame(0, 0, "")

    def show_frame(self, record: FrameResult, total: int, time_text: str) -> None:
        """A frame out of `total` (0: of a camera) with what the network said of it."""
        self.steering.set_angles(record.driven_rad, record.predicted_rad)
        self.steering.set_speed(record.speed_mps)
        self._set_frame(record.index, total, time_text)
        spec, result = self._spec, record.result
        if spec is None or result is None or result.probabilities is None:
            self.classes.set_classes((), None)
            return
        names: Sequence[str] = [class_name(spec, k) for k in range(len(result.probabilities))]
        label = result.classes.label if result.classes is not None else UNKNOWN
        self.classes.set_classes(names, result.probabilities, label)

    def words(self, record: FrameResult) -> list[str]:
        """Of a classifier, the class that it predicts and the true one, a line each; none of a steering network."""
        classes = record.result.classes if record.result is not None else None
        if classes is None:
            return []
        known = f"true class: {classes.label_name}" if classes.label >= 0 else "true class not known"
        return [
            f"{classes.name}   {100 * classes.probability:.1f} %",
            "right" if classes.label == classes.number else known,
        ]

    def _set_frame(self, index: int, total: int, time_text: str) -> None:
        self.steering.set_frame(index, total, time_text)
        self.classes.set_frame(index, total, time_text)
