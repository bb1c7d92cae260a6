"""One pass: frame in, angle and masks out, on any device, with its stages measured."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.classes import UNKNOWN, class_of
from vbp.devices import Clock, describe_device, device_errors, devices, or_by_cpu, pick_device, to_device
from vbp.drives.base import FrameBatch, Image
from vbp.errors import DeviceError, ExplainError, ModelError, VbpError
from vbp.explain.dead import dead_layers, pass_warning
from vbp.explain.exported import read_network
from vbp.explain.forward import Forward
from vbp.explain.graphed import GraphedMask
from vbp.explain.registry import METHODS, explain, unavailable_reason
from vbp.explain.spec_target import spec_target
from vbp.explain.spread import half_share
from vbp.explain.target import Target
from vbp.explain.visualbackprop import levels
from vbp.graph.hidden import last_hidden
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace
from vbp.models.network import Network
from vbp.models.registry import load_network
from vbp.models.source import NetworkSource
from vbp.overlay import Rect
from vbp.preprocess import crop_warning, prepare, to_display_rgb, to_tensor
from vbp.results import (
    VBP,
    FrameRequest,
    FrameResult,
    Layer,
    MapRequest,
    NetworkResult,
    Prepared,
    class_prediction,
)

__all__ = ["Engine", "Prepared", "describe_device", "devices", "open_network", "pick_device"]

log = logging.getLogger(__name__)
NO_ERROR = "no driven angle is known of this frame, so there is no error to explain"


def open_network(
    source: str | Path | NetworkSource, weights: str | Path = "", spec: str | Path = ""
) -> Network:
    """A network by name, from its file, or of one's own code (package.module:factory). Raises ModelError.

    weights, spec: files; a source that is text may hold them itself. What is assumed of a file, or left out of it, is logged as a warning.
    """
    if weights or spec:
        source = NetworkSource(str(source), str(weights), str(spec))
    network = load_network(source)
    for text in filter(None, (network.assumed, network.unused)):
        log.warning(text)
    return network


def network_name(network: Network) -> str:
    """As it stands in every file and picture: its name, and that its weights are random, where they are."""
    return network.spec.name if network.trained else f"{network.spec.name} (random weights)"


class Engine:
    """A network made ready on a device. `run` for one frame, calling it for a batch.

    Where a card fails, the CPU goes on: `trouble` says why, in a sentence, and it is logged as a warning. The network's module is read once and never run or changed. An engine belongs to one thread,
    but `explain` and `layers` may be called from another: they only read a result.
    dtype float64 is for reference results; float32 is what the devices are fast at.
    crop: the part of every frame that the network sees, instead of what its own rule says.
    """

    def __init__(
        self,
        network: Network,
        device: str = "auto",
        dtype: torch.dtype = torch.float32,
        crop: Rect | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise ModelError(
                f"an Engine takes a Network, as open_network gives it, not a {type(network).__name__}"
            )
        if crop is not None and not isinstance(crop, Rect):
            raise VbpError(f"the crop is a Rect(x, y, width, height) in pixels of the frame, not {crop!r}")
        self.network = network
        self.spec = network.spec
        self.crop = crop
        self.name = network_name(network)
        self._class_of: dict[str, int] = {}
        self._dtype = dtype
        self._warned = False
        self.trouble = ""
        chosen = pick_device(device, dtype)
        try:
            self._place(chosen)
        except DeviceError as error:
            if chosen.type == "cpu":
                raise
            self.go_on_by_cpu(error)

    @device_errors
    def _place(self, device: torch.device) -> None:
        self._device = device
        shape = (self.spec.channels, self.spec.input_height, self.spec.input_width)
        graph = read_network(self.network.module, shape, self._dtype, scores=self.spec.takes_scores)
        graph = graph.to(device, self._dtype)
        self._forward = Forward(graph)
        on_card = device.type == "cuda" and self._dtype == torch.float32
        self.graphed = GraphedMask(graph, self.spec) if on_card else None

    def go_on_by_cpu(self, error: DeviceError) -> None:
        """Leave the card, which failed; the weights are read anew, as it may not even give them back."""
        self._place(torch.device("cpu"))
        reason = str(error).split(";")[0]
        self.trouble = (
            f"{reason}: {self.name} goes on by the CPU; end what else uses the device, and choose it again"
        )
        log.warning(self.trouble)

    @property
    def device(self) -> str:
        """Where the network runs, by torch's name: "cpu", "cuda:0"."""
        return str(self._device)

    def prepare(self, image: Image, crop: Rect | None = None) -> Prepared:
        """What the network gets of a frame (H, W, 3) uint8 RGB. Raises VbpError: the crop is outside of it.

        crop: what it sees of this frame, instead of what it sees of others. The first warning is logged, too.
        """
        began = time.perf_counter()
        wanted = crop or self.crop
        warning = "" if wanted else crop_warning(self.spec, *image.shape[:2])
        if warning and not self._warned:
            self._warned = True
            log.warning(warning)
        inputs, rect = prepare(image, self.spec, wanted)
        return Prepared(inputs, rect, warning, (time.perf_counter() - began) * 1e3)

    def run(
        self,
        image: Image,
        maps: Sequence[str | MapRequest] = (VBP,),
        crop: Rect | None = None,
        driven_rad: float = float("nan"),
        strict: bool = True,
    ) -> NetworkResult:
        """One frame (H, W, 3) uint8 RGB that stands alone; each of `maps` explains the very pass that predicts.

        driven_rad: for the error as a target. Raises VbpError where the crop does not lie in the frame, or a method
        cannot do what is asked; without `strict` such a map is left out, and `missing` says why: a network that
        cannot be explained still predicts.
        """
        wanted = tuple(MapRequest(m) if isinstance(m, str) else m for m in maps)
        frame = FrameResult(0, 0, image, driven_rad=driven_rad)
        return self.run_prepared([self.prepare(image, crop)], FrameRequest(wanted, strict=strict), [frame])[0]

    @or_by_cpu
    def run_prepared(
        self, inputs: Sequence[Prepared], request: FrameRequest, frames: Sequence[FrameResult]
    ) -> list[NetworkResult]:
        """What `prepare` made of `frames`, in one pass; of the frames, what is known of their truth is asked.

        Raises VbpError, see `run`. The trace is kept of a frame that is alone.
        """
        if not inputs:
            return []
        count, clock = len(inputs), Clock()
        images = to_tensor(np.stack([p.input for p in inputs]), self.spec, self._device, self._dtype)
        clock.lap("preprocess")
        trace = self._forward(images)
        output = trace.output.cpu()  # once: a device is waited for
        finite = _finite(output)
        angles = self.angles(output)
        probabilities = self._probabilities(output) if self.spec.is_classifier else None
        clock.lap("forward")
        driven = np.array([frame.driven_rad for frame in frames])
        maps: dict[MapRequest, NDArray[np.float32]] = {}
        strengths: dict[MapRequest, NDArray[np.float64]] = {}
        spreads: dict[MapRequest, NDArray[np.float64]] = {}
        missing: dict[MapRequest, str] = {}
        for wanted in request.maps:
            try:
                maps[wanted], strengths[wanted], spreads[wanted] = self._explain(
                    trace, wanted, driven, finite
                )
            except ExplainError as error:
                if request.strict:
                    raise
                missing[wanted] = unavailable_reason(wanted.method, error)
            clock.lap(wanted.method)
        rows = self._layers(trace) if request.layers else []
        hidden = last_hidden(trace).float().cpu().numpy() if request.hidden else None
        dead = dead_layers(trace)
        found = []
        for n, (prepared, frame) in enumerate(zip(inputs, frames, strict=True)):
            undriven = () if math.isfinite(frame.driven_rad) else tuple(filter(self._of_error, maps))
            told = [wanted for wanted in maps if wanted not in undriven]
            stages = {name: ms / count for name, ms in clock.laps.items()}
            stages["preprocess"] += prepared.ms
            warnings = (
                pass_warning(bool(finite[n]), dead[n], float(angles[n]), self.spec.is_classifier),
                prepared.warning,
            )
            found.append(
                NetworkResult(
                    network=self.name,
                    angle_rad=float(angles[n]),
                    crop=prepared.crop,
                    input=to_display_rgb(prepared.input, self.spec),
                    maps={wanted: maps[wanted][n] for wanted in told},
                    strengths={wanted: float(strengths[wanted][n]) for wanted in told},
                    spreads={wanted: float(spreads[wanted][n]) for wanted in told},
                    missing=missing | dict.fromkeys(undriven, NO_ERROR),
                    layers=tuple(Layer(name, c, f[n], m[n]) for name, c, f, m in rows),
                    dead=dead[n],
                    warnings=tuple(filter(None, warnings)),
                    stages_ms=stages,
                    path=self.path_text,
                    probabilities=None if probabilities is None else probabilities[n],
                    classes=class_prediction(self.spec, probabilities[n], self.class_of(frame.folder))
                    if probabilities is not None
                    else None,
                    trace=trace if count == 1 else None,
                    hidden=None if hidden is None else hidden[n],
                )
            )
        return found

    @or_by_cpu
    def __call__(
        self, frames: Sequence[Image] | NDArray[np.uint8] | FrameBatch, methods: Sequence[str] | str = (VBP,)
    ) -> tuple[NDArray[np.float64], dict[str, Tensor]]:
        """A batch of frames -> angles (N,) radians, and method -> (N, h, w) maps on the engine's device.

        frames: N pictures (H, W, 3) uint8 RGB, or what a drive gives for a slice; a gap in it counts as the black
        picture that it is. Raises VbpError, as `run`, and for what is no such batch.
        """
        images = frames.images if isinstance(frames, FrameBatch) else frames
        methods = (methods,) if isinstance(methods, str) else methods
        for image in images if isinstance(images, Sequence | np.ndarray) else (images,):
            if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape[2:] == (3,)):
                raise VbpError(
                    f"{self.name} takes a batch of pictures, each (H, W, 3) uint8 RGB; give a list of them, "
                    "also of one, or a slice of a drive"
                )
        if len(images) == 0:
            empty = torch.zeros((0, self.spec.input_height, self.spec.input_width), device=self._device)
            return np.zeros(0), dict.fromkeys(methods, empty)
        inputs = np.stack([self.prepare(image).input for image in images])
        graphed = self.graphed if tuple(methods) == (VBP,) else None
        if graphed is not None and (replayed := graphed(to_device(inputs, self._device))) is not None:
            return self.angles(replayed[0]), {VBP: replayed[1]}
        trace = self._forward(to_tensor(inputs, self.spec, self._device, self._dtype))
        return self.angles(trace.output), {m: explain(trace, m, self.target()) for m in methods}

    @property
    def path(self) -> str:
        """How the last forward pass was run: "native" (our own kernels), "onednn" or "plain"; see `Forward`."""
        return self._forward.path

    @property
    def path_text(self) -> str:
        """The same in words, with the kernels' instruction set, and why they do not serve where they might."""
        words = {"onednn": "oneDNN", "plain": "plain PyTorch"}
        if self.path == "native":
            return f"own kernels ({self._forward.instructions})"
        reason = self._forward.unavailable_reason
        return f"{words[self.path]}: no own kernels, because {reason}" if reason else words[self.path]

    def wait_until_tuned(self) -> None:
        """Wait until it is known how the sizes that have been passed are run fastest, which is timed in the background."""
        self._forward.wait_until_tuned()

    def close(self) -> None:
        """End what still runs in the background for it; it can be used on."""
        self._forward.close()

    def forward(self, images: Tensor, means: bool = True) -> Trace:
        """The pass of images (N, C, h, w) as `to_tensor` makes them, on the engine's device; means: see `Forward`."""
        return self._forward(images, means)

    @or_by_cpu
    def trace(self, inputs: NDArray[np.uint8]) -> Trace:
        """The pass of prepared inputs, (N, h, w) or (N, h, w, 3) uint8."""
        return self._forward(to_tensor(inputs, self.spec, self._device, self._dtype))

    def angles(self, output: Tensor) -> NDArray[np.float64]:
        """Predicted steering wheel angles (N,) of outputs (N, outputs), radians, left positive; NaN of a classifier."""
        if self.spec.is_classifier:
            return np.full(len(output), np.nan)
        if self.spec.outputs_needed > output.shape[1]:
            bins = f" with {len(self.spec.output_bins)} bins" if self.spec.output_bins else ""
            raise ModelError(
                f"{self.spec.name} has {output.shape[1]} outputs, so its specification's output_index "
                f"{self.spec.output_index}{bins} is none of them"
            )
        return np.array([self.spec.angle_of(row) for row in output.cpu().double().tolist()])

    def _probabilities(self, output: Tensor) -> NDArray[np.float64]:
        """Of a classifier, (N, classes): the softmax of its scores. Raises ModelError where the classes are others."""
        outputs, named = output.shape[1], len(self.spec.classes)
        if outputs < 2 or (named and named != outputs):
            raise ModelError(
                f"{self.spec.name} puts out {outputs} score{'s' * (outputs != 1)}, and its specification says "
                f"{f'{named} classes' if named else 'that it is a classifier'}; correct output or classes in it"
            )
        found = torch.softmax(output.double(), 1).numpy()
        return np.asarray(found, dtype=np.float64)

    def target(
        self, wanted: Target | str | None = None, driven_rad: float | NDArray[np.float64] = float("nan")
    ) -> Target:
        """What is explained: see `spec_target`, of this network's specification. Raises ExplainError."""
        return spec_target(self.spec, wanted, driven_rad)

    def class_of(self, folder: str) -> int:
        """The classifier's class that pictures of a folder of this name show; UNKNOWN where it has none such."""
        if folder not in self._class_of:
            self._class_of[folder] = class_of(folder, self.spec) if folder else UNKNOWN
        return self._class_of[folder]

    def explain(
        self, result: NetworkResult, request: MapRequest, driven_rad: float = float("nan")
    ) -> NDArray[np.float32]:
        """A further map of a frame that was run alone: float32 (h, w). Raises ExplainError."""
        return self.explain_measured(result, request, driven_rad)[0]

    @device_errors
    def explain_measured(
        self, result: NetworkResult, request: MapRequest, driven_rad: float = float("nan")
    ) -> tuple[NDArray[np.float32], float, float]:
        """The same with the map's strength and spread, as in `NetworkResult`."""
        assert result.trace is not None
        if self._of_error(request) and not math.isfinite(driven_rad):
            raise ExplainError(NO_ERROR)
        finite = _finite(result.trace.output.cpu())
        maps, strengths, spreads = self._explain(result.trace, request, np.array([driven_rad]), finite)
        return maps[0], float(strengths[0]), float(spreads[0])

    @device_errors
    def layers(self, result: NetworkResult) -> tuple[Layer, ...]:
        """Figure 2b of a frame that was run alone, from the input to the output; none where it cannot be."""
        assert result.trace is not None
        return tuple(Layer(name, c, f[0], m[0]) for name, c, f, m in self._layers(result.trace))

    def count_layers(self) -> int:
        """How many rows Figure 2b has; 0 where VisualBackProp cannot explain the network."""
        spec = self.spec
        size = (1, spec.input_height, spec.input_width) + ((3,) if spec.channels == 3 else ())
        return len(self._layers(self.trace(np.zeros(size, dtype=np.uint8))))

    def _explain(
        self, trace: Trace, request: MapRequest, driven_rad: NDArray[np.float64], finite: Tensor
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Maps (N, h, w) float32, their strengths and spreads (N,), NaN where the output is not `finite`. Raises ExplainError."""
        target = None
        if METHODS[request.method].targeted:
            target = self.target(request.target or None, driven_rad)
        strength = Strength()
        maps = explain(trace, request.method, target, strength, **dict(request.parameters))
        maps = maps.cpu()  # before the spread is counted: a device is waited for once
        logs = strength.log10().expand(len(maps)).masked_fill(~finite, math.nan)
        return _to_numpy(maps), logs.numpy(), half_share(maps).masked_fill(~finite, math.nan).numpy()

    @staticmethod
    def _of_error(request: MapRequest) -> bool:
        return METHODS[request.method].targeted and request.target.startswith("error")

    def _layers(self, trace: Trace) -> list[tuple[str, int, NDArray[np.float32], NDArray[np.float32]]]:
        """`Layer` of N frames: name, channels, feature maps, masks."""
        try:
            rows = levels(trace)
        except ExplainError:  # the mask says why
            return []
        return [(row.name, row.channels, _to_numpy(row.feature_map), _to_numpy(row.mask)) for row in rows]


def _finite(output: Tensor) -> Tensor:
    return output.isfinite().flatten(1).all(1)  # (N,)


def _to_numpy(relevance: Tensor) -> NDArray[np.float32]:
    return np.asarray(relevance.float().cpu().numpy(), dtype=np.float32)
