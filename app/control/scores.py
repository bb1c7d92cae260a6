"""How well what was predicted fits, over the drive and from A to B, below the findings."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject

from vbp.app.control.predictions import Predictions
from vbp.app.panels.findings import FindingsPanel
from vbp.app.player.playback import Player
from vbp.app.state.marks import Marks
from vbp.classes import class_name, class_score_words, score_classes
from vbp.frames.table import next_of
from vbp.scores import score, score_words


class ScoreControl(QObject):
    def __init__(
        self, player: Player, predictions: Predictions, marks: Marks, panel: FindingsPanel, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._player, self._predictions, self._marks, self._panel = player, predictions, marks, panel
        panel.cell_wanted.connect(self._go_taken)
        marks.changed.connect(self.show)

    def show(self) -> None:
        table, ready = self._predictions.table, self._player.ready
        if table is None or ready is None:
            return
        part = self._part()
        parts = [("Drive", slice(None)), *([("A to B", part)] if part is not None else [])]
        if not table.of_classes:
            angles = [
                (n, score(np.radians(table.driven[p]), np.radians(table.predicted[p]))) for n, p in parts
            ]
            self._panel.set_figures([f"{name}: {score_words(s)}" for name, s in angles if s.frames])
            return
        classes = [(name, score_classes(table.labels[p], table.classes[p])) for name, p in parts]
        spec = ready.network.spec
        self._panel.set_figures(
            [f"{name}: {class_score_words(s)}" for name, s in classes if s.frames],
            classes[-1][1],
            lambda k: class_name(spec, k),
        )

    def _part(self) -> slice | None:
        """The frames from A to B; None where neither is set."""
        a, b = self._marks.a, self._marks.b
        return None if a is None and b is None else slice(a or 0, None if b is None else b + 1)

    def _go_taken(self, label: int, predicted: int) -> None:
        """To the next frame that is counted in a cell of the matrix; round the end."""
        if (table := self._predictions.table) is not None:
            frames = table.taken(label, predicted)
            if (part := self._part()) is not None:
                frames = np.intersect1d(frames, np.arange(len(table))[part])
            if frames.size:
                self._player.pause()
                self._player.seek(next_of(frames, self._player.target))
