"""What the window remembers. A settings file that was edited, damaged or written by another version never stops it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSettings

from vbp.errors import VbpError
from vbp.session.document import FIRST, FORMAT, Document, from_text, to_text

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

    # What was said about one source: a recording's path, or a camera's name.

    def document(self, source: str) -> Document:
        """What is kept of it; an empty one where there is nothing, or nothing that is understood."""
        text = self.text(_document_key(source), "")
        try:
            return from_text(text, "the settings") if text else self._earlier(source)
        except VbpError:
            return Document()

    def _earlier(self, source: str) -> Document:
        """What versions before documents kept apart: marks, and the crop. Raises VbpError where it is damaged."""
        name = _digest(source)
        crop = self._json(f"crops/{name}", dict)
        rect = {key: crop.pop(key, None) for key in ("x", "y", "width", "height")}
        found = self._json(f"marks/{name}", dict) | ({"crop": {"rect": rect, **crop}} if crop else {})
        return from_text(json.dumps({"format": FORMAT, "version": FIRST, **found}), "the settings")

    def change_document(self, source: str, **changes: Any) -> None:
        """Keep what is new; the rest stays. The source itself is not written down: an address may be secret."""
        self.keep_document(source, replace(self.document(source), **changes))

    def keep_document(self, source: str, document: Document) -> None:
        key = _document_key(source)
        text = self.text(key, "")
        try:
            from_text(text or to_text(Document()), "the settings")
        except VbpError:
            self.set(
                f"{key}-unread", text
            )  # of a later version, or damaged: whoever can read it finds it there
        if document == Document():
            self.remove(_document_key(source))
        else:
            self.set(_document_key(source), to_text(document))

    def _json(self, key: str, kind: type) -> Any:
        """What was stored under `key` as JSON, or an empty `kind`."""
        value = self._store.value(key)
        try:
            found = json.loads(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        return found if isinstance(found, kind) else kind()


def _document_key(source: str) -> str:
    return f"documents/{_digest(source)}"


def _digest(source: str) -> str:
    # A path may hold characters that an INI key cannot, and an address words that nobody else should read.
    return hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
