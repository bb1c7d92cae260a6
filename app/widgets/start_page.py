"""What the window shows before a drive is open: how to open one."""

from __future__ import annotations

from pathlib import PurePath

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QFontMetrics,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from vbp.app import theme

WIDTH = 580
ACCEPTED = "ROS bag, MCAP, Udacity export or simulator log, video, folder of pictures"


class RecentRow(QAbstractButton):
    """One drive of the recent list: its name, and the folder that it lies in."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        # a path of another system keeps its own separators
        parts = PurePath(path.replace("\\", "/") if "\\" in path and "/" not in path else path)
        self.name, self.folder = parts.name or path, str(parts.parent) if parts.name else ""
        self.setText(self.name)
        self.setToolTip(path)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, self.fontMetrics().height() + 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        c = theme.colours()
        if self.underMouse() or self.hasFocus():
            painter.setPen(QPen(c.accent if self.hasFocus() else c.border, 1))
            painter.setBrush(c.raised)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        box = QRectF(self.rect()).adjusted(12, 0, -12, 0)
        metrics = QFontMetrics(painter.font())
        beside = min(metrics.horizontalAdvance(self.folder) + 24, int(box.width() * 0.4))
        name = metrics.elidedText(self.name, Qt.TextElideMode.ElideRight, int(box.width()) - beside)
        painter.setPen(c.text)
        painter.drawText(box, _LEFT, name)
        room = int(box.width()) - metrics.horizontalAdvance(name) - 24
        painter.setPen(c.muted)
        painter.drawText(
            box, _RIGHT, metrics.elidedText(self.folder, Qt.TextElideMode.ElideMiddle, max(0, room))
        )
        painter.end()


class _DropCard(QWidget):
    """The dashed ground that invites a drop."""

    def __init__(self) -> None:
        super().__init__()
        self.over = False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        c = theme.colours()
        painter.setBrush(c.panel)
        pen = QPen(c.accent if self.over else c.border, 1.5, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([5, 4])
        painter.setPen(pen)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)
        painter.end()


class StartPage(QWidget):
    choose_requested = Signal()
    camera_requested = Signal()
    open_requested = Signal(str)  # a path: of the recent list, or dropped here

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.rows: list[RecentRow] = []
        self._card = _DropCard()
        self._sign = QLabel()
        title = QLabel("Drop a drive here")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.7)
        title.setFont(font)
        self._accepted = QLabel(ACCEPTED)
        self._accepted.setWordWrap(True)
        self.open = QPushButton("Open…")
        self.open.setToolTip("Open a recording: a file or a folder (O)")
        self.open.clicked.connect(self.choose_requested)
        self.camera = QPushButton("Camera…")
        self.camera.setToolTip("Watch a camera or a stream live (C)")
        self.camera.clicked.connect(self.camera_requested)
        self.demo = QPushButton("Demo drive")
        self.demo.setToolTip("One minute on a simulated road")
        self.demo.hide()
        self._demo_path = ""
        self.demo.clicked.connect(lambda: self.open_requested.emit(self._demo_path))

        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch()
        buttons.addWidget(self.open)
        buttons.addWidget(self.camera)
        buttons.addWidget(self.demo)
        buttons.addStretch()
        card = QVBoxLayout(self._card)
        card.setContentsMargins(24, 28, 24, 28)
        card.setSpacing(10)
        for label in (self._sign, title, self._accepted):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            card.addWidget(label)
        card.addSpacing(6)
        card.addLayout(buttons)

        self._heading = QLabel("Recent")
        self._heading.setContentsMargins(12, 0, 0, 2)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        column = QWidget()
        column.setMaximumWidth(WIDTH)
        column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        inner = QVBoxLayout(column)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._card)
        inner.addSpacing(18)
        inner.addWidget(self._heading)
        inner.addLayout(self._list)
        sheet = QWidget()
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(column, 1000)
        across.addStretch(1)
        box = QVBoxLayout(sheet)
        box.setContentsMargins(24, 16, 24, 16)
        box.addStretch(2)
        box.addLayout(across)
        box.addStretch(3)
        # It scrolls: a long list must not take its height from the panels, which would never get it back.
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(sheet)
        scroll.setAcceptDrops(False)
        scroll.viewport().setAcceptDrops(False)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)
        theme.changed.connect(self._dress)
        self._dress()
        self.set_recent([])

    def set_demo(self, path: str) -> None:
        """Offer the recording at `path` to a user who has none."""
        self._demo_path = path
        self.demo.setVisible(bool(path))

    def set_recent(self, paths: list[str]) -> None:
        """The drives that were open lately, newest first."""
        for row in self.rows:
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = [RecentRow(path) for path in paths[:8]]
        for row in self.rows:
            row.clicked.connect(lambda _=False, path=row.path: self.open_requested.emit(path))
            self._list.addWidget(row)
        self._heading.setVisible(bool(self.rows))

    def _dress(self) -> None:
        c = theme.colours()
        self._sign.setPixmap(theme.icon("drive").pixmap(QSize(44, 44), self.devicePixelRatioF()))
        for label in (self._accepted, self._heading):
            palette = label.palette()
            palette.setColor(label.foregroundRole(), c.muted)
            label.setPalette(palette)
        self._card.update()

    def _set_over(self, over: bool) -> None:
        self._card.over = over
        self._card.update()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self._set_over(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._set_over(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._set_over(False)
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_requested.emit(paths[0])


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
