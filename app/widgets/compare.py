"""Two consecutive frames side by side with their masks and errors (the paper's Figures 7 and 15)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from vbp.app import theme
from vbp.app.widgets.picture import PictureView


@dataclass
class ComparedFrame:
    """One side: the picture (uint8 RGB, mask already in it), a title and the lines below."""

    image: NDArray[np.uint8]
    title: str
    lines: list[str] = field(default_factory=list)


class _Side:
    """A picture and the lines below it, two cells of the view's grid."""

    def __init__(self, grid: QGridLayout, column: int, empty: str) -> None:
        self.picture = PictureView()
        self.picture.set_empty(empty)
        self.text = QLabel()
        self.text.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.text.setContentsMargins(8, 2, 8, 6)
        self.text.setFont(theme.number_font())
        grid.addWidget(self.picture, 0, column)
        grid.addWidget(self.text, 1, column)
        grid.setColumnStretch(column, 1)

    def set_frame(self, frame: ComparedFrame | None) -> None:
        self.picture.set_picture(frame.image if frame else None)
        self.picture.set_caption(frame.title if frame else "", "")
        self.text.setText("\n".join(frame.lines) if frame else "")


class CompareView(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2)
        grid.setVerticalSpacing(0)
        grid.setRowStretch(0, 1)
        self.left = _Side(grid, 0, "The frame before it\nappears here")
        self.right = _Side(grid, 1, "Open a drive:\nthe current frame appears here")

    def set_pair(self, left: ComparedFrame | None, right: ComparedFrame | None) -> None:
        """The earlier and the later frame; None where there is none."""
        self.left.set_frame(left)
        self.right.set_frame(right)
