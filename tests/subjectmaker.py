"""A small network on four frames of noise, for the experiments on maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vbp.engine import Engine
from vbp.evidence import decision, perturbation, randomisation, recovery
from vbp.evidence.subject import Frames, Subject
from vbp.models.network import Network
from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.steering import SteeringNet
from vbp.overlay import Rect

HEIGHT, WIDTH = 36, 54
METHODS = ("visualbackprop", "lrp", "phi", "saliency", "guided-backprop")
ARGUMENTS = {"widths": [4, 6], "strides": [1, 2], "hidden": [8]}


def nothing(amount: float) -> None: ...


def less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of everything: the same code, in less time."""
    monkeypatch.setattr(perturbation, "COUNTS", (1, 3, 10))
    monkeypatch.setattr(perturbation, "SHARES", (0.5, 0.9))
    for experiment in (randomisation, recovery, decision):
        monkeypatch.setattr(experiment, "SEEDS", 3)


def small_network() -> Network:
    torch.manual_seed(3)
    module = SteeringNet(HEIGHT, WIDTH, **ARGUMENTS).eval()
    spec = NetworkSpec(
        name="small",
        architecture="steering",
        arguments=ARGUMENTS,
        input_height=HEIGHT,
        input_width=WIDTH,
        crop=CropRule("bottom", rows=HEIGHT, of_width=WIDTH),
    )
    return Network(spec, module)


def small_subject(network: Network) -> Subject:
    inputs = np.random.default_rng(1).integers(0, 256, (4, HEIGHT, WIDTH), dtype=np.uint8)
    frames = Frames((3, 5, 8, 9), (Rect(0, 0, WIDTH, HEIGHT),) * 4, inputs)
    made = Subject(network, Engine(network, "cpu"), frames, METHODS, seed=0)
    made.prepare(nothing)
    return made
