"""The page that lists every key, from the window's own table of actions."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget


class KeysPage(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._scroll)

    def set_actions(self, actions: list[tuple[str, str, str]]) -> None:
        """(group, text, keys) in the order to show; groups in the order of their first action."""
        body = QWidget()
        grid = QGridLayout(body)
        group = None
        row = 0
        for g, text, keys in actions:
            if g != group:
                group = g
                grid.addWidget(QLabel(f"<b>{g}</b>"), row, 0)
                row += 1
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(QLabel(keys), row, 1)
            row += 1
        grid.setRowStretch(row, 1)
        self._scroll.setWidget(body)
