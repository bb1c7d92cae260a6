"""A picture with a mask over it, blended again whenever the overlay changes."""

from __future__ import annotations

import logging
import math
import time

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from vbp.app import theme
from vbp.app.panels.scale_bar import Scale
from vbp.app.widgets.picture import PictureView
from vbp.frames.smoothing import Smoother, smoothed_words
from vbp.frames.strengths import Usual, full_words, weights
from vbp.overlay import Overlay, Rect, grey_to_rgb, lay
from vbp.results import FrameResult, NetworkResult

Place = tuple[int, int, object]  # by which frames in a row are known

log = logging.getLogger(__name__)
GAP = 6  # pixels between words
LOW = 110  # pixels of height; a picture lower than that is not covered by a colour bar
ON_DARK = QColor("#e3e6ea")  # words on a dark ground of their own, in both colour schemes
WARNING = QColor("#e2c15c")  # on its own dark ground, in both colour schemes


def place_of(record: FrameResult, result: NetworkResult | None, of: object) -> Place | None:
    """Where a mask stands among those of the frames around it: of one network, one part of the picture, and the same `of`."""
    return None if result is None else (record.index, record.timestamp_ns, (of, result.network, result.crop))


class MaskedView(PictureView):
    """Keeps the picture and the mask apart, so that a new overlay needs no new pass. Hidden, it does nothing."""

    painted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.overlay = Overlay()
        self.blend_ms = 0.0
        self._base: NDArray[np.uint8] | None = None
        self._mask: NDArray[np.float32] | None = None
        self._rect: Rect | None = None
        self._usual: Usual | None = None
        self._strength = math.nan
        self._own = True
        self._smoother = Smoother()
        self._sides: tuple[str, str] | None = None  # of a signed map, what its two colours mean
        self._smoothed = 0  # frames of which the mask shown is the mean
        self._stale = False
        self._edited = ""

    def set_edited(self, text: str) -> None:
        """That the picture is not the recorded one, in words; "" where it is."""
        if text != self._edited:
            self._edited = text
            self.update()

    def set_masked(
        self,
        image: NDArray[np.uint8] | None,
        mask: NDArray[np.float32] | None,
        rect: Rect | None = None,
        at: Place | None = None,
    ) -> None:
        """`image` (H, W) or (H, W, 3) uint8; `mask` (h, w) float32 laid over `rect` of it (default: all).

        at: the frame's index and time stamp, and what the mask is of (`place_of`).
        """
        self._base, self._mask, self._rect = image, mask, rect
        if image is None or at is None:
            self._smoother.forget()
        else:
            self._smoother.add(at[0], at[1], image, mask, self._strength, at[2])
        self.refresh()

    def set_sides(self, sides: tuple[str, str] | None) -> None:
        """What negative and positive mean, of a signed map; None of another."""
        self._sides = sides
        self.update()

    def scale(self) -> Scale | None:
        """The colour bar of what is shown."""
        o = self.overlay
        if self._mask is None or self._gap or not (o.shown and o.bar):
            return None
        if self._sides is not None:
            return Scale(o, *self._sides, True)
        return Scale(o, "", full_words(o, self._usual, self._own), False)

    def smoothed(self) -> str:
        """That the mask is of several frames, in words; "" where it is of one."""
        return smoothed_words(self._smoothed) if self.overlay.shown and self._mask is not None else ""

    def set_strength(self, strength: float, own: bool = True) -> None:
        """Of VisualBackProp's mask of the frame; own: that is the mask shown, which may have a fixed scale."""
        self._strength, self._own = strength, own
        self.refresh()

    def set_usual(self, usual: Usual | None) -> None:
        """What strengths the drive has, where that is known."""
        self._usual = usual
        self.refresh()

    def set_overlay(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.refresh()

    def refresh(self) -> None:
        """Blend again, when it is painted: what nobody sees costs nothing."""
        self._stale = True
        self.update()

    def _blend(self) -> None:
        self._stale = False
        began = time.perf_counter()
        try:
            self._hold(self.blended())
        except Exception:  # none may leave a paint event; the picture without its mask is still worth showing
            log.exception("blending")
            self._hold(grey_to_rgb(self._base) if self._base is not None else None)
        self.blend_ms = (time.perf_counter() - began) * 1e3

    def blended(self) -> NDArray[np.uint8] | None:
        """What is shown: the picture with its mask."""
        if self._base is None:
            return None
        mask, faded, gain = self.laid()
        return lay(grey_to_rgb(self._base), mask, self._rect, self.overlay, faded, gain)

    def laid(self) -> tuple[NDArray[np.float32] | None, float, float]:
        """The mask as it is laid over the picture, what its opacity is multiplied with, and its values."""
        mask, self._smoothed = self._mask, 1
        if self.overlay.smooth > 1 and self.overlay.shown:
            smoothed, self._smoothed = self._smoother.mask(self.overlay)
            mask = smoothed if smoothed is not None else mask
        return mask, *weights(self._strength, self._usual, self.overlay, self._own)

    def picture_rect(self) -> QRectF:
        if (
            self._stale
        ):  # the picture before may have had another size, and before the first one there is none
            self._blend()
        return super().picture_rect()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._stale:
            self._blend()
        super().paintEvent(event)
        if self._edited and self._image is not None:
            self._paint_edited()
        self.painted.emit()

    def _paint_edited(self) -> None:
        """At the lower left: warnings stand at the top."""
        painter = QPainter(self)
        ground = self.picture_rect().intersected(self.viewport()).adjusted(4, 4, -4, -4)
        wide = min(ground.width(), self.fontMetrics().horizontalAdvance(self._edited) + 12)
        text = self.fontMetrics().elidedText(self._edited, Qt.TextElideMode.ElideRight, int(wide) - 8)
        high = min(ground.height(), self.fontMetrics().height() + 4)
        plate = QRectF(ground.left(), ground.bottom() - high, wide, high)
        painter.fillRect(plate, QColor(0, 0, 0, 190))
        painter.setPen(WARNING)
        painter.drawText(plate, int(Qt.AlignmentFlag.AlignCenter), text)
        painter.end()

    def caption(self) -> str:
        """What stands at the left above the picture."""
        return " · ".join(text for text in (self._left, self.smoothed()) if text)

    def _paint_caption(self, painter: QPainter) -> None:
        """With the colour bar in it; a picture without a caption has it below, or where there is no room over its edge."""
        scale, said = self.scale(), self.smoothed()
        metrics = QFontMetricsF(self.font())
        if self._header():
            left, self._left = self._left, self.caption()
            super()._paint_caption(painter)
            right = metrics.horizontalAdvance(self._right) + 2 * GAP
            room = self.width() - right - metrics.horizontalAdvance(self._left) - 3 * GAP
            self._left = left
            scale = self._fitting(scale, metrics, room)
            if scale is not None:
                x = self.width() - right - scale.width(metrics) - GAP
                scale.paint(painter, QPointF(x, 0), self._header(), theme.colours().muted)
            return
        if self._image is None or self.height() < LOW:
            scale = None
        height = metrics.height() + 2
        words = metrics.horizontalAdvance(said) + GAP if said else 0.0
        scale = self._fitting(scale, metrics, self.width() - words - 2 * GAP)
        width = words + (scale.width(metrics) if scale is not None else 0.0)
        if not width:
            return
        bottom = min(self.picture_rect().bottom() + 2 + height, float(self.height()))
        width += 2 * GAP
        picture = self.picture_rect().intersected(QRectF(self.rect()))
        right = picture.right() if width <= picture.width() else float(self.width())
        box = QRectF(right - width, bottom - height, width, height)
        painter.setFont(self.font())
        painter.fillRect(box, QColor(0, 0, 0, 170))
        painter.setPen(ON_DARK)
        painter.drawText(box.adjusted(GAP, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), said)
        if scale is not None:
            scale.paint(painter, QPointF(box.x() + GAP + words, box.y()), height, ON_DARK)

    @staticmethod
    def _fitting(scale: Scale | None, metrics: QFontMetricsF, room: float) -> Scale | None:
        """As much of the colour bar as there is room for."""
        if scale is None or scale.width(metrics) <= room:
            return scale
        return scale.short() if scale.short().width(metrics) <= room else None

    def _paint_warning(self, painter: QPainter, ground: QRectF) -> None:
        """The whole sentence, as half of it would mislead; at the top, as what the network sees lies below."""
        inner = ground.adjusted(8, 4, -8, -4)
        flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
        box = painter.boundingRect(inner, flags, self._warning or "")
        painter.fillRect(
            QRectF(ground.x(), ground.y(), ground.width(), box.height() + 8), QColor(0, 0, 0, 190)
        )
        painter.setPen(WARNING)
        painter.drawText(inner, flags, self._warning or "")
