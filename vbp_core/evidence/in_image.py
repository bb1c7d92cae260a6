"""How much of the image is in a map."""

from __future__ import annotations

import numpy as np

from vbp.errors import ExplainError
from vbp.evidence.measures import edges, pearson
from vbp.evidence.subject import Maps, Subject
from vbp.explain.target import Target
from vbp.graph.trace import Trace


def to_image(subject: Subject, relevance: Maps, n: int) -> tuple[float, float]:
    """Pearson's correlation of |map| with the grey image, and with its edges."""
    image = subject.frames.inputs[n]
    grey = image.astype(np.float64)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    size = np.abs(relevance)
    return pearson(size, grey), pearson(size, edges(image))


def explain_or_none(subject: Subject, trace: Trace, method: str, target: Target | None = None) -> Maps | None:
    """None where the method cannot explain such a network."""
    try:
        return subject.explain(trace, method, target)
    except ExplainError:
        return None
