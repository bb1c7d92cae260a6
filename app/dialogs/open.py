"""Choosing a recording, which may be a file or a folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QLineEdit, QWidget


class OpenDialog(QFileDialog):
    """Open takes what is chosen or typed, and else the folder that is shown; a double click goes into a folder.

    The desktop's own dialogs take one or the other, so it is not one of them.
    """

    def __init__(self, folder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, "Open a recording: a file, or a folder", folder)
        self.setOption(QFileDialog.Option.DontUseNativeDialog)
        self.setFileMode(QFileDialog.FileMode.ExistingFile)
        self.path: Path | None = None
        self._current = ""
        self._name = self.findChild(QLineEdit, "fileNameEdit")
        self._buttons = self.findChild(QDialogButtonBox)
        self.setLabelText(QFileDialog.DialogLabel.FileName, "File or folder:")
        self.setLabelText(QFileDialog.DialogLabel.Accept, "&Open")
        self.currentChanged.connect(self._pick)
        self.directoryEntered.connect(lambda _: self._pick(""))
        if self._name is not None:
            self._name.textChanged.connect(self._allow)
        self.resize(820, 520)
        self._allow()

    def _pick(self, path: str) -> None:
        self._current = path
        self._allow()

    def _allow(self) -> None:
        """Qt takes no folder here, and greys the button; after it did."""
        if self._buttons is not None:
            button = self._buttons.button(QDialogButtonBox.StandardButton.Open)
            QTimer.singleShot(0, self, lambda: button.setEnabled(True))

    def accept(self) -> None:
        typed = self._name.text() if self._name is not None else ""
        current = Path(self._current or self.directory().absolutePath())
        path = current
        if typed and not (self._current and typed == current.name):
            path = Path(self.directory().absolutePath(), typed).expanduser()
        if path.exists():
            self.path = path
            self.done(QDialog.DialogCode.Accepted)
