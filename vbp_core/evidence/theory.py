"""How well VisualBackProp approximates phi, (Bojarski et al. 2016, Remark 1), and how similar it is to LRP."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np

from vbp.errors import ExplainError
from vbp.evidence.measures import edges, mean, pearson, spearman
from vbp.evidence.outcome import Outcome, Plot, Series, Table, Tick, figure
from vbp.evidence.subject import Floats, Subject
from vbp.explain.registry import explain

EPS = tuple(10.0**k for k in range(-4, 5))
FRAMES = 24
BOX = 9  # pixels over which maps are averaged, to be compared without their high frequencies
NEAR, RELATED, SOME = 0.9, 0.5, 0.1
ALL = 1.0 + 0.1 + 2.0 + 2.0 * len(EPS)


Alike: TypeAlias = tuple[float, float, float]


def cost(subject: Subject) -> float:
    return ALL * len(subject.some(FRAMES))


def run(subject: Subject, tick: Tick) -> Outcome:
    """VisualBackProp's mask against |phi| (Lemma 3) and |LRP| with eps from 1e-4 to 1e4, frame by frame.

    Remark 1 says that for small kernels the difference between phi_VBP (Definition 3: products of activations) and phi is
    small. Pearson's and Spearman's correlation over pixels, and Pearson's of maps averaged over 9 x 9 pixels, since
    masks are smooth and phi is noisy. The baseline of a correlation: the edges of the image
    (Sobel) against phi. phi is signed; its size is compared, and its positive part beside it.
    """
    try:
        frames = [_compared(subject, n, tick) for n in subject.some(FRAMES)]
    except ExplainError as error:  # one of the three cannot explain the network
        return Outcome(numbers={"frames": []}, findings=[f"Remark 1 cannot be tested here: {error}."])
    return _outcome(subject, frames)


def _compared(subject: Subject, n: int, tick: Tick) -> dict[str, Any]:
    trace = subject.trace(n)
    vbp = _numpy(explain(trace, "visualbackprop")[0])
    phi = _numpy(explain(trace, "phi")[0])
    image = subject.frames.inputs[n]
    one: dict[str, Any] = {
        "frame": subject.frames.numbers[n],
        "phi": _alike(vbp, np.abs(phi)),
        "phi_positive": _alike(vbp, np.clip(phi, 0, None)),
        "phi_half": half(phi),
        "vbp_half": half(vbp),
        "edges_phi": _alike(edges(image), np.abs(phi)),
        "edges_vbp": _alike(edges(image), vbp),
        "lrp": [],
    }
    tick(3)
    for eps in EPS:
        relevance = np.abs(_numpy(explain(trace, "lrp", subject.target, eps=eps)[0]))
        one["lrp"].append(
            {"eps": eps, **_alike(vbp, relevance), "phi_pearson": pearson(np.abs(phi), relevance)}
        )
        tick(2)
    return one


def half(values: Floats) -> float:
    """The share of the pixels that hold half of the sum of |values|, the strongest first; NaN where all are zero."""
    size = np.sort(np.abs(values).ravel())[::-1]
    if not size[0] > 0:
        return float("nan")
    summed = np.cumsum(size)
    return float((np.searchsorted(summed, summed[-1] / 2) + 1) / size.size)


def _numpy(values: Any) -> Floats:
    return np.asarray(values.double().cpu().numpy(), dtype=np.float64)


def _alike(a: Floats, b: Floats) -> dict[str, float]:
    smooth = [cv2.blur(np.ascontiguousarray(m, dtype=np.float64), (BOX, BOX)) for m in (a, b)]
    return {"pearson": pearson(a, b), "spearman": spearman(a, b), "smooth": pearson(*smooth)}


def _outcome(subject: Subject, frames: list[dict[str, Any]]) -> Outcome:
    out = Outcome(numbers={"frames": frames})
    rows: list[list[str | float]] = []

    def row(name: str, values: list[dict[str, float]]) -> tuple[float, float, float]:
        p, s, b = (np.array([v[k] for v in values]) for k in ("pearson", "spearman", "smooth"))
        known = p[np.isfinite(p)]
        low, high = np.percentile(known, (10, 90)) if known.size > 1 else (np.nan, np.nan)
        rows.append([name, mean(p), float(low), float(high), mean(s), mean(b)])
        return mean(p), mean(s), mean(b)

    vbp_phi = row("VBP and |phi|", [f["phi"] for f in frames])
    row("VBP and phi's positive part", [f["phi_positive"] for f in frames])
    edge_phi = row("edges of the image and |phi|", [f["edges_phi"] for f in frames])
    row("edges of the image and VBP", [f["edges_vbp"] for f in frames])
    for k, eps in enumerate(EPS):
        row(f"VBP and |LRP|, eps {eps:g}", [f["lrp"][k] for f in frames])
    out.tables.append(
        Table(
            "Correlation over pixels",
            ["maps", "Pearson", "10 %", "90 %", "Spearman", f"averaged {BOX}×{BOX}"],
            rows,
            f"{len(frames)} frames: the mean, and where 10 % and 90 % of the frames' Pearson correlations lie, – of one.",
        )
    )
    curves = {
        "VBP, Pearson": [mean([f["lrp"][k]["pearson"] for f in frames]) for k in range(len(EPS))],
        "VBP, Spearman": [mean([f["lrp"][k]["spearman"] for f in frames]) for k in range(len(EPS))],
        f"VBP, averaged {BOX}×{BOX}": [
            mean([f["lrp"][k]["smooth"] for f in frames]) for k in range(len(EPS))
        ],
        "|phi|, Pearson": [mean([f["lrp"][k]["phi_pearson"] for f in frames]) for k in range(len(EPS))],
    }
    lines = [Series(name, EPS, y) for name, y in curves.items()]
    lines.append(Series("VBP and |phi|, Pearson", EPS, [vbp_phi[0]] * len(EPS), aside=True))
    out.plots.append(Plot("Against |LRP| over eps", "eps", "correlation", lines, log_x=True))
    if np.isfinite(vbp_phi).all():
        out.findings += _of_phi(frames, vbp_phi, edge_phi)
    else:
        out.findings.append(
            "Remark 1 cannot be tested here: VisualBackProp or phi is constant on every frame."
        )
    best = curves["VBP, Pearson"]
    if np.isfinite(best).any():
        k = int(np.nanargmax(best))
        out.findings.append(f"LRP is most similar to it at eps {EPS[k]:g} (Pearson {figure(best[k])}).")
    return out


def _of_phi(frames: list[dict[str, Any]], vbp_phi: Alike, edge_phi: Alike) -> list[str]:
    """Pearson's, Spearman's and the averaged correlation of each with |phi|, in words."""
    found: list[str] = []
    words = (
        "a close approximation"
        if vbp_phi[0] >= NEAR
        else "related"
        if vbp_phi[0] >= RELATED
        else "not a close approximation"
    )
    found.append(
        f"Remark 1: VisualBackProp is {words} of |phi| pixel by pixel (Pearson {figure(vbp_phi[0])}, Spearman {figure(vbp_phi[1])}; "
        f"close from {NEAR}, related from {RELATED}), and correlates at {figure(vbp_phi[2])} where both are averaged over {BOX}×{BOX} pixels."
    )
    grain, mask = mean([f["phi_half"] for f in frames]), mean([f["vbp_half"] for f in frames])
    found.append(
        f"Half of |phi| lies on {100 * grain:.2g} % of the pixels, half of the mask on {100 * mask:.2g} %: phi divides by inputs "
        "without the bias, which may be near zero."
    )
    if max(vbp_phi[2], edge_phi[2]) >= SOME:
        than = "more than" if vbp_phi[2] > edge_phi[2] else "no more than"
        found.append(
            f"Averaged, it agrees with |phi| {than} the plain edges of the image do "
            f"({figure(vbp_phi[2])} against {figure(edge_phi[2])})."
        )
    return found
