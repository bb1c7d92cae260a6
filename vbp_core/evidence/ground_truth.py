"""Maps against the ground truth of a simulated drive: markings, the pointing game, and a spurious feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbp.evidence.measures import EDGES, edges
from vbp.evidence.outcome import Outcome, Table, Tick
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import METHODS
from vbp.overlay import Rect
from vbp.simulate.measure import Share, shares
from vbp.simulate.truth import Truth

LANES, CUE = "lane markings", "planted cue"
FINDS = 0.5  # of the strongest hundredth of the pixels, on the cue


def of_all(subject: Subject, truth: Truth) -> dict[str, tuple[list[Share], int]]:
    """What each method's |map| lies on, and what the edges of the image do. Frames without ground truth are left out."""
    found = {}
    for method in (*subject.maps, EDGES):
        found[method] = shares(truth, _masks(subject, truth, method))
    return found


def _masks(
    subject: Subject, truth: Truth, method: str, places: Sequence[int] | None = None
) -> Iterator[tuple[int, NDArray[np.floating], Rect]]:
    if places is None:
        places = range(len(subject))
    for n in places:
        number = subject.frames.numbers[n]
        if truth.has(number):
            made = edges(subject.frames.inputs[n]) if method == EDGES else np.abs(subject.map(method, n))
            yield number, made, subject.frames.crops[n]


def _edges_beside(subject: Subject, truth: Truth, method: str) -> float:
    """The score of the edges on the lane markings (`Share.times`) over the frames on which the method's map is not zero.

    NaN where that is none, or those show no marking.
    """
    places = [n for n in range(len(subject)) if subject.map(method, n).any()]
    lanes = _of(shares(truth, _masks(subject, truth, EDGES, places))[0], LANES)
    return lanes.times if lanes is not None else float("nan")


def on_lanes(truth: Truth, number: int, size: NDArray[np.floating], crop: Rect) -> tuple[float, float]:
    """The shares of a map's `size` and of the area that lie on the lane markings of a frame; NaN where it has none, or the map is zero."""
    lanes = _of(shares(truth, [(number, size, crop)])[0], LANES)
    return (lanes.energy, lanes.area) if lanes is not None else (float("nan"), float("nan"))


def times(rows: Floats) -> float:
    """rows (N, 2) of `on_lanes`: how many times more than of the area."""
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def run(subject: Subject, tick: Tick, truth: Truth) -> Outcome:
    """The share of |map| on the lane markings over their share of the area, and how often the strongest pixel is one.

    1 is what a constant map scores (`vbp measure`); the pointing game is that of Zhang et al. 2016. Markings are bright
    and have edges, so the edges of the image (Sobel) score too, on the same frames: only what is above them is about the network. A network
    may steer by something else than markings, as the edge of the road: a low score is not a fault in itself.
    """
    found = of_all(subject, truth)
    out = Outcome(numbers={m: _facts(s, n) for m, (s, n) in found.items()})
    rows: list[list[str | float]] = []
    times: dict[str, float] = {}
    for method, (kinds, frames) in found.items():
        lanes = _of(kinds, LANES)
        title = METHODS[method].title if method in METHODS else method
        if lanes is None:
            continue
        times[method] = lanes.times
        rows.append(
            [title, frames, 100 * lanes.energy, lanes.times, 100 * lanes.strongest, 100 * lanes.pointed]
        )
    tick(1)
    if not rows:
        out.notes.append("These frames show no lane marking inside the network's crop.")
        return out
    out.tables.append(
        Table(
            "On lane markings",
            ["|map|", "frames", "% of map", "times its area", "% of strongest 1 %", "% of frames pointed at"],
            rows,
            "Times: the share of the map over the share of the area; a uniform map scores 1.",
            1,
        )
    )
    base, every = times.pop(EDGES, float("nan")), found[EDGES][1]
    above, below = [], []
    for method, t in times.items():
        beside, frames = _edges_beside(subject, truth, method), found[method][1]
        here = (
            ""
            if frames == every
            else f" ({t:.1f} against {beside:.1f} on the {frames} frame{'s' * (frames != 1)} where it is not zero)"
        )
        if t > beside:
            above.append(METHODS[method].title + here)
        elif t <= beside:
            below.append(METHODS[method].title + here)
    if above:
        out.findings.append(
            f"More on the markings than the edges of the image are ({base:.1f} times their area): {', '.join(above)}."
        )
    if below:
        out.findings.append(f"No more on the markings than the edges of the image: {', '.join(below)}.")
    return out


def planted(with_cue: Subject, without_cue: Subject | None, truth: Truth, tick: Tick) -> Outcome:
    """A network trained on drives where a reflection reveals the angle: which methods show that it relies on it?

    A method finds this spurious feature where at least half of the strongest hundredth of its pixels lie on it, in the mean
    frame. The baseline is a network that was trained without it: a bright thing attracts that one as well, so a method that shows
    it in both has found something bright, not what was learnt.
    """
    mine = of_all(with_cue, truth)
    other = of_all(without_cue, truth) if without_cue is not None else {}
    out = Outcome(numbers={"planted": {m: _facts(s, n) for m, (s, n) in mine.items()}})
    if without_cue is not None:
        out.numbers["without"] = {
            "model": without_cue.name,
            **{m: _facts(s, n) for m, (s, n) in other.items()},
        }
    rows: list[list[str | float]] = []
    finds, misses, both = [], [], []
    for method, (kinds, frames) in mine.items():
        cue = _of(kinds, CUE)
        if cue is None:
            continue
        base = _of(other[method][0], CUE) if method in other else None
        title = METHODS[method].title if method in METHODS else method
        rows.append([title, frames, 100 * cue.energy, 100 * cue.strongest, 100 * cue.pointed])
        rows[-1] += [100 * base.strongest, 100 * base.pointed] if base else [float("nan")] * 2
        if method in METHODS:
            if cue.strongest < FINDS:
                misses.append(title)
            elif base is not None and base.strongest >= FINDS:
                both.append(title)
            else:
                finds.append(title)
    tick(1)
    if not rows:
        out.notes.append(
            "These frames show no spurious feature; vbp simulate --plant reflection makes drives with one."
        )
        return out
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
            "The last two columns are of the baseline, the network trained without the feature, on the same frames.",
            1,
        )
    )
    for words, titles in (
        ("Finds the spurious feature, and only in the network that learnt it", finds),
        ("Shows the spurious feature in both networks, so it says little about what was learnt", both),
        ("Misses the spurious feature", misses),
    ):
        if titles:
            out.findings.append(
                f"{words} (threshold: {FINDS:.0%} of the strongest hundredth): {', '.join(titles)}."
            )
    return out


def _of(kinds: list[Share], name: str) -> Share | None:
    return next((share for share in kinds if share.name == name), None)


def _facts(kinds: list[Share], frames: int) -> Mapping[str, Any]:
    return {"frames": frames, "shares": [asdict(share) for share in kinds]}
