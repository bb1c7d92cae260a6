"""The kinds of findings: what is measured of every frame, and from where on it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vbp.findings.finding import Observed
from vbp.findings.signals import jumps, movement, nearby
from vbp.findings.stretches import Floats
from vbp.frames.strengths import SCATTERED, STANDS_OUT, usual_of

LEAVE = 0.6  # of the threshold: below it, a stretch that begun above the threshold is over
PERCENTILE = 95.0
OUTLIER = 10.0  # medians: a percentile that lies beyond them is itself a fault, as there are that many
MANY = 40  # frames, of which a percentile says what is usual
ANGLES, LABELS, MASKS, STRENGTHS = "angles", "labels", "masks", "strengths"


@dataclass(frozen=True)
class Measure:
    """depth: (N,) how many times the threshold, 1 or more where something is found; NaN where not known. value: (N,), what is
    said of each frame, in the kind's unit. leave: the depth below which a stretch is over. steps: what is found is a change from
    one frame to the next, so that of one and the same way back the first is to be shown."""

    depth: Floats
    value: Floats
    threshold: float
    leave: float = LEAVE
    steps: bool = False


@dataclass(frozen=True)
class Kind:
    """needs: of ANGLES (a network that steers), LABELS (what was driven, or the true classes), MASKS, STRENGTHS (of masks).

    measure(observed, threshold): None takes one that fits the drive.
    """

    title: str
    unit: str
    meaning: str
    needs: tuple[str, ...]
    measure: Callable[[Observed, float | None], Measure]


def percentile_of_error(seen: Observed, percent: float) -> float:
    """Of |driven - predicted|, in degrees; NaN where there is none."""
    size = np.abs(seen.driven_deg - seen.predicted_deg)
    size = size[np.isfinite(size)]
    return float(np.percentile(size, percent)) if len(size) else float("nan")


def _error(seen: Observed, threshold: float | None) -> Measure:
    value = seen.driven_deg - seen.predicted_deg
    if threshold is None and seen.of_classes:
        threshold = 50.0
    elif threshold is None:
        high, median = (percentile_of_error(seen, p) for p in (PERCENTILE, 50))
        threshold = max(min(high, OUTLIER * median), 5 * median, 1.0)
    return Measure(np.abs(value) / threshold, value, threshold)


def _usual(size: Floats, least: float, median: float, high: float) -> float:
    """A threshold well above what is usual in the drive: so many times the median, and PERCENTILE."""
    known = size[np.isfinite(size)]
    if not len(known):
        return least
    top = (
        float(np.percentile(known, PERCENTILE)) if len(known) >= MANY else 0.0
    )  # of few, a fault alone is that
    return max(least, median * float(np.median(known)), high * top)


def _step(seen: Observed, threshold: float | None) -> Measure:
    value = jumps(seen.timestamps_ns, seen.predicted_deg)
    size, driven = np.abs(value), nearby(jumps(seen.timestamps_ns, seen.driven_deg))
    threshold = _usual(size, 3.0, 8.0, 2.0) if threshold is None else threshold
    return Measure(np.where(driven < size / 2, size, 0.0) / threshold, value, threshold, 1.0, steps=True)


def _label(seen: Observed, threshold: float | None) -> Measure:
    value = jumps(seen.timestamps_ns, seen.driven_deg)
    size, predicted = np.abs(value), nearby(jumps(seen.timestamps_ns, seen.predicted_deg))
    threshold = _usual(size, 5.0, 8.0, 2.0) if threshold is None else threshold
    alone = (predicted < size / 2) & ~_other_picture(seen)
    return Measure(np.where(alone, size, 0.0) / threshold, value, threshold, 1.0, steps=True)


def _constant(seen: Observed, threshold: float | None) -> Measure:
    value = movement(seen.timestamps_ns, seen.predicted_deg)
    threshold = 0.02 if threshold is None else threshold
    with np.errstate(divide="ignore"):
        depth = threshold / value
    depth[seen.speed_mps < 0.5] = 0.0  # a car that stands sees the same all the time
    depth[seen.dead] = np.inf
    return Measure(depth, np.where(seen.dead, 0.0, value), threshold, 1.0)


def _range(seen: Observed, threshold: float | None) -> Measure:
    driven = seen.driven_deg[np.isfinite(seen.driven_deg)]
    low, high = np.quantile(driven, (0.005, 0.995))  # labels may be wrong, too
    value = np.maximum(np.maximum(seen.predicted_deg - high, low - seen.predicted_deg), 0.0)
    threshold = max(5.0, 0.25 * float(high - low)) if threshold is None else threshold
    return Measure(value / threshold, value, threshold)


def _weak(seen: Observed, threshold: float | None) -> Measure:
    usual = seen.usual or usual_of(seen.strength)
    if usual is None:  # too few to say what is usual
        return Measure(np.full(len(seen), np.nan), seen.strength, threshold or STANDS_OUT)
    value = usual.median - seen.strength
    threshold = max(STANDS_OUT, usual.median - usual.low) if threshold is None else threshold
    return Measure(value / threshold, value, threshold, 0.8)


def _scattered(seen: Observed, threshold: float | None) -> Measure:
    threshold = SCATTERED if threshold is None else threshold
    usual = seen.usual or usual_of(seen.strength, seen.spread)
    if usual is None or not usual.spread:
        return Measure(np.full(len(seen), np.nan), seen.spread, threshold)
    value = seen.spread / usual.spread
    weak = seen.strength < usual.low  # where nothing was seen, what is left of the mask lies anywhere
    return Measure(np.where(weak, 0.0, value) / threshold, value, threshold, 0.8)


def _attention(seen: Observed, threshold: float | None) -> Measure:
    value = 100 * seen.moved
    threshold = min(_usual(value, 30.0, 4.0, 1.5), 90.0) if threshold is None else threshold
    weak = _weak(seen, None).depth >= 1
    unseen = weak | np.concatenate([[False], weak[:-1]])  # here, or in the frame before
    return Measure(
        np.where(unseen | _other_picture(seen), 0.0, value) / threshold, value, threshold, 1.0, steps=True
    )


def _other_picture(seen: Observed) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where the picture is not what comes after the one before, or not known to be another: a cut, a swapped picture."""
    limit = _usual(seen.unlike, 8.0, 2.5, 1.5)
    return np.asarray(seen.unlike > limit)


