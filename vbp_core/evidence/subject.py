"""A network on some frames: what all experiments work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vbp.drives.base import Drive
from vbp.engine import Engine
from vbp.errors import ExplainError, VbpError
from vbp.evidence.outcome import Tick
from vbp.explain.dead import dead_layers
from vbp.explain.exported import read_network
from vbp.explain.forward import Forward
from vbp.explain.registry import METHODS, explain
from vbp.explain.spread import half_share
from vbp.explain.target import Target
from vbp.frames import read_frame
from vbp.graph.operations import Graph
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace
from vbp.models.network import Network
from vbp.overlay import Rect
from vbp.preprocess import to_tensor
from vbp.results import VBP

COSTS = {
    "visualbackprop": 0.1,
    "grad-cam": 0.1,
    "lrp-alpha-beta": 8.0,
    "lrp-composite": 4.0,
    "occlusion": 300.0,
}
Maps = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """Decoded frames: their numbers in the drive, the part that the network sees, and that as uint8 (N, h, w[, 3])."""

    numbers: tuple[int, ...]
    crops: tuple[Rect, ...]
    inputs: NDArray[np.uint8]


def load_frames(drive: Drive, engine: Engine, numbers: Sequence[int]) -> Frames:
    """The frames that can be decoded. Raises VbpError where none can."""
    kept, crops, inputs = [], [], []
    for i in numbers:
        image = read_frame(drive, int(i)).image
        if image is None:
            continue
        prepared = engine.prepare(image)
        kept.append(int(i))
        crops.append(prepared.crop)
        inputs.append(prepared.input)
    if not kept:
        raise VbpError(f"none of the {len(numbers)} frames of {drive.info.path} can be decoded")
    return Frames(tuple(kept), tuple(crops), np.stack(inputs))


def cost(method: str) -> float:
    """Of one map, in forward passes: a rough estimate, for the progress."""
    return COSTS.get(method, 2.0)


class Subject:
    """A network, frames, and the methods to test. Maps of the unchanged network are computed once.

    response: what is measured while pixels change: the steering angle in degrees; of a classifier the probability, in
    per cent, of the class predicted on the unchanged frame. The engine's network is read, never changed.
    """

    def __init__(
        self, network: Network, engine: Engine, frames: Frames, methods: Sequence[str], seed: int
    ) -> None:
        self.engine, self.frames, self.seed = engine, frames, seed
        self.spec = network.spec
        self.name = network.spec.name
        self.trained = network.trained
        self.methods = tuple(methods)
        device = torch.device(engine.device)
        self.images = to_tensor(frames.inputs, self.spec, device)
        shape = (self.spec.channels, self.spec.input_height, self.spec.input_width)
        graph = read_network(network.module, shape, torch.float32, scores=self.spec.takes_scores)
        self.graph: Graph = graph.to(device, torch.float32)
        self.run = Forward(self.graph)
        self.refused: dict[str, str] = {}  # methods that cannot explain this network, and why
        self.maps: dict[str, Maps] = {}
        self.worth: dict[int, tuple[float, float]] = {}  # strength and spread of VisualBackProp's masks
        self.angles: NDArray[np.float64] = np.zeros(0)
        self.outputs: list[Tensor] = []
        self.dead: list[int] = []  # frames whose output is dead

    @property
    def unit(self) -> str:
        return "%" if self.spec.is_classifier else "°"

    @property
    def quick(self) -> tuple[str, ...]:
        """The methods that take milliseconds."""
        return tuple(m for m in self.maps if not METHODS[m].slow)

    @property
    def target(self) -> Target:
        return self.engine.target()

    def __len__(self) -> int:
        return len(self.frames.numbers)

    def parts(self, count: int) -> list[list[int]]:
        """The frames in `count` stretches, of neighbours; one frame each, some twice, where there are fewer than that."""
        if len(self) < count:
            return [[k % len(self)] for k in range(count)]
        return [part.tolist() for part in np.array_split(np.arange(len(self)), count)]

    def prepare_cost(self) -> float:
        return (1.0 + sum(cost(m) for m in self.methods)) * len(self)

    def prepare(self, tick: Tick) -> None:
        """The maps of every method. A method that cannot explain the network is left out, and `refused` says why."""
        found: dict[str, list[Maps]] = {m: [] for m in self.methods}
        for n in range(len(self)):
            trace = self.trace(n)
            self.outputs.append(trace.output.clone())
            if dead_layers(trace)[0]:
                self.dead.append(n)
            tick(1)
            for method in self.methods:
                if method in self.refused:
                    continue
                strength = Strength()
                try:
                    found[method].append(self.explain(trace, method, strength=strength))
                except ExplainError as error:
                    self.refused[method] = str(error)
                else:
                    if method == VBP:
                        wide = half_share(torch.from_numpy(found[method][-1][None]))
                        self.worth[n] = float(strength.log10()), float(wide)
                tick(cost(method))
        self.maps = {m: np.stack(v) for m, v in found.items() if m not in self.refused}
        self.angles = np.array([self.respond_to(out, n) for n, out in enumerate(self.outputs)])

    def trace(self, n: int) -> Trace:
        """The pass of frame `n` of the loaded ones."""
        return self.run(self.images[n : n + 1])

    def map(self, method: str, n: int) -> Maps:
        """The map of frame `n` of the loaded ones."""
        made: Maps = self.maps[method][n]
        return made

    def explain(
        self, trace: Trace, method: str, target: Target | None = None, strength: Strength | None = None
    ) -> Maps:
        """(h, w) of a trace of one frame."""
        relevance = explain(trace, method, target or self.target, strength)[0]
        return np.asarray(relevance.float().cpu().numpy(), dtype=np.float32)

    def respond(self, image: Tensor, n: int) -> float:
        """The response to `image` (1, C, h, w), a changed frame `n`."""
        return self.respond_to(self.run(image).output, n)

    def respond_to(self, output: Tensor, n: int) -> float:
        """The response of an output (1, outputs) to frame `n`."""
        if self.spec.is_classifier:
            predicted = int(self.outputs[n].argmax())
            return 100.0 * float(torch.softmax(output.double(), 1)[0, predicted])
        return float(np.degrees(self.spec.angle_of(output[0].double().tolist())))
