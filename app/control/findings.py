"""Joins the findings to the window: looked for in the background, shown in their panel, stepped through by keys."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from vbp.app.control.export import ExportControl
from vbp.app.control.export_line import span
from vbp.app.control.predictions import Predictions
from vbp.app.control.scores import ScoreControl
from vbp.app.control.thumbnails import Thumbnails
from vbp.app.jobs.findings import FindRequest, Found, Looked, find_moments
from vbp.app.jobs.worker import Worker
from vbp.app.panels.findings import FindingsPanel
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.state.settings import Settings
from vbp.app.widgets.bands import Band
from vbp.app.widgets.notice import Notice
from vbp.app.widgets.plot import AnglePlot
from vbp.app.widgets.timeline import Timeline
from vbp.errors import VbpError
from vbp.export.job import Part
from vbp.findings.find import Findings
from vbp.findings.finding import Finding, Observed
from vbp.findings.kinds import KINDS
from vbp.findings.reel import reel_parts
from vbp.findings.table import peak_words, write_csv

THRESHOLD = "Errors from so many degrees on are found.\n0: what fits the drive"
SETTLE_S = 8.0  # after which it can be said how long it takes
BEFORE_NS = 2 * 10**9  # playing begins so far before the peak, to see how it comes to it
LIKELY = (1, 2, -1)  # findings from the one on the screen: those that may be wanted next
# In the colour of the curve that they are of.
COLOURS = {
    "weak": "warning",
    "scattered": "warning",
    "label": "driven",
    "constant": "predicted",
    "range": "predicted",
    "attention": "accent",
    "step": "predicted",
    "error": "error",
}


class FindingsControl(QObject):
    note_wanted = Signal(int, int, str)  # on frames first to last, with a name

    def __init__(
        self,
        window: QWidget,
        player: Player,
        predictions: Predictions,
        marks: Marks,
        panel: FindingsPanel,
        timeline: Timeline,
        plot: AnglePlot,
        settings: Settings,
        notice: Notice,
        exports: ExportControl,
        thumbnails: Thumbnails,
    ) -> None:
        super().__init__(window)
        self._window, self._settings, self._notice, self._exports = window, settings, notice, exports
        self._player, self._predictions = player, predictions
        self._panel, self._timeline, self._plot = panel, timeline, plot
        self._looking, self._began = False, 0.0  # through the whole drive, and since when
        self._at: Finding | None = None
        self._seen: Observed | None = None  # what was looked at last
        self._thresholds: dict[str, float] = {}  # by kind; those of others fit the drive
        self.worker: Worker[FindRequest] = Worker("findings", find_moments, "The search stopped", self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        panel.asked.connect(lambda: self._ask(masks=True))
        panel.cancelled.connect(self.cancel)
        panel.chosen.connect(self._show)
        panel.part_wanted.connect(lambda f: marks.set_part(f.start, f.end))
        panel.filtered.connect(self._mark)
        panel.verdict_given.connect(self._judge)
        panel.note_wanted.connect(self._note)
        panel.threshold_wanted.connect(self._ask_threshold)
        panel.table_wanted.connect(self._ask_table)
        panel.reel_wanted.connect(self._ask_reel)
        panel.table.picture_of = thumbnails.picture
        panel.table.seen.connect(thumbnails.want)
        thumbnails.made.connect(panel.table.show_picture)
        self.chosen = panel.chosen  # by the user, in the panel
        self.scores = ScoreControl(player, predictions, marks, panel, self)
        predictions.ended.connect(lambda _: self._ask(masks=False))
        predictions.forgotten.connect(self.forget)

    def look_at_known(self) -> None:
        """What was predicted before is here again."""
        table = self._predictions.table
        if table is not None and table.known.all():
            self._ask(masks=False)

    def under_way(self) -> str:
        """What becomes of the search when the window is closed; "" where there is none."""
        return "the search for findings, which is not kept" if self._looking else ""

    def forget(self) -> None:
        """Another recording, network or crop."""
        self.cancel()
        self._at = self._seen = None
        self._panel.clear()

    def cancel(self) -> None:
        self.worker.cancel()
        self._looking = False
        self._panel.set_working(None)

    def go(self, direction: int) -> None:
        """To the peak of the next (1) or previous (-1) finding, in the order of time."""
        shown = self._panel.shown
        if not shown:
            return
        keys = [f.key for f in shown]
        if self._at is not None and self._at.key in keys:
            index = keys.index(self._at.key) + direction
        else:
            later = [k for k, f in enumerate(shown) if f.peak > self._player.target]
            index = (later[0] if later else 0) + (0 if direction > 0 else -1)
        finding = shown[index % len(shown)]
        self._panel.table.select(finding)
        self._show(finding, direction)

    def _show(self, finding: Finding, direction: int = 1) -> None:
        """The peak, at once; playing begins before it. direction: where one may go from there."""
        drive, shown = self._player.drive, self._panel.shown
        self._at = finding
        if drive is None or finding not in shown:
            return
        at = shown.index(finding)
        near = (shown[(at + k * direction) % len(shown)].peak for k in LIKELY)
        before = int(np.searchsorted(drive.timestamps_ns, finding.peak_ns - BEFORE_NS))
        self._player.pause()
        self._player.seek(finding.peak, before, [peak for peak in near if peak != finding.peak])

    def _ask(self, masks: bool, seen: Observed | None = None) -> None:
        """Look through the drive with its masks, or at what is known; seen: at what was seen before."""
        player, table = self._player, self._predictions.table
        drive, ready, path = player.drive, player.ready, player.path
        if drive is None or ready is None or path is None or table is None:
            if masks:
                self._panel.set_trouble("There is no drive with a network to look through yet")
            return
        if self._looking:
            return
        if masks:
            self._looking, self._began = True, time.monotonic()
            self._panel.set_working(0.0)
        crop = player.crop.at(drive.info.height, drive.info.width) if player.crop is not None else None
        self.worker.ask(
            FindRequest(
                drive,
                table,
                masks,
                path,
                player.options,
                ready.network,
                ready.device,
                crop,
                busy=lambda: player.playing,
                thresholds={} if table.of_classes else self._thresholds,  # which are in degrees
                seen=seen,
            )
        )

    def _hear(self, message: object) -> None:
        match message:
            case Looked():
                self._predictions.changed.emit(message.first, message.last)
                share = message.last / max(1, message.total)
                took = time.monotonic() - self._began
                known = took > SETTLE_S and share > 0  # the first frames wait for torch
                self._panel.set_working(share, f"{span(took * (1 - share) / share)} left" if known else "")
            case Found():
                self._seen, self._looking = message.seen, False
                self._put(message.findings)

    def _put(self, findings: Findings) -> None:
        drive, left_out = self._player.drive, findings.left_out
        start = int(drive.timestamps_ns[0]) if drive is not None and len(drive) else 0
        titles = {
            w: ", ".join(KINDS[k].title for k, v in left_out.items() if v == w) for w in left_out.values()
        }
        left = "; ".join(f"{names}, as {why}" for why, names in titles.items())
        self._panel.set_findings(findings.found, start, left and f"not looked for: {left}")
        self._panel.set_verdicts(self._verdicts())
        self.scores.show()

    def _ask_threshold(self) -> None:
        now = self._thresholds.get("error", 0.0)
        value, chosen = QInputDialog.getDouble(self._window, "Findings", THRESHOLD, now, 0.0, 720.0, 2)
        if chosen:
            self.set_threshold(value)

    def set_threshold(self, degrees: float) -> None:
        """Errors from so many degrees on are found, in this drive and those that are opened later; 0: what fits each drive."""
        self._thresholds = {"error": degrees} if degrees > 0 else {}
        self._panel.set_threshold(f"{degrees:g}°" if degrees > 0 else "")
        if self._seen is not None:
            self._ask(masks=False, seen=self._seen)

    def _on_finished(self, text: str) -> None:
        self._looking = False
        self._panel.set_working(None)
        if text:
            self._panel.set_trouble(text)

    def _mark(self) -> None:
        bands = [
            Band(f.start, f.end, COLOURS[f.kind], f"{KINDS[f.kind].title}: {peak_words(f)}")
            for f in self._panel.shown
        ]
        self._timeline.set_findings(bands)
        self._plot.bands.set(bands)

    # Verdicts, which stand with what else is said about the recording.

    def _judge(self, finding: Finding, word: str) -> None:
        path = self._player.path
        if path is None:
            return
        verdicts = {k: v for k, v in self._verdicts().items() if k != finding.key}
        if word:
            verdicts[finding.key] = word
        self._settings.change_document(str(path.resolve()), verdicts=verdicts)
        self._panel.set_verdicts(verdicts)

    def _note(self, f: Finding) -> None:
        self.note_wanted.emit(f.start, f.end, f"{KINDS[f.kind].title} {peak_words(f)}")

    def _verdicts(self) -> Mapping[str, str]:
        path = self._player.path
        return self._settings.document(str(path.resolve())).verdicts if path is not None else {}

    # Files.

    def _ask_table(self) -> None:
        if (path := self._ask_file("Save the findings as a table", "csv")) is not None:
            self.save_table(path)

    def save_table(self, path: Path) -> None:
        """All that was found, as `vbp findings --csv` writes it."""
        player, drive = self._player, self._player.drive
        if drive is None or player.path is None or player.ready is None:
            return
        try:
            name = player.engine.name if player.engine is not None else player.ready.name
            write_csv(path, self._panel.found, drive.info.name, name, player.path)
        except VbpError as error:
            self._notice.show_message(str(error), "error")
            return
        self._notice.show_message(f"The findings are saved: {path}")

    def _ask_reel(self) -> None:
        if (path := self._ask_file("Make a reel of the findings", "mp4")) is not None:
            self.make_reel(path)

    def make_reel(self, path: Path) -> None:
        """Of the findings that are chosen, or all in the table, in its order; among the exports."""
        drive, table = self._player.drive, self._predictions.table
        if drive is not None and table is not None and (found := self._panel.for_reel):
            parts = [Part(*part) for part in reel_parts(found, drive.timestamps_ns, table.of_classes)]
            self._exports.add_parts(path, parts)

    def _ask_file(self, title: str, suffix: str) -> Path | None:
        if self._player.path is None:
            return None
        start = str(self._exports.folder() / f"{self._player.path.stem}-findings.{suffix}")
        name, _ = QFileDialog.getSaveFileName(self._window, title, start, f"*.{suffix}")
        path = Path(name)
        return None if not name else path if path.suffix else path.with_suffix(f".{suffix}")
