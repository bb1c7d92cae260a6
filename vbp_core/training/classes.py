"""Learning the classes of pictures, from a folder with a folder for each class (the paper's supplement: SGD, NLL)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vbp.classes import are_numbers, class_name, labels_for, score_classes
from vbp.drives.base import Drive
from vbp.errors import ModelError, VbpError
from vbp.models.network import build
from vbp.models.spec import NetworkSpec
from vbp.training.augment import Draws, augment
from vbp.training.choosing import Chosen
from vbp.training.files import write_json
from vbp.training.recipe import AUGMENTATIONS, CLASS_EPOCHS, Recipe

CLASSES_FILE = "classes.json"
TRACK = re.compile(r"(\d+)_\d+")


class Classes:
    """Targets: class numbers (N,) int64. Measured by the share of pictures that are right; losses are mean NLL."""

    target, nouns = "label", "pictures"
    columns = ("test_loss", "test_accuracy")
    metric, higher_is_better = "test_accuracy", True
    epochs = CLASS_EPOCHS
    augmentations = tuple(name for name in AUGMENTATIONS if name != "flip")
    unused_options = "camera angle_unit angle_sign steering speed max_gap min_speed test test_gap_s rows shift_angle angle_weighting"
    row_text = "held out: loss {test_loss:.4f}, {test_accuracy:.1%} right"
    result_text = (
        f"{{last:.1%}} of the pictures held out (whole tracks, named in {CLASSES_FILE}) are right at the end; "
        "{best:.1%} at best, after {epoch:g} epochs (best.safetensors, chosen on these pictures)"
    )
    sources_text = "{train}; held out: {test}"

    def spec_for(self, spec: NetworkSpec, drives: Sequence[Drive]) -> NetworkSpec:
        if len(drives) != 1:
            raise VbpError(f"{spec.name} learns from one folder, with a folder of pictures for each class")
        spec = spec_for_classes(spec, drives[0])
        try:
            with torch.device("meta"):  # no memory for weights that nobody wants
                build(spec)
        except ModelError as error:  # an architecture that cannot be made for these classes
            raise ModelError(f"{spec.name} cannot be trained on these classes: {error}") from error
        return spec

    def choose(self, drive: Drive, spec: NetworkSpec, recipe: Recipe, test: str | None) -> Chosen:
        if "flip" in recipe.augment:
            raise VbpError("--augment flip would turn keep left into keep right; leave it out for classes")
        held = split_tracks(labels_for(drive, spec), tuple(drive.names), recipe.test_fraction, recipe.seed)
        train = np.flatnonzero(~held).astype(np.int64)
        if len(train) < 2:
            raise VbpError(f"{len(train)} pictures of {drive.info.path} are left to learn from; give more")
        return Chosen(train, np.flatnonzero(held).astype(np.int64))

    def describe(self, frames: NDArray[np.int64]) -> str:
        return f"{len(frames)} pictures"

    def targets(self, drive: Drive, spec: NetworkSpec) -> NDArray[np.int64]:
        return labels_for(drive, spec)

    def write_split(
        self, folder: Path, drives: Sequence[Drive], chosen: Sequence[Chosen], spec: NetworkSpec
    ) -> None:
        """classes.json: which folder is taken for which class, and the pictures that are held out."""
        (drive,), (split,) = drives, chosen
        assert drive.labels is not None
        of_folder = dict(zip(drive.labels.tolist(), labels_for(drive, spec).tolist(), strict=True))
        names = {drive.info.classes[k]: class_name(spec, number) for k, number in sorted(of_folder.items())}
        write_json(
            folder / CLASSES_FILE,
            {
                "source": str(drive.info.path),
                "classes": names,
                "train_pictures": len(split.train),
                "test_pictures": [drive.names[i] for i in split.test.tolist()],
            },
        )

    def weights(self, targets: NDArray[np.int64], recipe: Recipe) -> NDArray[np.float32]:
        return np.ones(len(targets), dtype=np.float32)

    def augment(self, images: Tensor, targets: Tensor, recipe: Recipe, draws: Draws) -> tuple[Tensor, Tensor]:
        straight = torch.zeros(len(images), device=images.device)
        return augment(images, straight, recipe, draws)[0], targets

    def loss(self, outputs: Tensor, targets: Tensor, spec: NetworkSpec) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction="none")

    def scores(
        self, outputs: NDArray[np.float64], targets: NDArray[np.int64], spec: NetworkSpec
    ) -> dict[str, float]:
        loss = float(F.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(targets)))
        return {"test_loss": loss, "test_accuracy": score_classes(targets, outputs.argmax(1)).accuracy}


CLASSES = Classes()


def spec_for_classes(spec: NetworkSpec, drive: Drive) -> NetworkSpec:
    """`spec`, with its last layer made for the drive's classes where they are not its own. Raises VbpError."""
    if drive.labels is None:
        raise VbpError(
            f"{drive.info.path} has no classes to learn; give a folder with a folder of pictures for each class"
        )
    if (labels_for(drive, spec) >= 0).all():
        return spec
    folders = drive.info.classes
    if are_numbers(folders):
        most = max(map(int, folders)) + 1
        if most > 2 * len(folders) + 100:
            raise VbpError(
                f"the classes of {drive.info.path} are numbered up to {most - 1}; number them from 0"
            )
        folders = tuple(f"class {k}" for k in range(most))
    return replace(spec, arguments={**spec.arguments, "outputs": len(folders)}, classes=folders)


def split_tracks(
    labels: NDArray[np.int64], names: tuple[str, ...], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Which of N pictures are held out: whole tracks, so that no picture is tested whose neighbour was learnt.

    A track is what shares the class and the number before the _ of a name such as 00003_00029.ppm (GTSRB: one real
    sign as the car drives by); other pictures are tracks of their own. Of each class, `fraction` of the tracks,
    chosen by the seed: at least one, where it has two and the fraction is above 0.
    """
    tracks: dict[int, dict[str, list[int]]] = {}
    for i, (label, name) in enumerate(zip(labels.tolist(), names, strict=True)):
        stem = Path(name).stem
        match = TRACK.fullmatch(stem)
        tracks.setdefault(label, {}).setdefault(match[1] if match else stem, []).append(i)
    held = np.zeros(len(labels), dtype=np.bool_)
    rng = np.random.default_rng([seed, 2])
    for label in sorted(tracks):
        groups = list(tracks[label].values())
        count = min(len(groups) - 1, max(1, round(fraction * len(groups)))) if fraction > 0 else 0
        for k in rng.permutation(len(groups))[:count]:
            held[groups[k]] = True
    return held
