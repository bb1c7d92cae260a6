"""The maps of a network during training: the checkpoints of a run, on the frames of the experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vbp.engine import Engine
from vbp.errors import VbpError
from vbp.evidence.in_image import LIKENESS, explain_or_none, likeness, to_image
from vbp.evidence.intervals import estimate, low_of, words
from vbp.evidence.measures import spearman
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.subject import Maps, Subject
from vbp.evidence.subject import cost as cost_of
from vbp.explain.registry import METHODS
from vbp.models.spec import NetworkSpec
from vbp.preprocess import to_tensor
from vbp.training.folder import Run

CHECKPOINTS = 6  # at most, evenly spread
SAME = 0.8  # Spearman of two maps' sizes, from which on a map hardly changed


def run(subject: Subject, tick: Tick, out: Outcome, training: Path) -> None:
    """Maps of the checkpoints of the run in the folder `training`, against the image and those of the last one.

    Adds to `out`. Raises VbpError for a folder that is no run, and for a run without a checkpoint.
    """
    checkpoints = Run(training).checkpoints()
    if not checkpoints:
        raise VbpError(f"{training} has no checkpoint yet; train for longer, or leave out --run")
    chosen = [
        checkpoints[k]
        for k in sorted(set(np.linspace(0, len(checkpoints) - 1, CHECKPOINTS).round().astype(int).tolist()))
    ]
    methods = subject.quick
    rows: list[dict[str, Any]] = []
    last: dict[tuple[str, int], Maps] = {}
    for checkpoint in chosen[::-1]:
        engine = Engine(checkpoint.load(), subject.engine.device)
        if _input(engine.spec) != _input(subject.spec):
            out.notes.append(
                f"Partly trained networks: left out, as {training} is of a network with another input."
            )
            return
        images = to_tensor(subject.frames.inputs, engine.spec, torch.device(engine.device))
        each: dict[str, list[tuple[tuple[float, float, float], float]]] = {m: [] for m in methods}
        for n in range(len(subject)):
            trace = engine.forward(images[n : n + 1])
            tick(1)
            for method in methods:
                made = explain_or_none(subject, trace, method, engine.target())
                tick(cost_of(method))
                if made is None:
                    continue
                if checkpoint is chosen[-1]:
                    last[method, n] = made
                end = last.get((method, n))
                like = spearman(np.abs(made), np.abs(end)) if end is not None else float("nan")
                each[method].append((to_image(subject, made, n), like))
        row: dict[str, Any] = {"epoch": checkpoint.epoch}
        for method, values in each.items():
            row[method] = likeness([v[0] for v in values])
            row[method]["spearman_to_last"] = asdict(estimate([v[1] for v in values]))
        rows.insert(0, row)
    out.numbers["partly_trained"] = rows
    _show(methods, len(subject), rows, out)


def _input(spec: NetworkSpec) -> tuple[object, ...]:
    """What must be the same for two networks to take the same prepared frames."""
    size = (spec.input_height, spec.input_width, spec.channels)
    return *size, spec.colour, spec.crop, spec.resize, spec.resize_to, spec.blur, spec.order


def _show(methods: Sequence[str], frames: int, rows: list[dict[str, Any]], out: Outcome) -> None:
    epochs = [row["epoch"] for row in rows]
    if len(rows) < 2:
        out.notes.append(
            f"Partly trained networks: left out, as there is only the checkpoint of epoch {epochs[0]:g}."
        )
        return
    first, end = f"epoch {epochs[0]:g}", f"epoch {epochs[-1]:g}"
    lines = [
        Series(METHODS[m].title, epochs, [row[m]["spearman_to_last"]["value"] for row in rows])
        for m in methods
    ]
    out.plots.append(Plot("During training", "epoch", f"Spearman to {end}", lines))
    cells: list[list[str | float]] = []
    for m in methods:
        one, all_ = rows[0][m], rows[-1][m]
        cells.append([METHODS[m].title, words(one["spearman_to_last"])])
        cells[-1] += [words(of[name]) for name in LIKENESS for of in (one, all_)]
    columns = ["method", f"{first} to {end}"]
    columns += [words_ for name in LIKENESS.values() for words_ in (f"{name}, {first}", end)]
    out.tables.append(
        Table(
            f"During training, from {first} to {end}",
            columns,
            cells,
            f"{frames} frames, {len(rows)} checkpoints; in brackets the 95 % interval over blocks of frames. Spearman of |map| between the first "
            "checkpoint and the last; Pearson of the map with the image, and of |map| with its edges. – : constant map, or the method cannot "
            "explain the network.",
        )
    )
    out.findings.append(findings(rows))


def findings(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence from `Outcome.numbers["partly_trained"]`."""
    of = {m: one["spearman_to_last"] for m, one in rows[0].items() if m != "epoch"}
    same = [f"{METHODS[m].title} ({words(one)})" for m, one in of.items() if low_of(one) >= SAME]
    return (
        f"From epoch {rows[0]['epoch']:g} to epoch {rows[-1]['epoch']:g} of the training the map hardly changes (Spearman of {SAME} or more) for: "
        f"{', '.join(same) or 'no method'}."
    )
