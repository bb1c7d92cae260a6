"""Where two networks differ: in the plot, in the timeline, as a list, and stepped through by keys."""

from __future__ import annotations

from PySide6.QtCore import QObject

from vbp.app.control.predictions import Predictions
from vbp.app.jobs.differences import find_differences
from vbp.app.jobs.worker import Worker
from vbp.app.panels.panels import Panels
from vbp.app.player.playback import Player
from vbp.app.widgets.notice import Notice
from vbp.comparing.moments import KINDS, Moments
from vbp.comparing.pair import Compared
from vbp.comparing.peaks import largest_apart
from vbp.findings.finding import Finding
from vbp.readable import clock, how_long

MOST = 200
PREDICT_FIRST = "Predict the whole drive (P): the stretches in which the networks differ appear here"
NONE = "The networks do not differ in this drive by more than they usually do"


class DifferencesControl(QObject):
    def __init__(
        self,
        player: Player,
        predictions: Predictions,
        panels: Panels,
        notice: Notice,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._player, self._predictions, self._notice = player, predictions, notice
        self._panel, self._plot, self._timeline = panels.second, panels.angle, panels.transport.timeline
        self._pair: object = None  # whose moments are listed
        failure = "The moments in which the networks differ could not be found"
        self.worker: Worker[Compared] = Worker("differences", find_differences, failure, self)
        self.worker.told.connect(self._list)
        self.worker.finished.connect(lambda text: notice.show_message(text, "error") if text else None)
        predictions.pair_changed.connect(self._on_pair)
        predictions.usual_changed.connect(self._on_usual)
        predictions.ended.connect(lambda _: self._look())
        panels.second.wanted.connect(self._show)

    def go(self, direction: int) -> None:
        """To the largest difference known so far; from there to the next largest one, or (-1) back to a larger one."""
        pair, drive = self._predictions.pair, self._player.drive
        if pair is None or drive is None:
            self._notice.show_message("There is one network; compare it with a second one (Ctrl+K)")
            return
        frames = largest_apart(pair.compared().difference_deg, drive.timestamps_ns)
        if not frames:
            self._notice.show_message("The two networks do not differ on the frames predicted so far")
            return
        at = self._player.target
        self._show(frames[(frames.index(at) + direction) % len(frames)] if at in frames else frames[0])

    def _show(self, frame: int) -> None:
        self._player.pause()
        self._player.seek(frame)

    def _on_pair(self) -> None:
        pair = self._predictions.pair
        self._plot.set_second(pair.b.predicted if pair is not None else None)
        self._timeline.set_differences(pair.b.predicted - pair.a.predicted if pair is not None else None)
        if pair is not self._pair:
            self._pair = pair
            self.worker.cancel()
            self._panel.set_moments([], PREDICT_FIRST)
        self._on_usual()

    def _on_usual(self) -> None:
        self._panel.set_usual(self._predictions.usual, self._predictions.usual_of_second)

    def _look(self) -> None:
        """The whole drive, or a part, was predicted: the stretches can be told."""
        if (pair := self._predictions.pair) is not None:
            self.worker.ask(pair.compared())

    def _list(self, found: Moments) -> None:
        drive = self._player.drive
        if drive is None:
            return
        start = int(drive.timestamps_ns[0])
        rows = [(_words(f, start), f.peak) for f in found.found[:MOST]]
        left = "; ".join(f"no {KINDS[k].title}: {why}" for k, why in found.left_out.items())
        self._panel.set_moments(rows, ". ".join(filter(None, (NONE, left))))


def _words(finding: Finding, start_ns: int) -> str:
    at = clock((finding.start_ns - start_ns) / 1e9)
    unit = " %" if finding.unit == "%" else finding.unit
    size = (
        f"{finding.value:.0f} % of B's mask" if finding.kind == "reason" else f"by {finding.value:.1f}{unit}"
    )
    return f"{at}   {KINDS[finding.kind].title}, {size}, {how_long(finding.seconds)}"
