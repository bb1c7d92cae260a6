"""The second network's mask beside the first one's, or both in one picture; both angles, and by how much they differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme
from vbp.app.panels.masked import MaskedView, place_of
from vbp.app.panels.title import Caption
from vbp.app.widgets.boxes import ComboBox
from vbp.drives.base import Image
from vbp.frames.strengths import Usual
from vbp.overlay import Overlay, Rect, grey_to_rgb, lay_both
from vbp.palette import BOTH_MASKS, PREDICTED, SECOND, TEXT, WINDOW, rgb
from vbp.readable import shown_error, signed
from vbp.results import VBP, FrameResult, NetworkResult

SMALL = 260  # logical pixels of height; below, only the part that the networks see is shown
EMPTY = "Another network beside this one, on the same frames: two masks, two angles, and where they differ."
VIEWS = {"beside": "Side by side", "together": "One picture", "moments": "Moments"}
COLOURS = {"A only": PREDICTED, "B only": SECOND, "both": BOTH_MASKS}
LEGEND = " &nbsp; ".join(
    f'<span style="color:{colour}">■</span>&nbsp;{name.replace(" ", "&nbsp;")}'
    for name, colour in COLOURS.items()
)
PAINT = tuple(map(rgb, COLOURS.values()))


@dataclass(frozen=True)
class Two:
    """One frame as both networks saw it. agree: 0 to 1, the share of one mask that lies where the other does; NaN: unknown."""

    record: FrameResult
    second: NetworkResult
    agree: float = math.nan


class BothView(MaskedView):
    """Two masks in one picture: what only the first marks, only the second, and both; as the two views beside each other have them."""

    def __init__(self, sides: tuple[MaskedView, MaskedView]) -> None:
        super().__init__()
        self._sides_shown = sides
        self._rects: list[Rect] = []

    def set_both(self, image: Image | None, rects: list[Rect]) -> None:
        self._rects = rects
        self.set_masked(image, None)

    def blended(self) -> NDArray[np.uint8] | None:
        laid = [view.laid() for view in self._sides_shown]
        masks = [mask for mask, _, _ in laid if mask is not None]
        if self._base is None or len(masks) < 2:
            return super().blended()
        weighed = [(faded, gain) for _, faded, gain in laid]
        return lay_both(grey_to_rgb(self._base), masks, self._rects, PAINT, self.overlay, weighed)

    def smoothed(self) -> str:
        return max((view.smoothed() for view in self._sides_shown), key=len)


class SecondPanel(QWidget):
    """wanted: a frame that should be shown."""

    wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.header = QWidget()  # for the panel's title line
        self._caption = Caption(Qt.AlignmentFlag.AlignLeft)
        self.views = ComboBox()
        for name, title in VIEWS.items():
            self.views.addItem(title, name)
        self.views.setToolTip("The two masks, or the moments of the drive where the networks differ")
        self.views.setAccessibleName("What is shown of two networks")
        self.choose = QPushButton("Compare with…")
        self.choose.setToolTip("Choose the second network")
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Stop comparing")
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self._caption, 1)
        line.addWidget(self.views)
        line.addWidget(self.stop)
        for widget in (self.views, self.stop):
            widget.setFixedHeight(self.fontMetrics().height() + 4)
            widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.stop.setStyleSheet("QPushButton { padding: 0 8px; }")
        self.first, self.second = MaskedView(), MaskedView()
        self.both = BothView((self.first, self.second))
        for view, name in (
            (self.first, "Picture with the first network's mask"),
            (self.second, "Picture with the second network's mask"),
            (self.both, "Picture with both masks"),
        ):
            view.setAccessibleName(name)
            view.setMinimumSize(60, 24)
        beside = QWidget()
        grid = QGridLayout(beside)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        for column, view in enumerate((self.first, self.second)):
            grid.addWidget(view, 0, column)
            grid.setColumnStretch(column, 1)
        together = QWidget()
        below = QVBoxLayout(together)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(0)
        self.legend = _line()
        self.legend.setText(LEGEND)
        self.legend.setStyleSheet(
            f"background: {WINDOW}; color: {TEXT}"
        )  # as dark as the picture above, in both schemes
        below.addWidget(self.both, 1)
        below.addWidget(self.legend)
        self._pictures = QStackedWidget()
        self._pictures.addWidget(beside)
        self._pictures.addWidget(together)
        self._pictures.addWidget(self._build_moments())
        self.words = _line()
        self.words.setFont(theme.number_font())
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        shown = QWidget()
        column_of = QVBoxLayout(shown)
        column_of.setContentsMargins(0, 0, 0, 0)
        column_of.setSpacing(0)
        column_of.addWidget(self._pictures, 1)
        column_of.addWidget(self.words)
        self._empty = QLabel(EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        nothing = QWidget()
        middle = QVBoxLayout(nothing)
        middle.setContentsMargins(14, 6, 14, 6)
        middle.addWidget(self._empty, 1)
        middle.addWidget(self.choose, 0, Qt.AlignmentFlag.AlignHCenter)
        self.stack = QStackedWidget()
        self.stack.addWidget(nothing)
        self.stack.addWidget(shown)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.stack)
        self.setMinimumSize(180, 100)
        self._names = ("", "")
        self._two: Two | None = None
        self._usual: tuple[Usual | None, Usual | None] = None, None
        self.views.activated.connect(self._switch)
        self.set_names("", "", "")

    def set_names(self, first: str, second: str, opening: str) -> None:
        """opening: what is being opened as the second; "" where nothing is."""
        self._names = first, second
        self._empty.setText(f"Opening {opening} …" if opening else EMPTY)
        self.choose.setVisible(not opening)
        self.stop.setVisible(bool(second or opening))
        self.views.setVisible(bool(second))
        self.stack.setCurrentIndex(int(bool(second)))
        self._caption.set_text(f"opening {opening} …" if second and opening else "")
        if not second:
            self.show_two(None)
        self._name()

    def _build_moments(self) -> QWidget:
        self.list = QListWidget()
        self.list.setFrameShape(QListWidget.Shape.NoFrame)
        self.list.setAccessibleName("Where the networks differ")
        self.list.itemClicked.connect(self._want)
        self.list.itemActivated.connect(self._want)
        self._none = QLabel()
        self._none.setTextFormat(Qt.TextFormat.PlainText)
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.setWordWrap(True)
        self._none.setContentsMargins(14, 6, 14, 6)
        self._moments = QStackedWidget()
        self._moments.addWidget(self._none)
        self._moments.addWidget(self.list)
        return self._moments

    def set_moments(self, rows: list[tuple[str, int]], said: str) -> None:
        """rows: words and the frame that a click goes to. said: what stands there where there are none."""
        self.list.clear()
        for text, frame in rows:
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, frame)
            self.list.addItem(item)
        self._none.setText(said)
        self._moments.setCurrentIndex(int(bool(rows)))

    def _want(self, item: QListWidgetItem) -> None:
        self.wanted.emit(int(item.data(Qt.ItemDataRole.UserRole)))

    def set_overlay(self, overlay: Overlay) -> None:
        for view in (self.first, self.second, self.both):
            view.set_overlay(overlay)

    def set_usual(self, first: Usual | None, second: Usual | None) -> None:
        """What strengths the masks of the drive have, where that is known."""
        self._usual = first, second
        self.first.set_usual(first)
        self.second.set_usual(second)
        self.both.refresh()
        self._warn()

    def show_two(self, two: Two | None, gap: str = "") -> None:
        """None: there is nothing of both networks to show."""
        self._two = two
        for view in (self.first, self.second, self.both):
            view.set_gap(gap or None)
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show()

    def _switch(self, row: int) -> None:
        self._pictures.setCurrentIndex(row)

    @property
    def view(self) -> str:
        """A key of VIEWS."""
        return str(self.views.currentData())

    def set_view(self, name: str) -> None:
        """What no version knows changes nothing."""
        if (row := self.views.findData(name)) >= 0:
            self.views.setCurrentIndex(row)
            self._switch(row)

    def _show(self) -> None:
        two = self._two
        if two is None or two.record.image is None or two.record.result is None:
            self.first.set_masked(None, None)
            self.second.set_masked(None, None)
            self.both.set_both(None, [])
            self.words.setText("")
            return
        results = two.record.result, two.second
        image, rects = _part(two.record.image, [r.crop for r in results], self.height() < SMALL)
        for view, result, rect in zip((self.first, self.second), results, rects, strict=True):
            view.set_strength(result.strength)
            view.set_masked(image, result.map(), rect, place_of(two.record, result, VBP))
        self.both.set_both(image, rects)
        self._warn()
        self.words.setText(_words(two))

    def _warn(self) -> None:
        """What would mislead about either mask."""
        if (two := self._two) is None or two.record.result is None:
            return
        results = two.record.result, two.second
        said = []
        for view, result, usual in zip((self.first, self.second), results, self._usual, strict=True):
            worth = usual.short(result.strength, result.spread) if usual is not None else ""
            said.append("; ".join(filter(None, (result.warning, worth))))
            view.set_warning(said[-1] or None)
        together = [f"{letter}: {text}" for letter, text in zip("AB", said, strict=True) if text]
        self.both.set_warning("; ".join(together) or None)

    def _name(self) -> None:
        for view, letter, name in zip((self.first, self.second), "AB", self._names, strict=True):
            view.set_caption(f"{letter}  {name}" if name else "")


def _line() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setContentsMargins(8, 1, 8, 2)
    return label


def _part(image: Image, crops: list[Rect], small: bool) -> tuple[Image, list[Rect]]:
    """The whole picture, or what both networks see of it, and where in that each one's crop lies."""
    if not small:
        return image, crops
    left, top = min(r.x for r in crops), min(r.y for r in crops)
    right, bottom = max(r.x + r.width for r in crops), max(r.y + r.height for r in crops)
    seen = np.ascontiguousarray(image[top:bottom, left:right])
    return seen, [Rect(r.x - left, r.y - top, r.width, r.height) for r in crops]


def _says(result: NetworkResult) -> str:
    if (classes := result.classes) is not None:
        return f"{classes.name} {100 * classes.probability:.0f} %"
    return f"{signed(math.degrees(result.angle_rad))}°" if math.isfinite(result.angle_rad) else ""


def _words(two: Two) -> str:
    first, second = two.record.result, two.second
    assert first is not None
    driven = math.degrees(two.record.driven_rad)
    parts = [f"driven {signed(driven)}°"] * (first.classes is None and math.isfinite(driven))
    parts += [f"{letter} {said}" for letter, r in (("A", first), ("B", second)) if (said := _says(r))]
    if first.classes is not None and second.classes is not None:
        same = first.classes.number == second.classes.number
        parts.append("the same class" if same else "not the same class")
    elif math.isfinite(second.angle_rad - first.angle_rad):
        angles = math.degrees(second.angle_rad), math.degrees(first.angle_rad)
        parts.append(f"B − A {signed(shown_error(*angles))}°")
    if math.isfinite(two.agree):
        parts.append(f"masks agree {100 * two.agree:.0f} %")
    return "   ".join(parts)
