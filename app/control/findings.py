"""Joins the findings to the window: looked for in the background, shown in their panel, stepped through by keys."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject

from vbp.app.control.predictions import Predictions
from vbp.app.jobs.findings import FindRequest, Looked, find_moments
from vbp.app.jobs.worker import Worker
from vbp.app.panels.findings import FindingsPanel
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.app.widgets.timeline import Timeline
from vbp.findings.find import Findings
from vbp.findings.finding import Finding
from vbp.findings.kinds import KINDS
from vbp.scores import score, score_words

BEFORE_NS = 2 * 10**9  # the keys go so far before the peak, to see how it comes to it


class FindingsControl(QObject):
    def __init__(
        self,
        player: Player,
        predictions: Predictions,
        marks: Marks,
        panel: FindingsPanel,
        timeline: Timeline,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._player, self._predictions, self._marks = player, predictions, marks
        self._panel, self._timeline = panel, timeline
        self._looking = False  # through the whole drive
        self._at: Finding | None = None
        self.worker: Worker[FindRequest] = Worker("findings", find_moments, "The search stopped", self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        panel.asked.connect(lambda: self._ask(masks=True))
        panel.cancelled.connect(self.cancel)
        panel.chosen.connect(self._show)
        panel.part_wanted.connect(lambda f: marks.set_part(f.start, f.end))
        panel.filtered.connect(self._mark)
        marks.changed.connect(self._figure)
        predictions.ended.connect(lambda _: self._ask(masks=False))
        predictions.forgotten.connect(self.forget)

    def under_way(self) -> str:
        """What becomes of the search when the window is closed; "" where there is none."""
        return "the search for findings, which is not kept" if self._looking else ""

    def forget(self) -> None:
        """Another recording, network or crop."""
        self.cancel()
        self._at = None
        self._panel.clear()

    def cancel(self) -> None:
        self.worker.cancel()
        self._looking = False
        self._panel.set_working(None)

    def go(self, direction: int) -> None:
        """To 2 s before the peak of the next (1) or previous (-1) finding, in the order of time."""
        shown = self._panel.shown
        if not shown:
            return
        at = self._at if self._at in shown else None
        if at is not None:
            index = (shown.index(at) + direction) % len(shown)
        else:
            later = [k for k, f in enumerate(shown) if f.peak > self._player.target]
            index = (later[0] if later else 0) + (0 if direction > 0 else -1)
        self._at = shown[index % len(shown)]
        self._panel.select(self._at)
        self._player.pause()
        self._player.seek(self._before(self._at))

    def _before(self, finding: Finding) -> int:
        """The frame 2 s before the peak, or the first."""
        drive = self._player.drive
        if drive is None:
            return finding.peak
        return int(np.searchsorted(drive.timestamps_ns, finding.peak_ns - BEFORE_NS))

    def _show(self, finding: Finding) -> None:
        self._at = finding
        self._player.pause()
        self._player.seek(finding.peak)

    def _ask(self, masks: bool) -> None:
        player, table = self._player, self._predictions.table
        drive, ready, path = player.drive, player.ready, player.path
        if drive is None or ready is None or path is None or table is None:
            if masks:
                self._panel.set_trouble("There is no drive with a network to look through yet")
            return
        if self._looking:
            return
        if masks:
            self._looking = True
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
            )
        )

    def _hear(self, message: object) -> None:
        match message:
            case Looked():
                self._predictions.changed.emit(message.first, message.last)
                self._panel.set_working(message.last / max(1, message.total))
            case Findings():
                drive = self._player.drive
                start = int(drive.timestamps_ns[0]) if drive is not None and len(drive) else 0
                whys = dict.fromkeys(message.left_out.values())
                titles = {
                    w: ", ".join(KINDS[k].title for k, v in message.left_out.items() if v == w) for w in whys
                }
                left = "; ".join(f"not looked for: {names}, as {why}" for why, names in titles.items())
                self._panel.set_findings(message.found, start, left)
                self._figure()

    def _on_finished(self, text: str) -> None:
        self._looking = False
        self._panel.set_working(None)
        if text:
            self._panel.set_trouble(text)

    def _mark(self) -> None:
        self._timeline.set_findings([(f.start, f.end) for f in self._panel.shown])

    def _figure(self) -> None:
        """How well the predictions so far fit, over the drive and from A to B."""
        table, marks = self._predictions.table, self._marks
        if table is None or table.of_classes:
            return
        parts = [("Drive", slice(None))]
        if marks.a is not None or marks.b is not None:
            parts.append(("A to B", slice(marks.a or 0, None if marks.b is None else marks.b + 1)))
        lines = []
        for name, part in parts:
            scores = score(np.radians(table.driven[part]), np.radians(table.predicted[part]))
            if scores.frames:
                lines.append(f"{name}: {score_words(scores)}")
        self._panel.set_figures(lines)
