"""The whole drive in one line: where we are, where the network errs, what is missing, what is marked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vbp.app import theme
from vbp.app.widgets import timeline_strip as strip
from vbp.app.widgets.bands import Band, paint_bands, words_at
from vbp.app.widgets.series import nice_limit
from vbp.app.widgets.timeline_notes import Mark, lay_out, paint_notes
from vbp.frames.strengths import Usual
from vbp.readable import clock, how_long

PAD = 12.0
LANE = 13.0  # above the strip: notes and the handles of A and B
BELOW = 6.0  # under the strip: how strong masks are, and another one where two networks are compared: how they differ
REACH = 6.0  # pixels around a handle that still take it
APART = 8.0  # pixels of a part of the recording, at least
STRIP_MS = 100  # new errors are drawn at most this often
Floats = NDArray[np.float64]


class Timeline(QWidget):
    """Frames lie at equal distances, so that each can be reached; press or drag to seek."""

    seek_requested = Signal(int)
    scrub_started = Signal()
    scrub_finished = Signal()
    marks_changed = Signal(object, object)  # A and B as frames or None, while one is dragged
    hovered = Signal(
        int, int
    )  # the frame at the pointer and its place along the line; -1 for none, or one that is shown

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._times: Floats = np.zeros(0)
        self._gaps: list[tuple[int, int, str]] = []
        self._errors: Floats = np.zeros(0)
        self._holes: dict[int, float] = {}  # frame after it -> seconds
        self._unit = "°"
        self._peak = 0.0
        self._strengths = self._spreads = np.zeros(0)
        self._usual: Usual | None = None
        self._differences: Floats | None = None
        self._notes: list[Mark] = []
        self._findings: Sequence[Band] = ()
        self._marks: list[int | None] = [None, None]
        self._position = 0
        self._held: str | None = None  # "scrub", "a" or "b"
        self._asked = -1
        self._hover: float | None = None
        self._strip: QPixmap | None = None
        self._below: list[QPixmap] = []
        self._strip_key: tuple[object, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(STRIP_MS)
        self._timer.timeout.connect(self._refresh)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseTracking(True)
        self.setMinimumWidth(200)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._refresh)

    # -- what it shows

    def set_drive(
        self, times_s: Floats, gaps: list[tuple[int, int, str]], holes: Sequence[tuple[int, float]] = ()
    ) -> None:
        """A new drive: its frames' times in seconds, (first, last, reason) of what is missing, and holes in its time, each as
        the frame before it and its seconds."""
        self._times = np.asarray(times_s, dtype=np.float64)
        self._errors = np.full(len(self._times), np.nan)
        self._peak = 0.0
        self._strengths, self._spreads, self._differences = np.zeros(0), np.zeros(0), None
        self._notes, self._findings = [], ()
        self._marks = [None, None]
        self._position = 0
        self._held = None
        self._holes = {before + 1: seconds for before, seconds in holes}
        self.set_gaps(gaps)

    def set_gaps(self, gaps: list[tuple[int, int, str]]) -> None:
        """The gaps alone: one was found while playing."""
        self._gaps = sorted(gaps)
        self._refresh()

    def set_unit(self, unit: str) -> None:
        """Of the errors."""
        self._unit = unit

    def set_errors(self, abs_error_deg: Floats) -> None:
        """|error| of every frame in degrees, NaN where unknown."""
        n = min(len(abs_error_deg), len(self._errors))
        self._errors = np.full(len(self._times), np.nan)
        self._errors[:n] = np.abs(np.asarray(abs_error_deg, dtype=np.float64)[:n])
        known = self._errors[np.isfinite(self._errors)]
        self._peak = float(known.max()) if len(known) else 0.0
        self._refresh()

    def set_error(self, i: int, deg: float) -> None:
        """The error of one frame; drawn soon, with the others that arrive meanwhile."""
        if 0 <= i < len(self._errors):
            self._errors[i] = abs(deg)
            if abs(deg) > self._peak:
                self._peak = abs(deg)
            if not self._timer.isActive():
                self._timer.start()

    def set_strengths(self, strengths: Floats, spreads: Floats) -> None:
        """Of every frame's mask, NaN where unknown. The arrays are read whenever errors are drawn: they may fill."""
        self._strengths, self._spreads = strengths, spreads
        self._refresh()

    def set_differences(self, values: Floats | None) -> None:
        """Of two networks' angles, of every frame, NaN where unknown; None: there is one network."""
        other = (values is None) != (self._differences is None)
        self._differences = values
        if other:
            self._refresh()
        elif not self._timer.isActive():
            self._timer.start()

    def set_usual(self, usual: Usual | None) -> None:
        """What strengths the drive has; without that there is no strip of them."""
        self._usual = usual
        self._refresh()

    def set_notes(self, notes: list[Mark]) -> None:
        """In the order of their frames."""
        self._notes = notes
        self.update()

    def set_findings(self, parts: Sequence[Band]) -> None:
        self._findings = parts
        self.update()

    def set_marks(self, a: int | None, b: int | None) -> None:
        """The part A..B; emits nothing."""
        if self._held not in ("a", "b"):
            self._marks = [a, b]
            self.update()

    def set_position(self, i: int) -> None:
        """The frame shown; emits nothing."""
        if i != self._position:
            self._position = i
            self.update()

    # -- from frames to pixels

    def track(self) -> QRectF:
        """Where the strip lies."""
        right = PAD + self._text_width() + PAD
        below = BELOW if self._differences is None else 2 * BELOW - 1
        return QRectF(
            PAD, LANE, max(1.0, self.width() - PAD - right), max(4.0, self.height() - LANE - 6 - below)
        )

    def x_of(self, i: int) -> float:
        """The middle of frame `i`."""
        t = self.track()
        return t.x() + t.width() * i / max(1, len(self._times) - 1)

    def index_at(self, x: float) -> int:
        """The frame nearest to x."""
        t = self.track()
        last = max(0, len(self._times) - 1)
        return min(last, max(0, round((x - t.x()) / t.width() * last)))

    def gap_at(self, i: int) -> str:
        """Why frame `i` is missing; empty where it is not."""
        at = bisect_right(self._gaps, i, key=lambda gap: gap[0]) - 1
        return self._gaps[at][2] if at >= 0 and self._gaps[at][1] >= i else ""

    def describe(self, i: int) -> str:
        """What the tooltip says about frame `i`."""
        parts = [f"{clock(self._seconds(i))}   frame {i}"]
        if np.isfinite(self._errors[i]):
            parts.append(f"error {self._errors[i]:.1f}{self._unit}")
        if self._usual is not None and i < len(self._strengths):
            parts += strip.worth_words(self._strengths, self._spreads, self._usual, i)
        if self._differences is not None and np.isfinite(self._differences[i]):
            parts.append(f"difference of the networks {abs(self._differences[i]):.1f}{self._unit}")
        parts += [note.words for note in self._notes if note.first <= i <= note.last]
        near = int(2 * len(self._times) / self.track().width())  # frames in 2 pixels
        parts += words_at(self._findings, i - near, i + near)
        if i in self._holes:
            parts.append(f"{how_long(self._holes[i])} after the frame before")
        if gap := self.gap_at(i):
            parts.append(gap)
        return "\n".join(parts)

    def time_text(self) -> str:
        """03:30.6 / 09:12."""
        if not len(self._times):
            return ""
        return f"{clock(self._seconds(self._position))} / {clock(self._seconds(len(self._times) - 1))[:-2]}"

    def _seconds(self, i: int) -> float:
        i = min(max(0, i), len(self._times) - 1)
        return float(self._times[i] - self._times[0])

    def _text_width(self) -> float:
        # as wide as the longest time of this drive, in zeros: it must not move while playing
        longest = clock(self._seconds(len(self._times) - 1) if len(self._times) else 0.0)
        zeros = "".join("0" if c.isdigit() else c for c in longest)
        return float(self._metrics().horizontalAdvance(f"{zeros} / {zeros[:-2]}"))

    @staticmethod
    def _metrics() -> QFontMetricsF:
        return QFontMetricsF(theme.number_font())

    def sizeHint(self) -> QSize:
        return QSize(400, 46)

    # -- the hand

    def _handle_at(self, pos: QPointF) -> str:
        for name, mark in (("b", self._marks[1]), ("a", self._marks[0])):
            if mark is not None and pos.y() < LANE + 2 and abs(self.x_of(mark) - pos.x()) <= REACH + 2:
                return name
        return "scrub"

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not len(self._times):
            return
        if event.position().x() > self.track().right() + PAD:  # on the time, at the right
            return
        self._held = self._handle_at(event.position())
        if self._held == "scrub":
            self.scrub_started.emit()
            self._asked = -1
            self._seek(event.position())

    def _seek(self, pos: QPointF) -> None:
        i = self.index_at(pos.x())
        under = self.notes_at(pos) if self._asked < 0 else []  # a press in the lane takes the note under it
        i = under[0].first if under else i
        if i != self._asked:
            self._asked = i
            self.seek_requested.emit(i)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        pos = event.position()
        if self._held == "scrub":
            self._seek(pos)
        elif self._held in ("a", "b"):
            self._drag_mark(self.index_at(pos.x()))
        self._hover = pos.x() if len(self._times) and pos.x() <= self.track().right() + PAD else None
        on_handle = self._held is None and self._handle_at(pos) != "scrub"
        self.setCursor(Qt.CursorShape.SizeHorCursor if on_handle else Qt.CursorShape.ArrowCursor)
        if self._hover is not None:
            at = self.mapToGlobal(QPoint(round(self._hover) + 8, -self.height()))
            said = self.describe(self.index_at(self._hover)).split("\n")
            said += [note.words for note in self.notes_at(pos) if note.words not in said]
            QToolTip.showText(at, "\n".join(said), self)
        free = self._hover is not None and self._held is None
        self.hovered.emit(self.index_at(pos.x()) if free else -1, round(pos.x()))
        self.update()

    def notes_at(self, pos: QPointF) -> list[Mark]:
        """Those under the hand in the lane above the strip, that whose sign is nearest first."""
        if pos.y() >= LANE or not self._notes:
            return []
        boxes = lay_out(self._notes, self.x_of)
        reach = QRectF(pos.x() - REACH, 0, 2 * REACH, LANE)
        near = [(box, note) for box, note in zip(boxes, self._notes, strict=True) if box.intersects(reach)]
        near.sort(
            key=lambda one: (one[0].center() - pos).manhattanLength() if not one[0].contains(pos) else -1
        )
        return [note for _, note in near]

    def _drag_mark(self, i: int) -> None:
        a, b = self._marks
        starts = [i if b is None else min(i, b), b]
        new = starts if self._held == "a" else [a, i if a is None else max(i, a)]
        if new != self._marks:
            self._marks = new
            self.marks_changed.emit(*new)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        held, self._held = self._held, None
        if held == "scrub":
            self.scrub_finished.emit()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = None
        self.hovered.emit(-1, 0)
        self.update()

    # -- paint

    def _refresh(self) -> None:
        self._strip = None
        self.update()

    def _strip_pixmap(self, t: QRectF) -> QPixmap:
        dpr = self.devicePixelRatioF()
        width, height = max(1, round(t.width() * dpr)), max(1, round(t.height() * dpr))
        if self._strip is None or self._strip_key != (width, height, dpr):
            runs = strip.gap_runs(self._gaps, len(self._times), width)
            self._strip = strip.paint_strip(self._errors, nice_limit(self._peak), runs, width, height, dpr)
            self._strip_key = (width, height, dpr)
            tall = max(1, round((BELOW - 2) * dpr))
            self._below = []
            if self._differences is not None:
                self._below.append(strip.paint_differences(self._differences, width, tall, dpr))
            worth = strip.paint_strengths(self._strengths, self._spreads, self._usual, width, tall, dpr)
            if worth is not None:
                self._below.append(worth)
        return self._strip

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        c = theme.colours()
        t = self.track()
        painter.drawPixmap(t.topLeft(), self._strip_pixmap(t))
        for k, below in enumerate(self._below):
            painter.drawPixmap(QPointF(t.left(), t.bottom() + 3 + k * (BELOW - 1)), below)
        painter.setPen(QPen(c.border, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(t.adjusted(-0.5, -0.5, 0.5, 0.5), 2, 2)
        self._paint_holes(painter, t)
        if len(self._times):
            self._paint_marks(painter, t)
            paint_bands(painter, self._findings, self.x_of, t.top() - 4)
            paint_notes(painter, self._notes, lay_out(self._notes, self.x_of))
            self._paint_position(painter, t)
            self._paint_text(painter)
        painter.end()

    def _paint_holes(self, painter: QPainter, t: QRectF) -> None:
        """The parts of a recording that was put together lie apart, where there is room for that."""
        after = np.fromiter(self._holes, np.float64, len(self._holes))
        middles = np.unique(np.round(t.x() + t.width() * (after - 0.5) / max(1, len(self._times) - 1)))
        for x in middles.tolist() if len(middles) * APART < t.width() else ():
            painter.fillRect(QRectF(x - 1.5, t.top() - 1, 3, t.height() + 2), theme.colours().window)

    def _paint_marks(self, painter: QPainter, t: QRectF) -> None:
        a, b = self._marks
        if a is None and b is None:
            return
        c = theme.colours()
        left = t.left() if a is None else self.x_of(a)
        right = t.right() if b is None else self.x_of(b)
        fill = QColor(c.accent)
        fill.setAlpha(45)
        painter.fillRect(QRectF(left, t.top(), max(1.0, right - left), t.height()), fill)
        font = theme.number_font()
        font.setPixelSize(10)
        font.setBold(True)
        painter.setFont(font)
        for name, mark, x, side in (("A", a, left, -1.0), ("B", b, right, 0.0)):
            if mark is None:
                continue
            painter.fillRect(QRectF(x - 0.75, 1, 1.5, t.bottom() - 1), c.accent)
            tab = QRectF(x + side * 12, 0.5, 12, 11.5)
            painter.fillRect(tab, c.accent)
            painter.setPen(c.window)
            painter.drawText(tab, int(Qt.AlignmentFlag.AlignCenter), name)

    def _paint_position(self, painter: QPainter, t: QRectF) -> None:
        c = theme.colours()
        if self._hover is not None and self._held is None:
            faint = QColor(c.text)
            faint.setAlpha(90)
            x = min(t.right(), max(t.left(), self._hover))
            painter.fillRect(QRectF(x - 0.5, t.top(), 1, t.height()), faint)
        x = self.x_of(min(max(0, self._position), len(self._times) - 1))
        painter.setPen(QPen(c.window, 1))
        painter.setBrush(c.accent if self._held == "scrub" else c.text)
        painter.drawRoundedRect(QRectF(x - 2.5, t.top() - 3.5, 5, t.height() + 7), 2.5, 2.5)

    def _paint_text(self, painter: QPainter) -> None:
        c = theme.colours()
        painter.setFont(theme.number_font())
        now, _, rest = self.time_text().partition(" / ")
        rest = " / " + rest
        t = self.track()
        width = self._metrics().horizontalAdvance(rest)
        box = QRectF(0, t.top(), self.width() - PAD, t.height())
        painter.setPen(c.muted)
        painter.drawText(box, _RIGHT, rest)
        painter.setPen(c.text)
        painter.drawText(box.adjusted(0, 0, -width, 0), _RIGHT, now)


_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
