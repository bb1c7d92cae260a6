"""Model randomisation (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np

from vbp.evidence.altered import layers, redrawn
from vbp.evidence.intervals import estimate, high_of, low_of, words
from vbp.evidence.measures import mean, pearson, ranks, spearman, ssim
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Floats, Maps, Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS
from vbp.graph.operations import Dense, Graph

SEEDS = 8  # random networks, each on its own part of the frames
DENSE, CONVS = 3, 4  # layers at most, evenly spread, where a network has more
SAME, LITTLE = 0.99, 0.7  # Spearman of sizes: from the first on unchanged; above the second, similar
MEASURES = ("spearman", "spearman_signed", "ssim")

Similar: TypeAlias = tuple[float, float, float]  # MEASURES


def places(graph: Graph) -> list[int]:
    """The stages that are randomised one after the other, from the output down to the first layer."""
    every = layers(graph)[::-1]
    dense = [i for i in every if isinstance(graph.stages[i].op, Dense)]
    return _spread(dense, DENSE) + _spread([i for i in every if i not in dense], CONVS)


def _spread(items: list[int], count: int) -> list[int]:
    if not items:
        return []
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[k] for k in sorted(set(places.tolist()))]


def cost(subject: Subject) -> float:
    one = 2 + sum(cost_of(m) for m in subject.methods if not METHODS[m].slow)
    return one * 2 * len(places(subject.graph)) * max(len(subject), SEEDS)


def head_alone(subject: Subject, tick: Tick) -> dict[str, float]:
    """Spearman of sizes, for each quick method, where all fully connected layers are random, of the mean of all frames.

    {} for a network without such a layer.
    """
    dense = [i for i in layers(subject.graph) if isinstance(subject.graph.stages[i].op, Dense)]
    if not dense:
        return {}
    runner = Forward(redrawn(subject.graph, dense, subject.seed + 1))
    found: dict[str, list[float]] = {m: [] for m in subject.quick}
    for n in range(len(subject)):
        trace = runner(subject.images[n : n + 1])
        tick(2)
        for method in subject.quick:
            now = subject.explain(trace, method)
            found[method].append(spearman(np.abs(now), np.abs(subject.map(method, n))))
            tick(cost_of(method))
    return {m: mean(values) for m, values in found.items()}


def run(subject: Subject, tick: Tick) -> Outcome:
    """Layers get random weights, and the maps are compared with those of the trained network.

    Cascading: a layer and all above it, from the output down. Independent: that layer alone. New weights are as
    large as the layer's own (`altered.redrawn`), in a copy of the network. 8 seeds, each on an eighth of the frames: one seed may be
    far from the others, so the intervals are over seeds, and hold what frames differ by, too.
    Compared are Spearman's correlation of the maps' sizes and, for signed ones, of the maps themselves, and SSIM of the
    sizes. A method that depends on what the network has learnt must lose its similarity; one that keeps
    it (Spearman of sizes of 0.99 or more) shows something else, however plausible it looks. NaN: the map is constant.
    """
    order, every = sorted(places(subject.graph), reverse=True), layers(subject.graph)
    before = {
        (m, n): _ranked(subject.map(m, n), METHODS[m].signed)
        for m in subject.quick
        for n in range(len(subject))
    }
    # By kind and method: of each layer, the mean of each seed.
    found: dict[str, dict[str, list[list[Similar]]]] = {}
    for kind in ("cascading", "independent"):
        found[kind] = {m: [[] for _ in order] for m in subject.quick}
        for seed, part in enumerate(subject.parts(SEEDS)):
            for k, i in enumerate(order):
                which = [at for at in every if at >= i] if kind == "cascading" else [i]
                runner = Forward(redrawn(subject.graph, which, subject.seed + 1 + seed))
                each: dict[str, list[Similar]] = {m: [] for m in subject.quick}
                for n in part:
                    trace = runner(subject.images[n : n + 1])
                    tick(2)
                    for method in subject.quick:
                        now = subject.explain(trace, method)
                        signed = METHODS[method].signed
                        each[method].append(_similar(before[method, n], _ranked(now, signed), signed))
                        tick(cost_of(method))
                for method, values in each.items():
                    a, s, c = (mean([v[at] for v in values]) for at in range(3))
                    found[kind][method][k].append((a, s, c))
    numbers: dict[str, Any] = {
        "layers": [subject.graph.stages[i].name for i in order],
        "dense": [isinstance(subject.graph.stages[i].op, Dense) for i in order],
        "seeds": SEEDS,
        "frames": list(subject.frames.numbers),
    }
    for kind, by_method in found.items():
        numbers[kind] = {
            method: [
                {name: asdict(estimate([v[at] for v in seeds])) for at, name in enumerate(MEASURES)}
                for seeds in by_layer
            ]
            for method, by_layer in by_method.items()
        }
    out = Outcome(
        numbers=numbers, tables=[_table(numbers)], plots=_plots(numbers), findings=findings(numbers)
    )
    slow = [METHODS[m].title for m in subject.maps if METHODS[m].slow]
    if slow:
        out.notes.append(f"{', '.join(slow)}: left out here, as a map takes seconds.")
    return out


def _ranked(relevance: Maps, signed: bool) -> tuple[Floats, Floats, Floats]:
    """The sizes, their ranks, and those of the map itself where it is signed."""
    size = np.abs(relevance).astype(np.float64)
    by_size = ranks(size)
    return size, by_size, ranks(relevance) if signed else by_size


def _similar(
    before: tuple[Floats, Floats, Floats], now: tuple[Floats, Floats, Floats], signed: bool
) -> Similar:
    """MEASURES of two maps as `_ranked` has them."""
    by_size = pearson(now[1], before[1])
    return by_size, pearson(now[2], before[2]) if signed else float("nan"), ssim(now[0], before[0])


def _plots(numbers: Mapping[str, Any]) -> list[Plot]:
    names = numbers["layers"]
    x = list(range(len(names)))
    found = []
    for kind, said in (
        ("cascading", "random from the output layer down to"),
        ("independent", "random in this layer only"),
    ):
        lines = [
            Series(METHODS[m].title, x, [v["spearman"]["value"] for v in by_layer])
            for m, by_layer in numbers[kind].items()
        ]
        found.append(Plot(f"{kind.capitalize()}: {said}", "layer", "Spearman of |map|", lines, names=names))
    return found


def _table(numbers: Mapping[str, Any]) -> Table:
    rows: list[list[str | float]] = []
    for m, by_layer in numbers["cascading"].items():
        row: list[str | float] = [METHODS[m].title]
        for one in (by_layer[0], by_layer[-1]):
            row += [words(one[name]) for name in MEASURES]
        rows.append(row)
    return Table(
        "Similarity to the trained network's maps",
        ["method", "output layer random", "signed", "SSIM", "all random", "signed", "SSIM"],
        rows,
        f"{len(numbers['frames'])} frames, {numbers['seeds']} random networks, each on its part of the frames; in brackets the 95 % interval "
        "over them. Spearman of |map| unless stated. – : constant map, or an unsigned method.",
    )


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers`."""
    head = [k for k, is_dense in enumerate(numbers["dense"]) if is_dense]
    ignores: list[str] = []
    blind: list[str] = []
    sensitive: list[str] = []
    unsure: list[str] = []
    zero: list[str] = []
    for m, by_layer in numbers["cascading"].items():
        title, last = METHODS[m].title, by_layer[-1]["spearman"]
        if not any(np.isfinite(v["spearman"]["value"]) for v in by_layer):
            zero.append(title)
            continue
        if head:
            lowest = min((by_layer[k]["spearman"] for k in head), key=lambda v: low_of(v))
            if low_of(lowest) >= SAME:
                ignores.append(f"{title} (Spearman {lowest['value']:.3f})")
        if np.isfinite(last["value"]):
            group = blind if low_of(last) > LITTLE else sensitive if high_of(last) <= LITTLE else unsure
            group.append(f"{title} {words(last)}")
    found = []
    if ignores:
        by_construction = [
            t for t in ("VisualBackProp", "phi") if any(i.startswith(f"{t} ") for i in ignores)
        ]
        why = (
            f" {' and '.join(by_construction)}: by construction, without the fully connected layers' weights."
            if by_construction
            else ""
        )
        found.append(
            f"With random fully connected layers the map stays the same (Spearman of {SAME} or more): {', '.join(ignores)}.{why}"
        )
    for said, group in (
        (
            f"With the whole network random the map still resembles the trained one's (Spearman above {LITTLE})",
            blind,
        ),
        (f"With the whole network random the similarity falls to {LITTLE} or below", sensitive),
        (
            f"With the whole network random, these frames and seeds leave open whether the similarity is above {LITTLE}",
            unsure,
        ),
        ("Constant in every randomised network, so no conclusion is possible", zero),
    ):
        if group:
            found.append(f"{said}: {', '.join(group)}.")
    return found
