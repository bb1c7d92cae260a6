"""The methods by name. A new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vbp_core.errors import ExplainError
from vbp_core.explain.lrp import EPS, lrp
from vbp_core.explain.trace import Trace
from vbp_core.explain.visualbackprop import visualbackprop


@dataclass(frozen=True)
class Parameter:
    """A number that a method takes, with its range for sliders. A switch goes from 0 to 1 in whole steps."""

    name: str
    title: str
    default: float
    minimum: float
    maximum: float
    log: bool = False
    switch: bool = False


@dataclass(frozen=True)
class Method:
    """`function(trace, target, **parameters) -> (N, H, W)`. Unsigned maps lie in [0, 1], signed ones in [-1, 1]."""

    name: str
    title: str
    function: Callable[..., Tensor]
    signed: bool = False
    parameters: tuple[Parameter, ...] = ()


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("visualbackprop", "VisualBackProp", visualbackprop),
        Method(
            "lrp",
            "LRP",
            lrp,
            signed=True,
            parameters=(
                Parameter("eps", "eps", EPS, 1e-4, 1e4, log=True),
                Parameter("bias", "bias in the denominator", 1, 0, 1, switch=True),
            ),
        ),
    )
}


def explain(trace: Trace, method: str, target: int | None = None, **parameters: float) -> Tensor:
    """Relevance (N, H, W) by the method's name. Raises ExplainError for an unknown name or parameter."""
    chosen = METHODS.get(method)
    if chosen is None:
        raise ExplainError(f"there is no method {method!r}; accepted: {', '.join(METHODS)}")
    known = {p.name: p for p in chosen.parameters}
    for name in parameters:
        if name not in known:
            raise ExplainError(
                f"{chosen.title} has no parameter {name!r}; accepted: {', '.join(known) or 'none'}"
            )
    values = {k: bool(v) if known[k].switch else v for k, v in parameters.items()}
    return chosen.function(trace, target, **values)
