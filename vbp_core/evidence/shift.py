"""The shift test of VisualBackProp's authors (Bojarski et al. 2017, arXiv 1704.07911): what a map marks is moved sideways in the picture.

If the network steers by what the map marks, the angle changes when that is moved, nearly as much as when everything is, and
hardly when all else is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.edits.apply import erased
from vbp.evidence.intervals import ENOUGH, SIGNIFICANT, Estimate, estimate, holm
from vbp.evidence.measures import EDGES, edges, mean
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import METHODS
from vbp.preprocess import to_tensor

Bitmap = NDArray[np.bool_]

SHARE = 0.15  # of the network's input that is moved, at most
AROUND = 0.02  # of its width: how far what is marked is dilated
OFFSETS = (-0.1, -0.05, -0.025, 0.025, 0.05, 0.1)  # of its width, to the right
FRAMES = 40
RANDOM = "random"
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
    return PASS * len(OFFSETS) * (2 * len(subject.methods) + 5) * len(subject.some(FRAMES))


def run(subject: Subject, tick: Tick) -> Outcome:
    """What each map marks is shifted by up to a tenth of the picture's width to both sides; so is all else, and so is everything.

    Marked: `salient`. The share s / (s + b): s and b are the mean |change of the response| over frames and offsets, s where
    what is marked is shifted and b where all else is. 1: only what is marked counts; a map that marks
    at random has about the share of the area. Baselines: the edges of the image, and noise. Intervals and tests: over
    blocks of frames, those of differences in pairs; Holm's correction for all of them together.
    """
    some = subject.some(FRAMES)
    rng = np.random.default_rng(subject.seed)
    found: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in (*subject.maps, EDGES, RANDOM)}
    whole = []
    for n in some:
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
    sizes = {name: np.abs(each).mean(2) for name, each in found.items()}
    everything = estimate(np.abs(whole).mean(1))
    shares = {name: estimate(each, share_of) for name, each in sizes.items()}
    against = {
        (name, base): estimate(np.hstack((each, sizes[base])), _more)
        for name, each in sizes.items()
        for base in (RANDOM, EDGES)
        if name not in (base, RANDOM)
    }
    corrected = dict(zip(against, holm([e.p for e in against.values()]), strict=True))
    x = [100 * part for part in OFFSETS]
    numbers: dict[str, Any] = {
        "frames": [subject.frames.numbers[n] for n in subject.some(FRAMES)],
        "share_of_the_picture": SHARE,
        "offsets": offsets(subject.frames.inputs.shape[2]),
        "everything": {**asdict(everything), "curve": whole.mean(0).tolist()},
        "maps": {
            name: {
                "share": asdict(shares[name]),
                "marked": sizes[name][:, 0].tolist(),
                "rest": sizes[name][:, 1].tolist(),
                "curve_marked": found[name][:, 0].mean(0).tolist(),
                "curve_rest": found[name][:, 1].mean(0).tolist(),
                **{
                    f"over_{'random' if base == RANDOM else 'edges'}": {
                        **asdict(against[name, base]),
                        "p_corrected": corrected[name, base],
                    }
                    for base in (RANDOM, EDGES)
                    if (name, base) in against
                },
            }
            for name in found
        },
    }
    out = Outcome(numbers=numbers)
    unit = subject.unit
    rows: list[list[str | float]] = []
    for name, one in sorted(numbers["maps"].items(), key=lambda item: -_finite(item[1]["share"]["value"])):
        share = one["share"]
        rows.append(
            [title(name), share["value"], share["low"], share["high"], mean(one["marked"]), mean(one["rest"])]
        )
        rows[-1] += [one.get(key, {}).get("p_corrected", math.nan) for key in ("over_random", "over_edges")]
    out.tables.append(
        Table(
            f"How much of the change comes from what the map marks: s / (s + b), {unit}",
            ["map", "share", "low", "high", f"s, {unit}", f"b, {unit}", "p, against random", "p, against edges"],
            rows,
            f"{len(whole)} frames, {SHARE:.0%} of the picture at most, offsets of {_listed(x)} % of the width. s: mean |change| "
            f"where what is marked is shifted; b: all else. Everything shifted: {everything.words()}{unit}. low, high: 95 % interval "
            "over blocks of frames; p: corrected for all tests of this table (Holm).",
        )
    )  # fmt: skip
    for words, key in (
        ("What the map marks is shifted", "curve_marked"),
        ("All else is shifted", "curve_rest"),
    ):
        lines = [Series(title(name), x, one[key]) for name, one in numbers["maps"].items()]
        lines.append(Series("everything shifted", x, numbers["everything"]["curve"], aside=True))
        out.plots.append(Plot(words, "% of the width, to the right", f"change in {unit}", lines))
    if len(whole) < ENOUGH:
        out.notes.append(f"Too few frames for a comparison with random marks, which needs {ENOUGH}.")
    else:
        out.findings += findings(numbers)
        out.findings += _of_the_best(sizes)
    return out


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{x:g}" for x in numbers).replace("-", "\N{MINUS SIGN}")


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers`."""
    found = []
    maps = numbers["maps"]
    for key, base in (("over_random", RANDOM), ("over_edges", EDGES)):
        groups: dict[str, list[str]] = {"more": [], "no more": [], "less": []}
        for name, one in maps.items():
            test = one.get(key)
            if test is None or not math.isfinite(test["p_corrected"]):
                continue
            sure = test["p_corrected"] < SIGNIFICANT
            which = "no more" if not sure else "more" if test["value"] > 0 else "less"
            groups[which].append(f"{title(name)} {_estimate(one['share'])}")
        than = f"{title(base)} ({_estimate(maps[base]['share'])})"
        for which, words in (
            ("more", f"More of the change comes from what the map marks than from {than}"),
            ("less", f"Less of the change comes from what the map marks than from {than}"),
            ("no more", f"The share is not significantly different from that of {than}"),
        ):
            if groups[which]:
                found.append(f"{words}: {', '.join(groups[which])}.")
    return found


def _of_the_best(sizes: Mapping[str, Floats]) -> list[str]:
    """The test does not rank the good ones: which of the methods cannot be told from the best."""
    values = {name: share_of(each) for name, each in sizes.items() if name in METHODS}
    values = {name: v for name, v in values.items() if math.isfinite(v)}
    if len(values) < 2:
        return []
    best = max(values, key=lambda name: values[name])
    others = [name for name in values if name != best]
    p = holm([estimate(np.hstack((sizes[best], sizes[name])), _more).p for name in others])
    alike = [title(name) for name, each in zip(others, p, strict=True) if not each < SIGNIFICANT]
    if not alike:
        return [
            f"The largest share is that of {title(best)}, significantly larger than every other method's."
        ]
    return [
        f"It does not rank the best: the share of {title(best)} is the largest, and not significantly larger than that of: {', '.join(alike)}."
    ]


def _estimate(numbers: Mapping[str, float]) -> str:
    return Estimate(**numbers).words()
