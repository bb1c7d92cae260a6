"""Notes over the timeline: flags and bars, beside or above each other where they lie close."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPolygonF

from vbp.app import theme

TOP, HEIGHT = 1.5, 10.5  # pixels of the lane above the strip
HALF = 4.0  # of a flag's width
LANES = 3  # above each other, at most; further ones lie on the last


@dataclass(frozen=True)
class Mark:
    """A note as the timeline knows it: its frames, both included, and what it is called."""

    first: int
    last: int
    words: str


def lay_out(marks: Sequence[Mark], x_of: Callable[[int], float]) -> list[QRectF]:
    """Where each of the marks, in order, is drawn. Those that would hide each other share the height."""
    spans = [(x_of(m.first) - HALF, max(x_of(m.first) + HALF, x_of(m.last))) for m in marks]
    boxes: list[QRectF] = []
    start = 0
    while start < len(spans):
        ends: list[float] = []  # of the lanes of those that touch each other
        lanes: list[int] = []
        stop, right = start, spans[start][1]
        while stop < len(spans) and spans[stop][0] <= right:
            left, end = spans[stop]
            lane = next((k for k, taken in enumerate(ends) if taken < left), len(ends))
            ends = [*ends, end] if lane == len(ends) else [*ends[:lane], end, *ends[lane + 1 :]]
            lanes.append(lane)
            right = max(right, end)
            stop += 1
        tall = HEIGHT / min(LANES, len(ends))
        for (left, end), lane in zip(spans[start:stop], lanes, strict=True):
            top = TOP + tall * min(lane, LANES - 1)
            boxes.append(QRectF(left, top, end - left, tall - (0.0 if len(ends) == 1 else 1.0)))
        start = stop
    return boxes


def paint_notes(painter: QPainter, marks: Sequence[Mark], boxes: Sequence[QRectF]) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colours().bookmark)
    for mark, box in zip(marks, boxes, strict=True):
        if mark.first == mark.last and box.height() > HEIGHT / 2:  # a flag that points at its frame
            low = box.top() + 0.6 * box.height()
            tip = QPointF(box.center().x(), box.bottom())
            painter.drawPolygon(
                QPolygonF(
                    [box.topLeft(), box.topRight(), QPointF(box.right(), low), tip, QPointF(box.left(), low)]
                )
            )
        else:
            painter.drawRoundedRect(box, 1.5, 1.5)
