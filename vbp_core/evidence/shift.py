"""The shift test of VisualBackProp's authors (Bojarski et al. 2017, arXiv 1704.07911): what a map marks is moved sideways in the picture.

If the network steers by what the map marks, the angle changes when that is moved, nearly as much as when everything is, and
hardly when all else is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.edits.apply import erased
from vbp.evidence.intervals import ENOUGH, best_words, estimate, is_sure, tested, the_best, words
from vbp.evidence.measures import EDGES, edges
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import METHODS
from vbp.preprocess import to_tensor
from vbp.readable import plain

Bitmap = NDArray[np.bool_]

SHARE = 0.15  # of the network's input that is moved, at most
AROUND = 0.02  # of its width: how far what is marked is dilated
OFFSETS = (-0.1, -0.05, -0.025, 0.025, 0.05, 0.1)  # of its width, to the right
RANDOM = "random"
OVER = {RANDOM: "over_random", EDGES: "over_edges"}  # names of the tests against a baseline
PASS = 1.5  # of one shifted picture: inpainting takes half as long as a pass


def salient(relevance: NDArray[np.floating], share: float = SHARE, around: float = AROUND) -> Bitmap:
    """(h, w) bool: the strongest pixels of |relevance|, dilated, as many as take at most `share` of the picture.

    Dilated by a disc of the radius `around`, a part of the width, at least 1 pixel. A pixel of zero is never marked.
    """
    size = np.abs(np.asarray(relevance, dtype=np.float64))
    order = np.argsort(-size, axis=None, kind="stable")
    radius = max(1, round(around * size.shape[1]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))

    def marked(count: int) -> Bitmap:
        strongest = np.zeros(size.size, dtype=np.uint8)
        strongest[order[:count]] = 1
        return cv2.dilate(strongest.reshape(size.shape), disc).astype(bool)

    low, high = 0, int(np.count_nonzero(size))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if marked(middle).mean() <= share else (low, middle - 1)
    return marked(low)


def shifted(image: Image, part: Bitmap, right: int, behind: bool = False) -> Image:
    """A picture (h, w[, 3]) uint8 with its pixels `part` (h, w) moved by `right` pixels, the hole inpainted; the rest stays.

    behind: what is moved stays behind what is not, as the background behind what is marked. `part` may be everything.
    """
    there = _moved(part, right)
    if behind:
        there &= part
    found = image.copy()
    found[there] = _moved(image, right)[there]
    hole = part & ~there
    return erased(found, hole, "inpaint") if hole.any() else found


def _moved(values: NDArray[Any], right: int) -> NDArray[Any]:
    """Columns to the right; what comes in is zero."""
    found = np.zeros_like(values)
    width = values.shape[1]
    if abs(right) < width:
        found[:, max(0, right) : width + min(0, right)] = values[:, max(0, -right) : width - max(0, right)]
    return found


def offsets(width: int) -> list[int]:
    """Pixels to the right, each at least 1."""
    return [int(math.copysign(max(1, round(abs(part) * width)), part)) for part in OFFSETS]


def changes(subject: Subject, n: int, part: Bitmap, behind: bool = False) -> Floats:
    """(offsets,) how the response to frame `n` changes where `part` of the network's input is moved by each offset."""
    image = subject.frames.inputs[n]
    pictures = [shifted(image, part, right, behind) for right in offsets(image.shape[1])]
    prepared = to_tensor(np.stack(pictures), subject.spec, torch.device(subject.engine.device))
    return np.array([subject.respond(p[None], n) - subject.angles[n] for p in prepared])


def share_of(sizes: Floats) -> float:
    """sizes (N, 2): of each frame s and b, the mean |change| where what is marked, and where all else is shifted -> s / (s + b) of all."""
    marked, rest = sizes[:, 0].sum(), sizes[:, 1].sum()
    return float(marked / (marked + rest)) if marked + rest > 0 else math.nan


def _more(sizes: Floats) -> float:
    """sizes (N, 4): the share of the first two columns less that of the others."""
    return share_of(sizes[:, :2]) - share_of(sizes[:, 2:])


def cost(subject: Subject) -> float:
    return PASS * len(OFFSETS) * (2 * len(subject.methods) + 5) * len(subject)


def run(subject: Subject, tick: Tick) -> Outcome:
    """What each map marks is shifted by up to a tenth of the picture's width to both sides; so is all else, and so is everything.

    Marked: `salient`. The share s / (s + b): s and b are the mean |change of the response| over frames and offsets, s where
    what is marked is shifted and b where all else is. 1: only what is marked counts; a map that marks
    at random has about the share of the area. Baselines: the edges of the image, and noise. Intervals and tests: over
    blocks of frames, those of differences in pairs; Holm's correction for all of them together.
    """
    rng = np.random.default_rng(subject.seed)
    found: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in (*subject.maps, EDGES, RANDOM)}
    whole = []
    for n in range(len(subject)):
        image = subject.frames.inputs[n]
        whole.append(changes(subject, n, np.ones(image.shape[:2], dtype=bool)))
        tick(PASS * len(OFFSETS))
        for name, list_ in found.items():
            relevance = (
                edges(image)
                if name == EDGES
                else rng.random(image.shape[:2])
                if name == RANDOM
                else subject.map(name, n)
            )
            part = salient(relevance)
            list_.append((changes(subject, n, part), changes(subject, n, ~part, behind=True)))
            tick(2 * PASS * len(OFFSETS))
    return _outcome(subject, {name: np.array(v) for name, v in found.items()}, np.array(whole))


