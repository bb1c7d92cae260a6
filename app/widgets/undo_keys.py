"""Ctrl+Z and Ctrl+Shift+Z of a widget that has steps of its own: while it has the focus they are not the menu's."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget


class UndoKeys(QWidget):
    stepped = Signal(bool)  # back (Ctrl+Z), or forth again

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and step_of(event) is not None:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if (back := step_of(event)) is not None:
            self.stepped.emit(back)
        else:
            super().keyPressEvent(event)


def step_of(event: QEvent) -> bool | None:
    """Whether a key asks for a step back (True) or forth (False); None for another."""
    if not isinstance(event, QKeyEvent) or event.key() != Qt.Key.Key_Z:
        return None
    shift = Qt.KeyboardModifier.ShiftModifier
    if event.modifiers() & ~shift != Qt.KeyboardModifier.ControlModifier:
        return None
    return not event.modifiers() & shift
