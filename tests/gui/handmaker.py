"""The hand on the mouse. QTest moves the pointer of the screen, whose word of it comes when the screen has time; these come at once."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def move(widget: QWidget, to: QPoint, held: Qt.MouseButton = NONE) -> None:
    """Over a widget, in its pixels."""
    on_screen = QPointF(widget.mapToGlobal(to))
    event = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(to), on_screen, NONE, held, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(widget, event)


def drag(widget: QWidget, *points: QPoint) -> None:
    """From the first point by way of the others to the last, with the left button held."""
    QTest.mousePress(widget, LEFT, pos=points[0])
    for point in points[1:]:
        move(widget, point, LEFT)
    QTest.mouseRelease(widget, LEFT, pos=points[-1])
