"""What a training run learns: all in which steering angles and classes of pictures differ for the one trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from vbp.drives.base import Drive
from vbp.models.spec import NetworkSpec
from vbp.training.augment import Draws
from vbp.training.choosing import Chosen
from vbp.training.recipe import Recipe


class Task(Protocol):
    """Targets, loss and scores of one kind of network.

    target: what the targets are called in the table of prepared frames; nouns: what one learns from, in words.
    columns: what is measured on the frames held out, by its names in metrics.csv; metric: the one of them by which the
    best checkpoint is chosen. epochs, augmentations: those of a user who says nothing, and of one who says "all".
    unused_options: of `vbp train`, which would do nothing. row_text, result_text, sources_text: a row of metrics, the
    end of a run, and what was learnt and held out, in words, to be formatted.
    """

    target: str
    nouns: str
    columns: tuple[str, ...]
    metric: str
    higher_is_better: bool
    epochs: float
    augmentations: tuple[str, ...]
    unused_options: frozenset[str]
    row_text: str
    result_text: str
    sources_text: str

    def check(self, recipe: Recipe) -> None:
        """Raises VbpError for what makes no sense with such targets."""

    def spec_for(self, spec: NetworkSpec, drives: Sequence[Drive]) -> NetworkSpec:
        """The network that can learn from `drives`. Raises VbpError."""

    def choose(self, drive: Drive, spec: NetworkSpec, recipe: Recipe, test: str | None) -> Chosen:
        """The frames to train and to test on. Raises VbpError."""

    def describe(self, frames: NDArray[Any]) -> str:
        """Indices of chosen frames in words."""

    def targets(self, drive: Drive, spec: NetworkSpec) -> NDArray[Any]:
        """What is to be learnt of each frame, (N,) float32 or int64."""

    def write_split(
        self, folder: Path, drives: Sequence[Drive], chosen: Sequence[Chosen], spec: NetworkSpec
    ) -> None:
        """Note in the run folder what is learnt and held out, beyond config.json. Raises OSError."""

    def weights(self, targets: NDArray[Any], recipe: Recipe) -> NDArray[Any]:
        """How much each frame counts in the loss, (N,) float32 of mean 1."""

    def augment(self, images: Tensor, targets: Tensor, recipe: Recipe, draws: Draws) -> tuple[Tensor, Tensor]:
        """images (N, C, h, w) float32 in [0, 1] and their targets, changed as the recipe says."""

    def loss(self, outputs: Tensor, targets: Tensor, spec: NetworkSpec) -> Tensor:
        """(N,) of outputs (N, K) float32."""

    def scores(self, outputs: NDArray[Any], targets: NDArray[Any], spec: NetworkSpec) -> dict[str, float]:
        """The values of `columns`, of outputs (N, K) float64 on the frames held out."""
