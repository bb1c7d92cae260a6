"""What is explained of a network, in the words of people: its steering wheel angle, or its class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from vbp.errors import ExplainError
from vbp.explain.target import Target, parse_target
from vbp.models.spec import NetworkSpec


def spec_target(
    spec: NetworkSpec,
    wanted: Target | str | None = None,
    driven_rad: float | NDArray[np.float64] = float("nan"),
) -> Target:
    """What is explained, of the steering wheel angle: a network whose right is positive is turned round.

    wanted: a Target or its words (`parse_target`); None is the angle, and of a classifier the predicted class, as
    is "output" there. driven_rad: the driven angle, for all frames or (N,); NaN where it is not known. Raises
    ExplainError for words that are none, for what a classifier has not (an angle, its error), and for a class of
    a steering network.
    """
    if wanted is None:
        wanted = "output"
    chosen = parse_target(wanted) if isinstance(wanted, str) else wanted
    if spec.is_classifier:
        return _of_classes(spec, chosen)
    if chosen.kind == "class":
        raise ExplainError(
            f"{spec.name} predicts an angle and has no classes, so there is no class to explain; "
            "accepted: output, negative, magnitude, error, error-magnitude"
        )
    factor = spec.output_to_radians
    sign = float(np.sign(factor))
    driven = torch.as_tensor(np.asarray(driven_rad, dtype=np.float64) / abs(factor))
    driven = driven + sign * spec.output_offset
    if chosen.index is not None:
        return replace(chosen, sign=sign, driven=driven)
    bins, largest = spec.output_bins, spec.output_reading == "largest"
    return replace(chosen, index=spec.output_index, sign=sign, driven=driven, bins=bins, largest=largest)


def _of_classes(spec: NetworkSpec, chosen: Target) -> Target:
    if chosen.kind == "output" and chosen.index is None:
        return replace(chosen, kind="class")
    if chosen.kind.startswith("error") or (chosen.kind != "class" and chosen.index is None):
        raise ExplainError(
            f"{spec.name} predicts classes and has no angle, so there is no {chosen.kind} to explain; "
            "accepted: class (the predicted one), class:N"
        )
    return chosen
