"""What is asked of a network about a frame, and what it said: plain data that every part of the program shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vbp.classes import class_name, percent_right
from vbp.edits.edit import NONE, Edits
from vbp.models.spec import NetworkSpec
from vbp.overlay import Rect

if TYPE_CHECKING:
    from vbp.graph.trace import Trace

VBP = "visualbackprop"
Map = NDArray[np.float32]


@dataclass(frozen=True)
class MapRequest:
    """One map: a method, the numbers that it takes, and which output it explains (`parse_target`; "": the default)."""

    method: str = VBP
    parameters: tuple[tuple[str, float], ...] = ()
    target: str = ""


def map_requests(
    methods: Sequence[str], parameters: Mapping[str, Mapping[str, float]] | None = None, target: str = ""
) -> tuple[MapRequest, ...]:
    """A request for each of `methods`. parameters: method -> parameter -> value."""
    numbers = parameters or {}
    return tuple(MapRequest(m, tuple(numbers.get(m, {}).items()), target) for m in dict.fromkeys(methods))


@dataclass(frozen=True)
class FrameRequest:
    """What is to be computed of a frame.

    maps: one for each request. layers: Figure 2b too. crop: what every network sees of the frame, in its pixels,
    instead of what its engine has. encoded: the frame's own picture file, where the recording has one.
    strict: a method that cannot explain a network raises ExplainError, instead of being named in `missing`.
    edits: made in the picture before a network sees it. hidden: what the last hidden layer puts out, too.
    """

    maps: tuple[MapRequest, ...] = (MapRequest(),)
    layers: bool = False
    crop: Rect | None = None
    encoded: bool = False
    strict: bool = False
    edits: Edits = NONE
    hidden: bool = False


@dataclass(frozen=True)
class Layer:
    """One row of Figure 2b. feature_map, mask: (h, w) float32, each with a maximum of 1 (all zero stays)."""

    name: str
    channels: int
    feature_map: Map
    mask: Map


@dataclass(frozen=True)
class ClassPrediction:
    """The most probable class, its probability, and the true class (-1, "" where it is not known).

    percent: what `percent_right` says, for the plot.
    """

    number: int
    name: str
    probability: float
    label: int
    label_name: str
    percent: float


def class_prediction(
    spec: NetworkSpec, probabilities: NDArray[np.float64], label: int
) -> ClassPrediction | None:
    """Of probabilities (K,) and the true class, UNKNOWN where it is not known; None where they are no numbers."""
    if not np.isfinite(probabilities).all():
        return None
    best = int(probabilities.argmax())
    names = class_name(spec, best), class_name(spec, label)
    return ClassPrediction(
        best, names[0], float(probabilities[best]), label, names[1], percent_right(probabilities, label)
    )


@dataclass(frozen=True)
class Prepared:
    """A network's input, as `preprocess.prepare` makes it: uint8 (h, w) or (h, w, 3), and the crop that it is of.

    warning: one sentence where the network's own crop does not fit the frame. ms: how long it took.
    """

    input: NDArray[np.uint8]
    crop: Rect
    warning: str
    ms: float


@dataclass(frozen=True)
class NetworkResult:
    """What one network made of one frame, in one forward pass.

    network: its name, as it stands in every file and picture. angle_rad: predicted steering wheel angle, radians,
    left positive; NaN of a classifier. crop: what it saw, in the frame's pixels; input: that, as uint8 (h, w) grey or
    (h, w, 3) RGB. maps: float32 (h, w) in the input's coordinates; missing: one sentence for each map that cannot
    be. strengths: of each of maps the largest |value| before it was scaled, as a logarithm to base 10; -inf where it is all
    zero, NaN where the network puts out no number. spreads: of each of maps the share of the pixels, 0..1, that holds half of the sum
    of |values|; NaN where it is all zero, or no number. dead: in words, the layer that puts out nothing, so that the prediction is a
    constant; "" where none is. warnings: sentences, where this frame's numbers or maps would mislead. stages_ms: milliseconds of
    "preprocess", "forward" and each method. path: how the forward pass was run, in words. trace: the activations, on the
    engine's device; None where the frame was one of several.
    hidden: float32 (units,), what the last hidden layer puts out (`vbp.graph.hidden`); None where it was not asked for.
    probabilities, classes: of a classifier, float64 (classes,) and the class that it predicts (None where they are no
    numbers); else None.
    """

    network: str
    angle_rad: float
    crop: Rect
    input: NDArray[np.uint8]
    maps: Mapping[MapRequest, Map] = field(default_factory=dict)
    strengths: Mapping[MapRequest, float] = field(default_factory=dict)
    spreads: Mapping[MapRequest, float] = field(default_factory=dict)
    missing: Mapping[MapRequest, str] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    dead: str = ""
    warnings: tuple[str, ...] = ()
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    path: str = ""
    probabilities: NDArray[np.float64] | None = None
    classes: ClassPrediction | None = None
    trace: Trace | None = None
    hidden: NDArray[np.float32] | None = None

    def map(self, method: str = VBP) -> Map | None:
        """The first map by `method`, float32 (h, w); None where there is none."""
        return next((values for request, values in self.maps.items() if request.method == method), None)

    @property
    def strength(self) -> float:
        """Of VisualBackProp's mask, see `strengths`; NaN where there is none."""
        return next((s for request, s in self.strengths.items() if request.method == VBP), math.nan)

    @property
    def spread(self) -> float:
        """Of VisualBackProp's mask, see `spreads`; NaN where there is none."""
        return next((s for request, s in self.spreads.items() if request.method == VBP), math.nan)

    @property
    def warning(self) -> str:
        """What has to be said first; "" where nothing has."""
        return next(iter((*self.warnings, *self.missing.values())), "")


