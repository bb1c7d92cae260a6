"""What a change of the angle means: beside it, what erasing the same shape at random places does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.edits.apply import apply
from vbp.edits.edit import Edits, Erase
from vbp.edits.regions import Bitmap, bitmap, pixels_of
from vbp.errors import VbpError

PLACES = 20
TRIES = 50  # for a place that is another one
MOST_OVERLAP = 0.5  # of the shape's pixels, with where it was

Area = tuple[int, int, int, int]  # left x, top y, width, height


@dataclass(frozen=True)
class Baseline:
    """change: of the angle by what was erased; changes: (N,) by the same shape elsewhere. In the unit of `respond`."""

    change: float
    changes: NDArray[np.float64]

    @property
    def smaller(self) -> int:
        """How many of the random places change the angle by less, whatever the side."""
        return int((np.abs(self.changes) < abs(self.change)).sum())

    @property
    def share(self) -> float:
        return self.smaller / len(self.changes)

    @property
    def words(self) -> str:
        return f"larger than {self.smaller} of {len(self.changes)} random places of the same shape"


def baseline(
    edits: Edits,
    image: Image,
    crop: Area,
    respond: Callable[[Image], float],
    places: int = PLACES,
    seed: int = 0,
) -> Baseline:
    """Erase the same shape at `places` random places inside the crop, which is what the network sees.

    respond: a picture (H, W, 3) uint8 -> the angle, or another number. The change is against the picture with the other edits
    alone, in the measured case and at random. All that is erased inside the crop moves together. In each direction: a
    shape that takes up to half of the crop lies anywhere inside it; a larger one is pushed round, and what leaves
    at one side comes in at the other. A place that has more than half of its pixels where the shape was is drawn
    again, up to 50 times. Raises VbpError where nothing in the crop is erased.
    """
    x, y, width, height = crop
    window = np.s_[y : y + height, x : x + width]
    shapes: dict[int, Bitmap] = {}
    for n, edit in enumerate(edits.items):
        if isinstance(edit, Erase):
            marked = bitmap(edit.region, *image.shape[:2])
            shapes[n] = (~marked if edit.outside else marked)[window]
    whole = np.zeros((height, width), dtype=bool)
    for shape in shapes.values():
        whole |= shape
    if not whole.any():
        raise VbpError("nothing that the network sees is erased, so there is nothing to compare with")
    without = replace(edits, items=edits.adjustments)
    before = respond(apply(without, image))
    change = respond(apply(edits, image)) - before
    rng = np.random.default_rng(seed)
    changes = []
    for _ in range(places):
        down, right = _offset(whole, rng)
        items = list(edits.items)
        for n, shape in shapes.items():
            place = np.zeros(image.shape[:2], dtype=bool)
            place[window] = np.roll(shape, (down, right), (0, 1))
            kept = items[n]
            assert isinstance(kept, Erase)
            items[n] = Erase(pixels_of(place), kept.fill)
        changes.append(respond(apply(replace(edits, items=tuple(items)), image)) - before)
    return Baseline(change, np.array(changes, dtype=np.float64))


def _offset(whole: Bitmap, rng: np.random.Generator) -> tuple[int, int]:
    """Rows down and columns to the right."""
    count = int(whole.sum())
    down = right = 0
    for _ in range(TRIES):
        down, right = (_along(np.asarray(whole.any(1 - axis)), rng) for axis in (0, 1))
        again = int((np.roll(whole, (down, right), (0, 1)) & whole).sum())
        if again <= MOST_OVERLAP * count:
            break
    return down, right


def _along(taken: NDArray[np.bool_], rng: np.random.Generator) -> int:
    at = np.flatnonzero(taken)
    first, last = int(at[0]), int(at[-1])
    if last + 1 - first > len(taken) / 2:
        return int(rng.integers(len(taken)))
    return int(rng.integers(-first, len(taken) - last))
