"""Classes of pictures and classes of networks: which is which, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.spec import NetworkSpec
from vbp_core.drives.base import Drive

UNKNOWN = -1


def class_name(spec: NetworkSpec, number: int) -> str:
    """What class `number` of a classifier is called; its number where it has no name. UNKNOWN is ""."""
    if number < 0:
        return ""
    return spec.classes[number] if number < len(spec.classes) else f"class {number}"


def labels_for(drive: Drive, spec: NetworkSpec) -> NDArray[np.int64]:
    """The classifier's class of each frame of `drive`, (N,) int64, UNKNOWN where it is not known or it has none such.

    A folder's number is the class, where all folders are numbers; otherwise its name is looked for among the
    network's, in any case, with _ and - for spaces.
    """
    unknown = np.full(len(drive), UNKNOWN, dtype=np.int64)
    if drive.labels is None or not spec.is_classifier:
        return unknown
    folders = drive.info.classes
    if are_numbers(folders):
        found = [int(folder) for folder in folders]
    else:
        named = {_plain(name): k for k, name in enumerate(spec.classes)}
        found = [named.get(_plain(folder), UNKNOWN) for folder in folders]
    most = len(spec.classes) or np.iinfo(np.int64).max
    of_folder = np.array([k if k < most else UNKNOWN for k in found], dtype=np.int64)
    return np.where(drive.labels >= 0, of_folder[drive.labels], UNKNOWN)


def are_numbers(folders: tuple[str, ...]) -> bool:
    """Whether all of the folders are called by numbers, as those of GTSRB: 00000 to 00042."""
    return bool(folders) and all(name.isascii() and name.isdecimal() and len(name) < 10 for name in folders)


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


@dataclass(frozen=True)
class ClassScores:
    """How often a classifier is right, over the frames whose class is known.

    confusion: (true class, predicted class, how often), the commonest first, wrong ones only.
    by_class: true class -> (frames, of them right).
    """

    frames: int
    right: int
    confusion: list[tuple[int, int, int]]
    by_class: dict[int, tuple[int, int]]

    @property
    def accuracy(self) -> float:
        return self.right / self.frames if self.frames else float("nan")


def score_classes(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> ClassScores:
    """Of (N,) true and predicted classes; frames with UNKNOWN in either are left out."""
    both = (labels >= 0) & (predicted >= 0)
    truth, found = labels[both], predicted[both]
    pairs, counts = np.unique(np.stack([truth, found], 1), axis=0, return_counts=True)
    wrong = [(int(a), int(b), int(n)) for (a, b), n in zip(pairs, counts, strict=True) if a != b]
    by_class = {
        int(k): (int((truth == k).sum()), int(((truth == k) & (found == k)).sum())) for k in np.unique(truth)
    }
    return ClassScores(
        len(truth), int((truth == found).sum()), sorted(wrong, key=lambda w: (-w[2], w)), by_class
    )


def percent_right(probabilities: NDArray[np.float64], truth: int = UNKNOWN) -> float:
    """Per cent that a classifier gives the true class, or, where that is not known, the most probable one."""
    return 100 * float(probabilities[truth] if 0 <= truth < len(probabilities) else probabilities.max())
