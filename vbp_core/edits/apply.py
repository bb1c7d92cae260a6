"""The edits made in a picture: the one function by which all of the program sees the same."""

from __future__ import annotations

import cv2
import numpy as np

from vbp.drives.base import Image
from vbp.edits.edit import NONE, Adjust, Edit, Edits, Erase
from vbp.edits.regions import Bitmap, bitmap

SIDE = 25  # pixels of the square whose mean is taken, three times: a blur as a bell curve's, and much faster
AROUND = 8  # pixels around a region whose mean colour fills it
INPAINT = 3.0  # pixels around a point that OpenCV's inpainting (Telea) looks at


def apply(edits: Edits, image: Image) -> Image:
    """A picture (H, W, 3) uint8 with the edits made, in their order; `image` itself stays as it is.

    The same edits and picture give the same pixels. Erasing changes no pixel outside of its region. Shift and roll
    repeat the picture's edge where they bring in what the camera did not see.
    """
    found = image
    for edit in edits.items:
        found = _one(edit, found)
    return found.copy() if found is image else found


class Applier:
    """`apply`, for a picture in which one edit after the other is made: all but the last are made once, as while one draws only
    the last changes."""

    def __init__(self) -> None:
        self._of: Image | None = None
        self._first = NONE.items
        self._made: Image | None = None  # `_of` with `_first`

    def __call__(self, edits: Edits, image: Image) -> Image:
        """See `apply`. `image` must not be changed afterwards."""
        first = edits.items[:-1]
        if self._made is None or self._of is not image or self._first != first:
            self._of, self._first, self._made = image, first, apply(Edits(first), image)
        return apply(Edits(edits.items[-1:]), self._made)


def _one(edit: Edit, image: Image) -> Image:
    return _adjusted(edit, image) if isinstance(edit, Adjust) else _erased(edit, image)


def _erased(edit: Erase, image: Image) -> Image:
    marked = bitmap(edit.region, *image.shape[:2])
    return erased(image, ~marked if edit.outside else marked, edit.fill)


def erased(image: Image, marked: Bitmap, fill: str) -> Image:
    """A picture (H, W, 3) or (H, W) uint8 with the marked pixels (H, W) painted over as `fill` of FILLS says, as a copy."""
    rows, columns = np.flatnonzero(marked.any(1)), np.flatnonzero(marked.any(0))
    found = image.copy()
    if not len(rows):
        return found
    margin = {"blur": 3 * (SIDE // 2), "mean": AROUND, "inpaint": 2 * int(INPAINT)}[fill]
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    part = np.s_[top : rows[-1] + 1 + margin, left : columns[-1] + 1 + margin]
    here = marked[part]
    found[part][here] = _filled(np.ascontiguousarray(image[part]), here, fill)
    return found


def _filled(image: Image, marked: Bitmap, fill: str) -> Image:
    """The new colours of the marked pixels, (N, 3) uint8, or one for all."""
    if fill == "mean":
        side = 2 * AROUND + 1
        near = cv2.dilate(marked.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool) & ~marked
        colours = image[near] if near.any() else image[marked]
        return np.asarray(np.rint(colours.mean(0)), dtype=np.uint8)
    if fill == "inpaint":
        if marked.all():  # there is no edge to paint it from
            return np.asarray(np.rint(image[marked].mean(0)), dtype=np.uint8)
        painted = cv2.inpaint(image, marked.astype(np.uint8), INPAINT, cv2.INPAINT_TELEA)
        return np.asarray(painted[marked], dtype=np.uint8)
    for _ in range(3):
        image = np.asarray(cv2.blur(image, (SIDE, SIDE)), dtype=np.uint8)
    return image[marked]


def _adjusted(edit: Adjust, image: Image) -> Image:
    height, width = image.shape[:2]
    value = edit.value
    if edit.kind in ("brightness", "contrast"):
        levels = np.arange(256, dtype=np.float64)
        levels = levels + value if edit.kind == "brightness" else (levels - 128) * value + 128
        return np.asarray(cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8)), dtype=np.uint8)
    if edit.kind == "noise":
        drawn = np.random.default_rng(edit.seed).standard_normal(image.shape, dtype=np.float32)
        return np.clip(np.rint(image + value * drawn), 0, 255).astype(np.uint8)
    if edit.kind == "blur":
        return (
            image.copy() if value <= 0 else np.asarray(cv2.GaussianBlur(image, (0, 0), value), dtype=np.uint8)
        )
    if edit.kind == "roll":
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), value, 1.0)
    else:
        turn = np.array([[1.0, 0.0, value], [0.0, 1.0, 0.0]])
    found = cv2.warpAffine(
        image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, dtype=np.uint8)
