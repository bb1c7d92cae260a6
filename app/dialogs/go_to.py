"""Going to a frame or a time that is typed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from vbp.readable import clock
from vbp.session.note import frame_at


class GoToDialog(QDialog):
    """timestamps_ns: (N,) of the recording's frames."""

    chosen = Signal(int)

    def __init__(self, timestamps_ns: NDArray[np.int64], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Go to")
        self._times = timestamps_ns
        last = clock(float(timestamps_ns[-1] - timestamps_ns[0]) / 1e9)
        self.place = QLineEdit()
        self.place.setPlaceholderText("1234, 12:34.5 or 1:02:03")
        self.place.setAccessibleName("Frame or time")
        self.hint = QLabel()
        self._whole = f"A frame, 0 to {len(timestamps_ns) - 1}, or a time, 0:00 to {last}"
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self._go = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._go.setText("&Go")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        box = QVBoxLayout(self)
        for widget in (self.place, self.hint, self.buttons):
            box.addWidget(widget)
        self.place.textChanged.connect(self._read)
        self._read("")

    def _read(self, text: str) -> None:
        frame = frame_at(text, self._times)
        self._go.setEnabled(frame is not None)
        if frame is None:
            self.hint.setText(self._whole)
        else:
            self.hint.setText(f"Frame {frame} at {clock(float(self._times[frame] - self._times[0]) / 1e9)}")

    def accept(self) -> None:
        frame = frame_at(self.place.text(), self._times)
        if frame is not None:
            self.chosen.emit(frame)
            super().accept()