def title(name: str) -> str:
    return METHODS[name].title if name in METHODS else "random marks" if name == RANDOM else name


def _outcome(subject: Subject, found: Mapping[str, Floats], whole: Floats) -> Outcome:
    """found: of each map (frames, 2, offsets), the changes where what it marks and where all else is shifted; whole: (frames, offsets)."""
    numbers = _numbers(subject, found, whole)
    out = Outcome(
        numbers=numbers, tables=[_table(numbers, subject.unit)], plots=_plots(numbers, subject.unit)
    )
    if len(whole) < ENOUGH:
        out.notes.append(f"Too few frames for a comparison with random marks, which needs {ENOUGH}.")
    else:
        out.findings += findings(numbers)
    return out


def _numbers(subject: Subject, found: Mapping[str, Floats], whole: Floats) -> dict[str, Any]:
    sizes = {name: np.abs(each).mean(2) for name, each in found.items()}
    against = tested(
        {
            (name, base): estimate(np.hstack((each, sizes[base])), _more)
            for name, each in sizes.items()
            for base in (RANDOM, EDGES)
            if name not in (base, RANDOM)
        }
    )
    maps = {}
    for name, each in found.items():
        maps[name] = {
            "share": asdict(estimate(sizes[name], share_of)),
            "s": asdict(estimate(sizes[name][:, 0])),
            "b": asdict(estimate(sizes[name][:, 1])),
            "marked": sizes[name][:, 0].tolist(),
            "rest": sizes[name][:, 1].tolist(),
            "curve_marked": each[:, 0].mean(0).tolist(),
            "curve_rest": each[:, 1].mean(0).tolist(),
        }
        for base, key in OVER.items():
            if (name, base) in against:
                maps[name][key] = against[name, base]
    return {
        "frames": list(subject.frames.numbers),
        "share_of_the_picture": SHARE,
        "offsets": offsets(subject.frames.inputs.shape[2]),
        "everything": {**asdict(estimate(np.abs(whole).mean(1))), "curve": whole.mean(0).tolist()},
        "maps": maps,
        "best": the_best({name: each for name, each in sizes.items() if name in METHODS}, share_of),
    }


def _table(numbers: Mapping[str, Any], unit: str) -> Table:
    rows: list[list[str | float]] = []
    for name, one in sorted(numbers["maps"].items(), key=lambda item: -_finite(item[1]["share"]["value"])):
        rows.append([title(name), *(words(one[key]) for key in ("share", "s", "b"))])
        rows[-1] += [one.get(key, {}).get("p_corrected", math.nan) for key in OVER.values()]
    listed = ", ".join(plain(100 * part) for part in OFFSETS)
    return Table(
        "How much of the change comes from what the map marks",
        ["map", "s / (s + b)", f"s, {unit}", f"b, {unit}", "p, against random", "p, against edges"],
        rows,
        f"{len(numbers['frames'])} frames, {SHARE:.0%} of the picture at most, offsets of {listed} % of the width. s: mean |change| "
        f"where what is marked is shifted; b: all else. Everything shifted: {words(numbers['everything'])}{unit}. In brackets the 95 % "
        "interval over blocks of frames; p: corrected for all tests of this table (Holm).",
    )


def _plots(numbers: Mapping[str, Any], unit: str) -> list[Plot]:
    x = [100 * part for part in OFFSETS]
    found = []
    for name, key in (
        ("What the map marks is shifted", "curve_marked"),
        ("All else is shifted", "curve_rest"),
    ):
        lines = [Series(title(m), x, one[key]) for m, one in numbers["maps"].items()]
        lines.append(Series("everything shifted", x, numbers["everything"]["curve"], aside=True))
        found.append(Plot(name, "% of the width, to the right", f"change in {unit}", lines))
    return found


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers`."""
    found = []
    maps = numbers["maps"]
    for base, key in OVER.items():
        groups: dict[str, list[str]] = {"more": [], "no more": [], "less": []}
        for name, one in maps.items():
            test = one.get(key)
            if test is None or not math.isfinite(test["p_corrected"]):
                continue
            which = "no more" if not is_sure(test) else "more" if test["value"] > 0 else "less"
            groups[which].append(f"{title(name)} {words(one['share'])}")
        than = f"{'the ' * (base == EDGES)}{title(base)} ({words(maps[base]['share'])})"
        for which, said in (
            ("more", f"More of the change comes from what the map marks than from {than}"),
            ("less", f"Less of the change comes from what the map marks than from {than}"),
            ("no more", f"The share is not significantly different from that of {than}"),
        ):
            if groups[which]:
                found.append(f"{said}: {', '.join(groups[which])}.")
    return found + best_words(numbers["best"], "share", title)
