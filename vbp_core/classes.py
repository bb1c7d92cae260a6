"""Classes of pictures and classes of networks: which is which, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Drive
from vbp.models.spec import NetworkSpec

UNKNOWN = -1
LISTED = 5  # of names in a sentence


def class_name(spec: NetworkSpec, number: int) -> str:
    """What class `number` of a classifier is called; its number where it has no name. UNKNOWN is ""."""
    if number < 0:
        return ""
    return spec.classes[number] if number < len(spec.classes) else f"class {number}"


def labels_for(drive: Drive, spec: NetworkSpec) -> NDArray[np.int64]:
    """The classifier's class of each frame of `drive`, (N,) int64, UNKNOWN where it is not known or it has none such.

    A folder is the class that it is called by, in any case, with _ and - for spaces; one that is called by a number,
    as those of GTSRB, is otherwise the class of that number. Each folder is looked up by itself: one that is not found is UNKNOWN.
    """
    if drive.labels is None or not spec.is_classifier:
        return np.full(len(drive), UNKNOWN, dtype=np.int64)
    of_folder = np.array(_classes_of(drive.info.classes, spec), dtype=np.int64)
    return np.where(drive.labels >= 0, of_folder[drive.labels], UNKNOWN)


def unknown_folders(drive: Drive, spec: NetworkSpec) -> str:
    """One sentence that names the folders of `drive` which are no class of the classifier; "" where all are."""
    if drive.labels is None or not spec.is_classifier:
        return ""
    found = _classes_of(drive.info.classes, spec)
    unknown = [
        k for k, (folder, number) in enumerate(zip(drive.info.classes, found, strict=True)) if number < 0
    ]
    if not unknown:
        return ""
    names = [drive.info.classes[k] for k in unknown[:LISTED]]
    more = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
    pictures = int(np.isin(drive.labels, unknown).sum())
    return (
        f"{spec.name} has no class named {', '.join(names)}{more}, so the true class of {pictures} of the "
        f"{len(drive)} pictures in {drive.info.path} is not known; name each folder after its class or the class's number"
    )


def class_of(folder: str, spec: NetworkSpec) -> int:
    """The classifier's class that a folder of this name holds (see `labels_for`), UNKNOWN where there is no such class."""
    return _classes_of((folder,), spec)[0]


def _classes_of(folders: tuple[str, ...], spec: NetworkSpec) -> list[int]:
    """The class of each folder, UNKNOWN where there is no such class."""
    named = {_plain(name): k for k, name in enumerate(spec.classes)}
    most = len(spec.classes) or np.iinfo(np.int64).max
    found = []
    for folder in folders:
        number = named.get(_plain(folder), int(folder) if are_numbers((folder,)) else UNKNOWN)
        found.append(number if number < most else UNKNOWN)
    return found


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

    @property
    def cells(self) -> dict[tuple[int, int], int]:
        """The confusion matrix: (true class, predicted class) -> how often, where that is not 0."""
        diagonal = {(k, k): right for k, (_, right) in self.by_class.items() if right}
        return diagonal | {(a, b): n for a, b, n in self.confusion}


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


def class_score_words(scores: ClassScores) -> str:
    """In one line, of at least one frame."""
    whole = sum(n == right for n, right in scores.by_class.values())
    return (
        f"{100 * scores.accuracy:.1f} % right: {scores.right} of {scores.frames} frames whose class is known; "
        f"{whole} of {len(scores.by_class)} classes always right"
    )


def percent_right(probabilities: NDArray[np.float64], truth: int = UNKNOWN) -> float:
    """Per cent that a classifier gives the true class, or, where that is not known, the most probable one."""
    return 100 * float(probabilities[truth] if 0 <= truth < len(probabilities) else probabilities.max())
