"""Whether a mask moves though the road does not: beside the mask of the frame before, carried along by optical flow."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.results import NetworkResult

SIDE = 128  # pixels of the longer side at which pictures are compared
CHANGED = 75  # per cent of the pixels: what is only in a part of the picture does not make it another
NAN = float("nan")
Image = NDArray[np.float32]


class Attention:
    """Shown one frame after the other: by how much the mask moved, and how much the picture changed."""

    def __init__(self) -> None:
        self._before: tuple[Image, Image] | None = None

    def forget(self) -> None:
        """The next frame does not follow on this one."""
        self._before = None

    def add(self, result: NetworkResult) -> tuple[float, float]:
        """(share of the mask, 0 to 1, that is not where the mask before was; grey levels by which three quarters of the picture
        differ at most).

        Both against the frame before carried along with the picture; NaN of the first frame, and of a mask that is all zero.
        """
        mask = result.map()
        if mask is None:
            self.forget()
            return NAN, NAN
        picture = _small(result.input)
        size = (picture.shape[1], picture.shape[0])
        small = cv2.resize(np.abs(mask), size, interpolation=cv2.INTER_AREA)
        now = picture, np.asarray(cv2.GaussianBlur(small, (5, 5), 0), dtype=np.float32)
        before, self._before = self._before, now
        return _compared(before, now)

    @property
    def state(self) -> bytes:
        """What is kept of the frame before, for `compared`; b"" where nothing is."""
        if self._before is None:
            return b""
        file = io.BytesIO()
        np.savez(file, picture=self._before[0].astype(np.uint8), mask=self._before[1])
        return file.getvalue()


def compared(before: bytes, now: bytes) -> tuple[float, float]:
    """What `Attention.add` gives of a frame, from its `state` after the frame before and after this one."""
    return _compared(_of_state(before), _of_state(now))


def _of_state(state: bytes) -> tuple[Image, Image] | None:
    if not state:
        return None
    with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
        return arrays["picture"].astype(np.float32), arrays["mask"]


def _compared(before: tuple[Image, Image] | None, now: tuple[Image, Image] | None) -> tuple[float, float]:
    if before is None or now is None or before[0].shape != now[0].shape:
        return NAN, NAN
    seen, marked = _carried(before, now[0])
    return 1 - _overlap(now[1], marked), float(np.percentile(np.abs(now[0] - seen), CHANGED))


def _small(inputs: NDArray[np.uint8]) -> Image:
    grey = cv2.cvtColor(inputs, cv2.COLOR_RGB2GRAY) if inputs.ndim == 3 else inputs
    height, width = grey.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _carried(before: tuple[Image, Image], picture: Image) -> tuple[Image, Image]:
    """Picture and mask of the frame before, moved to where they are now."""
    now, then = picture.astype(np.uint8), before[0].astype(np.uint8)
    flow = cv2.calcOpticalFlowFarneback(now, then, None, 0.5, 3, 9, 2, 5, 1.1, 0)  # type: ignore[call-overload]
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    to = x + flow[..., 0], y + flow[..., 1]
    moved = (cv2.remap(p, *to, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in before)
    seen, marked = (np.asarray(p, dtype=np.float32) for p in moved)
    return seen, marked


def _overlap(a: Image, b: Image) -> float:
    """Of two masks, each with a sum of 1; NaN where one is zero."""
    sums = float(a.sum()), float(b.sum())
    return float(np.minimum(a / sums[0], b / sums[1]).sum()) if min(sums) > 0 else NAN
