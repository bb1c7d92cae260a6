"""What `vbp predict` and `vbp eval` write of a classifier."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vbp.classes import class_name, class_score_words, labels_for, score_classes, unknown_folders
from vbp.drives import Drive
from vbp.errors import VbpError

if TYPE_CHECKING:
    from vbp.models.network import Network


log = logging.getLogger(__name__)
LISTED = 10


def warn_of_unknown_folders(drive: Drive, network: Network) -> None:
    """Warn of folders that are no class of the network."""
    if text := unknown_folders(drive, network.spec):
        log.warning(text)


def labelled(drive: Drive, network: Network, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frames of `indices` whose true class is one of the network's. Raises VbpError where there are none."""
    known = indices[labels_for(drive, network.spec)[indices] >= 0]
    if not len(known):
        why = (
            "has no classes" if drive.labels is None else f"has no classes that {network.spec.name} predicts"
        )
        raise VbpError(
            f"{drive.info.path} {why} on these frames to compare with; open a folder with one folder of pictures for each "
            "class"
        )
    return known


def facts(network: Network, labels: NDArray[np.int64], found: NDArray[np.int64]) -> dict[str, Any]:
    """What `--json` prints: accuracy, the confusions, and each class's share."""
    scores = score_classes(labels, found)
    spec = network.spec
    return {
        "frames": scores.frames,
        "right": scores.right,
        "accuracy": scores.accuracy,
        "confusion": [
            {
                "label": a,
                "label_name": class_name(spec, a),
                "class": b,
                "class_name": class_name(spec, b),
                "frames": n,
            }
            for a, b, n in scores.confusion
        ],
        "by_class": [
            {"label": k, "label_name": class_name(spec, k), "frames": n, "right": right}
            for k, (n, right) in scores.by_class.items()
        ],
    }


def print_text(network: Network, labels: NDArray[np.int64], found: NDArray[np.int64]) -> None:
    """Accuracy, the commonest confusions, and how many classes are always right."""
    scores = score_classes(labels, found)
    spec = network.spec
    print(class_score_words(scores))
    if scores.confusion:
        print("most common confusions, true → predicted")
        for a, b, n in scores.confusion[:LISTED]:
            print(f"  {n:>5} of {scores.by_class[a][0]:<5} {class_name(spec, a)} → {class_name(spec, b)}")
        if len(scores.confusion) > LISTED:
            print(f"  and {len(scores.confusion) - LISTED} other pairs; --json lists them")
