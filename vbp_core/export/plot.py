"""The angle plot of an exported picture, drawn along with the drive."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.export.facts import Facts
from vbp.export.lettering import Lettering
from vbp.overlay import Rect
from vbp.palette import BORDER, DRIVEN, ERROR, MUTED, PANEL, PREDICTED, TEXT, rgb
from vbp.readable import clock, clock_ticks, how_long, signed

WHOLE_S = 20.0  # a clip up to this long is shown whole; of a longer one, so much moves past
AHEAD = 0.25  # the part of a moving plot that lies ahead of the frame
SHIFT = 4  # cv2 takes coordinates in 1/16 pixels: lines do not jitter
LEAST_DEG = 5.0
STEPS_DEG = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 360, 720)
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)


class AnglePlot:
    """Driven angle all along, predicted angle up to the frame that is shown, the error between them.

    It runs on as the clip does: a hole in the recording is a mark, and the clock below goes on after it. Of a classifier
    the predicted values are probabilities, 0 to 100, and nothing is driven.
    """

    def __init__(self, rect: Rect, unit: float, facts: Facts, lettering: Lettering) -> None:
        self.rect, self._unit, self._lettering = rect, unit, lettering
        times_s, driven_deg, percent = facts.played_s, np.degrees(facts.driven_rad), facts.of_classes
        self._times, self._driven = times_s, driven_deg
        self._lengths, self._holes = facts.holes, list(facts.holes)
        begins = np.zeros(len(times_s), dtype=np.int64)
        begins[list(facts.holes)] = 1
        self._part = np.cumsum(begins)
        self._clock = [(float(times_s[0]), facts.ahead_s(0))]
        self._clock += [(self._middle(n), facts.ahead_s(n)) for n in facts.holes]
        self._predicted = np.full(len(times_s), np.nan)
        self._moving = float(times_s[-1] - times_s[0]) > WHOLE_S
        self._percent = percent
        self._top = 100.0 if percent else LEAST_DEG
        for value in driven_deg:
            self._make_room(float(value))
        size = self._size = max(9, round(12 * unit))
        left = lettering.width("100 %" if percent else "−00°", size) + round(14 * unit)
        self.inner = Rect(  # where the curves are
            rect.x + left,
            rect.y + round(12 * unit),
            max(8, rect.width - left - round(14 * unit)),
            max(8, rect.height - round(12 * unit) - size - round(12 * unit)),
        )

    def set_predicted(self, n: int, degrees: float) -> None:
        """Of the frame `n` of those exported. A value beyond the scale widens it, for good: it never shrinks."""
        self._predicted[n] = degrees
        self._make_room(degrees)

    def _middle(self, n: int) -> float:
        """Where the mark of a hole before `n` stands, in seconds."""
        return float(self._times[n - 1] + self._times[n]) / 2

    def _make_room(self, degrees: float) -> None:
        if math.isfinite(degrees) and abs(degrees) > self._top:
            self._top = abs(degrees)

    def draw(self, image: Image, n: int, future: bool = False) -> None:
        """Into `image`, as it stands at the frame `n` of those exported; `future`: with what is predicted beyond."""
        u, r = self._unit, self.rect
        size = self._size
        cv2.rectangle(image, (r.x, r.y), (r.x + r.width - 1, r.y + r.height - 1), rgb(PANEL), -1)
        inner = self.inner
        first, last = self._span(n)
        to_x, to_y = self._scales(inner, first, last)
        self._grid(image, inner, size, to_x, to_y, first, last)
        a, b = np.searchsorted(self._times, (first, last))
        a, b = max(0, int(a) - 1), min(len(self._times), int(b) + 1)
        t, driven, predicted = self._times[a:b], self._driven[a:b], self._predicted[a:b].copy()
        if not future:
            predicted[max(0, n + 1 - a) :] = np.nan
        part = image[inner.y : inner.y + inner.height, inner.x : inner.x + inner.width]
        x, yd, yp = to_x(t) - inner.x, to_y(driven) - inner.y, to_y(predicted) - inner.y
        thick = max(1, round(1.6 * u))
        of = self._part[a:b]
        self._fill(part, x, yd, yp, of)
        _lines(part, x, yd, of, rgb(DRIVEN), thick)
        _lines(part, x, yp, of, rgb(PREDICTED), thick)
        holes = self._holes[bisect_right(self._holes, a) : bisect_left(self._holes, b)]
        self._marks(part, holes, to_x, inner.x, size)
        at = float(to_x(self._times[n : n + 1])[0]) - inner.x
        _line(part, at, 0, at, inner.height, rgb(TEXT), max(1, round(u)))
        for y, colour in (
            (to_y(self._driven[n : n + 1])[0], DRIVEN),
            (to_y(self._predicted[n : n + 1])[0], PREDICTED),
        ):
            if math.isfinite(y):
                centre = (round(at * 16), round((float(y) - inner.y) * 16))
                cv2.circle(part, centre, round(3.6 * u * 16), rgb(colour), -1, cv2.LINE_AA, SHIFT)

    def _span(self, n: int) -> tuple[float, float]:
        """Seconds at the left and the right end."""
        start, end = float(self._times[0]), float(self._times[-1])
        if not self._moving:
            return start, max(end, start + 0.1)
        first = min(max(float(self._times[n]) - (1 - AHEAD) * WHOLE_S, start), end - WHOLE_S)
        return first, first + WHOLE_S

    def _scales(self, inner: Rect, first: float, last: float):  # type: ignore[no-untyped-def]
        top = self._top * 1.08

        def to_x(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
            return inner.x + (seconds - first) / (last - first) * (inner.width - 1)

        def to_y(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
            if self._percent:
                return inner.y + (104 - degrees) / 108 * (inner.height - 1)
            return inner.y + (top - degrees) / (2 * top) * (inner.height - 1)

        return to_x, to_y

    def _grid(self, image: Image, inner: Rect, size: int, to_x, to_y, first: float, last: float) -> None:  # type: ignore[no-untyped-def]
        u, text, muted = self._unit, self._lettering, rgb(MUTED)
        step = max((s for s in STEPS_DEG if s <= 0.95 * self._top), default=STEPS_DEG[0])
        marks = range(-int(self._top // step) * step, int(self._top) + 1, step)
        for degrees in (0, 50, 100) if self._percent else marks:
            y = round(float(to_y(np.array([float(degrees)]))[0]))
            image[y, inner.x : inner.x + inner.width] = rgb(BORDER)
            label = f"{degrees} %" if self._percent else f"{signed(degrees, 0)}°"
            text.draw(image, label, inner.x - round(6 * u), y + size // 3, size, muted, align="right")
        seconds = next(
            (s for s in STEPS_S if (last - first) / s <= max(2, inner.width / (90 * u))), STEPS_S[-1]
        )
        apart = (last - first) * min(1.0, 60 * u / inner.width)
        for place, tick in clock_ticks(first, last, seconds, self._clock, apart):
            x = round(float(to_x(np.array([place]))[0]))
            image[inner.y : inner.y + inner.height, x] = rgb(BORDER)
            label = clock(tick + 1e-6) if seconds < 1 else clock(tick + 1e-6)[:-2]
            if (
                inner.x - left_of(label, text, size)
                < x
                < inner.x + inner.width - left_of(label, text, size) // 2
            ):
                text.draw(
                    image, label, x, inner.y + inner.height + size + round(4 * u), size, muted, align="centre"
                )

    def _marks(self, part: Image, holes: list[int], to_x, left: int, size: int) -> None:  # type: ignore[no-untyped-def]
        """A dashed line at each hole, and how long it is where there is room for that."""
        u, free = self._unit, 0.0
        for n in holes:
            x = float(to_x(np.array([self._middle(n)]))[0]) - left
            for y in range(0, part.shape[0], max(4, round(8 * u))):
                _line(part, x, y, x, min(part.shape[0], y + 4 * u), rgb(MUTED), max(1, round(1.4 * u)))
            text = how_long(self._lengths[n])
            width = self._lettering.width(text, size)
            if free <= x + 4 * u and x + 4 * u + width <= part.shape[1]:
                self._lettering.draw(
                    part, text, round(x + 4 * u), part.shape[0] - round(4 * u), size, rgb(MUTED)
                )
                free = x + 8 * u + width

    def _fill(
        self,
        part: Image,
        x: NDArray[np.float64],
        above: NDArray[np.float64],
        below: NDArray[np.float64],
        of: NDArray[np.int64],
    ) -> None:
        both = np.isfinite(above) & np.isfinite(below)
        areas = [
            np.concatenate([np.stack([x[run], above[run]], 1), np.stack([x[run], below[run]], 1)[::-1]])
            for run in _runs(both, of)
            if run.stop - run.start > 1
        ]
        if areas:
            veil = part.copy()
            for area in areas:
                cv2.fillPoly(veil, [_fixed(area)], rgb(ERROR), cv2.LINE_AA, SHIFT)
            part[:] = cv2.addWeighted(veil, 0.3, part, 0.7, 0)


def left_of(label: str, text: Lettering, size: int) -> int:
    return text.width(label, size) // 2


def _runs(good: NDArray[np.bool_], of: NDArray[np.int64]) -> list[slice]:
    """Stretches of good samples without a hole between them. of: which part of the recording each belongs to."""
    if not good.any():
        return []
    joined = good[1:] & good[:-1] & (of[1:] == of[:-1])
    starts = np.flatnonzero(good & ~np.concatenate([[False], joined]))
    ends = np.flatnonzero(good & ~np.concatenate([joined, [False]])) + 1
    return [slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


def _lines(
    part: Image,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    of: NDArray[np.int64],
    colour: tuple[int, int, int],
    thick: int,
) -> None:
    points = np.stack([x, y], 1)
    for run in _runs(np.isfinite(y), of):
        cv2.polylines(part, [_fixed(points[run])], False, colour, thick, cv2.LINE_AA, SHIFT)


def _line(
    part: Image, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int], thick: int
) -> None:
    a, b = _fixed(np.array([[x0, y0], [x1, y1]]))
    cv2.line(part, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), colour, thick, cv2.LINE_AA, SHIFT)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.round(points * (1 << SHIFT)), dtype=np.int32)
