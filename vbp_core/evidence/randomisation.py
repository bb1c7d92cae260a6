"""Model randomisation (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from vbp.evidence.altered import layers, redrawn
from vbp.evidence.measures import mean, pearson, ranks, ssim
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Floats, Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS
from vbp.graph.operations import Dense, Graph

FRAMES = 4
DENSE, CONVS = 3, 4  # layers at most, evenly spread, where a network has more
SAME, LITTLE = 0.99, 0.7  # Spearman of sizes: from the first on unchanged; above the second, similar


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
    return one * 2 * len(places(subject.graph)) * len(subject.some(FRAMES))


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
            found[method].append(pearson(ranks(np.abs(now)), ranks(np.abs(subject.map(method, n)))))
            tick(cost_of(method))
    return {m: mean(values) for m, values in found.items()}


def run(subject: Subject, tick: Tick) -> Outcome:
    """Layers get random weights, and the maps are compared with those of the trained network.

    Cascading: a layer and all above it, from the output down. Independent: that layer alone. New weights are as
    large as the layer's own (`altered.redrawn`), in a copy of the network.
    Compared are Spearman's correlation of the maps' sizes and, for signed ones, of the maps themselves, and SSIM of the
    sizes, of the mean frame. A method that depends on what the network has learnt must lose its similarity; one that keeps
    it (Spearman of sizes of 0.99 or more) shows something else, however plausible it looks. NaN: the map is constant.
    """
    order, every = sorted(places(subject.graph), reverse=True), layers(subject.graph)
    some, methods = subject.some(FRAMES), subject.quick
    before: dict[tuple[str, int], tuple[Floats, Floats, Floats]] = {}
    for method in methods:
        for n in some:
            m = subject.map(method, n)
            before[method, n] = np.abs(m).astype(np.float64), ranks(np.abs(m)), ranks(m)
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for kind in ("cascading", "independent"):
        found[kind] = {m: [] for m in methods}
        for i in order:
            which = [k for k in every if k >= i] if kind == "cascading" else [i]
            runner = Forward(redrawn(subject.graph, which, subject.seed + 1))
            each: dict[str, list[tuple[float, float, float]]] = {m: [] for m in methods}
            for n in some:
                trace = runner(subject.images[n : n + 1])
                tick(2)
                for method in methods:
                    now = subject.explain(trace, method)
                    size, ranked, signed = before[method, n]
                    each[method].append(
                        (
                            pearson(ranks(np.abs(now)), ranked),
                            pearson(ranks(now), signed) if METHODS[method].signed else float("nan"),
                            ssim(np.abs(now), size),
                        )
                    )
                    tick(cost_of(method))
            for method in methods:
                a, s, c = (mean([v[k] for v in each[method]]) for k in range(3))
                found[kind][method].append({"spearman": a, "spearman_signed": s, "ssim": c})
    names = [subject.graph.stages[i].name for i in order]
    out = Outcome(numbers={"layers": names, "frames": [subject.frames.numbers[n] for n in some], **found})
    _show(subject, out, found, names)
    _judge(subject, out, found, [isinstance(subject.graph.stages[i].op, Dense) for i in order])
    slow = [METHODS[m].title for m in subject.maps if METHODS[m].slow]
    if slow:
        out.notes.append(f"{', '.join(slow)}: left out here, as a map takes seconds.")
    return out


def _show(subject: Subject, out: Outcome, found: dict[str, Any], names: list[str]) -> None:
    for kind, words in (
        ("cascading", "random from the output layer down to"),
        ("independent", "random in this layer only"),
    ):
        x = list(range(len(names)))
        lines = [Series(METHODS[m].title, x, [v["spearman"] for v in found[kind][m]]) for m in found[kind]]
        out.plots.append(
            Plot(f"{kind.capitalize()}: {words}", "layer", "Spearman of |map|", lines, names=names)
        )
    rows: list[list[str | float]] = []
    for m in found["cascading"]:
        cascading, independent = found["cascading"][m], found["independent"][m]
        first, last = cascading[0], cascading[-1]
        rows.append(
            [
                METHODS[m].title,
                first["spearman"],
                first["spearman_signed"],
                first["ssim"],
                last["spearman"],
                last["spearman_signed"],
                last["ssim"],
                mean([v["spearman"] for v in independent]),
            ]
        )
    out.tables.append(
        Table(
            "Similarity to the trained network's maps",
            [
                "method",
                "output layer random",
                "signed",
                "SSIM",
                "all random",
                "signed",
                "SSIM",
                "one layer, mean",
            ],
            rows,
            f"{len(subject.some(FRAMES))} frames; Spearman of |map| unless stated. – : constant map, or an unsigned method.",
            3,
        )
    )


def _judge(subject: Subject, out: Outcome, found: dict[str, Any], dense: list[bool]) -> None:
    head = [k for k, is_dense in enumerate(dense) if is_dense]
    ignores, blind, sensitive, zero = [], [], [], []
    for m, values in found["cascading"].items():
        title, last = METHODS[m].title, values[-1]["spearman"]
        if not any(np.isfinite(v["spearman"]) for v in values):
            zero.append(title)
            continue
        if head and all(values[k]["spearman"] >= SAME for k in head):
            lowest = min(values[k]["spearman"] for k in head)
            ignores.append(f"{title} (Spearman {lowest:.3f})")
        if np.isfinite(last) and last > LITTLE:
            blind.append(f"{title} ({last:.2f})")
        elif np.isfinite(last):
            sensitive.append(f"{title} ({last:.2f})")
    if ignores:
        why = " VisualBackProp and phi do not use the fully connected layers' weights, by construction." if any(
            t.startswith(("VisualBackProp", "phi")) for t in ignores
        ) else ""  # fmt: skip
        out.findings.append(
            f"With random fully connected layers the map stays the same (Spearman of {SAME} or more): {', '.join(ignores)}.{why}"
        )
    if blind:
        out.findings.append(
            f"With the whole network random the map still resembles the trained one's (above {LITTLE}): {', '.join(blind)}."
        )
    if sensitive:
        out.findings.append(
            f"With the whole network random the similarity falls to {LITTLE} or below: {', '.join(sensitive)}."
        )
    if zero:
        out.findings.append(
            f"Constant in every randomised network, so no conclusion is possible: {', '.join(zero)}."
        )
