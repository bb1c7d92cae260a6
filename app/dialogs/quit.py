"""The question before work is broken off that is under way while the window is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QMessageBox, QWidget


class QuitQuestion(QMessageBox):
    """Whether to stop what is under way. It does not wait for its answer: a signal may end the program meanwhile."""

    def __init__(self, window: QWidget, agreed: Callable[[], object]) -> None:
        super().__init__(window)
        self.setWindowTitle("Quit vbp?")
        self.setIcon(QMessageBox.Icon.Question)
        self.stop = self.addButton("&Stop and quit", QMessageBox.ButtonRole.DestructiveRole)
        self.go_on = self.addButton("&Go on", QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.go_on)
        self.setEscapeButton(self.go_on)
        self.stop.clicked.connect(agreed)

    def ask(self, under_way: Sequence[str]) -> None:
        """under_way: what is, and what becomes of it, a few words each."""
        *most, last = under_way
        self.setText(f"Still under way: {'; '.join(most)}{'; and ' if most else ''}{last}.")
        self.open()
        self.raise_()
