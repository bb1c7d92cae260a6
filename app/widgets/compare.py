"""Two consecutive frames side by side with their masks and errors (the paper's Figures 7 and 15)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app import theme
from app.widgets.picture import PictureView


@dataclass
class ComparedFrame:
    """One side: the picture (uint8 RGB, mask already in it), a title and the lines below."""

    image: NDArray[np.uint8]
    title: str
    lines: list[str] = field(default_factory=list)


class _Side(QWidget):
    def __init__(self, empty: str) -> None:
        super().__init__()
        self.picture = PictureView()
        self.picture.set_empty(empty)
        self.text = QLabel()
        self.text.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.text.setContentsMargins(8, 2, 8, 6)
        self.text.setFont(theme.number_font())
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.picture, 1)
        box.addWidget(self.text)

    def set_frame(self, frame: ComparedFrame | None) -> None:
        self.picture.set_picture(frame.image if frame else None)
        self.picture.set_caption(frame.title if frame else "", "")
        self.text.setText("\n".join(frame.lines) if frame else "")


class CompareView(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.left = _Side("The frame before appears here\nwhen a drive is open")
        self.right = _Side("The current frame appears here")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.left, 1)
        box.addWidget(self.right, 1)

    def set_pair(self, left: ComparedFrame | None, right: ComparedFrame | None) -> None:
        self.left.set_frame(left)
        self.right.set_frame(right)
