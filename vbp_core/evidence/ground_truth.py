"""Maps against the ground truth of a simulated drive: markings, the pointing game, and a spurious feature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.evidence.intervals import best_words, estimate, high_of, is_sure, low_of, tested, the_best, words
from vbp.evidence.measures import EDGES, edges
from vbp.evidence.outcome import Outcome, Table, Tick
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import METHODS
from vbp.overlay import Rect
from vbp.simulate.measure import shares
from vbp.simulate.truth import Truth

LANES, CUE = "lane markings", "planted cue"
FINDS = 0.5  # of the strongest hundredth of the pixels, on the cue
COLUMNS = ("energy", "area", "strongest", "pointed")


def run(subject: Subject, tick: Tick, truth: Truth) -> Outcome:
    """The share of |map| on the lane markings over their share of the area, and how often the strongest pixel is one.

    1 is what a constant map scores (`vbp measure`); the pointing game is that of Zhang et al. 2016. Markings are bright
    and have edges, so the edges of the image (Sobel) score too: only what is above them, tested frame by frame, on those where the map is
    not zero, is about the network. A network may steer by something else than markings, as the edge of the road: a low score is not a
    fault in itself.
    """
    rows = of_all(subject, truth, LANES)
    tick(1)
    over = tested({m: estimate(np.hstack((r, rows[EDGES])), _more) for m, r in rows.items() if m != EDGES})
    numbers: dict[str, Any] = {
        "frames": list(subject.frames.numbers),
        "lanes": {
            m: {**_facts(r), **({"over_edges": over[m]} if m in over else {})} for m, r in rows.items()
        },
        "best": the_best({m: r for m, r in rows.items() if m != EDGES}, times),
        "kinds": {m: [asdict(s) for s in shares(truth, _masks(subject, truth, m))[0]] for m in rows},
    }
    out = Outcome(numbers=numbers)
    if not math.isfinite(numbers["lanes"][EDGES]["times"]["value"]):
        out.notes.append("These frames show no lane marking inside the network's crop.")
        return out
    out.tables.append(
        Table(
            "On lane markings",
            [
                "|map|",
                "frames",
                "times its area",
                "p, against edges",
                "% of strongest 1 %",
                "% of frames pointed at",
            ],
            [
                [
                    _title(m),
                    one["frames"],
                    words(one["times"], 1),
                    one["over_edges"]["p_corrected"] if m in over else math.nan,
                    _percent(one["strongest"]),
                    _percent(one["pointed"]),
                ]
                for m, one in numbers["lanes"].items()
            ],
            "Times: the share of the map over the share of the area; a uniform map scores 1. frames: on which the map is not zero. In brackets "
            "the 95 % interval over blocks of frames; p: of the difference from the edges of the image, corrected for all methods (Holm).",
        )
    )
    out.findings += findings(numbers)
    return out


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers`."""
    lanes = numbers["lanes"]
    groups: dict[str, list[str]] = {"more": [], "less": [], "neither": []}
    for m, one in lanes.items():
        test = one.get("over_edges")
        if test is not None and math.isfinite(test["p_corrected"]):
            which = "neither" if not is_sure(test) else "more" if test["value"] > 0 else "less"
            beside = (
                ""
                if one["frames"] == lanes[EDGES]["frames"]
                else f" (on the {one['frames']} where it is not zero)"
            )
            groups[which].append(f"{_title(m)} {words(one['times'], 1)}{beside}")
    base = f"the edges of the image ({words(lanes[EDGES]['times'], 1)} times their area)"
    found = [
        f"{said} {base}: {', '.join(groups[which])}."
        for which, said in (
            ("more", "More on the markings than"),
            ("less", "Less on the markings than"),
            ("neither", "Not significantly more or less on the markings than"),
        )
        if groups[which]
    ]
    return found + best_words(numbers["best"], "share of the map on the markings", _title)


def of_all(subject: Subject, truth: Truth, kind: str) -> dict[str, Floats]:
    """(frames, COLUMNS) of each method's |map| and of the edges of the image, on one kind of pixel; NaN where a map is zero or the frame
    shows nothing of that kind."""
    return {
        m: np.array(
            [_on(truth, number, size, crop, kind) for number, size, crop in _masks(subject, truth, m)]
        )
        for m in (*subject.maps, EDGES)
    }


def on_lanes(truth: Truth, number: int, size: NDArray[np.floating], crop: Rect) -> tuple[float, float]:
    """The shares of a map's `size` and of the area that lie on the lane markings of a frame; NaN where it has none, or the map is zero."""
    energy, area, _, _ = _on(truth, number, size, crop, LANES)
    return energy, area


