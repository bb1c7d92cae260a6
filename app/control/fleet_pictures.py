"""Small pictures of frames of many drives, as they come into view in a fleet's rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QPixmap

from vbp.app.control.thumbnails import HEIGHT, KEPT, to_pixmap
from vbp.app.jobs.thumbnail import Thumbnail, ThumbnailJob, ThumbnailRequest
from vbp.app.jobs.worker import Worker
from vbp.drives.base import OpenOptions

Place = tuple[str, int]  # a drive's path, and a frame


class FleetPictures(QObject):
    made = Signal()  # `picture` has one more

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[Place, QPixmap] = (
            OrderedDict()
        )  # a null one of a gap, and of a drive that is gone
        self._options = OpenOptions()
        self.worker: Worker[ThumbnailRequest] = Worker(
            "fleet-pictures", ThumbnailJob(), "A small picture of a frame could not be made", self
        )
        self.worker.told.connect(self._keep)

    def forget(self, options: OpenOptions) -> None:
        """Another fleet, whose drives are opened so."""
        self.worker.cancel()
        self._kept.clear()
        self._options = options

    def picture(self, place: Place) -> QPixmap | None:
        """None while it is not made."""
        if (found := self._kept.get(place)) is not None:
            self._kept.move_to_end(place)
        return found

    def want(self, places: Sequence[Place], scale: float) -> None:
        """Make those that are not kept, instead of what was wanted before; of one drive, one after another. scale: pixels of the screen."""
        missing = [place for place in places if place not in self._kept][:KEPT]
        if missing:
            drives = list(dict.fromkeys(drive for drive, _ in missing))
            missing.sort(key=lambda place: drives.index(place[0]))
            wanted = tuple((Path(drive), frame) for drive, frame in missing)
            self.worker.ask(ThumbnailRequest(self._options, wanted, round(HEIGHT * scale)))

    def _keep(self, found: Thumbnail) -> None:
        self._kept[str(found.path), found.frame] = to_pixmap(found)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self.made.emit()
