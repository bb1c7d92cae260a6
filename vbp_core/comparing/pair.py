"""Two networks on the frames of a drive, in one pass, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vbp.classes import UNKNOWN
from vbp.comparing.masks import masks_differ
from vbp.drives.base import Drive
from vbp.errors import VbpError
from vbp.frames.running import run_frames
from vbp.frames.table import FrameTable
from vbp.models.spec import NetworkSpec
from vbp.results import VBP, FrameRequest, FrameResult, MapRequest

if TYPE_CHECKING:
    from vbp.engine import Engine

Floats = NDArray[np.float64]
MASK = MapRequest(VBP)
REQUEST = FrameRequest(maps=(MASK,))


@dataclass(frozen=True, eq=False)
class Side:
    """What one network said of N frames. predicted_deg, strength, spread: (N,) float64, as in `Observed`; NaN where not known.

    classes: (N,) int64, of a classifier the predicted class; UNKNOWN where it is not known.
    """

    name: str
    predicted_deg: Floats
    strength: Floats
    spread: Floats
    classes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Compared:
    """Networks A and B on N frames of a drive, in the order of time; (N,) each, float64, NaN where not known, as of a gap.

    indices, timestamps_ns: int64, which frames and when. driven_deg, speed_mps: see `Observed`. masks_differ: the share of one
    mask that is not where the other is (`vbp.comparing.masks`). labels: (N,) int64, of classifiers the true class, UNKNOWN where
    it is not known. gaps: frames without a picture, and why. no_masks: why no mask could be compared, one sentence, or "".
    """

    a: Side
    b: Side
    indices: NDArray[np.int64]
    timestamps_ns: NDArray[np.int64]
    driven_deg: Floats
    speed_mps: Floats
    masks_differ: Floats
    labels: NDArray[np.int64]
    of_classes: bool
    gaps: dict[int, str]
    no_masks: str = ""

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def difference_deg(self) -> Floats:
        """B - A: how far left of A's angle B's lies; of classifiers the per cent that B gives the true class more."""
        return self.b.predicted_deg - self.a.predicted_deg

    @property
    def error_a(self) -> Floats:
        """driven - predicted by A, degrees."""
        return self.driven_deg - self.a.predicted_deg

    @property
    def error_b(self) -> Floats:
        return self.driven_deg - self.b.predicted_deg

    @property
    def worse_deg(self) -> Floats:
        """By how much B's |error| is larger than A's."""
        return np.abs(self.error_b) - np.abs(self.error_a)

    @property
    def is_same(self) -> bool:
        """Whether they differ in nothing on these frames: angles, classes, masks."""
        both = np.isfinite(self.difference_deg)
        known = np.isfinite(self.masks_differ)
        return bool(
            both.any()
            and np.array_equal(self.a.predicted_deg, self.b.predicted_deg, equal_nan=True)
            and np.array_equal(self.a.classes, self.b.classes)
            and not self.masks_differ[known].any()
        )

    def largest(self) -> int | None:
        """The frame on which the angles differ most; None where none is known of both."""
        size = np.abs(self.difference_deg)
        return int(self.indices[np.nanargmax(size)]) if np.isfinite(size).any() else None


class PairTable:
    """What two networks said of the frames of a drive that went by so far, in any order; arrays by frame.

    a, b: a `FrameTable` each. masks_differ: (frames of the drive,) float64. Raises VbpError (see `check_alike`).
    """

    def __init__(self, drive: Drive, a: NetworkSpec, b: NetworkSpec) -> None:
        check_alike(a, b)
        self._drive = drive
        self.a, self.b = FrameTable(drive, a), FrameTable(drive, b)
        self.masks_differ = np.full(len(drive), np.nan)
        self.classes = np.full((2, len(drive)), UNKNOWN, dtype=np.int64)
        self.names = (a.name, b.name)
        self.no_masks = ""
        self._seen: set[int] = set()

    def add(self, frame: FrameResult, a: int = 0, b: int = 1) -> bool:
        """Keep what results `a` and `b` of the frame say, or why it has no picture; whether that is news."""
        news = frame.index not in self._seen
        self._seen.add(frame.index)
        if frame.image is None or len(frame.results) <= max(a, b):
            return self.a.add(frame) or news
        sides = frame.results[a], frame.results[b]
        for k, (table, result) in enumerate(zip((self.a, self.b), sides, strict=True)):
            news |= table.add(replace(frame, results=(result,)))
            if result.classes is not None:
                self.classes[k, frame.index] = result.classes.number
        self.names = sides[0].network, sides[1].network
        self.no_masks = self.no_masks or sides[0].missing.get(MASK, "") or sides[1].missing.get(MASK, "")
        height, width = frame.image.shape[:2]
        if not np.isnan(share := masks_differ(*sides, width, height)):
            self.masks_differ[frame.index] = share
        return news

    def compared(self, indices: NDArray[np.int64] | Sequence[int] | None = None) -> Compared:
        """Of frames `indices` (default: all of the drive), in the order of time."""
        at = np.arange(len(self.a)) if indices is None else np.asarray(indices, dtype=np.int64)
        a, b = (
            Side(name, table.predicted[at], table.strength[at], table.spread[at], classes[at])
            for name, table, classes in zip(self.names, (self.a, self.b), self.classes, strict=True)
        )
        return Compared(
            a,
            b,
            at,
            self._drive.timestamps_ns[at],
            self.a.driven[at],
            self._drive.speed_mps[at],
            self.masks_differ[at],
            self.a.labels[at],
            self.a.of_classes,
            dict(self.a.gaps),
            self.no_masks,
        )


def check_alike(a: NetworkSpec, b: NetworkSpec) -> None:
    """Raises VbpError where two networks say different things, so that they cannot be compared."""
    if a.is_classifier != b.is_classifier:
        steers, other = (b, a) if a.is_classifier else (a, b)
        raise VbpError(
            f"{steers.name} predicts an angle and {other.name} classes, so they cannot be compared; choose two that predict the same"
        )
    if a.is_classifier and a.classes != b.classes:
        raise VbpError(
            f"{a.name} and {b.name} predict different classes, so they cannot be compared; choose two classifiers of the same classes"
        )


def compare_frames(
    drive: Drive,
    engines: Sequence[Engine],
    indices: NDArray[np.int64],
    watch: Callable[[Iterable[FrameResult]], Iterable[FrameResult]] = iter,
) -> list[Compared]:
    """engines: A, B and any number of others, in one pass; B and each other, compared with A.

    An engine that is given twice runs once, so that it is exactly the same. watch: wraps the frames, as a progress bar does.
    Memory does not grow with the pictures. Raises VbpError (see `check_alike`, `Engine.run`).
    """
    first = engines[0].spec
    tables = [PairTable(drive, first, engine.spec) for engine in engines[1:]]
    with closing(run_frames(drive, engines, REQUEST, indices)) as frames:
        for frame in watch(frames):
            for k, table in enumerate(tables, 1):
                table.add(frame, 0, k)
    return [table.compared(indices) for table in tables]
