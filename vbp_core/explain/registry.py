"""The methods by name. A new one is one file and one entry here.

The defaults of the parameters are those of the functions, which a test holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, cast

from vbp.errors import ExplainError, OpaqueLayerError

if TYPE_CHECKING:  # torch takes seconds to load, and which methods there are is asked for without it
    from torch import Tensor

    from vbp.explain.target import TargetLike
    from vbp.graph.strength import Strength
    from vbp.graph.trace import Trace


@dataclass(frozen=True)
class Parameter:
    """A number that a method takes, with its range for sliders. A switch goes from 0 to 1 in whole steps.

    log: its slider is logarithmic. whole: it is a whole number. tip: more words than the title has.
    """

    name: str
    title: str
    default: float
    minimum: float
    maximum: float
    log: bool = False
    switch: bool = False
    whole: bool = False
    tip: str = ""

    def checked(self, value: float, method: str) -> float:
        """The value, as a bool or an int where it is one. Raises ExplainError for what is no such number."""
        wanted = "a number"
        if self.switch:
            wanted = "0 or 1"
        elif self.whole:
            wanted = "a whole number"
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        good = math.isfinite(number)
        if good and self.switch:
            good = number in (0, 1)
        elif good and self.whole:
            good = number == int(number)
        if not good:
            raise ExplainError(f"{self.name} of {method} is {wanted}, not {value!r}")
        return bool(number) if self.switch else int(number) if self.whole else number


@dataclass(frozen=True)
class Method:
    """`function(trace, target, **parameters) -> (N, H, W)`. Unsigned maps lie in [0, 1], signed ones in [-1, 1].

    It may take a `strength`, too, which it tells by what it divides.

    place: the function, or where it stands in this package, "FILE.FUNCTION": it is loaded when it runs.
    source: the paper, for people. targeted: False where the target has no effect. slow: seconds a frame, not milliseconds.
    """

    name: str
    title: str
    place: str | Callable[..., Tensor]
    signed: bool = False
    parameters: tuple[Parameter, ...] = ()
    source: str = ""
    targeted: bool = True
    slow: bool = False

    @cached_property
    def function(self) -> Callable[..., Tensor]:
        if callable(self.place):
            return self.place
        file, name = self.place.split(".")
        return cast("Callable[..., Tensor]", getattr(import_module(f"vbp.explain.{file}"), name))

    @cached_property
    def says_strength(self) -> bool:
        return "strength" in signature(self.function).parameters

    def checked(self, parameters: Mapping[str, float]) -> dict[str, float]:
        """The parameters as the function takes them. Raises ExplainError for one that it has not, or of no use."""
        known = {p.name: p for p in self.parameters}
        for name in parameters:
            if name not in known:
                raise ExplainError(
                    f"{self.title} takes no {name!r}; it takes: {', '.join(known) or 'nothing'}"
                )
        return {name: known[name].checked(value, self.title) for name, value in parameters.items()}


_BIAS = Parameter("bias", "bias", 1, 0, 1, switch=True, tip="the bias counts in the denominator")

METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method(
            "visualbackprop",
            "VisualBackProp",
            "visualbackprop.visualbackprop",
            source="Bojarski et al. 2016, section 3",
            targeted=False,
        ),
        Method(
            "lrp",
            "LRP",
            "lrp.lrp",
            signed=True,
            parameters=(Parameter("eps", "eps", 100.0, 1e-4, 1e4, log=True), _BIAS),
            source="Samek et al. 2016, Eq. 6",
        ),
        Method(
            "lrp-alpha-beta",
            "LRP alpha-beta",
            "lrp_alpha_beta.lrp_alpha_beta",
            signed=True,
            parameters=(Parameter("alpha", "alpha", 2.0, 1, 5), _BIAS),
            source="Bach et al. 2015, Eq. 60",
        ),
        Method(
            "lrp-composite",
            "LRP composite",
            "lrp_alpha_beta.lrp_composite",
            signed=True,
            parameters=(
                Parameter("alpha", "alpha", 1.0, 1, 5),
                Parameter("eps", "eps", 0.01, 1e-4, 1e4, log=True),
            ),
            source="Kohlbrenner et al. 2020, LRP-CMP",
        ),
        Method("phi", "phi", "phi.phi", signed=True, source="Bojarski et al. 2016, Lemma 3", targeted=False),
        Method(
            "fbi",
            "Forward-Backward",
            "fbi.fbi",
            signed=True,
            parameters=(
                Parameter(
                    "tau",
                    "tau",
                    10.0,
                    0.01,
                    1e3,
                    log=True,
                    tip="products with the forward activation up to this are dropped",
                ),
                Parameter("keep", "maps", 0.5, 0.05, 1, tip="share of the maps that is kept"),
                Parameter("every", "each layer", 1, 0, 1, switch=True, tip="maps are chosen in every layer"),
                Parameter(
                    "relative", "tau in ‰", 1, 0, 1, switch=True, tip="tau is in ‰ of the layer's largest"
                ),
                Parameter(
                    "mask", "mask", 1, 0, 1, switch=True, tip="off: nothing is dropped, whatever tau is"
                ),
            ),
            source="Forward-Backward Interpretability",
        ),
        Method("saliency", "Saliency", "saliency.saliency", source="Simonyan et al. 2014, section 3"),
        Method(
            "gradient-input",
            "Gradient × input",
            "gradient_input.gradient_input",
            signed=True,
            source="Shrikumar et al. 2016, section 2",
        ),
        Method(
            "deconvnet",
            "DeconvNet",
            "deconvnet.deconvnet",
            signed=True,
            source="Zeiler and Fergus 2014, section 2.1",
        ),
        Method(
            "guided-backprop",
            "Guided Backprop",
            "guided_backprop.guided_backprop",
            signed=True,
            source="Springenberg et al. 2015, section 3.4",
        ),
        Method(
            "grad-cam",
            "Grad-CAM",
            "grad_cam.grad_cam",
            parameters=(Parameter("back", "layers back", 0, 0, 9, whole=True),),
            source="Selvaraju et al. 2017, Eq. 1 and 2",
        ),
        Method(
            "occlusion",
            "Occlusion",
            "occlusion.occlusion",
            signed=True,
            parameters=(Parameter("size", "patch", 32.0, 8, 96, whole=True),),
            source="Zeiler and Fergus 2014, section 4.2",
            slow=True,
        ),
    )
}


def explain(
    trace: Trace,
    method: str,
    target: TargetLike = None,
    strength: Strength | None = None,
    /,
    **parameters: float,
) -> Tensor:
    """Relevance (N, H, W) by the method's name. Raises ExplainError for an unknown name or parameter.

    strength: is told how much each frame's map was before it was scaled.
    """
    chosen = METHODS.get(method) if isinstance(method, str) else None
    if chosen is None:
        raise ExplainError(f"there is no method {method!r}; accepted: {', '.join(METHODS)}")
    from vbp.devices import full_float32

    try:
        told = {"strength": strength} if strength is not None and chosen.says_strength else {}
        with full_float32():
            return chosen.function(trace, target, **told, **chosen.checked(parameters))
    except OpaqueLayerError as error:
        raise OpaqueLayerError(error.layer, chosen.title) from error


def unavailable_reason(method: str, error: ExplainError) -> str:
    """One sentence: there is no map of `method`, and why."""
    return f"{METHODS[method].title} shows nothing of this network: {error}"
