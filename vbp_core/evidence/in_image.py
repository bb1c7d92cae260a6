"""How much of the image is in a map."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from vbp.errors import ExplainError
from vbp.evidence.intervals import estimate
from vbp.evidence.measures import edges, pearson
from vbp.evidence.subject import Maps, Subject
from vbp.explain.target import Target
from vbp.graph.trace import Trace

SIGMA = 3.0  # pixels: what is coarser is not in the high-passed image
LIKENESS = {"image": "the image", "high_passed": "the high-passed image", "edges": "its edges"}


def to_image(subject: Subject, relevance: Maps, n: int) -> tuple[float, float, float]:
    """LIKENESS: |Pearson's correlation| of the map, signed where it is, with the grey image and with that less its blur (a Gaussian's),
    whichever is dark in it; and Pearson's of |map| with the image's edges."""
    image = subject.frames.inputs[n]
    grey = image.astype(np.float64)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    fine = grey - cv2.GaussianBlur(grey, (0, 0), SIGMA)
    return (
        abs(pearson(relevance, grey)),
        abs(pearson(relevance, fine)),
        pearson(np.abs(relevance), edges(image)),
    )


def likeness(rows: list[tuple[float, float, float]]) -> dict[str, dict[str, Any]]:
    """Estimates of rows of `to_image`, as plain data."""
    return {name: asdict(estimate([row[k] for row in rows])) for k, name in enumerate(LIKENESS)}


def explain_or_none(subject: Subject, trace: Trace, method: str, target: Target | None = None) -> Maps | None:
    """None where the method cannot explain such a network."""
    try:
        return subject.explain(trace, method, target)
    except ExplainError:
        return None
