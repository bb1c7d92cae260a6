"""Whether a map depends on what is decided: other targets, other outputs, other frames (Nie et al. 2018, section 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from vbp.errors import ExplainError
from vbp.evidence.altered import random_network, with_outputs
from vbp.evidence.in_image import explain_or_none
from vbp.evidence.intervals import estimate, high_of, low_of, words
from vbp.evidence.measures import mean, spearman
from vbp.evidence.outcome import Outcome, Table, Tick
from vbp.evidence.subject import Maps, Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS
from vbp.explain.target import Target
from vbp.graph.trace import Trace

SEEDS = 8  # random networks, each on its own part of the frames
OUTPUTS = 5  # of which maps are compared, two by two
SAME = 0.99  # Spearman of two maps' sizes
NEAR = 0.1  # of the distance of two maps of unit length, up to which they are the same picture


def cost(subject: Subject, each: float) -> float:
    return len(subject) * 2 * each + max(len(subject), SEEDS) * OUTPUTS * each


def run(subject: Subject, tick: Tick, out: Outcome) -> None:
    """Adds to `out`: the angle against its negative and its magnitude (of a classifier the predicted class against the
    second); the distances of the maps of several outputs; the maps of frames that are far apart."""
    _targets(subject, tick, out)
    _outputs(subject, tick, out)
    _between_frames(subject, out)


def _targets(subject: Subject, tick: Tick, out: Outcome) -> None:
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for n in range(len(subject)):
        trace = subject.trace(n)
        for name, other in _others(subject, trace).items():
            for method in subject.quick:
                made, first = subject.explain(trace, method, other), subject.map(method, n)
                pair = spearman(np.abs(first), np.abs(made)), spearman(first, made)
                found.setdefault(name, {}).setdefault(method, []).append(pair)
                tick(cost_of(method))
    numbers = {
        name: {
            m: {
                "sizes": asdict(estimate([p[0] for p in pairs])),
                "signed": asdict(estimate([p[1] for p in pairs])),
            }
            for m, pairs in by_method.items()
        }
        for name, by_method in found.items()
    }
    out.numbers["targets"] = numbers
    columns = ["method"]
    for name in numbers:
        columns += [f"{name}: |map|", "signed"]
    rows: list[list[str | float]] = []
    for m in subject.quick:
        row: list[str | float] = [METHODS[m].title]
        for values in numbers.values():
            row += [words(values[m]["sizes"]), words(values[m]["signed"]) if METHODS[m].signed else math.nan]
        rows.append(row)
    what = "predicted class against" if subject.spec.is_classifier else "angle against"
    note = (
        f"{len(subject)} frames. Spearman of two maps of the same frame. Where a method is linear in the output, the map of −angle is that of "
        "the angle with the other sign: |map| 1, signed −1, which is not insensitivity."
    )
    out.tables.append(Table(f"Two targets: the {what} …", columns, rows, note))
    out.findings += of_targets(numbers, subject.spec.is_classifier)


def of_targets(numbers: Mapping[str, Any], classes: bool) -> list[str]:
    """Sentences from `Outcome.numbers["targets"]`."""
    name, of_first = next(iter(numbers.items()))
    deaf = [
        m for m, one in of_first.items() if low_of(one["signed" if METHODS[m].signed else "sizes"]) >= SAME
    ]
    if not deaf:
        return []
    no_output = [METHODS[m].title for m in deaf if not METHODS[m].targeted]
    sizes = [METHODS[m].title for m in deaf if METHODS[m].targeted and not METHODS[m].signed]
    line = f"The same map for the {name} (Spearman of {SAME} or more): {', '.join(METHODS[m].title for m in deaf)}."
    if no_output:
        line += f" {', '.join(no_output)}: by construction (no output is used)."
    if sizes and not classes:
        line += f" {', '.join(sizes)}: by construction (unsigned)."
    return [line]


def _others(subject: Subject, trace: Trace) -> dict[str, Target]:
    if subject.spec.is_classifier:
        second = int(trace.output[0].topk(2).indices[1]) if trace.output.shape[1] > 1 else 0
        return {"second class": subject.engine.target(Target("class", second))}
    return {kind: subject.engine.target(kind) for kind in ("negative", "magnitude")}


def _outputs(subject: Subject, tick: Tick, out: Outcome) -> None:
    """The mean Euclidean distance of the maps of two outputs, each of unit length: 0 the same, sqrt(2) as unlike as chance, 2 opposite.

    In random networks of the same layers with 5 outputs; of the trained one, too, where it is a classifier.
    """
    found: dict[str, dict[str, list[float]]] = {}

    def add(kind: str, rows: dict[str, list[float]]) -> None:
        for method, values in rows.items():
            found.setdefault(kind, {}).setdefault(method, []).append(mean(values))

    for k, part in enumerate(subject.parts(SEEDS)):
        try:
            graph = random_network(
                with_outputs(subject.graph, OUTPUTS), subject.images[:1], subject.seed + 31 + k
            )
        except ExplainError as error:
            out.notes.append(f"Maps of several outputs: left out, as {error}.")
            return
        runner = Forward(graph)
        each: dict[str, list[float]] = {}
        for n in part:
            _distances(subject, runner(subject.images[n : n + 1]), range(OUTPUTS), each, tick)
        add("random", each)
        if subject.spec.is_classifier:
            trained: dict[str, list[float]] = {}
            for n in part:
                trace = subject.trace(n)
                top = trace.output[0].topk(min(OUTPUTS, trace.output.shape[1])).indices.tolist()
                _distances(subject, trace, top, trained, tick)
            add("trained", trained)
    numbers = {
        kind: {m: asdict(estimate(values)) for m, values in by_method.items()}
        for kind, by_method in found.items()
    }
    out.numbers["outputs"] = numbers
    rows: list[list[str | float]] = [
        [METHODS[m].title, *(words(of[m]) if m in of else math.nan for of in numbers.values())]
        for m in subject.quick
    ]
    out.tables.append(
        Table(
            "Distance of the maps of two outputs",
            ["method", *numbers],
            rows,
            f"{len(subject)} frames, {SEEDS} random networks with {OUTPUTS} outputs, each on its part of the frames; maps of unit length: 0 the "
            "same, 1.41 as unlike as chance, 2 opposite.",
        )
    )
    out.findings += of_outputs(numbers)


def _distances(
    subject: Subject, trace: Trace, outputs: Any, found: dict[str, list[float]], tick: Tick
) -> None:
    for method in subject.quick:
        maps = [_unit(explain_or_none(subject, trace, method, Target("output", int(k)))) for k in outputs]
        tick(len(maps) * cost_of(method))
        pairs = [float(np.linalg.norm(a - b)) for a, b in combinations([m for m in maps if m is not None], 2)]
        if pairs:
            found.setdefault(method, []).append(mean(pairs))


def _unit(relevance: Maps | None) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """None where it is zero, or there is none."""
    if relevance is None or not relevance.any():
        return None
    values = relevance.astype(np.float64)
    return values / np.linalg.norm(values)


def of_outputs(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers["outputs"]`."""
    found = []
    for kind, by_method in numbers.items():
        same = [f"{METHODS[m].title} ({words(one)})" for m, one in by_method.items() if high_of(one) <= NEAR]
        if same:
            found.append(
                f"In the {kind} network every output has the same map (distance of unit maps up to {NEAR}): {', '.join(same)}."
            )
    return found


def _between_frames(subject: Subject, out: Outcome) -> None:
    """Whether a map depends on the frame at all: Spearman of the sizes on frames that are half of them apart."""
    half = len(subject) // 2
    if not half:
        return
    alike = {
        m: asdict(
            estimate(
                [spearman(np.abs(subject.map(m, n)), np.abs(subject.map(m, n + half))) for n in range(half)]
            )
        )
        for m in subject.quick
    }
    out.numbers["between_frames"] = {"pairs": half, "spearman": alike}
    out.tables.append(
        Table(
            f"Two frames, {half} pair{'s' * (half > 1)} of them",
            ["method", "Spearman of |map|"],
            [[METHODS[m].title, words(one)] for m, one in alike.items()],
        )
    )
    out.findings += of_frames(out.numbers["between_frames"])


def of_frames(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers["between_frames"]`."""
    same = [METHODS[m].title for m, one in numbers["spearman"].items() if low_of(one) >= SAME]
    pairs = numbers["pairs"]
    return [
        f"The map does not depend on the frame (Spearman of {SAME} or more in {pairs} pair{'s' * (pairs > 1)} of frames): {', '.join(same)}."
    ] * bool(same)
