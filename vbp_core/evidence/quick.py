"""The quick experiments on one frame, which the window's Evidence panel shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vbp.drives.base import Image
from vbp.engine import Engine
from vbp.evidence import perturbation, randomisation, shift, theory
from vbp.evidence.outcome import Outcome, Plot, Series, figure
from vbp.evidence.readings import GUARDED, INSIDE
from vbp.evidence.subject import Frames, Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain.registry import METHODS
from vbp.overlay import Rect


@dataclass(frozen=True)
class Quick:
    """plots: three small ones. verdicts: one sentence for each experiment, computed from its numbers."""

    plots: tuple[Plot, ...]
    verdicts: tuple[str, ...]


def quick(
    engine: Engine, image: Image, crop: Rect, methods: Sequence[str], progress: Callable[[float], None]
) -> Quick:
    """Deletion, the shift test, a random head, and VisualBackProp against phi and LRP, on one frame (H, W, 3) uint8.

    methods: slow ones are left out. The engine is read, never run: the network is copied, so this may be called from
    another thread than the engine's. progress(fraction 0..1) may raise to stop. Raises VbpError.
    """
    prepared = engine.prepare(image, crop)
    chosen = [m for m in dict.fromkeys(methods) if not METHODS[m].slow]
    subject = Subject(
        engine.network, engine, Frames((0,), (prepared.crop,), prepared.input[None]), chosen, seed=0
    )
    total = (
        subject.prepare_cost()
        + perturbation.cost(subject)
        + shift.cost(subject)
        + theory.cost(subject)
        + sum(map(cost_of, chosen))
        + 2
    )
    done = 0.0

    def tick(amount: float) -> None:
        nonlocal done
        done = min(done + amount, total)
        progress(done / total)

    subject.prepare(tick)
    deletion = perturbation.run(subject, tick)
    moved = shift.run(subject, tick)
    head = randomisation.head_alone(subject, tick)
    compared = theory.run(subject, tick)
    shown = {METHODS[m].title for m in subject.maps}
    lines = [s for s in deletion.plots[0].series if s.aside or s.name in shown]
    first = Plot("Most relevant first", "% replaced", f"change in {subject.unit}", lines)
    curves = [
        Series(name, series.x, series.y)
        for plot in compared.plots[:1]
        for name, series in zip(("Pearson", "Spearman"), plot.series, strict=False)
    ]
    lines = [s for s in moved.plots[0].series if s.aside or s.name in shown]
    second = Plot("What the map marks, shifted", "% of the width", f"change in {subject.unit}", lines)
    third = Plot("VBP against |LRP|", "eps", "correlation", curves, log_x=True)
    verdicts = [
        _of_deletion(subject, deletion.numbers),
        _of_shift(subject, moved.numbers),
        _of_head(head),
        _of_theory(compared),
    ]
    return Quick((first, second, third), tuple(v for v in verdicts if v))


def _of_deletion(subject: Subject, numbers: dict[str, Any]) -> str:
    random = numbers["random"]["aopc"]["value"]
    by_method = {METHODS[m].title: v["aopc_most"]["value"] for m, v in numbers["methods"].items()}
    if not by_method:
        return ""
    unit = subject.unit
    # As they are printed: equal texts are not "more".
    more = {title: round(v, 1) > round(random, 1) for title, v in by_method.items()}
    better = [f"{title} {v:.1f}{unit}" for title, v in by_method.items() if more[title]]
    worse = [f"{title} {v:.1f}{unit}" for title, v in by_method.items() if not more[title]]
    what = "the class's probability" if subject.spec.is_classifier else "the angle"
    out = f"Replacing the {perturbation.STEPS} most relevant regions first changes {what} "
    parts = []
    if better:
        parts.append(f"more than random regions do ({random:.1f}{unit}): {', '.join(better)}")
    if worse:
        parts.append(
            f"{'' if better else 'by '}no more than random ones ({random:.1f}{unit}): {', '.join(worse)}"
        )
    return out + "; ".join(parts) + "."


def _of_shift(subject: Subject, numbers: dict[str, Any]) -> str:
    shares = {name: one["share"]["value"] for name, one in numbers["maps"].items()}
    known = [f"{shift.title(name)} {100 * v:.0f} %" for name, v in shares.items() if np.isfinite(v)]
    if not any(name in METHODS for name in shares) or not known:
        return ""
    everything = numbers["everything"]["value"]
    return (
        f"Shifting the whole picture sideways changes the {'probability' if subject.spec.is_classifier else 'angle'} by "
        f"{everything:.1f}{subject.unit} on average. Of the change by shifting what the map marks and all else in turn, what is marked makes "
        f"up: {', '.join(known)}."
    )


def _of_head(head: dict[str, float]) -> str:
    same = [METHODS[m].title for m, v in head.items() if v >= randomisation.SAME]
    other = [f"{METHODS[m].title} {v:.2f}" for m, v in head.items() if v < randomisation.SAME]
    zero = [METHODS[m].title for m, v in head.items() if not np.isfinite(v)]
    parts = []
    if same:
        parts.append(f"unchanged: {', '.join(same)}")
    if other:
        parts.append(f"changed, Spearman: {', '.join(other)}")
    if zero:
        parts.append(f"constant: {', '.join(zero)}")
    return f"With random fully connected layers the map is {'; '.join(parts)}." if parts else ""


def _of_theory(compared: Outcome) -> str:
    if not compared.numbers["frames"]:
        return compared.findings[0]
    of = compared.numbers["compared"]
    values = {name: figure(of[name]["pearson"]["value"]) for name in (GUARDED, INSIDE)}
    out = f"VisualBackProp and |phi| correlate at {values[GUARDED]} (Pearson), "
    out += f"at {values[INSIDE]} where phi passes only through neurons inside its lemma"
    by_eps = [line for line in compared.findings if line.startswith("LRP is most similar")]
    return ". ".join([out, *(line.removesuffix(".") for line in by_eps)]) + "."
