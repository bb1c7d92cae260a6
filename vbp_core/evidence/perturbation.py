"""Region perturbation (Samek et al. 2016, section III), and the areas of deletion and insertion (Petsiuk et al. 2018)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.evidence.measures import area, interval, mean
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Subject
from vbp.explain.registry import METHODS

SIDE = 9  # pixels along a region
STEPS = 100  # regions of the AOPC
COUNTS = (1, 3, 10, 30, 100)  # regions replaced at which the network is run, and the shares of all:
SHARES = (0.25, 0.5, 0.75, 0.9, 0.97)
FRAMES = 12
ENOUGH = 4  # frames that an interval needs
RANDOM = 2  # orders of each frame


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
    return one * (2 * len(subject.methods) + RANDOM) * len(subject.some(FRAMES))


def run(subject: Subject, tick: Tick, replacement: str = "mean") -> Outcome:
    """Regions of 9 x 9 pixels are replaced in the order of their mean |relevance|, and the change of the angle is measured.

    The change is |angle(changed) - angle(frame)| in degrees: a regression has no class score that could only fall
    (of a classifier: of the predicted class's probability, in per cent). Signed maps count by their size, as evidence for
    the other side affects the angle too. replacement: "mean", the frame's mean colour, or "noise", uniform as in the paper.
    AOPC: of the first 100 regions, most relevant first (MoRF); beside it least relevant first (LeRF) and random orders.
    Deletion area: the mean change over all shares of the frame, most relevant first (higher is better). Insertion area:
    the mean distance to the frame's own angle while the most relevant regions come back first (lower is better); it
    is the curve of least relevant first, read backwards.
    """
    curves: dict[str, dict[int, dict[str, NDArray[np.float64]]]] = {}
    regions = len(region_values(np.zeros(tuple(subject.images.shape[2:]))))
    counts = counts_for(regions)
    fills: dict[int, Tensor] = {}
    blank: dict[int, float] = {}

    def curve(n: int, order: NDArray[np.intp]) -> NDArray[np.float64]:
        image, changes = subject.images[n : n + 1], [0.0]
        for count in counts[1:-1]:
            angle = subject.respond(replaced(image, order[:count], fills[n]), n)
            changes.append(abs(angle - subject.angles[n]))
            tick(1)
        return np.array([*changes, abs(blank[n] - subject.angles[n])])

    rng = np.random.default_rng(subject.seed)
    randoms: dict[int, list[NDArray[np.float64]]] = {}
    for n in subject.some(FRAMES):
        fills[n] = _fill(subject.images[n : n + 1], replacement, subject.seed + n)
        blank[n] = subject.respond(fills[n], n)
        randoms[n] = [curve(n, rng.permutation(regions)) for _ in range(RANDOM)]
    for method in subject.maps:
        curves[method] = {}
        for n in subject.some(FRAMES):
            order = np.argsort(-region_values(subject.map(method, n)), kind="stable")
            curves[method][n] = {"most": curve(n, order), "least": curve(n, order[::-1])}
    return _outcome(subject, counts, curves, randoms, replacement)


def _fill(image: Tensor, replacement: str, seed: int) -> Tensor:
    if replacement == "mean":
        return image.mean((2, 3), keepdim=True).expand_as(image).clone()
    low, high = image.amin(), image.amax()
    drawn = torch.rand(image.shape, generator=torch.Generator().manual_seed(seed)).to(
        image.device, image.dtype
    )
    return low + (high - low) * drawn


def _outcome(
    subject: Subject,
    counts: list[int],
    curves: dict[str, dict[int, dict[str, NDArray[np.float64]]]],
    randoms: dict[int, list[NDArray[np.float64]]],
    replacement: str,
) -> Outcome:
    unit = subject.unit
    share = np.array(counts) / counts[-1]
    out = Outcome(
        numbers={"replacement": replacement, "regions": counts[-1], "counts": counts, "methods": {}}
    )
    chance = {n: mean([aopc(counts, c) for c in each]) for n, each in randoms.items()}
    chance_area = {n: mean([area(share, c) for c in each]) for n, each in randoms.items()}
    all_random = np.array([c for each in randoms.values() for c in each])
    out.numbers["random"] = {
        "aopc": list(chance.values()),
        "area": list(chance_area.values()),
        "curve": all_random.mean(0).tolist(),
    }
    rows: list[list[str | float]] = []
    better: list[str] = []
    worse: list[str] = []
    unsure: list[str] = []
    few: list[str] = []
    for method, frames in curves.items():
        most = {n: aopc(counts, c["most"]) for n, c in frames.items()}
        least = {n: aopc(counts, c["least"]) for n, c in frames.items()}
        deletion = mean([area(share, c["most"]) for c in frames.values()])
        insertion = mean([area(share, c["least"]) for c in frames.values()])
        gain = [most[n] - chance[n] for n in frames]
        low, high = interval(gain, subject.seed)
        title = METHODS[method].title
        out.numbers["methods"][method] = {
            "frames": [subject.frames.numbers[n] for n in frames],
            "aopc_most": list(most.values()),
            "aopc_least": list(least.values()),
            "gain_over_random": gain,
            "gain_interval": [low, high],
            "deletion_area": deletion,
            "insertion_area": insertion,
            "curve_most": np.mean([c["most"] for c in frames.values()], 0).tolist(),
            "curve_least": np.mean([c["least"] for c in frames.values()], 0).tolist(),
        }
        rows.append(
            [
                title,
                mean(list(most.values())),
                mean(list(least.values())),
                mean(gain),
                low,
                high,
                deletion,
                insertion,
            ]
        )
        if len(frames) >= ENOUGH:
            (better if low > 0 else worse if high < 0 else unsure).append(title)
        else:
            few.append(f"{title} ({len(frames)})")
    rows.append(["random order", mean(list(chance.values())), mean(list(chance.values())), 0.0, math.nan, math.nan,
                 mean(list(chance_area.values())), mean(list(chance_area.values()))])  # fmt: skip
    frames_known = len(subject.some(FRAMES))
    out.tables.append(
        Table(
            f"Change of the response in {unit}",
            [
                "method",
                "AOPC, most first",
                "least first",
                "most − random",
                "low",
                "high",
                "deletion",
                "insertion",
            ],
            rows,
            f"{frames_known} frames, regions of {SIDE}×{SIDE} replaced by {replacement}; low, high: "
            "95 % bootstrap interval over frames of most − random, – of one frame. Deletion: higher is better. Insertion: lower is better.",
        )
    )
    for name, key in (("most relevant first", "curve_most"), ("least relevant first", "curve_least")):
        lines = [
            Series(METHODS[m].title, (100 * share).tolist(), v[key])
            for m, v in out.numbers["methods"].items()
        ]
        lines.append(
            Series("random order", (100 * share).tolist(), out.numbers["random"]["curve"], aside=True)
        )
        out.plots.append(Plot(f"Replaced, {name}", "% of the regions replaced", f"change in {unit}", lines))
    for words, titles in (
        ("more faithful than a random order", better),
        ("less faithful than a random order", worse),
        ("cannot be distinguished from a random order on these frames", unsure),
    ):
        if titles:
            out.findings.append(f"{', '.join(titles)}: {words} (interval of most − random, against 0).")
    if few:
        out.notes.append(
            f"Too few frames for a comparison with a random order, which needs {ENOUGH}: {', '.join(few)}."
        )
    return out
