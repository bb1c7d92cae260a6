"""What the window remembers. A settings file that was edited, damaged or written by another version never stops it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSettings

RECENT_LIMIT = 12


class Settings:
    """Typed access to one QSettings. Whatever is not of the right kind counts as not there."""

    def __init__(self, store: QSettings | None = None) -> None:
        self._store = store or QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "vbp", "vbp")

    def text(self, key: str, default: str, allowed: tuple[str, ...] | None = None) -> str:
        value = self._store.value(key)
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        try:
            value = float(self._store.value(key))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return default
        return min(max(value, low), high) if math.isfinite(value) else default

    def flag(self, key: str, default: bool) -> bool:
        value = self._store.value(key)
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}.get(str(value).lower(), default)

    def bytes(self, key: str) -> QByteArray:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) else QByteArray()

    def set(self, key: str, value: object) -> None:
        self._store.setValue(key, value)

    def remove(self, key: str) -> None:
        self._store.remove(key)

    def flush(self) -> None:
        self._store.sync()

    # What was opened, newest first: kind "drives" or "networks".

    def recent(self, kind: str = "drives") -> list[str]:
        return [p for p in self._json(f"recent/{kind}", list) if isinstance(p, str)][:RECENT_LIMIT]

    def add_recent(self, path: str, kind: str = "drives") -> None:
        self._set_recent([path, *(p for p in self.recent(kind) if p != path)], kind)

    def forget_recent(self, path: str, kind: str = "drives") -> None:
        self._set_recent([p for p in self.recent(kind) if p != path], kind)

    def last_folder(self, kind: str = "drives") -> str:
        """Where to look first for another one: beside the newest."""
        recent = self.recent(kind)
        return str(Path(recent[0]).parent) if recent else str(Path.home())

    def _set_recent(self, paths: list[str], kind: str) -> None:
        self._store.setValue(f"recent/{kind}", json.dumps(paths[:RECENT_LIMIT]))

    # Bookmarks and the A..B marks of one recording.

    def drive_marks(self, path: Path, frames: int) -> tuple[list[int], int | None, int | None]:
        """Bookmarks, A and B; frames that the drive does not have are dropped."""
        found: dict[str, Any] = self._json(_drive_key(path), dict)

        def frame(value: object) -> int | None:
            good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < frames
            return value if good and isinstance(value, int) else None

        listed = found.get("bookmarks")
        bookmarks = {frame(v) for v in listed} if isinstance(listed, list) else set()
        a, b = frame(found.get("a")), frame(found.get("b"))
        if a is not None and b is not None and a > b:
            a, b = b, a
        return sorted(v for v in bookmarks if v is not None), a, b

    def set_drive_marks(self, path: Path, bookmarks: list[int], a: int | None, b: int | None) -> None:
        if not bookmarks and a is None and b is None:
            self._store.remove(_drive_key(path))
        else:
            self._store.setValue(_drive_key(path), json.dumps({"bookmarks": bookmarks, "a": a, "b": b}))

    def _json(self, key: str, kind: type) -> Any:
        """What was stored under `key` as JSON, or an empty `kind`."""
        value = self._store.value(key)
        try:
            found = json.loads(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        return found if isinstance(found, kind) else kind()


def _drive_key(path: Path) -> str:
    # A path may hold characters that an INI key cannot.
    return "marks/" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
