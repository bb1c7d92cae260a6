"""Region perturbation (Samek et al. 2016, section III), and the areas of deletion and insertion (Petsiuk et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.evidence.intervals import ENOUGH, best_words, estimate, is_sure, tested, the_best, words
from vbp.evidence.measures import area, mean
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import METHODS

SIDE = 9  # pixels along a region
STEPS = 100  # regions of the AOPC
# Regions replaced at which the network is run: of fewer the AOPC is off by degrees a frame. And the shares of all:
COUNTS = (1, *range(5, 101, 5))
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
RANDOM = 5  # orders of each frame

Curve = NDArray[np.float64]  # (counts,)


def region_values(relevance: NDArray[np.floating], side: int = SIDE) -> NDArray[np.float64]:
    """The mean |relevance| of each region, row by row, (rows * columns,). Regions are cut off at the far edges."""
    size = np.abs(np.asarray(relevance, dtype=np.float64))
    height, width = size.shape
    rows, columns = range(0, height, side), range(0, width, side)
    return np.array([size[y : y + side, x : x + side].mean() for y in rows for x in columns])


def replaced(image: Tensor, regions: NDArray[np.intp], fill: Tensor, side: int = SIDE) -> Tensor:
    """image (1, C, h, w) with the pixels of the regions taken from `fill`, of its shape."""
    height, width = image.shape[2:]
    columns = -(-width // side)
    here = np.zeros((-(-height // side), columns), dtype=bool)
    here.ravel()[regions] = True
    pixels = here.repeat(side, 0).repeat(side, 1)[:height, :width]
    return torch.where(torch.from_numpy(pixels.copy()).to(image.device), fill, image)


def counts_for(regions: int) -> list[int]:
    """The numbers of replaced regions at which the network is run, from 0 to all of them."""
    counts = {0, regions, *(k for k in COUNTS if k < regions), *(round(s * regions) for s in SHARES)}
    return sorted(counts)


def aopc(counts: list[int], changes: NDArray[np.float64], steps: int = STEPS) -> float:
    """Samek et al., Eq. 12: the mean change over 0 .. L replaced regions, L = `steps`, or all where there are fewer.

    The changes were measured at `counts`; between them they count as straight lines.
    """
    last = min(steps, counts[-1])
    return float(np.interp(np.arange(last + 1), counts, changes).mean())


def cost(subject: Subject) -> float:
    one = len(COUNTS) + len(SHARES) + 1.0
    return one * (2 * len(subject.methods) + RANDOM) * len(subject)


def run(subject: Subject, tick: Tick, replacement: str = "mean") -> Outcome:
    """Regions of 9 x 9 pixels are replaced in the order of their mean |relevance|, and the change of the angle is measured.

    The change is |angle(changed) - angle(frame)| in degrees: a regression has no class score that could only fall
    (of a classifier: of the predicted class's probability, in per cent). Signed maps count by their size, as evidence for
    the other side affects the angle too. replacement: "mean", the frame's mean colour, or "noise", uniform as in the paper.
    AOPC: of the first 100 regions, most relevant first (MoRF); beside it least relevant first (LeRF) and random orders.
    Deletion area: the mean change over all shares of the frame, most relevant first (higher is better). Insertion area:
    the mean distance to the frame's own angle while the most relevant regions come back first (lower is better); it
    is the curve of least relevant first, read backwards. The tests of all methods against random orders are corrected by Holm.
    """
    curves: dict[str, list[tuple[Curve, Curve]]] = {method: [] for method in subject.maps}
    randoms: list[list[Curve]] = []
    regions = len(region_values(np.zeros(tuple(subject.images.shape[2:]))))
    counts = counts_for(regions)
    rng = np.random.default_rng(subject.seed)
    for n in range(len(subject)):
        image = subject.images[n : n + 1]
        fill = _fill(image, replacement, subject.seed + n)
        last = abs(subject.respond(fill, n) - subject.angles[n])

        def curve(
            order: NDArray[np.intp],
            image: Tensor = image,
            fill: Tensor = fill,
            n: int = n,
            last: float = last,
        ) -> Curve:
            changes = [0.0]
            for count in counts[1:-1]:
                angle = subject.respond(replaced(image, order[:count], fill), n)
                changes.append(abs(angle - subject.angles[n]))
                tick(1)
            return np.array([*changes, last])

        randoms.append([curve(rng.permutation(regions)) for _ in range(RANDOM)])
        for method, found in curves.items():
            order = np.argsort(-region_values(subject.map(method, n)), kind="stable")
            found.append((curve(order), curve(order[::-1])))
    numbers = _numbers(subject, counts, curves, randoms, replacement)
    out = Outcome(
        numbers=numbers, tables=[_table(numbers, subject.unit)], plots=_plots(numbers, subject.unit)
    )
    if len(subject) < ENOUGH:
        out.notes.append(f"Too few frames for a comparison with random orders, which needs {ENOUGH}.")
    else:
        out.findings += findings(numbers)
    return out


def _fill(image: Tensor, replacement: str, seed: int) -> Tensor:
    if replacement == "mean":
        return image.mean((2, 3), keepdim=True).expand_as(image).clone()
    low, high = image.amin(), image.amax()
    drawn = torch.rand(image.shape, generator=torch.Generator().manual_seed(seed)).to(
        image.device, image.dtype
    )
    return low + (high - low) * drawn


def _numbers(
    subject: Subject,
    counts: list[int],
    curves: Mapping[str, list[tuple[Curve, Curve]]],
    randoms: list[list[Curve]],
    replacement: str,
) -> dict[str, Any]:
    share = np.array(counts) / counts[-1]
    chance = [mean([aopc(counts, c) for c in each]) for each in randoms]
    numbers: dict[str, Any] = {
        "frames": list(subject.frames.numbers),
        "replacement": replacement,
        "regions": counts[-1],
        "counts": counts,
        "random": {
            "orders": RANDOM,
            "aopc": asdict(estimate(chance)),
            "by_frame": chance,
            "deletion_area": asdict(estimate([mean([area(share, c) for c in each]) for each in randoms])),
            "curve": np.mean(np.array(randoms), (0, 1)).tolist(),
        },
        "methods": {},
    }
    gains: dict[str, Floats] = {}
    for method, found in curves.items():
        most, least = (np.array([pair[k] for pair in found]) for k in (0, 1))
        by_frame = np.array([aopc(counts, c) for c in most])
        gains[method] = by_frame - chance
        numbers["methods"][method] = {
            "by_frame": by_frame.tolist(),
            "aopc_most": asdict(estimate(by_frame)),
            "aopc_least": asdict(estimate([aopc(counts, c) for c in least])),
            "deletion_area": asdict(estimate([area(share, c) for c in most])),
            "insertion_area": asdict(estimate([area(share, c) for c in least])),
            "curve_most": most.mean(0).tolist(),
            "curve_least": least.mean(0).tolist(),
        }
    for method, one in tested({m: estimate(g) for m, g in gains.items()}).items():
        numbers["methods"][method]["gain"] = one
    numbers["best"] = the_best(gains)
    return numbers


def _table(numbers: Mapping[str, Any], unit: str) -> Table:
    random = numbers["random"]
    rows: list[list[str | float]] = [
        [
            METHODS[method].title,
            words(one["aopc_most"]),
            words(one["aopc_least"]),
            words(one["gain"]),
            one["gain"]["p_corrected"],
            words(one["deletion_area"]),
            words(one["insertion_area"]),
        ]
        for method, one in numbers["methods"].items()
    ]
    by_chance = [words(random[key]) for key in ("aopc", "deletion_area")]
    rows.append(["random order", by_chance[0], by_chance[0], math.nan, math.nan, by_chance[1], by_chance[1]])
    return Table(
        f"Change of the response in {unit}",
        ["method", "AOPC, most first", "least first", "most − random", "p", "deletion", "insertion"],
        rows,
        f"{len(numbers['frames'])} frames, the same for all; regions of {SIDE}×{SIDE} replaced by {numbers['replacement']}; {random['orders']} "
        "random orders of each frame. In brackets the 95 % interval over blocks of frames; p: of most − random against 0, corrected for "
        "all methods (Holm). Deletion: higher is better. Insertion: lower is better.",
    )


def _plots(numbers: Mapping[str, Any], unit: str) -> list[Plot]:
    x = [100 * k / numbers["regions"] for k in numbers["counts"]]
    found = []
    for name, key in (("most relevant first", "curve_most"), ("least relevant first", "curve_least")):
        lines = [Series(METHODS[m].title, x, v[key]) for m, v in numbers["methods"].items()]
        lines.append(Series("random order", x, numbers["random"]["curve"], aside=True))
        found.append(Plot(f"Replaced, {name}", "% of the regions replaced", f"change in {unit}", lines))
    return found


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers`."""
    groups: dict[str, list[str]] = {"more": [], "less": [], "neither": []}
    for method, one in numbers["methods"].items():
        gain = one["gain"]
        if math.isfinite(gain["p_corrected"]):
            which = "neither" if not is_sure(gain) else "more" if gain["value"] > 0 else "less"
            groups[which].append(f"{METHODS[method].title} {words(gain)}")
    found = [
        f"{said}: {', '.join(groups[which])}."
        for which, said in (
            ("more", "More faithful than a random order (AOPC, most relevant first − random)"),
            ("less", "Less faithful than a random order (AOPC, most relevant first − random)"),
            (
                "neither",
                "Not significantly different from a random order (AOPC, most relevant first − random)",
            ),
        )
        if groups[which]
    ]
    return found + best_words(numbers["best"], "AOPC", lambda m: METHODS[m].title)
