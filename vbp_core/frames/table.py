"""What is known of a drive's frames, as a table by frame: in memory, and the columns that every file has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.classes import UNKNOWN, labels_for
from vbp.drives.base import Drive
from vbp.models.spec import NetworkSpec
from vbp.readable import printable
from vbp.results import FrameResult
from vbp.version import made_by

# name -> Parquet type. Texts are the same in every row so that tables of several drives can be put together.
COLUMNS: dict[str, str] = {
    "frame": "int64",
    "timestamp_ns": "int64",
    "driven_deg": "float64",
    "predicted_deg": "float64",
    "error_deg": "float64",
    "speed_mps": "float64",
    "driven_rad": "float64",
    "predicted_rad": "float64",
    "error_rad": "float64",
    "mask_strength": "float64",  # log10 of the VisualBackProp mask's largest value before it is scaled
    "mask_spread": "float64",  # share of what the network sees that holds half of the mask's sum
    "picture": "string",
    "gap": "string",
    "warning": "string",
    "edited": "string",  # what was changed in the picture before the network saw it; empty where nothing was
    "drive": "string",
    "model": "string",
    "made_by": "string",
}
# Of a classifier, after those: empty where the true class is not known.
CLASS_COLUMNS: dict[str, str] = {
    "class": "int64",
    "class_name": "string",
    "probability": "float64",
    "label": "int64",
    "label_name": "string",
    "right": "int64",
}
HEAD = b"frame,timestamp_ns,driven_deg,"  # so begins every CSV of ours; a list of steering angles begins only nearly so

Row = list[Any]  # a value per column; None where it is not known


def columns_of(spec: NetworkSpec) -> dict[str, str]:
    """name -> Parquet type, of what a network of that kind gives."""
    return COLUMNS | CLASS_COLUMNS if spec.is_classifier else COLUMNS


def row_of(frame: FrameResult, drive: str, model: str, spec: NetworkSpec) -> Row:
    """The values of `columns_of(spec)`. drive, model: their names, which a gap has too."""
    angles = (frame.driven_rad, frame.predicted_rad, frame.error_rad)
    row = [
        frame.index,
        frame.timestamp_ns,
        *(_known(math.degrees(v)) for v in angles),
        _known(frame.speed_mps),
        *(_known(v) for v in angles),
        None if math.isnan(frame.strength) else frame.strength,
        _known(frame.spread),
        printable(frame.picture) or None,
        printable(frame.gap) or None,
        printable(frame.result.warning if frame.result is not None else "") or None,
        frame.edits.words or None,
        drive,
        model,
        made_by(),
    ]
    if not spec.is_classifier:
        return row
    classes = frame.result.classes if frame.result is not None else None
    if classes is None:
        return row + [None] * len(CLASS_COLUMNS)
    known = classes.label >= 0
    return [
        *row,
        classes.number,
        classes.name,
        classes.probability,
        classes.label if known else None,
        classes.label_name or None,
        int(classes.label == classes.number) if known else None,
    ]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def next_of(frames: NDArray[np.int64], at: int) -> int:
    """Of frames in their order, at least one, the first after `at`; after the last comes the first."""
    later = frames[frames > at]
    return int(later[0] if later.size else frames[0])


class FrameTable:
    """What one network said of the frames of a drive that it has seen so far: arrays by frame.

    labels: (N,) int64, the true classes as the network counts, UNKNOWN where it is not known. driven, predicted, error: (N,)
    float64, NaN where not known; degrees of a steering network. Of a classifier they are per cent: 100 where the
    true class is known, what the network gives it (or the most probable one), and the difference. classes: (N,) int64, the predicted
    class, UNKNOWN where not known and of a steering network. strength, spread: (N,) float64, of the masks, see `FrameResult`. gaps: frames that turned
    out to have no picture, and why.
    """

    def __init__(self, drive: Drive, spec: NetworkSpec | None = None) -> None:
        count = len(drive)
        self.of_classes = spec is not None and spec.is_classifier
        self.labels = labels_for(drive, spec) if spec is not None else np.full(count, UNKNOWN, dtype=np.int64)
        self.driven = (
            np.where(self.labels >= 0, 100.0, np.nan) if self.of_classes else np.degrees(drive.angle_rad)
        )
        self.predicted = np.full(count, np.nan)
        self.classes = np.full(count, UNKNOWN, dtype=np.int64)
        self.strength = np.full(count, np.nan)
        self.spread = np.full(count, np.nan)
        self.gaps: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def error(self) -> NDArray[np.float64]:
        return np.asarray(self.driven - self.predicted)

    def add(self, frame: FrameResult) -> bool:
        """Keep what the first network says of a frame, or why it has no picture; whether that is news.

        What it says of an edited picture is not kept: the drive is what was recorded.
        """
        if frame.gap:
            news = frame.index not in self.gaps
            self.gaps[frame.index] = frame.gap
            return news
        value = frame.plotted
        if frame.result is None or frame.edits:
            return False
        kept = self.predicted[frame.index], self.strength[frame.index]
        if kept[0] == value and (kept[1] == frame.strength or math.isnan(frame.strength)):
            return False
        self.predicted[frame.index], self.strength[frame.index] = value, frame.strength
        self.spread[frame.index] = frame.spread
        if (classes := frame.result.classes) is not None:
            self.classes[frame.index] = classes.number
        return True

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) whether the network has said what it says of a frame, or the frame turned out to be a gap."""
        known = np.isfinite(self.predicted)
        known[list(self.gaps)] = True
        return np.asarray(known)

    def wrong(self) -> NDArray[np.int64]:
        """The frames known so far to which a classifier gives another class than the true one, in their order."""
        judged = (self.labels >= 0) & (self.classes >= 0)
        return np.flatnonzero(judged & (self.labels != self.classes)).astype(np.int64)

    def taken(self, label: int, predicted: int) -> NDArray[np.int64]:
        """The frames known so far of which the true class is `label` and which a classifier takes for `predicted`, in their order."""
        return np.flatnonzero((self.labels == label) & (self.classes == predicted)).astype(np.int64)

    def worst(self) -> int | None:
        """The frame with the largest error known so far; None where none is."""
        error = np.abs(self.error)
        return int(np.nanargmax(error)) if np.isfinite(error).any() else None