# Causes before what comes of them: a stretch in which several are found is named after the first.
KINDS: dict[str, Kind] = {
    "weak": Kind(
        "Weak mask",
        "decades",
        "the mask's largest value is far below what is usual in this drive, so that nothing was seen: black, grey, night",
        (STRENGTHS,),
        _weak,
    ),
    "scattered": Kind(
        "Scattered mask",
        "times",
        "half of the mask's sum lies on so many times the area that is usual in this drive, so that no place stands out: noise",
        (STRENGTHS,),
        _scattered,
    ),
    "label": Kind(
        "Label steps",
        "°",
        "the driven angle steps though neither the predicted angle nor the road does: a wrong label",
        (ANGLES, LABELS),
        _label,
    ),
    "constant": Kind(
        "Constant output",
        "°",
        "the predicted angle hardly moves for a second, or a layer is dead",
        (ANGLES,),
        _constant,
    ),
    "range": Kind(
        "Out of range",
        "°",
        "the predicted angle lies beyond all that was driven",
        (ANGLES, LABELS),
        _range,
    ),
    "attention": Kind(
        "Attention jumps",
        "%",
        "so much of the mask is not where it was in the frame before, carried along with the road",
        (MASKS,),
        _attention,
    ),
    "step": Kind(
        "Step",
        "°",
        "the predicted angle steps though the driven one does not",
        (ANGLES,),
        _step,
    ),
    "error": Kind(
        "Error",
        "°",
        "driven - predicted is large; of a classifier, so many per cent are given to other classes than the true one",
        (LABELS,),
        _error,
    ),
}


def left_out(kind: Kind, seen: Observed) -> str:
    """Why a kind cannot be looked for in this drive by this network, a part of a sentence; "" where it can."""
    if ANGLES in kind.needs and seen.of_classes:
        return "the network predicts classes and no angle"
    if LABELS in kind.needs and not np.isfinite(seen.driven_deg).any():
        return (
            "the true classes are not known" if seen.of_classes else "the drive has no measured angles here"
        )
    unknown = np.isnan(seen.moved) if MASKS in kind.needs else np.isnan(seen.strength)
    if {MASKS, STRENGTHS} & set(kind.needs) and unknown.all():
        return seen.no_masks or "there are no masks"
    return ""