def times(rows: Floats) -> float:
    """rows (N, 2 or more), the share of the map and of the area first: how many times more than of the area."""
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def _more(rows: Floats) -> float:
    """rows (N, 8): `times` of the first four columns less that of the others."""
    return times(rows) - times(rows[:, 4:])


def _on(truth: Truth, number: int, size: NDArray[np.floating], crop: Rect, kind: str) -> tuple[float, ...]:
    """COLUMNS of one map."""
    one = next((s for s in shares(truth, [(number, size, crop)])[0] if s.name == kind), None)
    return (one.energy, one.area, one.strongest, one.pointed) if one is not None else (math.nan,) * 4


def _masks(subject: Subject, truth: Truth, method: str) -> list[tuple[int, NDArray[np.floating], Rect]]:
    """Of the frames that have a truth."""
    found = []
    for n, number in enumerate(subject.frames.numbers):
        if truth.has(number):
            made = edges(subject.frames.inputs[n]) if method == EDGES else np.abs(subject.map(method, n))
            found.append((number, made, subject.frames.crops[n]))
    return found


def _facts(rows: Floats) -> dict[str, Any]:
    return {
        "frames": int(np.isfinite(rows).all(1).sum()) if len(rows) else 0,
        "times": asdict(estimate(rows, times)),
        **{name: asdict(estimate(rows[:, k])) for k, name in enumerate(COLUMNS) if name != "area"},
    }


def _title(name: str) -> str:
    return METHODS[name].title if name in METHODS else name


def _percent(numbers: Mapping[str, float]) -> str:
    return words({key: 100 * numbers[key] for key in ("value", "low", "high")}, 0)


def planted(with_cue: Subject, without_cue: Subject | None, truth: Truth, tick: Tick) -> Outcome:
    """A network trained on drives where a reflection reveals the angle: which methods show that it relies on it?

    A method finds this spurious feature where at least half of the strongest hundredth of its pixels lie on it, in the mean
    frame, interval included. The baseline is a network that was trained without it: a bright thing attracts that one as well, so a method
    that shows it in both has found something bright, not what was learnt.
    """
    mine = {m: _facts(rows) for m, rows in of_all(with_cue, truth, CUE).items()}
    other = (
        {m: _facts(rows) for m, rows in of_all(without_cue, truth, CUE).items()}
        if without_cue is not None
        else {}
    )
    tick(1)
    out = Outcome(numbers={"planted": mine})
    if without_cue is not None:
        out.numbers["without"] = {"model": without_cue.name, **other}
    if not mine[EDGES]["frames"]:
        out.notes.append(
            "These frames show no spurious feature; vbp simulate --plant reflection makes drives with one."
        )
        return out
    rows: list[list[str | float]] = []
    for m, one in mine.items():
        rows.append(
            [_title(m), one["frames"], *(_percent(one[k]) for k in ("energy", "strongest", "pointed"))]
        )
        rows[-1] += [_percent(other[m][k]) if m in other else math.nan for k in ("strongest", "pointed")]
    name = without_cue.name if without_cue is not None else "a network trained without it"
    out.tables.append(
        Table(
            f"On the spurious feature: {with_cue.name} trained with it, and {name}",
            [
                "|map|",
                "frames",
                "% of map",
                "% of strongest 1 %",
                "% pointed at",
                "baseline: strongest 1 %",
                "pointed at",
            ],
            rows,
            "The last two columns are of the baseline, the network trained without the feature, on the same frames. In brackets the 95 % "
            "interval over blocks of frames.",
        )
    )
    out.findings += of_planted(out.numbers)
    return out


def of_planted(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers` of `planted`."""
    groups: dict[str, list[str]] = {"finds": [], "both": [], "misses": [], "open": []}
    other = numbers.get("without", {})
    for m, one in numbers["planted"].items():
        if m not in METHODS or not math.isfinite(one["strongest"]["value"]):
            continue
        said = f"{_title(m)} {_percent(one['strongest'])} %"
        if low_of(one["strongest"]) >= FINDS:
            base = other[m]["strongest"] if m in other else None
            if base is None or high_of(base) < FINDS:
                which = "finds"
            else:
                which = "both" if low_of(base) >= FINDS else "open"
        else:
            which = "misses" if high_of(one["strongest"]) < FINDS else "open"
        groups[which].append(said)
    return [
        f"{said} (threshold: {FINDS:.0%} of the strongest hundredth): {', '.join(groups[which])}."
        for which, said in (
            ("finds", "Finds the spurious feature, and only in the network that learnt it"),
            ("both", "Shows the spurious feature in both networks, so it says little about what was learnt"),
            ("misses", "Misses the spurious feature"),
            ("open", "These frames leave open whether it finds the spurious feature, or only in the network that learnt it"),
        )
        if groups[which]
    ]  # fmt: skip
