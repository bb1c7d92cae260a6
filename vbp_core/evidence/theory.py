"""VisualBackProp against phi (Bojarski et al. 2016, Remark 1), read in several ways, and against LRP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from vbp.errors import ExplainError
from vbp.evidence import readings
from vbp.evidence.ground_truth import on_lanes, times
from vbp.evidence.intervals import Estimate, estimate, words
from vbp.evidence.measures import edges, pearson, spearman
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick
from vbp.evidence.readings import GUARDED, READINGS
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import explain
from vbp.simulate.truth import Truth

EPS = tuple(10.0**k for k in range(-4, 5))
BOX = 9  # pixels over which maps are averaged, to be compared without their high frequencies
NEAR, RELATED = 0.9, 0.5
MEASURES = ("pearson", "spearman", "smooth")
POSITIVE, EDGES_PHI, EDGES_VBP = (
    "phi's positive part",
    "edges of the image and |phi|",
    "edges of the image and VBP",
)


def cost(subject: Subject) -> float:
    return (1.1 + 4.0 * len(READINGS) + 2.0 * len(EPS)) * len(subject)


def run(subject: Subject, tick: Tick, truth: Truth | None = None) -> Outcome:
    """VisualBackProp's mask against the size of phi, as Lemma 3 may be read (`readings`), and against |LRP| with eps from 1e-4 to 1e4.

    Remark 1 says that for small kernels phi_VBP (Theorem 1: the sum over paths of products of activations) is a good
    approximation of phi (Lemma 3), which weighs every edge by w / (a + b) as well. Pearson's and Spearman's correlation over
    pixels, the latter as the paper's third footnote expects a monotonic function, and Pearson's of maps averaged over 9 x 9
    pixels, since masks are smooth and phi is noisy; how many times its area's share lies on the markings, where there is a
    truth. The baseline of a correlation: the edges of the image (Sobel).
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    shares: dict[str, list[tuple[float, ...]]] = {"halves": [], "outside": []}
    lanes: dict[str, list[tuple[float, float]]] = {}
    try:
        for n in range(len(subject)):
            _compare(subject, n, tick, truth, found, shares, lanes)
    except ExplainError as error:  # one of the three cannot explain the network
        return Outcome(numbers={"frames": []}, findings=[f"Remark 1 cannot be tested here: {error}."])
    numbers: dict[str, Any] = {
        "frames": list(subject.frames.numbers),
        "compared": {
            name: {m: asdict(estimate([v[k] for v in rows])) for k, m in enumerate(MEASURES)}
            for name, rows in found.items()
        },
        "phi_and_lrp": [asdict(estimate([v[3] for v in found[_lrp(eps)]])) for eps in EPS],
        "half_of_phi": asdict(estimate([v[0] for v in shares["halves"]])),
        "half_of_vbp": asdict(estimate([v[1] for v in shares["halves"]])),
        "bias_adds": asdict(estimate([v[0] for v in shares["outside"]])),
        "gamma_negative": asdict(estimate([v[1] for v in shares["outside"]])),
        "times_the_markings": {name: asdict(estimate(rows, times)) for name, rows in lanes.items()},
    }
    return _outcome(numbers)


def _lrp(eps: float) -> str:
    return f"|LRP|, eps {eps:g}"


def _compare(
    subject: Subject,
    n: int,
    tick: Tick,
    truth: Truth | None,
    found: dict[str, list[tuple[float, ...]]],
    shares: dict[str, list[tuple[float, ...]]],
    lanes: dict[str, list[tuple[float, float]]],
) -> None:
    """Adds frame n."""
    trace = subject.trace(n)
    vbp = _numpy(explain(trace, "visualbackprop")[0])
    edge = edges(subject.frames.inputs[n])
    maps = {}
    for name in READINGS:
        maps[name] = _numpy(readings.reading(trace, name)[0])
        found.setdefault(name, []).append(_alike(vbp, np.abs(maps[name])))
        tick(4)
    phi = maps[GUARDED]
    found.setdefault(POSITIVE, []).append(_alike(vbp, np.clip(phi, 0, None)))
    found.setdefault(EDGES_PHI, []).append(_alike(edge, np.abs(phi)))
    found.setdefault(EDGES_VBP, []).append(_alike(edge, vbp))
    shares["halves"].append((half(phi), half(vbp)))
    shares["outside"].append(readings.outside(trace))
    for eps in EPS:
        relevance = np.abs(_numpy(explain(trace, "lrp", subject.target, eps=eps)[0]))
        found.setdefault(_lrp(eps), []).append((*_alike(vbp, relevance), pearson(np.abs(phi), relevance)))
        tick(2)
    number = subject.frames.numbers[n]
    if truth is not None and truth.has(number):
        for name, one in {"visualbackprop": vbp, **maps}.items():
            lanes.setdefault(name, []).append(on_lanes(truth, number, np.abs(one), subject.frames.crops[n]))


def half(values: Floats) -> float:
    """The share of the pixels that hold half of the sum of |values|, the strongest first; NaN where all are zero."""
    size = np.sort(np.abs(values).ravel())[::-1]
    if not size[0] > 0:
        return float("nan")
    summed = np.cumsum(size)
    return float((np.searchsorted(summed, summed[-1] / 2) + 1) / size.size)


def _numpy(values: Any) -> Floats:
    return np.asarray(values.double().cpu().numpy(), dtype=np.float64)


