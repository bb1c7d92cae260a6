"""Edits that move along with the picture, by optical flow."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.edits.apply import Applier
from vbp.edits.edit import Edit, Edits, Erase
from vbp.edits.regions import bitmap, moved

SIDE = 160  # pixels of the longer side at which pictures are compared
MOST_STEP = 5  # frames between two that follow each other; after more, what is erased stays where it was


class Follower:
    """Shown one frame after the other, with the edits as they lie where they were drawn: where they lie now.

    Each region goes by the median flow of the picture inside it. It keeps its size. apply: makes them.
    """

    def __init__(self) -> None:
        self.apply = Applier()
        self._index = -1
        self._before: NDArray[np.uint8] | None = None
        self._offsets: dict[Edit, tuple[float, float]] = {}

    def follow(self, edits: Edits, index: int, image: Image) -> Edits:
        """image: frame `index` as it was recorded, (H, W, 3) uint8."""
        if not edits.follow or not edits.erasures:
            self._before, self._offsets = None, {}
            return edits
        step = index - self._index
        known = {edit: self._offsets.get(edit, (0.0, 0.0)) for edit in edits.erasures}
        if step or self._before is None:
            now = _small(image)
            before, self._before, self._index = self._before, now, index
            if before is not None and before.shape == now.shape and 0 < step <= MOST_STEP:
                flow = cv2.calcOpticalFlowFarneback(before, now, None, 0.5, 3, 15, 3, 5, 1.1, 0)  # type: ignore[call-overload]
                scale = image.shape[1] / now.shape[1]
                known = {edit: _pushed(edit, at, flow * scale, scale) for edit, at in known.items()}
        self._offsets = {edit: at for edit, at in known.items() if isinstance(edit, Erase)}
        items = tuple(
            replace(e, region=moved(e.region, *known[e])) if isinstance(e, Erase) else e for e in edits.items
        )
        return replace(edits, items=items)


def _pushed(
    edit: Erase, at: tuple[float, float], flow: NDArray[np.float32], scale: float
) -> tuple[float, float]:
    """at: how far it is from where it was drawn; flow: (h, w, 2), of the small picture, in pixels of the large one."""
    height, width = flow.shape[:2]
    region = moved(edit.region, *at)
    large = bitmap(region, round(height * scale), round(width * scale))
    here = cv2.resize(large.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA).astype(bool)
    if not here.any():
        y, x = (np.flatnonzero(large.any(axis)) / scale for axis in (1, 0))
        if not len(y):  # it has left the picture
            return at
        here[min(int(y.mean()), height - 1), min(int(x.mean()), width - 1)] = True
    dx, dy = np.median(flow[here], axis=0).tolist()
    return at[0] + dx, at[1] + dy


def _small(image: Image) -> NDArray[np.uint8]:
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
