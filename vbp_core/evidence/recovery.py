"""Do the maps show the decision or recover the image? The experiments of Nie, Zhang and Patel (ICML 2018).

Their finding: Guided Backprop and DeconvNet recover the image regardless of the network's decision, because of the backward
ReLU and of local connections. Here every method is tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from vbp.errors import ExplainError
from vbp.evidence import adversary, checkpoints, decision
from vbp.evidence.altered import convolutions, fully_connected, random_network, shallow, toggle_pooling
from vbp.evidence.in_image import LIKENESS, explain_or_none, likeness, to_image
from vbp.evidence.intervals import low_of, words
from vbp.evidence.measures import mean
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS
from vbp.graph.operations import Graph

SEEDS = 8  # random networks of each kind, each on its own part of the frames
DEPTHS = (1, 3)  # convolutions of a network cut short
WIDTHS = (0.25, 2.0)  # times as many maps
RECOVERS = 0.3  # correlation with the image in a random network, from which on the image is there
TRAINED, RANDOM, CONNECTED = "trained", "random", "random, fully connected"


def cost(subject: Subject, training: Path | None = None) -> float:
    each = 1 + sum(cost_of(m) for m in subject.methods if not METHODS[m].slow)
    networks = 3 + len(DEPTHS) + len(WIDTHS) + (checkpoints.CHECKPOINTS if training is not None else 0)
    return (
        max(len(subject), SEEDS) * each * networks
        + decision.cost(subject, each)
        + adversary.cost(subject, each)
    )


def run(subject: Subject, tick: Tick, training: Path | None = None) -> Outcome:
    """Random and partly trained networks, several targets, and an adversarial frame.

    Random: He's weights and no biases in the same layers; in the same layers with max-pooling (or without, where they
    have it); with fewer and more maps; in the first convolutions alone; and in fully connected layers instead of local ones. Each kind
    of 8 seeds, each on an eighth of the frames. A recovered picture is signed, so the map's own values are correlated with
    the grey image and the high-passed one, and its sizes with the image's edges (`to_image`); a map that has
    them in a network that has learnt nothing shows the image.
    Partly trained: the checkpoints of the run in the folder `training`; without one this is left out, as weights between
    random and trained ones are no training. Targets, outputs and frames: `decision`. Adversarial: `adversary`.
    Raises VbpError where the run cannot be read or has no checkpoint.
    """
    out = Outcome()
    _random(subject, tick, out)
    if training is not None:
        checkpoints.run(subject, tick, out, training)
    else:
        out.notes.append("Partly trained networks: left out, as no training run was given (--run).")
    decision.run(subject, tick, out)
    adversary.run(subject, tick, out)
    slow = [METHODS[m].title for m in subject.maps if METHODS[m].slow]
    if slow:
        out.notes.append(f"{', '.join(slow)}: left out here, as a map takes seconds.")
    return out


def _kinds(subject: Subject, seed: int, out: Outcome) -> dict[str, Graph]:
    """Random networks of one seed; out: is told, once, which cannot be made of these layers."""
    image, graph = subject.images[:1], subject.graph
    outputs = subject.outputs[0].shape[1]
    pooled, pooling = toggle_pooling(graph)
    makers: dict[str, Callable[[], Graph]] = {
        RANDOM: partial(random_network, graph, image, seed),
        f"{RANDOM}, {pooling}": partial(random_network, pooled, image, seed),
    }
    for times in WIDTHS:
        makers[f"{RANDOM}, {times:g} × the maps"] = partial(random_network, graph, image, seed, times)
    for count in (d for d in DEPTHS if d < convolutions(graph)):
        layers = f"{count} convolution{'s' * (count > 1)}"
        makers[f"{RANDOM}, {layers}"] = partial(_cut_short, graph, count, outputs, image, seed)
    makers[CONNECTED] = partial(fully_connected, image, outputs, seed)
    found = {}
    for kind, make in makers.items():
        try:
            found[kind] = make()
        except ExplainError as error:
            note = f"Networks that are {kind}: left out, as {error}."
            out.notes += [note] if note not in out.notes else []
    return found


def _cut_short(graph: Graph, count: int, outputs: int, image: Tensor, seed: int) -> Graph:
    return random_network(shallow(graph, count, outputs), image, seed)


def _random(subject: Subject, tick: Tick, out: Outcome) -> None:
    found: dict[str, dict[str, list[tuple[float, float, float]]]] = {TRAINED: {}}
    for method in subject.quick:
        found[TRAINED][method] = [to_image(subject, subject.map(method, n), n) for n in range(len(subject))]
    for k, part in enumerate(subject.parts(SEEDS)):
        for kind, graph in _kinds(subject, subject.seed + 11 + k, out).items():
            runner = Forward(graph)
            each: dict[str, list[tuple[float, float, float]]] = {}
            for n in part:
                trace = runner(subject.images[n : n + 1])
                tick(1)
                for method in subject.quick:
                    made = explain_or_none(subject, trace, method)
                    if made is not None:
                        each.setdefault(method, []).append(to_image(subject, made, n))
                    tick(cost_of(method))
            for method, rows in each.items():
                a, b, c = (mean([row[at] for row in rows]) for at in range(3))
                found.setdefault(kind, {}).setdefault(method, []).append((a, b, c))
    out.numbers["image"] = {
        kind: {method: likeness(rows) for method, rows in by_method.items()}
        for kind, by_method in found.items()
    }
    out.tables += [_table(out.numbers["image"], subject, name) for name in LIKENESS]
    out.plots.append(_plot(out.numbers["image"], subject))
    out.findings += findings(out.numbers["image"])


def _table(numbers: Mapping[str, Any], subject: Subject, name: str) -> Table:
    kinds = list(numbers)
    rows: list[list[str | float]] = []
    for method in subject.quick:
        row: list[str | float] = [METHODS[method].title]
        row += [words(numbers[k][method][name]) if method in numbers[k] else math.nan for k in kinds]
        rows.append(row)
    return Table(
        f"Correlation of {'|map|' if name == 'edges' else 'the map'} with {LIKENESS[name]}",
        ["method", *kinds],
        rows,
        f"{len(subject)} frames, {SEEDS} random networks of each kind, each on its part of the frames; in brackets the 95 % interval over "
        "them. LRP and gradient × input multiply by the input, which therefore "
        "shows in every map. – : the method cannot explain such a network, or a constant map.",
    )


def _plot(numbers: Mapping[str, Any], subject: Subject) -> Plot:
    kinds = [k for k in numbers if k not in (TRAINED, CONNECTED)]
    lines = [
        Series(
            METHODS[m].title,
            list(range(len(kinds))),
            [numbers[k][m]["high_passed"]["value"] if m in numbers[k] else math.nan for k in kinds],
        )
        for m in subject.quick
    ]
    names = [k.removeprefix(f"{RANDOM}, ") for k in kinds]
    return Plot(
        "Random networks: the high-passed image in the map", "network", "correlation", lines, names=names
    )


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers["image"]`."""
    found = []
    for kind in [k for k in numbers if k != TRAINED]:
        shows = []
        for m, one in numbers[kind].items():
            name = max(
                LIKENESS, key=lambda name: -math.inf if math.isnan(low_of(one[name])) else low_of(one[name])
            )
            if low_of(one[name]) >= RECOVERS:
                shows.append(f"{METHODS[m].title} ({LIKENESS[name]}, {words(one[name])})")
        found.append(
            f"{kind.capitalize()} (nothing was learnt): the map shows the image, high-passed or not, or its edges (correlation of "
            f"{RECOVERS} or more) for: {', '.join(shows) or 'no method'}."
        )
    return found
