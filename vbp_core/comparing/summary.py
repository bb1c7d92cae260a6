"""What comes of a comparison: its numbers as plain data, and as sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vbp.comparing.errors import Errors, change_words, errors_of, short_words
from vbp.comparing.moments import Moments, moments
from vbp.comparing.pair import Compared, Floats
from vbp.findings.finding import Finding
from vbp.readable import count
from vbp.scores import steady_text

UNUSUAL = 95.0  # of a hundred frames, so many differ less


@dataclass(frozen=True)
class Comparison:
    """seen: A and B. floors: A and each network of the noise floor, which should differ from it by chance alone."""

    seen: Compared
    floors: Sequence[Compared]
    errors: Errors
    moments: Moments


def conclude(pairs: Sequence[Compared], seed: int = 0) -> Comparison:
    """Of what `compare_frames` gives. With a noise floor, what masks do by chance is no other reason."""
    seen, *floors = pairs
    high = [float(np.percentile(v, UNUSUAL)) for f in floors if len(v := _known(100 * f.masks_differ))]
    given = {"reason": max(high)} if high and max(high) > 0 else {}
    return Comparison(seen, floors, errors_of(seen, seed), moments(seen, given))


def _known(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def row_of(seen: Compared, frame: int) -> int:
    """The row of a frame of the drive."""
    return int(np.searchsorted(seen.indices, frame))


def lost(seen: Compared) -> tuple[int, int]:
    """On how many frames A puts out no number and B does, and the other way round."""
    a, b = np.isfinite(seen.a.predicted_deg), np.isfinite(seen.b.predicted_deg)
    return int((b & ~a).sum()), int((a & ~b).sum())


def distance_words(seen: Compared, names: tuple[str, str] = ("A", "B")) -> list[str]:
    """How far two networks lie apart, whichever is right."""
    apart, masks = np.abs(_known(seen.difference_deg)), 100 * _known(seen.masks_differ)
    one, other = names
    if seen.is_same:
        return [f"{one} and {other} differ in nothing on these frames: predictions and masks are the same"]
    said = []
    if not len(apart):
        said.append(f"no frame has a prediction of both {one} and {other}")
    elif seen.of_classes:
        both = (seen.a.classes >= 0) & (seen.b.classes >= 0)
        other_class = int((both & (seen.a.classes != seen.b.classes)).sum())
        said.append(
            f"{one} and {other} predict different classes on {other_class} of {int(both.sum())} frames"
        )
    elif not apart.any():
        said.append(f"{one} and {other} steer the same on all of {count(len(apart), 'frame')}")
    else:
        said.append(
            f"{one} and {other} steer {apart.mean():.2f}° apart on average, {apart.max():.2f}° at most, in frame {seen.largest()}"
        )
    if len(masks):
        said.append(
            f"{np.median(masks):.0f} % of {other}'s mask lies where {one}'s does not, in half of the frames; "
            f"{np.percentile(masks, UNUSUAL):.0f} % in 1 of 20"
        )
    elif seen.no_masks:
        said.append(f"masks were not compared: {seen.no_masks}")
    return said


def floor_words(found: Comparison) -> list[str]:
    """What A's twins differ from it by, and how that stands to what B does."""
    said: list[str] = []
    for k, floor in enumerate(found.floors):
        name = f"C{k + 1}" if len(found.floors) > 1 else "C"
        said += [f"noise floor: {text}" for text in distance_words(floor, ("A", name))]
    for what, of in (("angles", "difference_deg"), ("masks", "masks_differ")):
        ours = np.abs(_known(getattr(found.seen, of)))
        theirs = [np.abs(v).mean() for f in found.floors if len(v := _known(getattr(f, of)))]
        if len(ours) and theirs and max(theirs) > 0 and not (what == "angles" and found.seen.of_classes):
            said.append(
                f"{what} of B are {ours.mean() / max(theirs):.2g} times as far from A's as the noise floor's"
            )
    return said


