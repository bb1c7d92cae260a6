"""Erase and watch: what is done to the picture, and what that does to the prediction."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QObject, QRectF, QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget

from vbp.app.control.predictions import Predictions
from vbp.app.jobs.baseline import BaselineMaker, BaselineRequest, Before, Compared
from vbp.app.jobs.worker import Worker
from vbp.app.panels.edits import EditPanel
from vbp.app.panels.masked import MaskedView
from vbp.app.player.messages import Frame
from vbp.app.player.playback import Player
from vbp.app.state.edit_history import EditHistory
from vbp.app.widgets.edit_canvas import EditCanvas
from vbp.app.widgets.notice import Notice
from vbp.edits.edit import ADJUSTMENTS, NONE, Box, Edits, Erase, Stroke
from vbp.errors import VbpError

COMPARE_AFTER_MS = 250  # after the last change, so that a stroke has the processor to itself
NEEDED = "Erase and watch works on the picture of a recording that a network sees: open a drive, and go to a frame with a picture"
NOT_LIVE = "Erase and watch works on a recording: record the camera (Ctrl+R), and open what was recorded"


class EditControl(QObject):
    """The edits are of the recording that is open: another begins without any. Another network or crop keeps them."""

    def __init__(
        self,
        player: Player,
        predictions: Predictions,
        panel: EditPanel,
        dock: QDockWidget,
        picture: MaskedView,
        notice: Notice,
        actions: dict[str, QAction],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._player, self._predictions, self._panel = player, predictions, panel
        self._notice, self._actions = notice, actions
        self.history = EditHistory()
        self.canvas = EditCanvas(picture, picture.picture_rect)
        self._fill = panel.fill.currentData()
        self._before: tuple[int, float] | None = None  # frame, and what a plot shows of it
        failure = "The comparison with random places stopped"
        self.worker: Worker[BaselineRequest] = Worker("baseline", BaselineMaker(), failure, self)
        self.worker.told.connect(self._hear)
        self.worker.finished.connect(self._on_finished)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(COMPARE_AFTER_MS)
        self._soon.timeout.connect(self._compare)
        panel.tool_chosen.connect(self.choose_tool)
        panel.fill_chosen.connect(self._set_fill)
        panel.size_chosen.connect(self.canvas.set_radius)
        panel.adjusted.connect(self._adjust)
        panel.follow_chosen.connect(self._set_follow)
        panel.marked_wanted.connect(self.erase_marked)
        panel.undo.clicked.connect(self.undo)
        panel.redo.clicked.connect(self.redo)
        for where in (panel, self.canvas):
            where.stepped.connect(lambda back: (self.undo if back else self.redo)())
        panel.clear.clicked.connect(self.clear)
        canvas = self.canvas
        canvas.begun.connect(self._begin)
        canvas.stroked.connect(self._stroke)
        canvas.boxed.connect(self._set_box)
        canvas.sized_by_wheel.connect(self._set_size)
        player.shown.connect(self._on_shown)
        player.opening.connect(lambda _: self.forget())
        player.live_opening.connect(lambda _: self.forget())
        player.superseded.connect(self._on_superseded)
        self._dock = dock
        dock.visibilityChanged.connect(lambda _: self._put_away())
        self._tell()

    # What the user does.

    def choose_tool(self, tool: str) -> None:
        size = self._size() if tool else (1, 1)
        if size is None:
            self._panel.put_tool_away()
            return
        self.canvas.use(tool, size)

    def _size(self) -> tuple[int, int] | None:
        """Width and height of the picture on the screen; None, and a word on it, where there is none to edit."""
        frame = self._player.shown_frame
        if self._player.live is not None:
            self._notice.show_message(NOT_LIVE)
        elif frame is None or frame.image is None or self._player.ready is None:
            self._notice.show_message(NEEDED)
        else:
            return frame.image.shape[1], frame.image.shape[0]
        return None

    def _put_away(self) -> None:
        """The panel was closed, and not only laid behind another: no tool without its panel."""
        if self._dock.isHidden():
            self._panel.put_tool_away()
            self.canvas.use("", (1, 1))

    def _set_fill(self, fill: str) -> None:
        self._fill = fill
        if (box := self.history.box()) is not None:
            self.history.begin()
            self.history.move_box(fill, box)
            self._make()

    def _set_size(self, radius: int) -> None:
        self.canvas.set_radius(radius)
        self._panel.show_size(radius)

    def _begin(self) -> None:
        """The button is down: what is compared of the picture before no longer matters."""
        self.history.begin()
        self._soon.stop()
        self.worker.cancel()

    def _stroke(self, points: tuple[tuple[float, float], ...]) -> None:
        if self._player.on_gap or self._player.live is not None:
            return
        self.history.change_last(Erase(Stroke(points, float(self.canvas.radius)), self._fill), "stroke")
        self._make()

    def _set_box(self, box: QRectF, new: bool) -> None:
        if self._player.on_gap or self._player.live is not None:
            return
        region = Box(box.x(), box.y(), box.width(), box.height())
        if new or self.history.box() is None:
            self.history.change_last(Erase(region, self._fill), "new box")
        else:
            self.history.move_box(self._fill, region)
        self._make()

    def _adjust(self, kind: str, value: float) -> None:
        if self._size() is None:
            self._panel.show_value(kind, self.history.value(kind))
            return
        self.history.adjust(kind, value)
        self._make()

    def _set_follow(self, follow: bool) -> None:
        self.history.set(replace(self.history.now, follow=follow))
        self._make()

    def erase_marked(self, share: float, keep: bool) -> None:
        """Erase the strongest share of the mask on the screen, or all but that."""
        from vbp.edits.regions import strongest

        frame = self._player.shown_frame
        if self._size() is None or frame is None or frame.result is None:
            return
        mask, c = frame.result.map(), frame.result.crop
        if mask is None:
            self._notice.show_message(
                "This network has no VisualBackProp mask, so there is nothing to erase by it"
            )
            return
        try:
            region = strongest(mask, c.x, c.y, c.width, c.height, share)
        except VbpError as error:
            self._notice.show_message(f"{error}")
            return
        self.history.begin()
        self.history.add(Erase(region, self._fill, keep))
        self._make()

    def undo(self) -> None:
        if self.history.step(True):
            self._make()

    def redo(self) -> None:
        if self.history.step(False):
            self._make()

    def clear(self) -> None:
        self.history.begin()
        self.history.set(Edits(follow=self.history.now.follow))
        self._make()

    def forget(self, now: Edits = NONE) -> None:
        """Another recording, or a camera: its pictures are as they are, or as a session has them."""
        self.history.forget(now)
        self._panel.put_tool_away()
        self.canvas.use("", (1, 1))
        self._make()

    # What comes of it.

    def lying(self) -> Edits:
        """The edits where they lie on the frame on the screen."""
        frame = self._player.shown_frame
        return frame.record.edits if frame is not None and frame.record.edits else self.history.now

    def _make(self) -> None:
        self._player.set_edits(self.history.now)
        self._tell()

    def _tell(self) -> None:
        history, panel = self.history, self._panel
        for kind in ADJUSTMENTS:
            panel.show_value(kind, history.value(kind))
        panel.place.setCurrentIndex(int(history.now.follow))
        panel.show_steps(history.can(True), history.can(False))
        self._actions["undo-edit"].setEnabled(history.can(True))
        self._actions["redo-edit"].setEnabled(history.can(False))
        box = history.box()
        self.canvas.set_box(QRectF(box.x, box.y, box.width, box.height) if box is not None else None)

    def _on_shown(self, frame: Frame) -> None:
        record = frame.record
        if self.canvas.tool and record.image is not None:
            self.canvas.use_size((record.image.shape[1], record.image.shape[0]))
        self._soon.stop()
        if record.result is None or not record.edits:
            self._panel.show_result("", math.nan, math.nan, "°")
            return
        table = self._predictions.table
        before = float(table.predicted[record.index]) if table is not None else math.nan
        if math.isnan(before) and self._before is not None and self._before[0] == record.index:
            before = self._before[1]
        self._panel.show_result(record.edits.words, before, record.plotted, self._unit())
        self._panel.plot.set_changes(None)
        if not self._player.playing:
            self._soon.start()

    def _unit(self) -> str:
        ready = self._player.ready
        return " %" if ready is not None and ready.network.spec.is_classifier else "°"

    def _compare(self) -> None:
        frame, ready = self._player.shown_frame, self._player.ready
        if frame is None or ready is None or not frame.record.edits or not self._player.is_current(frame):
            return
        if frame.result is not None:
            compare = bool(frame.record.edits.erasures)
            self.worker.ask(BaselineRequest(frame.record, ready.network, ready.device, compare))

    def _hear(self, message: Before | Compared) -> None:
        frame = self._player.shown_frame
        if frame is None or message.record is not frame.record:
            return
        if isinstance(message, Before):
            self._before = (message.record.index, message.plotted)
            self._panel.show_result(
                message.record.edits.words, message.plotted, message.record.plotted, self._unit()
            )
            return
        found = message.found
        self._panel.show_baseline(
            f"erasing changes it by more than {found.smaller} of {len(found.changes)} random places of the same shape",
            found.change,
            tuple(found.changes.tolist()),
            self._unit(),
        )

    def _on_finished(self, text: str) -> None:
        if text:  # such as: nothing that the network sees is erased
            self._panel.show_baseline(text)

    def _on_superseded(self) -> None:
        self._before = None
        self._soon.stop()
        self.worker.cancel()
