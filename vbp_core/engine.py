"""One pass: frame in, angle and masks out, on any device, with its stages measured."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.devices import describe_device, devices, pick_device
from vbp.drives.base import Image
from vbp.errors import ExplainError, ModelError
from vbp.explain.exported import read_network
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS, explain
from vbp.explain.target import Target, parse_target
from vbp.explain.visualbackprop import levels
from vbp.graph.operations import Dense, bottlenecks
from vbp.graph.trace import Trace
from vbp.models.network import Network
from vbp.models.registry import load_network
from vbp.models.source import NetworkSource
from vbp.overlay import Rect
from vbp.preprocess import as_shown, crop_warning, prepare, to_tensor

__all__ = ["Engine", "Pass", "describe_device", "devices", "open_network", "pick_device"]

log = logging.getLogger(__name__)
VBP = "visualbackprop"


def open_network(
    source: str | Path | NetworkSource, weights: str | Path = "", spec: str | Path = ""
) -> Network:
    """A network by name, from its file, or of one's own code (package.module:factory). Raises ModelError.

    weights, spec: files, for the networks that need them; a source that is text may hold them itself.
    """
    if weights or spec:
        source = NetworkSource(str(source), str(weights), str(spec))
    return load_network(source)


@dataclass(frozen=True)
class Pass:
    """What one forward pass of one frame gave.

    angle_rad: predicted steering wheel angle, radians, left positive. crop: what the network saw, in
    the frame's pixels. input: that, as uint8 (h, w) grey or (h, w, 3) RGB. maps: method -> float32 (h, w).
    stages_ms: milliseconds of "preprocess", "forward" and each method. warning: one sentence where the
    masks of this frame would mislead, else "". missing: method -> one sentence, why it has no map. trace: the
    activations, on the engine's device.
    probabilities: of a classifier, float64 (classes,), whose angle is NaN; of a steering network None.
    path: how the forward pass was run, in words.
    """

    angle_rad: float
    crop: Rect
    input: NDArray[np.uint8]
    maps: dict[str, NDArray[np.float32]]
    stages_ms: dict[str, float]
    warning: str
    trace: Trace
    probabilities: NDArray[np.float64] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    path: str = ""


class Engine:
    """A network made ready on a device. `run` for one frame, calling it for a batch.

    The network's module is read once and never run or changed. An engine belongs to one thread,
    but `explain` and `layers` may be called from another: they only read a Pass.
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
        self.network = network
        self.spec = network.spec
        self.crop = crop
        self._device = pick_device(device, dtype)
        self._dtype = dtype
        self._warned = False
        shape = (self.spec.channels, self.spec.input_height, self.spec.input_width)
        graph = read_network(network.module, shape, dtype, scores=self.spec.is_classifier)
        self._forward = Forward(graph.to(self._device, dtype))

    @property
    def device(self) -> str:
        """Where the network runs, by torch's name: "cpu", "cuda:0"."""
        return str(self._device)

    def prepare(self, frame: Image, crop: Rect | None = None) -> tuple[NDArray[np.uint8], Rect]:
        """The network's input, uint8 (h, w) or (h, w, 3), and the crop. Raises VbpError: the crop is outside.

        The first `crop_warning` is logged, too.
        """
        warning = self.crop_warning(frame, crop)
        if warning and not self._warned:
            self._warned = True
            log.warning(warning)
        return prepare(frame, self.spec, crop or self.crop)

    def crop_warning(self, frame: Image, crop: Rect | None = None) -> str:
        """One sentence where the network's own rule, if it is that which crops `frame`, does not fit it; else ""."""
        return "" if crop or self.crop else crop_warning(self.spec, *frame.shape[:2])

    def run(
        self,
        frame: Image,
        methods: Sequence[str] = (VBP,),
        crop: Rect | None = None,
        target: Target | None = None,
        parameters: Mapping[str, Mapping[str, float]] | None = None,
        strict: bool = True,
    ) -> Pass:
        """One frame (H, W, 3) uint8 RGB; each of `methods` explains the very pass that predicts.

        crop: what the network sees of this frame, instead of what it sees of others. target: as `target` gives it
        (default: the angle). parameters: of the methods, by their names. Raises VbpError where the crop does not
        lie in the frame, or a method cannot do what is asked; without `strict` such a method is left out of the
        maps, and the warning says why: a network that cannot be explained still predicts.
        """
        clock = _Clock(self._device)
        inputs, rect = self.prepare(frame, crop)
        images = to_tensor(inputs[None], self.spec, self._device, self._dtype)
        clock.lap("preprocess")
        trace = self._forward(images)
        angle = float(self.angles(trace)[0])
        probabilities = self.probabilities(trace)[0] if self.spec.is_classifier else None
        clock.lap("forward")
        maps = {}
        missing: dict[str, str] = {}
        for method in methods:
            values = (parameters or {}).get(method, {})
            try:
                maps[method] = _to_numpy(explain(trace, method, target or self.target(), **values)[0])
            except ExplainError as error:
                if strict:
                    raise
                missing[method] = why_missing(method, error)
            clock.lap(method)
        return Pass(
            angle,
            rect,
            as_shown(inputs, self.spec),
            maps,
            clock.laps,
            self._warning(trace, angle) or self.crop_warning(frame, crop) or next(iter(missing.values()), ""),
            trace,
            probabilities,
            missing,
            self.path_text,
        )

    def __call__(
        self, frames: Sequence[Image] | NDArray[np.uint8], methods: Sequence[str] = (VBP,)
    ) -> tuple[NDArray[np.float64], dict[str, Tensor]]:
        """A batch of frames -> angles (N,) radians, and method -> (N, h, w) maps on the engine's device."""
        if len(frames) == 0:
            empty = torch.zeros((0, self.spec.input_height, self.spec.input_width), device=self._device)
            return np.zeros(0), dict.fromkeys(methods, empty)
        trace = self.trace(np.stack([self.prepare(frame)[0] for frame in frames]))
        return self.angles(trace), {m: explain(trace, m, self.target()) for m in methods}

    @property
    def path(self) -> str:
        """How the last forward pass was run: "native" (our own kernels), "onednn" or "plain"; see `Forward`."""
        return self._forward.path

    @property
    def path_text(self) -> str:
        """The same in words, and why our kernels do not serve where they might."""
        words = {"native": "own kernels", "onednn": "oneDNN", "plain": "plain PyTorch"}[self.path]
        reason = self._forward.unavailable_reason
        return f"{words}: no own kernels, because {reason}" if reason else words

    def settle(self) -> None:
        """Wait until it is known how the sizes that have been passed are run best; kernels are built in the background."""
        self._forward.wait_until_tuned()

    def close(self) -> None:
        """End what still runs in the background for it; it can be used on."""
        self._forward.close()

    def forward(self, images: Tensor, means: bool = True) -> Trace:
        """The pass of images (N, C, h, w) as `to_tensor` makes them, on the engine's device; means: see `Forward`."""
        return self._forward(images, means)

    def trace(self, inputs: NDArray[np.uint8]) -> Trace:
        """The pass of prepared inputs, (N, h, w) or (N, h, w, 3) uint8."""
        return self._forward(to_tensor(inputs, self.spec, self._device, self._dtype))

    def angles(self, trace: Trace) -> NDArray[np.float64]:
        """Predicted steering wheel angles (N,) of a trace, radians, left positive; NaN of a classifier."""
        if self.spec.is_classifier:
            return np.full(len(trace.output), np.nan)
        if self.spec.output_index >= trace.output.shape[1]:
            raise ModelError(
                f"{self.spec.name} has {trace.output.shape[1]} outputs, so its specification's output_index "
                f"{self.spec.output_index} is none of them"
            )
        output: Tensor = trace.output[:, self.spec.output_index]
        return np.array([self.spec.angle(v) for v in output.cpu().double().tolist()])

    def probabilities(self, trace: Trace) -> NDArray[np.float64]:
        """Of a classifier, (N, classes): the softmax of its scores. Raises ModelError where the classes are others."""
        outputs, named = trace.output.shape[1], len(self.spec.classes)
        if outputs < 2 or (named and named != outputs):
            raise ModelError(
                f"{self.spec.name} puts out {outputs} score{'s' * (outputs != 1)}, and its specification says "
                f"{f'{named} classes' if named else 'that it is a classifier'}; correct output or classes in it"
            )
        found = torch.softmax(trace.output.cpu().double(), 1).numpy()
        return np.asarray(found, dtype=np.float64)

    def target(
        self, wanted: Target | str | None = None, driven_rad: float | NDArray[np.float64] = float("nan")
    ) -> Target:
        """What is explained, of the steering wheel angle: a network whose right is positive is turned round.

        wanted: a Target or its words (`parse_target`); None is the angle, and of a classifier the predicted class, as
        is "output" there. driven_rad: the driven angle, for all frames or (N,); NaN where it is not known. Raises
        ExplainError for words that are none, and for what a classifier has not (an angle, its error).
        """
        if wanted is None:
            wanted = "output"
        chosen = parse_target(wanted) if isinstance(wanted, str) else wanted
        if self.spec.is_classifier:
            return self._of_classes(chosen)
        if chosen.kind == "class":
            return chosen
        factor = self.spec.output_to_radians
        driven = torch.as_tensor(np.asarray(driven_rad, dtype=np.float64) / abs(factor))
        index = self.spec.output_index if chosen.index is None else chosen.index
        return replace(chosen, index=index, sign=float(np.sign(factor)), driven=driven)

    def _of_classes(self, chosen: Target) -> Target:
        if chosen.kind == "output" and chosen.index is None:
            return replace(chosen, kind="class")
        if chosen.kind.startswith("error") or (chosen.kind != "class" and chosen.index is None):
            raise ExplainError(
                f"{self.spec.name} tells classes and has no angle, so there is no {chosen.kind} to explain; "
                "accepted: class (the predicted one), class:N"
            )
        return chosen

    def explain(
        self, done: Pass, method: str, target: Target | None = None, **parameters: float
    ) -> NDArray[np.float32]:
        """A further method on a pass that is done: float32 (h, w). target: as `target` gives it (default: the angle)."""
        return _to_numpy(explain(done.trace, method, target or self.target(), **parameters)[0])

    def layers(self, done: Pass) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
        """Figure 2b: (name, averaged feature map, intermediate mask), from the input to the output."""
        out = []
        for number, level in enumerate(levels(done.trace), 1):
            height, width = level.mask.shape[1:]
            name = f"conv {number}  {level.channels}×{height}×{width}"
            out.append((name, _to_numpy(level.feature_map[0]), _to_numpy(level.mask[0])))
        return out

    def _warning(self, trace: Trace, angle: float) -> str:
        if not bool(torch.isfinite(trace.output[0]).all()):
            return "The network's output is not a number on this frame: its weights or its input are broken"
        dead = dead_layer(trace)
        if dead:
            constant = "a constant" if self.spec.is_classifier else f"the constant {np.degrees(angle):+.2f}°"
            return (
                f"{dead} is dead on this frame: the prediction is {constant}, whatever "
                "the picture shows, and LRP is zero; VisualBackProp paints all the same, as it ignores the head"
            )
        return ""


