"""Small pictures of the recording's frames: the one place that keeps them, and the one at the pointer, over the timeline."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from PySide6.QtCore import QObject, QPoint, Qt, Signal
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
    made = Signal(int)  # a frame, of which `picture` is there now

    def __init__(self, player: Player, timeline: Timeline) -> None:
        super().__init__(timeline)
        self._player, self._timeline = player, timeline
        self._kept: OrderedDict[int, QPixmap] = OrderedDict()  # a null one of a gap
        self._wanted: dict[bool, Sequence[int]] = {True: (), False: ()}
        self.worker: Worker[ThumbnailRequest] = Worker(
            "thumbnails", ThumbnailJob(), "A small picture of a frame could not be made", self
        )
        self.worker.told.connect(self._keep)
        player.opened.connect(lambda _: self.forget())
        player.superseded.connect(self._on_superseded)
        self.pointer = PointerPicture(self, timeline)

    def forget(self) -> None:
        """Another recording."""
        self.worker.cancel()
        self._kept.clear()
        self._wanted = {True: (), False: ()}
        self.pointer.hide()

    def _on_superseded(self) -> None:
        if self._player.drive is None:
            self.forget()
        else:
            self.pointer.hide()

    def picture(self, frame: int) -> QPixmap | None:
        """None while it is not made; a null one of a gap."""
        if (found := self._kept.get(frame)) is not None:
            self._kept.move_to_end(frame)
        return found

    def want(self, frames: Sequence[int], first: bool = False) -> None:
        """Make those of `frames` that are not kept, instead of what was wanted before. first: before the others."""
        self._wanted[first] = frames[:KEPT]
        missing = [f for part in self._wanted.values() for f in part if f not in self._kept]
        player = self._player
        if missing and player.drive is not None and player.path is not None:
            height = round(HEIGHT * self._timeline.devicePixelRatioF())
            wanted = tuple((player.path, frame) for frame in missing)
            self.worker.ask(ThumbnailRequest(player.options, wanted, height))

    def _keep(self, found: Thumbnail) -> None:
        if (found.path, found.request.options) != (self._player.path, self._player.options):
            return
        self._kept[found.frame] = to_pixmap(found)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self.made.emit(found.frame)


def to_pixmap(found: Thumbnail) -> QPixmap:
    """A null one of a gap."""
    if found.image is None:
        return QPixmap()
    height, width = found.image.shape[:2]
    image = QImage(found.image.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    pixmap = QPixmap.fromImage(image)
    pixmap.setDevicePixelRatio(max(1.0, height / HEIGHT))
    return pixmap


class PointerPicture:
    """The frame at the pointer, over the timeline."""

    def __init__(self, thumbnails: Thumbnails, timeline: Timeline) -> None:
        self._thumbnails, self._timeline = thumbnails, timeline
        self._at: tuple[int, int] | None = None  # a frame, and where along the timeline
        self.label = QLabel(timeline, Qt.WindowType.ToolTip | Qt.WindowType.WindowTransparentForInput)
        self.label.setFrameShape(QLabel.Shape.Box)
        timeline.hovered.connect(self._move)
        thumbnails.made.connect(lambda frame: self._show() if self.frame == frame else None)

    @property
    def frame(self) -> int:
        """-1 for none."""
        return self._at[0] if self._at is not None else -1

    def hide(self) -> None:
        self._at = None
        self.label.hide()

    def _move(self, frame: int, x: int) -> None:
        """frame: -1 for none. x: where the pointer is, along the timeline."""
        if frame < 0:
            self.hide()
            return
        self._at = frame, x
        self._thumbnails.want((frame,), first=True)
        self._show()

    def _show(self) -> None:
        """Over the pointer, above the tooltip's first line, on the screen."""
        assert self._at is not None
        frame, x = self._at
        picture = self._thumbnails.picture(frame)
        if picture is None or picture.isNull():
            self.label.hide()  # what it shows is another frame
            return
        self.label.setPixmap(picture)
        self.label.adjustSize()
        size, screen = self.label.size(), self._timeline.screen().availableGeometry()
        at = self._timeline.mapToGlobal(QPoint(x, -self._timeline.height() - APART))
        left = min(max(screen.left(), at.x() - size.width() // 2), screen.right() - size.width())
        self.label.move(left, max(screen.top(), at.y() - size.height()))
        self.label.show()
