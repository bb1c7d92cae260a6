"""The page that lists every key, from the window's own table of actions."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from vbp.app import theme

COLUMN = 330  # a column is at least this wide
MARGIN = 20.0
Group = tuple[str, list[tuple[str, str]]]


def caps(keys: str) -> list[list[str]]:
    """ "Ctrl+Shift+O, F2" -> [["Ctrl", "Shift", "O"], ["F2"]]; a plus can be a key itself."""
    out = []
    for chord in keys.split(", "):
        parts = (
            [p for p in chord[:-1].split("+") if p] + [chord[-1:]]
            if chord.endswith("+")
            else chord.split("+")
        )
        parts = [p for p in parts if p]
        if parts:
            out.append(parts)
    return out


def spread(groups: list[Group], columns: int) -> list[list[Group]]:
    """The groups in order over `columns`, about evenly high."""
    height = [len(rows) + 2 for _, rows in groups]
    out: list[list[Group]] = [[] for _ in range(columns)]
    goal, filled, at = sum(height) / columns, 0.0, 0
    for group, tall in zip(groups, height, strict=True):
        if filled + tall / 2 > goal * (at + 1) and at < columns - 1:
            at += 1
        out[at].append(group)
        filled += tall
    return out


class _Sheet(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.groups: list[Group] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def _row(self) -> float:
        return self.fontMetrics().height() + 12.0

    def _columns(self, width: int) -> int:
        return max(1, min(3, len(self.groups), int((width - MARGIN) // (COLUMN + MARGIN))))

    def sizeHint(self) -> QSize:
        tallest = max(
            (
                sum(len(rows) + 2 for _, rows in column)
                for column in spread(self.groups, self._columns(self.width()))
            ),
            default=0,
        )
        return QSize(COLUMN, int(tallest * self._row() + MARGIN))

    def minimumSizeHint(self) -> QSize:
        return QSize(240, self.sizeHint().height())

    def resizeEvent(self, event: QEvent) -> None:
        self.updateGeometry()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        columns = self._columns(self.width())
        # columns wider than this part a key from its word
        wide = min(COLUMN * 1.5, (self.width() - MARGIN * (columns + 1)) / columns)
        left = (self.width() - columns * wide - (columns - 1) * MARGIN * 2) / 2
        for i, column in enumerate(spread(self.groups, columns)):
            x, y = max(MARGIN, left) + i * (wide + MARGIN * 2), MARGIN
            if columns > 1 and left < MARGIN:
                x = MARGIN + i * (wide + MARGIN)
            for name, rows in column:
                y = self._paint_group(painter, QRectF(x, y, wide, self._row()), name, rows)
        painter.end()

    def _paint_group(self, painter: QPainter, line: QRectF, name: str, rows: list[tuple[str, str]]) -> float:
        c = theme.colours()
        plain = QFont(self.font())
        bold = QFont(plain)
        bold.setBold(True)
        painter.setFont(bold)
        painter.setPen(c.text)
        painter.drawText(line, _LEFT, name)
        painter.setFont(plain)
        for text, keys in rows:
            line = line.translated(0, self._row())
            painter.setPen(QPen(c.border, 1))
            painter.drawLine(line.topLeft(), line.topRight())
            free = self._paint_caps(painter, line, caps(keys))
            painter.setPen(c.text if keys else c.muted)
            words = line.adjusted(0, 0, -free - 8, 0)
            text = painter.fontMetrics().elidedText(
                text, Qt.TextElideMode.ElideRight, max(0, int(words.width()))
            )
            painter.drawText(words, _LEFT, text)
        return line.bottom() + self._row()

    def _paint_caps(self, painter: QPainter, line: QRectF, chords: list[list[str]]) -> float:
        """Key caps against the right end of `line`; returns how wide they are."""
        c = theme.colours()
        metrics = QFontMetricsF(painter.font())
        high = metrics.height() + 4
        right = line.right()
        for n, chord in enumerate(reversed(chords)):
            if n:
                right -= 10
                painter.setPen(c.muted)
                painter.drawText(QRectF(right - 14, line.y(), 20, line.height()), _CENTRE, "or")
                right -= 16
            for key in reversed(chord):
                wide = max(high, metrics.horizontalAdvance(key) + 12)
                cap = QRectF(right - wide, line.center().y() - high / 2, wide, high)
                painter.setPen(QPen(c.border, 1))
                painter.setBrush(c.raised)
                painter.drawRoundedRect(cap.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
                painter.setPen(c.text)
                painter.drawText(cap, _CENTRE, key)
                right -= wide + 4
        return line.right() - right


class KeysPage(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sheet = _Sheet()
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.sheet)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(scroll)
        theme.changed.connect(self.sheet.update)

    def set_actions(self, actions: list[tuple[str, str, str]]) -> None:
        """(group, text, keys), keys as Qt writes them ("Ctrl+O", several parted by ", "); in order."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for group, text, keys in actions:
            groups.setdefault(group, []).append((text.replace("&", ""), keys))
        self.sheet.groups = list(groups.items())
        self.sheet.updateGeometry()
        self.sheet.update()

    def sizeHint(self) -> QSize:
        return QSize(760, 520)


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_CENTRE = int(Qt.AlignmentFlag.AlignCenter)
