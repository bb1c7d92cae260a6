"""Learning to steer: the wheel's angle, by its mean squared error (the paper's, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vbp.drives.base import Drive
from vbp.models.spec import NetworkSpec
from vbp.scores import score
from vbp.training.augment import augment
from vbp.training.choosing import Chosen, choose, describe_frames
from vbp.training.recipe import AUGMENTATIONS, Recipe


class Steering:
    """Targets: angle_rad (N,) float32, left positive. Measured by the RMSE in rad; losses are in rad^2."""

    target, nouns = "angle_rad", "frames"
    columns = ("test_rmse_rad", "test_mae_deg")
    metric, higher_is_better = "test_rmse_rad", False
    epochs = Recipe().epochs
    augmentations = AUGMENTATIONS
    unused_options = ""
    row_text = "test RMSE {test_rmse_rad:.4f} rad, mean |error| {test_mae_deg:.2f}°"
    result_text = (
        "RMSE on the frames held out: {last:.4f} rad at the end; {best:.4f} at best, after {epoch:g} epochs "
        "(best.safetensors, chosen on these frames)"
    )
    sources_text = "frames {train}; held out: {test}"

    describe = staticmethod(describe_frames)
    augment = staticmethod(augment)

    def spec_for(self, spec: NetworkSpec, drives: Sequence[Drive]) -> NetworkSpec:
        """The network that can learn from `drives`."""
        return spec

    def choose(self, drive: Drive, spec: NetworkSpec, recipe: Recipe, test: str | None) -> Chosen:
        """The frames to train and to test on. Raises VbpError."""
        return choose(drive, recipe, test)

    def targets(self, drive: Drive, spec: NetworkSpec) -> NDArray[np.float32]:
        """What is to be learnt of each frame, (N,)."""
        return drive.angle_rad.astype(np.float32)

    def write_split(self, *_: Any) -> None:
        """Nothing: config.json says it all."""

    def weights(self, targets: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
        """How much each frame counts in the loss, (N,) of mean 1: all 1 for an angle weighting of 0, else growing with |angle|: large angles are rare."""
        size = np.abs(targets) / max(float(np.abs(targets).mean()), 1e-9)
        weights = 1 + recipe.angle_weighting * size
        return np.asarray(weights / weights.mean(), dtype=np.float32)

    def loss(self, outputs: Tensor, targets: Tensor, spec: NetworkSpec) -> Tensor:
        """(N,) of outputs (N, K) float32."""
        return (outputs[:, 0] * spec.output_to_radians - targets).square()

    def scores(
        self, outputs: NDArray[np.float64], targets: NDArray[np.float32], spec: NetworkSpec
    ) -> dict[str, float]:
        """The values of `columns`, of outputs (N, K) on the frames held out."""
        predicted = np.array([spec.angle(float(v)) for v in outputs[:, 0]])
        found = score(targets.astype(np.float64), predicted)
        return {"test_rmse_rad": found.rmse_rad, "test_mae_deg": found.mae_deg}


STEERING = Steering()
