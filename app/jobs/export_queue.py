"""Exports that wait and the one that runs, each in a process of its own.

A process, not a thread: drawing and encoding hold Python's lock for milliseconds at a time, which the window would
show as stutter; and a process can be given a low priority everywhere, and ends whatever it is doing.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from vbp.export.job import Job
from vbp.processes import python_command

log = logging.getLogger(__name__)
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
PATIENCE_MS = 15_000  # for a cancelled export to end by itself: it may be importing torch
FAREWELL_MS = 15_000  # for one that runs when the window is closed, to write what it has encoded


@dataclass
class Export:
    """One of the queue. `text` says why it failed; `warnings` what there is to say of one that did not."""

    job: Job
    state: str = WAITING
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    took_s: float = 0.0
    text: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.job.output.name


class ExportQueue(QObject):
    """One after the other, in the order they came. Lives in the window's thread; nothing here blocks but `close`."""

    changed = Signal()
    ended = Signal(object)  # Export

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.exports: list[Export] = []  # those that wait or run
        self._process: QProcess | None = None
        self._heard = b""
        self._complained = b""
        self._kill = QTimer(self)
        self._kill.setSingleShot(True)
        self._kill.timeout.connect(self._kill_now)

    @property
    def running(self) -> Export | None:
        return next((e for e in self.exports if e.state != WAITING), None)

    def add(self, job: Job) -> Export:
        export = Export(job)
        self.exports.append(export)
        self._next()
        self.changed.emit()
        return export

    def cancel(self, export: Export) -> None:
        """Nothing of it is left."""
        if export not in self.exports:
            return
        if export.state == WAITING:
            export.state = CANCELLED
            self.exports.remove(export)
            self.ended.emit(export)
        elif self._process is not None:
            export.state = CANCELLED
            self._process.write(b"cancel\n")
            self._kill.start(PATIENCE_MS)
        self.changed.emit()

    def close(self) -> None:
        """Stop everything; the one that runs leaves the part it has made."""
        waiting = self.exports
        self.exports = []
        process, self._process = self._process, None
        if process is None:
            return
        log.info("stopping %d exports", len(waiting))
        process.disconnect(self)
        process.closeWriteChannel()  # which it takes as a call to stop
        if not process.waitForFinished(FAREWELL_MS):
            process.kill()
            process.waitForFinished(FAREWELL_MS)

    def _next(self) -> None:
        if self._process is not None or not self.exports:
            return
        export = self.exports[0]
        export.state = RUNNING
        self._heard = self._complained = b""
        process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONIOENCODING", "utf-8")
        process.setProcessEnvironment(environment)
        process.readyReadStandardOutput.connect(self._hear)
        process.readyReadStandardError.connect(self._hear)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        program, *words = python_command("vbp", "export", "--job", "-", "--json-progress", "--background")
        process.start(program, words)
        process.write(export.job.to_json().encode() + b"\n")

    def _hear(self) -> None:
        process, export = self._process, self.running
        if process is None or export is None:
            return
        self._complained = (self._complained + bytes(process.readAllStandardError().data()))[-20_000:]
        self._heard += bytes(process.readAllStandardOutput().data())
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            self._take(export, line)
        if lines:
            self.changed.emit()

    def _take(self, export: Export, line: bytes) -> None:
        try:
            facts: dict[str, Any] = json.loads(line)
            if "done" in facts:
                export.done, export.total = int(facts["done"]), int(facts["total"])
                left = facts["seconds_left"]
                export.seconds_left = None if left is None else float(left)
            elif "took_s" in facts:
                export.took_s = float(facts["took_s"])
                export.warnings = [str(text) for text in facts["warnings"]]
        except (ValueError, KeyError, TypeError):
            log.warning("an export said %r", line)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(
                FAILED,
                "The export could not be started: " + (self._process.errorString() if self._process else ""),
            )

    def _on_finished(self, code: int, _status: QProcess.ExitStatus) -> None:
        self._hear()
        export = self.running
        if export is not None and export.state == CANCELLED:
            self._end(CANCELLED, "")
        elif code == 0 and _status == QProcess.ExitStatus.NormalExit:
            self._end(DONE, "")
        else:
            self._end(FAILED, _complaint(self._complained))

    def _end(self, state: str, text: str) -> None:
        self._kill.stop()
        export, process = self.running, self._process
        self._process = None
        if process is not None:
            process.deleteLater()
        if export is None:
            return
        export.state, export.text = state, text
        self.exports.remove(export)
        self.ended.emit(export)
        self._next()
        self.changed.emit()

    def _kill_now(self) -> None:
        if self._process is not None:
            self._process.kill()


def _complaint(stderr: bytes) -> str:
    """The one line that a command says, or that it ended without a word."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.startswith("vbp: ")]
    return lines[-1].removeprefix("vbp: ") if lines else "The export ended unexpectedly"
