"""Exports in the status line: what runs, how far it is, how long it takes, and its end."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QToolButton, QWidget

from vbp.app import theme
from vbp.app.jobs.export_queue import CANCELLED, ExportQueue

NAME_CHARACTERS = 22


class ExportLine(QWidget):
    """Hidden while there is nothing to export."""

    def __init__(self, queue: ExportQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self.bar = QProgressBar()
        self.bar.setMaximumHeight(self.fontMetrics().height() + 4)
        self.bar.setFont(theme.number_font())
        self.cancel = QToolButton()
        theme.set_icon(self.cancel, "close")
        self.cancel.clicked.connect(self._cancel)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.bar)
        box.addWidget(self.cancel)
        queue.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        export = self._queue.running
        self.setVisible(export is not None)
        if export is None:
            self.bar.setMinimumWidth(0)
            return
        waiting = len(self._queue.exports) - 1
        self.bar.setRange(0, max(1, export.total))
        self.bar.setValue(export.done)
        name = (
            export.name if len(export.name) <= NAME_CHARACTERS else f"{export.name[: NAME_CHARACTERS - 1]}…"
        )
        more = f", {waiting} more" if waiting else ""
        if export.state == CANCELLED:
            state = "stopping"
        elif not export.total:
            state = "starting"
        else:
            left = f", {span(export.seconds_left)} left" if export.seconds_left is not None else ""
            state = f"{100 * export.done // export.total} %{left}"
        self.show_text(f"{name}: {state}{more}")
        listed = [f"{e.job.output} ({e.state})" for e in self._queue.exports]
        self.bar.setToolTip("Exports, one after the other:\n" + "\n".join(listed))
        self.cancel.setToolTip(f"Cancel the export of {export.name}")
        self.cancel.setEnabled(export.state != CANCELLED)

    def show_text(self, text: str) -> None:
        """All of it is seen; the bar grows with its text, and does not shrink and jump about."""
        self.bar.setFormat(text)
        needed = self.bar.fontMetrics().horizontalAdvance(text) + 24
        self.bar.setFixedWidth(max(self.bar.minimumWidth(), needed))

    def _cancel(self) -> None:
        export = self._queue.running
        if export is not None:
            self._queue.cancel(export)


def span(seconds: float) -> str:
    """0:07, 1:05, 1:02:03"""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
