"""Asks for the maps and layers of the frame on the screen, which come behind it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from vbp.app.jobs.explain import Explained, Explainer, ExplainRequest, LayersMade
from vbp.app.jobs.worker import Worker
from vbp.app.player.messages import Trouble
from vbp.app.player.playback import Player
from vbp.results import MapRequest


class Explanations(QObject):
    explained = Signal(object)  # Explained
    layers_made = Signal(object)  # LayersMade

    def __init__(self, player: Player, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._player = player
        self.worker: Worker[ExplainRequest] = Worker("explain", Explainer(), "An explanation failed", self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        player.superseded.connect(self.worker.cancel)

    def ask(self, panels: dict[str, MapRequest], layers: bool) -> None:
        """The frame on the screen: the map of each panel, by the panels' names, and its layers."""
        frame, engine = self._player.shown_frame, self._player.engine
        if frame is None or frame.result is None or engine is None or not (panels or layers):
            return
        if self._player.is_current(frame):
            self.worker.ask(ExplainRequest(frame, engine, panels, layers))

    def _hear(self, message: object) -> None:
        match message:
            case Explained():
                self.explained.emit(message)
            case LayersMade():
                self.layers_made.emit(message)

    def _on_finished(self, text: str) -> None:
        if text:
            self._player.trouble.emit(Trouble(text))
