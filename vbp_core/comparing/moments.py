"""The stretches of a drive in which two networks differ, as findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vbp.comparing.pair import Compared, Floats
from vbp.errors import VbpError
from vbp.findings.find import findings_of
from vbp.findings.finding import Finding, Observed
from vbp.findings.kinds import Measure
from vbp.frames.strengths import usual_of
from vbp.readable import signed

LEAST_DEG = 1.0  # what nobody would feel at the wheel
LEAST_PERCENT = 50.0  # of a classifier: as much of the probability goes elsewhere
AGREE_DEG = 1.0  # angles nearer than this are the same
ELSEWHERE = 0.5  # of a mask: what is looked at is another thing
PERCENTILE = 95.0
NEARLY = 0.75


@dataclass(frozen=True)
class Moments:
    """found: the heaviest first. thresholds: kind -> from where on, in its unit. left_out: kind -> why it was not looked for.

    Of each finding, predicted_deg is what B says at the peak.
    """

    found: list[Finding]
    thresholds: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> list[Finding]:
        """Those of one kind, the heaviest first."""
        return [f for f in self.found if f.kind == kind]


def standing_out(value: Floats, least: float) -> float:
    """From where on |value| is large: 5 times the median, or NEARLY the 95th percentile if that is less, but `least` at least.

    So rare differences are all found, of two networks that always differ the frames where they differ most, and a
    difference that is the same everywhere is found everywhere.
    """
    size = np.abs(value[np.isfinite(value)])
    if not len(size):
        return least
    return max(least, float(min(5 * np.median(size), NEARLY * np.percentile(size, PERCENTILE))))


def _least(seen: Compared) -> float:
    return LEAST_PERCENT if seen.of_classes else LEAST_DEG


def _apart(seen: Compared, threshold: float | None) -> Measure:
    value = seen.difference_deg
    threshold = standing_out(value, _least(seen)) if threshold is None else threshold
    return Measure(np.abs(value) / threshold, value, threshold)


def _worse(seen: Compared, threshold: float | None) -> Measure:
    value = seen.worse_deg
    threshold = standing_out(value, _least(seen)) if threshold is None else threshold
    return Measure(value / threshold, value, threshold)


def _better(seen: Compared, threshold: float | None) -> Measure:
    value = seen.worse_deg
    threshold = standing_out(value, _least(seen)) if threshold is None else threshold
    return Measure(-value / threshold, -value, threshold)


def _reason(seen: Compared, threshold: float | None) -> Measure:
    value = 100 * seen.masks_differ
    if seen.of_classes:
        agree = (seen.a.classes == seen.b.classes) & (seen.a.classes >= 0)
    else:
        agree = np.abs(seen.difference_deg) < AGREE_DEG
    for side in (seen.a, seen.b):  # where nothing was seen, the mask lies anywhere
        if (usual := usual_of(side.strength)) is not None:
            agree &= ~(side.strength < usual.low)
    if threshold is None:
        known = value[agree & np.isfinite(value)]
        threshold = max(100 * ELSEWHERE, float(np.percentile(known, PERCENTILE))) if len(known) else 100.0
    return Measure(np.where(agree | np.isnan(value), value, 0.0) / threshold, value, threshold, leave=0.8)


@dataclass(frozen=True)
class Kind:
    """A way in which two networks differ. unit: of its values, of classifiers always per cent."""

    title: str
    unit: str
    meaning: str
    measure: Callable[[Compared, float | None], Measure]


KINDS: dict[str, Kind] = {
    "worse": Kind("B is worse", "°", "B's |error| is so much larger than A's", _worse),
    "better": Kind("B is better", "°", "A's |error| is so much larger than B's", _better),
    "apart": Kind("Differ", "°", "B - A is large, and at its peak neither is told to be worse", _apart),
    "reason": Kind(
        "Other reason", "%", "both say the same, and so much of B's mask lies where A's does not", _reason
    ),
}


def unit_of(kind: str, seen: Compared) -> str:
    return "%" if seen.of_classes else KINDS[kind].unit


def moments(seen: Compared, thresholds: Mapping[str, float] | None = None) -> Moments:
    """The stretches of all of KINDS. thresholds: kind -> number in its unit, instead of one that fits the drive.

    Raises VbpError for a kind that does not exist, a threshold that is not above 0.
    """
    given = dict(thresholds or {})
    for name, value in given.items():
        if name not in KINDS:
            raise VbpError(f"there is no kind {name!r} of difference; accepted: {', '.join(KINDS)}")
        if not (np.isfinite(value) and value > 0):
            raise VbpError(f"a threshold of {value:g} for {name} cannot be; give a number above 0")
    as_observed = _observed(seen)
    found: list[Finding] = []
    reached: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, kind in KINDS.items():
        if why := left_out(name, seen):
            missing[name] = why
            continue
        measure = kind.measure(seen, given.get(name))
        reached[name] = measure.threshold
        found += findings_of(name, unit_of(name, seen), measure, as_observed)
    return Moments(sorted(_once(found), key=lambda f: (-f.weight, f.start)), reached, missing)


def _once(found: list[Finding]) -> list[Finding]:
    """Where one network is told to be worse, that they differ is not told again."""
    told = [f for f in found if f.kind in ("worse", "better")]
    return [f for f in found if f.kind != "apart" or not any(g.start <= f.peak <= g.end for g in told)]


def left_out(kind: str, seen: Compared) -> str:
    """Why a kind cannot be looked for on these frames, a part of a sentence; "" where it can."""
    if not np.isfinite(seen.difference_deg).any():
        return "no frame has a prediction of both networks"
    if kind in ("worse", "better") and not np.isfinite(seen.worse_deg).any():
        return (
            "the true classes are not known" if seen.of_classes else "the drive has no measured angles here"
        )
    if kind == "reason" and not np.isfinite(seen.masks_differ).any():
        return seen.no_masks or "there are no masks"
    return ""


def _observed(seen: Compared) -> Observed:
    unknown = np.full(len(seen), np.nan)
    return Observed(
        seen.indices,
        seen.timestamps_ns,
        seen.driven_deg,
        seen.b.predicted_deg,
        seen.speed_mps,
        seen.b.strength,
        seen.b.spread,
        unknown,
        unknown,
        np.zeros(len(seen), dtype=np.bool_),
        seen.of_classes,
    )


def peak_words(finding: Finding) -> str:
    """How large it is at its peak: "+5.9°", of masks "97 %"."""
    if finding.kind == "reason":
        return f"{finding.value:.0f} %"
    return f"{signed(finding.value)}{finding.unit if finding.unit == '°' else f' {finding.unit}'}"