def _alike(a: Floats, b: Floats) -> tuple[float, float, float]:
    """MEASURES."""
    smooth = [cv2.blur(np.ascontiguousarray(m, dtype=np.float64), (BOX, BOX)) for m in (a, b)]
    return pearson(a, b), spearman(a, b), pearson(*smooth)


def _outcome(numbers: dict[str, Any]) -> Outcome:
    out = Outcome(numbers=numbers, findings=findings(numbers))
    compared, on_markings = numbers["compared"], numbers["times_the_markings"]
    frames = len(numbers["frames"])
    rows: list[list[str | float]] = []
    for name, one in compared.items():
        title = READINGS.get(name, name)
        row: list[str | float] = [
            title if " and " in title else f"VBP and |{title}|" if name in READINGS else f"VBP and {title}"
        ]
        row += [Estimate(**one[m]).words() for m in MEASURES]
        if on_markings:
            row.append(Estimate(**on_markings[name]).words(1) if name in on_markings else math.nan)
        rows.append(row)
    columns = ["maps", "Pearson", "Spearman", f"averaged {BOX}×{BOX}"]
    note = f"{frames} frames; in brackets the 95 % interval over blocks of them."
    if on_markings:
        columns.append("times the markings' area")
        own = Estimate(**on_markings["visualbackprop"]).words(1)
        note += f" The share of the map on the lane markings over their share of the area: of VisualBackProp itself {own}."
    out.tables.append(
        Table(
            "Remark 1: VisualBackProp against phi, as Lemma 3 may be read, and against LRP",
            columns,
            rows,
            note,
        )
    )
    lines = [
        Series(name, EPS, [compared[_lrp(eps)][m]["value"] for eps in EPS])
        for name, m in zip(
            ("VBP, Pearson", "VBP, Spearman", f"VBP, averaged {BOX}×{BOX}"), MEASURES, strict=True
        )
    ]
    lines.append(Series("|phi|, Pearson", EPS, [v["value"] for v in numbers["phi_and_lrp"]]))
    vbp_phi = compared[GUARDED]["pearson"]["value"]
    lines.append(Series("VBP and |phi|, Pearson", EPS, [vbp_phi] * len(EPS), aside=True))
    out.plots.append(Plot("Against |LRP| over eps", "eps", "correlation", lines, log_x=True))
    return out


def findings(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences from `Outcome.numbers`."""
    compared = numbers["compared"]
    of = {name: Estimate(**compared[name]["pearson"]) for name in READINGS}
    ranked = {name: Estimate(**compared[name]["spearman"]) for name in READINGS}
    found = []
    if any(math.isfinite(e.value) for e in of.values()):
        found += _of_remark_1(of, ranked)
        found.append(_of_the_model(numbers))
        grain, mask = (_percent(numbers[key], 1) for key in ("half_of_phi", "half_of_vbp"))
        found.append(f"Half of |phi| lies on {grain} % of the pixels, half of the mask on {mask} %.")
    else:
        found.append("Remark 1 cannot be tested here: VisualBackProp or phi is constant on every frame.")
    by_eps = [Estimate(**compared[_lrp(eps)]["pearson"]) for eps in EPS]
    best = best_of(by_eps)
    if best is not None:
        found.append(f"LRP is most similar to it at eps {EPS[best]:g} (Pearson {by_eps[best].words()}).")
    return found


def best_of(values: list[Estimate]) -> int | None:
    """The number of the largest that is known."""
    known = [k for k, e in enumerate(values) if math.isfinite(e.value)]
    return max(known, key=lambda k: values[k].value) if known else None


def _of_remark_1(of: Mapping[str, Estimate], ranked: Mapping[str, Estimate]) -> list[str]:
    """The readings by what their intervals allow to say."""
    groups: dict[str, list[str]] = {"close": [], "related": [], "neither": [], "open": []}
    for name, e in of.items():
        said = f"{READINGS[name]}: {e.words()}, Spearman {ranked[name].words()}"
        low, high = (e.low, e.high) if math.isfinite(e.low) else (e.value, e.value)
        if not math.isfinite(e.value):
            continue
        if low >= NEAR:
            groups["close"].append(said)
        elif low >= RELATED and high < NEAR:
            groups["related"].append(said)
        elif high < RELATED:
            groups["neither"].append(said)
        else:
            groups["open"].append(said)
    return [
        f"Remark 1, {said} {limits}: {'; '.join(groups[key])}."
        for key, said, limits in (
            ("close", "VisualBackProp is a close approximation", f"(Pearson of {NEAR} or more) of"),
            ("related", "VisualBackProp is related to, and no close approximation", f"(Pearson from {RELATED} to {NEAR}) of"),
            ("neither", "VisualBackProp is not a close approximation", f"(Pearson below {RELATED}) of"),
            ("open", "these frames leave open whether VisualBackProp is", f"related or close to (limits {RELATED} and {NEAR})"),
        )
        if groups[key]
    ]  # fmt: skip


def _of_the_model(numbers: Mapping[str, Any]) -> str:
    if not numbers["bias_adds"]["value"] > 0:
        return (
            "No active neuron is outside of the paper's model, in which biases only take flow away (Lemma 1)."
        )
    return (
        f"The bias adds in {_percent(numbers['bias_adds'])} % of the active neurons, and gamma is negative in "
        f"{_percent(numbers['gamma_negative'])} %: they are outside of the paper's "
        "model, in which biases only take flow away (Lemma 1), and phi has its poles there."
    )


def _percent(numbers: Mapping[str, float], decimals: int = 0) -> str:
    return words({key: 100 * numbers[key] for key in ("value", "low", "high")}, decimals)
