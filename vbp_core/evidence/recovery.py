"""Do the maps show the decision or recover the image? The experiments of Nie, Zhang and Patel (ICML 2018).

Their finding: Guided Backprop and DeconvNet recover the image regardless of the network's decision, because of the backward
ReLU and of local connections. Here every method is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.evidence import checkpoints
from vbp.evidence.altered import fully_connected, random_network, toggle_pooling
from vbp.evidence.in_image import explain_or_none, to_image
from vbp.evidence.measures import mean, spearman
from vbp.evidence.outcome import Outcome, Table, Tick
from vbp.evidence.subject import Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain import target as targets
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS
from vbp.explain.target import Target
from vbp.graph.adjoint import backward, relu_gradient
from vbp.graph.operations import Graph
from vbp.graph.trace import Trace

FRAMES = 4
NETWORKS = 2  # random ones of each kind
STEPS, SIZE = 10, 2 / 255  # of the adversarial change, of a pixel's range
RECOVERS = 0.3  # correlation with image or edges in a random network, from which on the image is there
SAME, MOVED = 0.99, 0.8  # Spearman of two maps' sizes: the same; below the second, changed
FAR = 1.0  # degrees, or per cent of a class's probability, from which on a response has changed


def cost(subject: Subject, training: Path | None = None) -> float:
    each = 1 + sum(cost_of(m) for m in subject.methods if not METHODS[m].slow)
    networks = 3 * NETWORKS + 3 + (checkpoints.CHECKPOINTS if training is not None else 0)
    return len(subject.some(FRAMES)) * (each * networks + 3.0 * STEPS)


def run(subject: Subject, tick: Tick, training: Path | None = None) -> Outcome:
    """Random and partly trained networks, two targets, and an adversarial frame. The numbers: `Outcome.tables`.

    Random: He's weights and no biases in the same layers; in the same layers with max-pooling (or without, where they
    have it); and in a network of fully connected layers instead of local ones. Pearson's correlation of |map| with the
    grey image and with its edges (Sobel); a map that has them in a network that has learnt nothing shows the image.
    Partly trained: the checkpoints of the run in the folder `training`; without one this is left out, as weights between
    random and trained ones are no training. Two targets: the angle against its negative and its magnitude (of
    a classifier the predicted class against the second). Adversarial: sign-gradient steps within 2/255 of each pixel
    move the angle to the other side; does the map change, compared with noise of the same size?
    Raises VbpError where the run cannot be read or has no checkpoint.
    """
    out = Outcome()
    _random(subject, tick, out)
    if training is not None:
        checkpoints.run(subject, tick, out, training)
    else:
        out.notes.append("Partly trained networks: left out, as no training run was given (--run).")
    _two_targets(subject, tick, out)
    _between_frames(subject, out)
    _adversarial(subject, tick, out)
    slow = [METHODS[m].title for m in subject.maps if METHODS[m].slow]
    if slow:
        out.notes.append(f"{', '.join(slow)}: left out here, as a map takes seconds.")
    return out


def _random(subject: Subject, tick: Tick, out: Outcome) -> None:
    image = subject.images[:1]
    kinds: dict[str, list[Graph]] = {}
    seeds = [subject.seed + 11 + k for k in range(NETWORKS)]
    kinds["random"] = [random_network(subject.graph, image, s) for s in seeds]
    pooled, words = toggle_pooling(subject.graph)
    try:
        kinds[f"random, {words}"] = [random_network(pooled, image, s) for s in seeds]
    except ExplainError as error:
        out.notes.append(f"Random network {words}: left out, as {error}.")
    kinds["random, fully connected"] = [fully_connected(image, subject.outputs[0].shape[1], s) for s in seeds]
    numbers: dict[str, Any] = {"trained": {}}
    for method in subject.quick:
        pairs = [to_image(subject, subject.map(method, n), n) for n in subject.some(FRAMES)]
        numbers["trained"][method] = _pair(pairs)
    for kind, graphs in kinds.items():
        runners = [Forward(graph) for graph in graphs]
        found: dict[str, list[tuple[float, float]]] = {}
        for n in subject.some(FRAMES):
            for runner in runners:
                trace = runner(subject.images[n : n + 1])
                tick(1)
                for method in subject.quick:
                    made = explain_or_none(subject, trace, method)
                    if made is not None:
                        found.setdefault(method, []).append(to_image(subject, made, n))
                    tick(cost_of(method))
        numbers[kind] = {method: _pair(pairs) for method, pairs in found.items()}
    out.numbers["image"] = numbers
    columns = ["method"]
    for kind in numbers:
        columns += [f"{kind}: image", "edges"]
    rows: list[list[str | float]] = []
    for method in subject.quick:
        row: list[str | float] = [METHODS[method].title]
        for values in numbers.values():
            pair = values.get(method, {"image": float("nan"), "edges": float("nan")})
            row += [pair["image"], pair["edges"]]
        rows.append(row)
    count = len(subject.some(FRAMES))
    note = (
        f"{count} frames, {NETWORKS} random networks of each kind. LRP and gradient × input multiply by the input, which therefore "
        "shows in every map. – : the method cannot explain such a network, or a constant map."
    )
    out.tables.append(Table("Correlation of |map| with the image and its edges", columns, rows, note))
    for kind in list(numbers)[1:]:
        tops = {m: max(v["image"], v["edges"]) for m, v in numbers[kind].items() if np.isfinite(v["image"])}
        if not tops:
            continue
        shows = [f"{METHODS[m].title} ({v:.2f})" for m, v in tops.items() if v >= RECOVERS]
        out.findings.append(
            f"{kind.capitalize()} (nothing was learnt): the map shows the image or its edges (correlation of {RECOVERS} or more) for: "
            f"{', '.join(shows) or 'no method'}."
        )


def _pair(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {"image": mean([p[0] for p in pairs]), "edges": mean([p[1] for p in pairs])}


def _two_targets(subject: Subject, tick: Tick, out: Outcome) -> None:
    some = subject.some(FRAMES)
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for n in some:
        trace = subject.trace(n)
        for words, other in _others(subject, trace).items():
            for method in subject.quick:
                made, first = subject.explain(trace, method, other), subject.map(method, n)
                pair = spearman(np.abs(first), np.abs(made)), spearman(first, made)
                found.setdefault(words, {}).setdefault(method, []).append(pair)
                tick(cost_of(method))
    numbers = {
        words: {
            m: {"sizes": mean([p[0] for p in pairs]), "signed": mean([p[1] for p in pairs])}
            for m, pairs in by_method.items()
        }
        for words, by_method in found.items()
    }
    out.numbers["targets"] = numbers
    columns = ["method"]
    for words in numbers:
        columns += [f"{words}: |map|", "signed"]
    rows: list[list[str | float]] = []
    for m in subject.quick:
        row: list[str | float] = [METHODS[m].title]
        for values in numbers.values():
            row += [values[m]["sizes"], values[m]["signed"] if METHODS[m].signed else float("nan")]
        rows.append(row)
    what = "predicted class against" if subject.spec.is_classifier else "angle against"
    note = (
        "Spearman of two maps of the same frame. Where a method is linear in the output, the map of −angle is that of "
        "the angle with the other sign: |map| 1, signed −1, which is not insensitivity."
    )
    out.tables.append(Table(f"Two targets: the {what} …", columns, rows, note))
    words, of_first = next(iter(numbers.items()))
    deaf = [m for m in subject.quick if of_first[m]["signed" if METHODS[m].signed else "sizes"] >= SAME]
    no_output = [METHODS[m].title for m in deaf if not METHODS[m].targeted]
    sizes = [METHODS[m].title for m in deaf if METHODS[m].targeted and not METHODS[m].signed]
    if deaf:
        line = f"The same map for the {words} (Spearman of {SAME} or more): {', '.join(METHODS[m].title for m in deaf)}."
        if no_output:
            line += f" {', '.join(no_output)}: by construction, as they do not use the output."
        if sizes and not subject.spec.is_classifier:
            line += f" {', '.join(sizes)}: by construction, as they are unsigned."
        out.findings.append(line)


def _between_frames(subject: Subject, out: Outcome) -> None:
    """Whether a map depends on the frame at all: Spearman of the sizes on frames that are far apart."""
    if len(subject) < 2:
        return
    first, last = 0, len(subject) - 1
    alike = {m: spearman(np.abs(subject.map(m, first)), np.abs(subject.map(m, last))) for m in subject.quick}
    pair = [subject.frames.numbers[n] for n in (first, last)]
    out.numbers["between_frames"] = {"frames": pair, "spearman": alike}
    out.tables.append(
        Table(
            f"Two frames: {pair[0]} and {pair[1]}",
            ["method", "Spearman of |map|"],
            [[METHODS[m].title, v] for m, v in alike.items()],
        )
    )
    same = [METHODS[m].title for m, v in alike.items() if v >= SAME]
    if same:
        out.findings.append(
            f"The map does not depend on the frame (Spearman of {SAME} or more between frames {pair[0]} and {pair[1]}): "
            f"{', '.join(same)}."
        )


def _others(subject: Subject, trace: Trace) -> dict[str, Target]:
    if subject.spec.is_classifier:
        second = int(trace.output[0].topk(2).indices[1]) if trace.output.shape[1] > 1 else 0
        return {"second class": subject.engine.target(Target("class", second))}
    return {kind: subject.engine.target(kind) for kind in ("negative", "magnitude")}


def adversarial(subject: Subject, n: int, size: float = SIZE, steps: int = STEPS) -> Tensor:
    """Frame `n`, (1, C, h, w), changed by at most `size` of a pixel's range so that the response moves far.

    Sign-gradient steps of a quarter of `size` (Madry et al. 2018), each back into the ball of that size and the range of pixels;
    an angle is driven to the other side, a predicted class's score down. The farthest of the steps counts.
    """
    image = subject.images[n : n + 1]
    scale, low, high = _range(subject, image)
    output = subject.outputs[n]
    down = subject.spec.is_classifier or float(subject.angles[n]) >= 0
    target = Target("class", int(output.argmax())) if subject.spec.is_classifier else subject.target
    best, farthest, now = image, 0.0, image
    with torch.inference_mode():
        for _ in range(steps):
            trace = subject.run(now)
            gradient = backward(trace, targets.gradient(trace.output, target), relu_gradient)
            now = now + (-1.0 if down else 1.0) * (size / 4) * scale * gradient.sign()
            now = torch.maximum(torch.minimum(now, image + size * scale), image - size * scale)
            now = torch.maximum(torch.minimum(now, high), low)
            change = abs(subject.respond(now, n) - subject.angles[n])
            if change > farthest:
                best, farthest = now, change
    return best


def _range(subject: Subject, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What 1 of a pixel's range is in the network's input, and the range's ends, each (1, C, 1, 1)."""

    def of(value: float | tuple[float, ...]) -> Tensor:
        values = torch.as_tensor(value, dtype=image.dtype, device=image.device).reshape(1, -1, 1, 1)
        return values.expand(1, image.shape[1], 1, 1)

    mean_, std = of(subject.spec.mean), of(subject.spec.std)
    return 1 / std, -mean_ / std, (1 - mean_) / std


