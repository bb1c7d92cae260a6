"""A network's outputs on labelled frames, by one specification of its input after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.engine import Engine
from vbp.errors import ModelError
from vbp.fitting.agreement import Agreement, agree
from vbp.fitting.frames import LabelledFrames
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec
from vbp.preprocess import prepare, to_tensor

BATCH = 16


class CancelledError(Exception):
    """Whoever asked for it no longer wants it."""


class SpecCheck:
    """One network on one set of frames, whatever the specification: what a form shows while it is changed.

    Made once, as the network is read then. `close` ends what runs behind it.
    """

    def __init__(self, network: Network, frames: LabelledFrames, device: str = "cpu") -> None:
        self.network, self.frames = network, frames
        self._engine = Engine(replace(network, assumed=""), device)  # what is assumed is what is looked for

    def __call__(self, spec: NetworkSpec, keep_on: Callable[[], bool] = lambda: True) -> Agreement:
        """How the angles by `spec` agree with the measured ones. Raises ModelError where the network has no such output."""
        found = self.outputs(spec, keep_on=keep_on)
        if spec.is_classifier:
            raise ModelError("a specification of a classifier has no angle to compare with")
        if spec.outputs_needed > found.shape[1]:
            raise ModelError(
                f"the network has {found.shape[1]} outputs, and the specification asks for number {spec.outputs_needed - 1}"
            )
        predicted = np.degrees([spec.angle_of(row) for row in as_scores(found, spec).tolist()])
        return agree(predicted, self.frames.angle_deg, self.frames.times_s)

    def outputs(
        self,
        spec: NetworkSpec,
        rows: NDArray[np.int64] | None = None,
        mirrored: bool = False,
        keep_on: Callable[[], bool] = lambda: True,
    ) -> NDArray[np.float64]:
        """(N, outputs) of the frames (`rows` of them), or of what they look like in a mirror. Raises CancelledError."""
        images = self.frames.images
        chosen = images if rows is None else [images[int(k)] for k in rows]
        return self.run(spec, self.prepared(spec, chosen, mirrored), keep_on)

    def prepared(self, spec: NetworkSpec, images: list[Image], mirrored: bool = False) -> NDArray[np.uint8]:
        """(N, h, w) or (N, h, w, 3), what the network gets before it is scaled."""
        return np.stack([prepare(np.fliplr(image) if mirrored else image, spec)[0] for image in images])

    def run(
        self, spec: NetworkSpec, inputs: NDArray[np.uint8], keep_on: Callable[[], bool] = lambda: True
    ) -> NDArray[np.float64]:
        """(N, outputs) of prepared inputs, scaled as `spec` says. Raises CancelledError."""
        device, found = torch.device(self._engine.device), []
        for start in range(0, len(inputs), BATCH):
            if not keep_on():
                raise CancelledError
            images = to_tensor(inputs[start : start + BATCH], spec, device)
            found.append(self._engine.forward(images, means=False).output.cpu().double().numpy())
        return np.concatenate(found)

    def close(self) -> None:
        self._engine.close()


def as_scores(outputs: NDArray[np.float64], spec: NetworkSpec) -> NDArray[np.float64]:
    """Of bins, probabilities become the scores that a specification speaks of; all else is left as it is."""
    if not spec.output_bins:
        return outputs
    bins = slice(spec.output_index, spec.outputs_needed)
    part = outputs[:, bins]
    if not is_probability(part):
        return outputs
    found = outputs.copy()
    found[:, bins] = np.log(np.maximum(part, 1e-30))
    return found


def is_probability(values: NDArray[np.float64]) -> bool:
    """(N, K) whose rows are shares of 1."""
    return bool((values >= 0).all() and np.allclose(values.sum(1), 1, atol=1e-3))
