"""One line at the top of the window for what the user must know; never a dialog."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from vbp.app import theme

Actions = Sequence[tuple[str, Callable[[], object]]]
GAP = 8  # pixels
READABLE = 240  # pixels of width of a text; with less, the buttons go below it
NARROWEST = 320  # pixels of width of a notice, where the window has them
LEVELS = ("info", "warning", "error")


class Notice(QFrame):
    """Hidden until there is something to say; the newest message replaces the one before.

    An information goes by itself after `info_ms`; warnings and errors stay until they are dismissed.
    """

    def __init__(self, parent: QWidget | None = None, info_ms: int = 8000) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(info_ms)
        self._timer.timeout.connect(self.dismiss)
        self._level = "info"
        self._ground: QWidget | None = None
        self.sign = QLabel()
        self.label = QLabel()
        self.label.setTextFormat(Qt.TextFormat.PlainText)  # a file name is no markup
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.label.setWordWrap(True)
        self._buttons: list[QPushButton] = []
        self.close_button = QToolButton()
        self.close_button.setToolTip("Dismiss")
        theme.set_icon(self.close_button, "close")
        self.close_button.clicked.connect(self.dismiss)
        self._box = QHBoxLayout(self)
        self._box.setContentsMargins(10, 5, 6, 5)
        self._box.setSpacing(GAP)
        self._parts = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._parts.setSpacing(GAP)
        self._parts.addWidget(self.label, 1)
        self._grid = QGridLayout()
        self._grid.setSpacing(GAP)
        self._parts.addLayout(self._grid)
        self._box.addWidget(self.sign)
        self._box.addLayout(self._parts, 1)
        self._box.addWidget(self.close_button)
        theme.changed.connect(self._dress)
        self.hide()

    def lie_over(self, ground: QWidget) -> None:
        """At the top of `ground`, whose parts keep their places, in the window that it is in by now."""
        self.setParent(ground.window())
        self._ground = ground
        ground.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self._place()
        return False

    def _place(self) -> None:
        """Over `ground`, and where that is narrow over what stands beside it, too: a sentence is not read word by word."""
        ground, window = self._ground, self.parentWidget()
        if ground is not None and window is not None and not self.isHidden():
            width = max(ground.width(), min(NARROWEST, window.width()))
            corner = ground.mapTo(window, QPoint(0, 0))
            self._arrange(width)
            height = max(self._box.heightForWidth(width), self._box.minimumSize().height())
            left = max(0, min(corner.x(), window.width() - width))
            self.setGeometry(left, corner.y(), width, min(height, ground.height()))
            self.raise_()

    def _arrange(self, width: int) -> None:
        """The buttons beside the text, or below it, in as many rows as it takes."""
        hints = [button.sizeHint().width() + GAP for button in self._buttons]
        edges = self._box.contentsMargins()
        fixed = edges.left() + edges.right() + 2 * GAP
        room = width - fixed - self.sign.sizeHint().width() - self.close_button.sizeHint().width()
        beside = not hints or sum(hints) + READABLE <= room
        way = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        self._parts.setDirection(way)
        columns = max(1, len(hints)) if beside else max(1, (room + GAP) // max(hints, default=1))
        for k, button in enumerate(self._buttons):
            self._grid.removeWidget(button)
            self._grid.addWidget(button, k // columns, k % columns)
        for changed in (self._parts, self._box):  # a layout does not hear of what is within another
            changed.invalidate()

    def show_message(self, text: str, level: str = "info", actions: Actions = ()) -> None:
        """Show `text`; `actions` become buttons that run their function and dismiss the message."""
        self._level = level if level in LEVELS else "info"
        self.label.setText(text)
        for button in self._buttons:
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = []
        for name, call in actions:
            button = QPushButton(name, self)
            button.clicked.connect(lambda _=False, call=call: self._run(call))
            button.show()
            self._buttons.append(button)
        self._arrange(self.width())
        self._dress()
        self.show()
        self._place()
        if self._level == "info" and not actions:
            self._timer.start()
        else:
            self._timer.stop()

    def actions_shown(self) -> list[QPushButton]:
        return list(self._buttons)

    def message(self) -> str:
        """The text on show, empty when hidden."""
        return "" if self.isHidden() else self.label.text()

    def dismiss(self) -> None:
        self._timer.stop()
        self.hide()

    def _run(self, call: Callable[[], object]) -> None:
        self.dismiss()
        call()

    def _dress(self) -> None:
        c = theme.colours()
        edge = {"info": c.accent, "warning": c.warning, "error": c.error}[self._level]
        self.sign.setPixmap(theme.icon(self._level, edge).pixmap(QSize(18, 18), self.devicePixelRatioF()))
        self.setStyleSheet(
            f"Notice {{ background: {c.raised.name()}; border: none; border-left: 3px solid {edge.name()}; }}"
        )