def error_words(found: Comparison) -> list[str]:
    errors, seen = found.errors, found.seen
    truth = "class" if seen.of_classes else "measured angle"
    if not errors.frames:
        why = (
            "no frame has a prediction of both networks"
            if not np.isfinite(seen.difference_deg).any()
            else f"no {truth} is known"
        )
        return [f"errors cannot be compared: {why}"]
    said = [change_words(measure, errors) for measure in errors.measures.values()]
    return said + [text for text in (short_words(errors),) if text]


def lost_words(seen: Compared) -> list[str]:
    said = []
    for name, number in zip("AB", lost(seen), strict=True):
        if number:
            other = "B" if name == "A" else "A"
            said.append(
                f"{name} puts out no number on {count(number, 'frame')} where {other} does; they are left out, of both"
            )
    if seen.gaps:
        said.append(f"{count(len(seen.gaps), 'frame')} without a picture, left out")
    return said


def steady_words(seen: Compared) -> list[str]:
    if seen.of_classes:
        return []
    driven = np.radians(seen.driven_deg)
    texts = (
        (name, steady_text(np.radians(side.predicted_deg), driven))
        for name, side in zip("AB", (seen.a, seen.b), strict=True)
    )
    return [f"{name}: {text}" for name, text in texts if text]


def sentences(found: Comparison) -> list[str]:
    """All that is to be said, the first first."""
    return [
        *error_words(found),
        *distance_words(found.seen),
        *floor_words(found),
        *lost_words(found.seen),
        *steady_words(found.seen),
    ]


def numbers(found: Comparison) -> dict[str, Any]:
    """For JSON; NaN where not known."""
    seen = found.seen
    return {
        "frames_compared": len(seen),
        "gaps": len(seen.gaps),
        "same": seen.is_same,
        "sentences": sentences(found),
        "errors": asdict(found.errors),
        "largest_difference": seen.largest(),
        "no_number": dict(zip("AB", lost(seen), strict=True)),
        "noise_floor": [_floor(floor) for floor in found.floors],
        "thresholds": found.moments.thresholds,
        "left_out": found.moments.left_out,
        "stretches": [stretch(f, seen) for f in found.moments.found],
        "by_frame": by_frame(seen),
    }


def stretch(finding: Finding, seen: Compared) -> dict[str, Any]:
    """A finding with what both networks say at its peak."""
    row = row_of(seen, finding.peak)
    facts = asdict(finding)
    del facts["also"], facts["predicted_deg"]
    return facts | {
        "a_deg": float(seen.a.predicted_deg[row]),
        "b_deg": float(seen.b.predicted_deg[row]),
        "masks_differ": float(seen.masks_differ[row]),
    }


def _floor(floor: Compared) -> dict[str, Any]:
    apart, masks = np.abs(_known(floor.difference_deg)), _known(floor.masks_differ)
    return {
        "network": floor.b.name,
        "same": floor.is_same,
        "mean_difference_deg": float(apart.mean()) if len(apart) else math.nan,
        "largest_difference_deg": float(apart.max()) if len(apart) else math.nan,
        "median_masks_differ": float(np.median(masks)) if len(masks) else math.nan,
        "p95_masks_differ": float(np.percentile(masks, UNUSUAL)) if len(masks) else math.nan,
    }


def by_frame(seen: Compared) -> dict[str, list[Any]]:
    """A list for each number, in the order of the frames; of classifiers, "deg" is per cent."""
    columns: dict[str, Any] = {
        "frame": seen.indices,
        "timestamp_ns": seen.timestamps_ns,
        "driven_deg": seen.driven_deg,
        "a_deg": seen.a.predicted_deg,
        "b_deg": seen.b.predicted_deg,
        "difference_deg": seen.difference_deg,
        "a_error_deg": seen.error_a,
        "b_error_deg": seen.error_b,
        "a_mask_strength": seen.a.strength,
        "b_mask_strength": seen.b.strength,
        "a_mask_spread": seen.a.spread,
        "b_mask_spread": seen.b.spread,
        "masks_differ": seen.masks_differ,
    }
    if seen.of_classes:
        columns |= {"label": seen.labels, "a_class": seen.a.classes, "b_class": seen.b.classes}
    return {name: values.tolist() for name, values in columns.items()}