def why_missing(method: str, error: ExplainError) -> str:
    """One sentence: there is no map of `method`, and why."""
    return f"{METHODS[method].title} shows nothing of this network: {error}"


def dead_layer(trace: Trace, n: int = 0) -> str:
    """Which ReLU layer puts out nothing but zeros on frame `n`, in words; "" where none does.

    The last one, where there are several. This is asked of every frame: a row of each map, which
    nearly always has something in it, is looked at first, and all of them cross from the device at once.
    """
    passed = bottlenecks(trace.stages)  # behind a dead layer that a skip leads past, it still sees
    relus = [
        (i, trace.values[i + 1][n]) for i, stage in enumerate(trace.stages) if stage.relu and i + 1 in passed
    ]
    if not relus:
        return ""
    rows = [value[:, value.shape[1] // 2] if value.dim() == 3 else value for _, value in relus]
    alive: list[bool] = torch.stack([row.any() for row in rows]).tolist()
    dense = [i for i, _ in relus if isinstance(trace.stages[i].op, Dense)]
    for (i, value), seen in reversed(list(zip(relus, alive, strict=True))):
        if not seen and not bool(value.any()):
            return "The last hidden layer" if dense and i == dense[-1] else f"Layer {trace.stages[i].name}"
    return ""


def _to_numpy(relevance: Tensor) -> NDArray[np.float32]:
    return np.asarray(relevance.float().cpu().numpy(), dtype=np.float32)


class _Clock:
    """Milliseconds between laps; waits for the device, so that each stage bears its own time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        now = time.perf_counter()
        self.laps[name] = (now - self._last) * 1e3
        self._last = now
