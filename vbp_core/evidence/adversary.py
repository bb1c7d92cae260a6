"""An adversarial frame: the response moves far, does the map? (Nie et al. 2018, section 5)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vbp.evidence.intervals import estimate, low_of, words
from vbp.evidence.measures import spearman
from vbp.evidence.outcome import Outcome, Table, Tick
from vbp.evidence.subject import Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain import target as targets
from vbp.explain.registry import METHODS
from vbp.explain.target import Target
from vbp.graph.adjoint import backward, relu_gradient

STEPS, SIZE = 10, 2 / 255  # of the adversarial change, of a pixel's range
MOVED = 0.8  # Spearman of two maps' sizes, from which on a map has hardly changed
FAR = 1.0  # degrees, or per cent of a class's probability, from which on a response has changed
KINDS = ("adversarial", "noise")


def cost(subject: Subject, each: float) -> float:
    return len(subject) * (3.0 * STEPS + 2 * each)


def run(subject: Subject, tick: Tick, out: Outcome) -> None:
    """Adds to `out`: sign-gradient steps within 2/255 of each pixel move the angle to the other side; how alike is the map to that
    of the clean frame, and how alike where noise of the same size is added instead?"""
    rng = np.random.default_rng(subject.seed + 5)
    changes: dict[str, list[float]] = {kind: [] for kind in KINDS}
    alike: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    for n in range(len(subject)):
        image = subject.images[n : n + 1]
        scale, low, high = _range(subject, image)
        signs = torch.from_numpy(rng.choice((-1.0, 1.0), tuple(image.shape))).to(image.device, image.dtype)
        noisy = torch.maximum(torch.minimum(image + SIZE * scale * signs, high), low)
        attacked = adversarial(subject, n)
        tick(3 * STEPS)
        for kind, changed in zip(KINDS, (attacked, noisy), strict=True):
            trace = subject.run(changed)
            changes[kind].append(subject.respond_to(trace.output, n) - float(subject.angles[n]))
            for method in subject.quick:
                like = spearman(np.abs(subject.explain(trace, method)), np.abs(subject.map(method, n)))
                alike[kind].setdefault(method, []).append(like)
                tick(cost_of(method))
    numbers: dict[str, Any] = {
        "size": SIZE,
        "steps": STEPS,
        "frames": list(subject.frames.numbers),
        "change": changes,
        "moved": {kind: asdict(estimate(np.abs(values))) for kind, values in changes.items()},
        "spearman": {kind: {m: asdict(estimate(v)) for m, v in each.items()} for kind, each in alike.items()},
        "unit": subject.unit,
    }
    out.numbers["adversarial"] = numbers
    unit, moved = subject.unit, numbers["moved"]
    out.tables.append(
        Table(
            f"Adversarial frames: the response changes by {words(moved['adversarial'], 1)}{unit}; by {words(moved['noise'])}{unit} under noise of "
            "the same size",
            ["method", "adversarial to clean map", "noisy to clean map"],
            [
                [METHODS[m].title, *(words(numbers["spearman"][kind][m]) for kind in KINDS)]
                for m in subject.quick
            ],
            f"Spearman of |map|, {len(subject)} frames; every pixel changed by at most {SIZE * 255:.0f} of 255.",
        )
    )
    out.findings += findings(numbers)


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """One sentence from `Outcome.numbers["adversarial"]`."""
    unit, of = numbers["unit"], numbers["moved"]
    moved, shaken = (of[kind]["value"] for kind in KINDS)
    said = [words(of[kind]) for kind in KINDS]
    steps = f"Sign-gradient steps within {numbers['size'] * 255:.0f}/255"
    if moved < FAR:
        return [
            f"{steps} change the response by only {moved:.2g}{unit} (below {FAR:g}{unit} it counts as unchanged), so they say nothing about "
            "the maps here."
        ]
    if low_of(of["adversarial"]) <= 3 * shaken:
        return [
            f"{steps} change the response by {said[0]}{unit}, no more than three times what random noise does ({said[1]}{unit}), so they "
            "say nothing about the maps here."
        ]
    stays = [
        f"{METHODS[m].title} ({words(one)})"
        for m, one in numbers["spearman"]["adversarial"].items()
        if low_of(one) >= MOVED
    ]
    return [
        f"A change of at most {numbers['size'] * 255:.0f}/255 of each pixel changes the response by {said[0]}{unit} (random noise of that "
        f"size: {said[1]}{unit}); the map hardly changes (Spearman of {MOVED} or more) for: {', '.join(stays) or 'no method'}."
    ]


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
