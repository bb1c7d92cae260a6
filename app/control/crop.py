"""The network's crop, drawn with the mouse over what is shown, and kept for each source."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QWidget

from vbp.app.control.presenter import Presenter
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.crop_editor import CropEditor
from vbp.app.widgets.notice import Notice
from vbp.overlay import Rect
from vbp.session.crops import ChosenCrop


class CropControl:
    """centre: what gets the keys back when the crop is set."""

    def __init__(
        self,
        player: Player,
        presenter: Presenter,
        settings: Settings,
        notice: Notice,
        editor: CropEditor,
        centre: QWidget,
    ) -> None:
        self._player, self._presenter, self._settings = player, presenter, settings
        self._notice, self.editor, self._centre = notice, editor, centre
        self._before: ChosenCrop | None = None
        player.opening.connect(self._on_opening)
        player.live_closed.connect(editor.end)
        editor.changed.connect(self._on_dragged)
        editor.finished.connect(self._on_finished)
        editor.reset.connect(self._on_reset)

    def begin(self) -> None:
        """Draw the network's crop with the mouse, over what is shown."""
        frame, ready = self._player.shown_frame, self._player.ready
        if frame is None or frame.image is None or ready is None or frame.result is None:
            self._notice.show_message(
                "The crop is set on a picture that a network sees: open a recording or a camera"
            )
            return
        if self.editor.isVisible():
            return
        self._notice.dismiss()  # it would lie over what the crop's own line says
        self._before = self._player.crop
        spec, r = ready.network.spec, frame.result.crop
        height, width = frame.image.shape[:2]
        self.editor.begin(
            QRectF(r.x, r.y, r.width, r.height), (width, height), (spec.input_width, spec.input_height)
        )

    def take_kept(self, source: str) -> None:
        """The crop that was kept for a camera's name or a recording's path."""
        self.editor.end()
        self._player.set_crop(self._settings.document(source).crop)

    def _on_opening(self, path: str) -> None:
        self.take_kept(str(Path(path).resolve()))

    def _on_dragged(self, box: QRectF) -> None:
        frame = self._player.shown_frame
        if frame is not None and frame.image is not None:
            height, width = frame.image.shape[:2]
            self._player.set_crop(ChosenCrop(to_rect(box, width, height), width, height))

    def _on_reset(self) -> None:
        from vbp.preprocess import crop_rect

        frame, ready = self._player.shown_frame, self._player.ready
        self._player.set_crop(None)
        if frame is not None and frame.image is not None and ready is not None:
            r = crop_rect(ready.network.spec, *frame.image.shape[:2])
            self.editor.set_box(QRectF(r.x, r.y, r.width, r.height))

    def _on_finished(self, applied: bool) -> None:
        player = self._player
        self.editor.end()
        self._centre.setFocus()
        if not applied:
            player.set_crop(self._before)
            return
        source = self._source()
        if source and player.crop != self._before:
            self._settings.change_document(source, crop=player.crop)
            if player.live is None:  # what was predicted of other frames was seen otherwise
                self._presenter.predictions.forget()
                self._presenter.panels.compare.forget()
                player.seek(player.target)

    def _source(self) -> str:
        """What a crop is kept for."""
        live = self._player.live
        if live is not None:
            return live.request.address.name
        return str(self._player.path.resolve()) if self._player.path is not None else ""


def to_rect(box: QRectF, width: int, height: int) -> Rect:
    """Whole pixels of a picture of that size."""
    w, h = min(width, max(1, round(box.width()))), min(height, max(1, round(box.height())))
    x, y = min(max(0, round(box.x())), width - w), min(max(0, round(box.y())), height - h)
    return Rect(x, y, w, h)
