"""A panel's title: one thin line with its name, what belongs to it, and the buttons to float and close it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from vbp.app import theme

BUTTON = 14
BUTTONS = 64  # pixels that the buttons of a title take, with its margins
LEAST_SHOWN = 6  # letters of a caption, with its dots; fewer say nothing
WITH_NAME = (
    250  # pixels of width of a title, from which on all of its name is seen, whatever stands beside it
)
WITH_FLOAT = 160  # pixels of width of a title, from which on it has the button to undock
AWAY = 28  # pixels that a panel moves when it is undocked and the screen is full: one sees that it floats


class Caption(QWidget):
    """A text that changes with every frame: unlike a QLabel, it never makes the window lay itself out anew.

    Where there is no room for all of "the network's input, 640×125", its end is seen.
    """

    def __init__(self, side: Qt.AlignmentFlag) -> None:
        super().__init__()
        self._side = side
        self._text = ""
        self.setFont(theme.number_font())
        self.setMinimumHeight(self.fontMetrics().height())
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def text(self) -> str:
        return self._text

    def set_text(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.setToolTip(text)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(theme.colours().muted)
        painter.drawText(self.rect(), int(self._side | Qt.AlignmentFlag.AlignVCenter), self.shown_text())
        painter.end()

    def shown_text(self) -> str:
        def elided(text: str) -> str:
            return self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, self.width())

        parts = self._text.split(", ")
        ends = (", ".join(parts[k:]) for k in range(len(parts)))
        shown = elided(next((text for text in ends if elided(text) == text), self._text))
        return "" if shown.endswith("…") and len(shown) < LEAST_SHOWN else shown


class Name(QLabel):
    """A panel's name, which ends in dots where it has no room."""

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def shown_text(self) -> str:
        return self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width()
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawText(self.contentsRect(), int(Qt.AlignmentFlag.AlignVCenter), self.shown_text())
        painter.end()


class PanelTitle(QWidget):
    """Stands in for Qt's own title bar, so that a panel's controls need no line of their own."""

    def __init__(self, dock: QDockWidget, header: QWidget | None = None) -> None:
        super().__init__(dock)
        self._dock = dock
        self.name = Name(dock.windowTitle())
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 1, 4, 1)
        row.setSpacing(2)
        self.name.setContentsMargins(0, 0, 6, 0)  # which goes with a name that is hidden
        row.addWidget(self.name)
        self.state = QLabel()
        self.state.hide()
        row.addWidget(self.state)
        theme.changed.connect(self._dress)
        self._dress()
        if header is not None:
            row.addWidget(header, 1)
        else:
            row.addStretch(1)
        self.float_button, self.close_button = QToolButton(), QToolButton()
        for button, icon, tip, slot in (
            (self.float_button, "float", "Undock the panel, or dock it again", self._float),
            (self.close_button, "close", "Close the panel; the Panels menu shows it again", dock.close),
        ):
            button.setToolTip(tip)
            button.setAccessibleName(f"{self.name.text()}: {tip}")
            button.setAutoRaise(True)
            button.setIconSize(QSize(BUTTON, BUTTON))
            button.setStyleSheet("QToolButton { padding: 1px; }")
            theme.set_icon(button, icon)
            button.clicked.connect(slot)
            row.addWidget(button)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.float_button.setVisible(self.width() >= WITH_FLOAT)  # a name is more than this
        self.name.setMinimumWidth(self.name.sizeHint().width() if self.width() >= WITH_NAME else 0)

    def set_state(self, text: str) -> None:
        """A warning beside the name, such as that what is shown is old; "" for none."""
        self.state.setText(text)
        self.state.setVisible(bool(text))

    def _dress(self) -> None:
        self.state.setStyleSheet(f"color: {theme.colours().warning.name()};")

    def _float(self) -> None:
        self._dock.setFloating(not self._dock.isFloating())
        parent = self._dock.parentWidget()
        if self._dock.isFloating() and parent is not None:
            window = parent.window().frameGeometry()
            screen = self._dock.screen().availableGeometry()
            self._dock.move(place_beside(self._dock.frameGeometry(), window, screen))


def place_beside(panel: QRect, window: QRect, screen: QRect) -> QPoint:
    """Where a panel goes that is undocked: beside its window where the screen has room, so that it hides nothing."""
    places = (
        QPoint(window.right() + 1, panel.top()),
        QPoint(window.left() - panel.width(), panel.top()),
        QPoint(panel.left(), window.bottom() + 1),
        QPoint(panel.left(), window.top() - panel.height()),
    )
    away = [panel.topLeft() + QPoint(x, y) for x in (-AWAY, 0, AWAY) for y in (AWAY, -AWAY)]
    free = (at for at in (*places, *away) if screen.contains(QRect(at, panel.size())))
    return next(free, screen.topLeft())


class PanelDock(QDockWidget):
    """Floating, it has a frame: with a title of its own, a panel gets none from the desktop."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.isFloating():
            painter = QPainter(self)
            painter.setPen(theme.colours().accent)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
            painter.end()


def title_of(panel: QWidget) -> PanelTitle | None:
    """Of the dock that a panel stands in."""
    dock = panel.parentWidget()
    bar = dock.titleBarWidget() if isinstance(dock, QDockWidget) else None
    return bar if isinstance(bar, PanelTitle) else None