def _adversarial(subject: Subject, tick: Tick, out: Outcome) -> None:
    rng = np.random.default_rng(subject.seed + 5)
    changes: dict[str, list[float]] = {"adversarial": [], "noise": []}
    alike: dict[str, dict[str, list[float]]] = {"adversarial": {}, "noise": {}}
    for n in subject.some(FRAMES):
        image = subject.images[n : n + 1]
        scale, low, high = _range(subject, image)
        signs = torch.from_numpy(rng.choice((-1.0, 1.0), tuple(image.shape))).to(image.device, image.dtype)
        noisy = torch.maximum(torch.minimum(image + SIZE * scale * signs, high), low)
        attacked = adversarial(subject, n)
        tick(3 * STEPS)
        for kind, changed in (("adversarial", attacked), ("noise", noisy)):
            trace = subject.run(changed)
            changes[kind].append(subject.respond_to(trace.output, n) - float(subject.angles[n]))
            for method in subject.quick:
                like = spearman(np.abs(subject.explain(trace, method)), np.abs(subject.map(method, n)))
                alike[kind].setdefault(method, []).append(like)
    moved, shaken = (mean(np.abs(changes[kind])) for kind in ("adversarial", "noise"))
    out.numbers["adversarial"] = {
        "size": SIZE,
        "steps": STEPS,
        "frames": [subject.frames.numbers[n] for n in subject.some(FRAMES)],
        "change": changes,
        "spearman": {kind: {m: mean(v) for m, v in each.items()} for kind, each in alike.items()},
    }
    rows: list[list[str | float]] = [
        [METHODS[m].title, mean(alike["adversarial"][m]), mean(alike["noise"][m])] for m in subject.quick
    ]
    unit = subject.unit
    out.tables.append(
        Table(
            f"Adversarial frames: the response changes by {moved:.1f}{unit}; by {shaken:.2f}{unit} under noise of the same size",
            ["method", "adversarial to clean map", "noisy to clean map"],
            rows,
            f"Spearman of |map|, {len(changes['noise'])} frames; every pixel changed by at most {SIZE * 255:.0f} of 255.",
        )
    )
    stays = [
        f"{METHODS[m].title} ({mean(alike['adversarial'][m]):.2f})"
        for m in subject.quick
        if mean(alike["adversarial"][m]) >= MOVED
    ]
    if moved < FAR:
        out.findings.append(
            f"Sign-gradient steps within {SIZE * 255:.0f}/255 change the response by only {moved:.2g}{unit} (below {FAR:g}{unit} it "
            "counts as unchanged), so they say nothing about the maps here."
        )
    elif moved > 3 * shaken:
        out.findings.append(
            f"A change of at most {SIZE * 255:.0f}/255 of each pixel changes the response by {moved:.1f}{unit} (random noise of that "
            f"size: {shaken:.2f}{unit}); the map hardly changes (Spearman of {MOVED} or more) for: {', '.join(stays) or 'no method'}."
        )
    else:
        out.findings.append(
            f"Sign-gradient steps within {SIZE * 255:.0f}/255 change the response by {moved:.1f}{unit}, no more than three times what "
            f"random noise does ({shaken:.2f}{unit}), so they say nothing about the maps here."
        )
