"""The last net: whatever nobody caught is logged, and told to the user once; the program goes on."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from vbp.app.player.threads import Abandoned

log = logging.getLogger("vbp")
LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class Hooks:
    """Takes the hooks of Python, of its threads and of Qt; `remove` gives them back. `tell` may come from any thread."""

    def __init__(self, tell: Callable[[str], None], interrupt: Callable[[], object]) -> None:
        self._tell = tell
        self._interrupt = interrupt
        self._before = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._python
        threading.excepthook = self._thread
        self._qt_before = qInstallMessageHandler(_qt)

    def remove(self) -> None:
        sys.excepthook, threading.excepthook = self._before
        qInstallMessageHandler(self._qt_before)

    def _python(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._interrupt()
            return
        log.error("unexpected", exc_info=(kind, error, trace))
        self._tell(f"Something went wrong, and was left out: {error or kind.__name__}")

    def _thread(self, args: Any) -> None:
        if args.exc_type is Abandoned or args.exc_value is None:
            return
        log.error(
            "unexpected, in %s", args.thread, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )
        self._tell(f"Something went wrong, and was left out: {args.exc_value or args.exc_type.__name__}")


def _qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    if "does not support propagateSizeHints" in text:  # the off-screen platform, about every window
        return
    log.log(LEVELS.get(kind, logging.WARNING), "Qt: %s", text)
