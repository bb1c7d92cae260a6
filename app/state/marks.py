"""Bookmarks, and the part A..B that is repeated, of the open recording; kept from one day to the next."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from vbp.app.state.settings import Settings


class Marks(QObject):
    changed = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._source = ""
        self.frames = 0
        self.bookmarks: list[int] = []
        self.a: int | None = None
        self.b: int | None = None
        self.looping = False

    def set_drive(self, path: Path | None, frames: int) -> None:
        """Another recording, with what is kept of it; marks at frames that it does not have are left out."""
        self._source, self.frames = str(path.resolve()) if path is not None else "", frames
        kept = self._settings.document(self._source)
        self.bookmarks = [frame for frame in kept.bookmarks if frame < frames]
        self.a, self.b = (f if f is not None and f < frames else None for f in (kept.a, kept.b))
        self.looping = kept.looping
        self.changed.emit()

    def set_part(self, a: int | None, b: int | None) -> None:
        """The part A..B; a mark that would lie on the wrong side of the other takes it along."""
        if a is not None and b is not None and a > b:
            a, b = (a, None) if a != self.a else (None, b)
        self.a, self.b = a, b
        self._keep()

    def toggle_bookmark(self, frame: int) -> None:
        marked = set(self.bookmarks) ^ {frame}
        self.bookmarks = sorted(marked)
        self._keep()

    def bookmark_from(self, frame: int, direction: int) -> int | None:
        """The next (1) or previous (-1) bookmark as seen from a frame; round the end."""
        if not self.bookmarks:
            return None
        if direction > 0:
            return next((b for b in self.bookmarks if b > frame), self.bookmarks[0])
        return next((b for b in reversed(self.bookmarks) if b < frame), self.bookmarks[-1])

    def loop(self) -> tuple[int, int] | None:
        """The part to repeat, or None."""
        if not self.looping or not self.frames:
            return None
        return (0 if self.a is None else self.a, self.frames - 1 if self.b is None else self.b)

    def set_looping(self, on: bool) -> None:
        self.looping = on
        self._keep()

    def _keep(self) -> None:
        if self._source:
            self._settings.change_document(
                self._source, bookmarks=tuple(self.bookmarks), a=self.a, b=self.b, looping=self.looping
            )
        self.changed.emit()
