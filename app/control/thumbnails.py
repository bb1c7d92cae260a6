"""The frame at the pointer, small, over the timeline."""

from __future__ import annotations

from collections import OrderedDict

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QLabel

from vbp.app.jobs.thumbnail import Thumbnail, ThumbnailJob, ThumbnailRequest
from vbp.app.jobs.worker import Worker
from vbp.app.player.playback import Player
from vbp.app.widgets.timeline import Timeline

HEIGHT = 96  # of a picture
KEPT = 200  # pictures; of 170 x 96 pixels they are 13 MB, of a 4K screen at scale 2 four times as much
APART = 6  # pixels over the line that the tooltip begins on


class Thumbnails(QObject):
    def __init__(self, player: Player, timeline: Timeline) -> None:
        super().__init__(timeline)
        self._player, self._timeline = player, timeline
        self._kept: OrderedDict[int, QPixmap] = OrderedDict()
        self._wanted: tuple[int, int] | None = None  # a frame, and where along the timeline
        self.label = QLabel(timeline, Qt.WindowType.ToolTip | Qt.WindowType.WindowTransparentForInput)
        self.label.setFrameShape(QLabel.Shape.Box)
        self.worker: Worker[ThumbnailRequest] = Worker(
            "thumbnails", ThumbnailJob(), "A small picture over the timeline could not be made", self
        )
        self.worker.told.connect(self._keep)
        timeline.hovered.connect(self._want)
        player.opened.connect(lambda _: self.forget())
        player.superseded.connect(self._on_superseded)

    def forget(self) -> None:
        """Another recording."""
        self.worker.cancel()
        self._kept.clear()
        self._hide()

    def _on_superseded(self) -> None:
        if self._player.drive is None:
            self.forget()
        else:
            self._hide()

    def _hide(self) -> None:
        self._wanted = None
        self.label.hide()

    def _want(self, frame: int, x: int) -> None:
        """frame: -1 for none. x: where the pointer is, along the timeline."""
        player = self._player
        if frame < 0 or player.drive is None or player.path is None:
            self._hide()
            return
        self._wanted = frame, x
        if frame in self._kept:
            self._kept.move_to_end(frame)
            self._show()
        else:
            self.label.hide()  # it is of another frame
            height = round(HEIGHT * self._timeline.devicePixelRatioF())
            self.worker.ask(ThumbnailRequest(player.path, player.options, frame, height))

    def _keep(self, found: Thumbnail) -> None:
        request, image = found.request, found.image
        if image is None or (request.path, request.options) != (self._player.path, self._player.options):
            self.label.hide()
            return
        height, width = image.shape[:2]
        pixmap = QPixmap.fromImage(
            QImage(image.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        )
        pixmap.setDevicePixelRatio(max(1.0, height / HEIGHT))
        self._kept[request.frame] = pixmap
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        if self._wanted is not None and self._wanted[0] == request.frame:
            self._show()

    def _show(self) -> None:
        """Over the pointer, above the tooltip's first line, on the screen."""
        assert self._wanted is not None
        frame, x = self._wanted
        self.label.setPixmap(self._kept[frame])
        self.label.adjustSize()
        size, screen = self.label.size(), self._timeline.screen().availableGeometry()
        at = self._timeline.mapToGlobal(QPoint(x, -self._timeline.height() - APART))
        left = min(max(screen.left(), at.x() - size.width() // 2), screen.right() - size.width())
        self.label.move(left, max(screen.top(), at.y() - size.height()))
        self.label.show()