@dataclass(frozen=True)
class FrameResult:
    """One frame of a recording or a camera, and what the networks made of it; the one record of a frame.

    index: of the frame that was decoded. timestamp_ns: int64, of the recording, of a camera since 1970.
    image: (H, W, 3) uint8 RGB, read-only; None for a gap, and `gap` says why. driven_rad: steering wheel angle,
    radians, left positive; speed_mps: metres per second; NaN where unknown. picture: the name of its file, "" where it
    has none. folder: the class that the recording gives it, "" where it gives none. encoded: its own JPEG or PNG file,
    where that was asked for and `Drive.encoded` has one. decode_ms: how long decoding took.
    edits: that were made in `image`, as they lie on this frame; recorded: the picture without them, None where there are none.
    results: one for each network, in the order asked for; none for a gap, and none before it was run.
    """

    index: int
    timestamp_ns: int
    image: NDArray[np.uint8] | None
    gap: str = ""
    driven_rad: float = float("nan")
    speed_mps: float = float("nan")
    picture: str = ""
    folder: str = ""
    encoded: bytes | None = None
    decode_ms: float = 0.0
    edits: Edits = NONE
    recorded: NDArray[np.uint8] | None = None
    results: tuple[NetworkResult, ...] = ()

    @property
    def result(self) -> NetworkResult | None:
        """Of the first network; None for a gap."""
        return self.results[0] if self.results else None

    @property
    def predicted_rad(self) -> float:
        """By the first network; NaN for a gap and of a classifier."""
        return self.results[0].angle_rad if self.results else float("nan")

    @property
    def strength(self) -> float:
        """Of the first network's VisualBackProp mask, see `NetworkResult.strengths`; NaN where there is none."""
        return self.results[0].strength if self.results else math.nan

    @property
    def spread(self) -> float:
        """Of the first network's VisualBackProp mask, see `NetworkResult.spreads`; NaN where there is none."""
        return self.results[0].spread if self.results else math.nan

    @property
    def plotted(self) -> float:
        """What a plot shows of the first network: the predicted angle in degrees, or of a classifier per cent."""
        classes = self.results[0].classes if self.results else None
        return classes.percent if classes is not None else math.degrees(self.predicted_rad)

    @property
    def error_rad(self) -> float:
        """driven - predicted (the paper's definition); NaN where either is unknown."""
        return self.driven_rad - self.predicted_rad
