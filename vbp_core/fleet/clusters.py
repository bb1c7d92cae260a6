"""Groups of findings in which a network looked at the same thing, without anybody having said what to look for.

The ancestor is spectral relevance analysis (Lapuschkin et al. 2019, "Unmasking Clever Hans predictors and assessing what machines
really learn", Nature Communications 10:1096), which clusters heat maps. Here it is the masks and the last hidden layer at the
peaks of findings, by PCA and HDBSCAN (Campello et al. 2013) of scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vbp.errors import VbpError
from vbp.fleet.alike import features
from vbp.fleet.dataset import Fleet

DIMENSIONS = 10  # of the PCA, in which HDBSCAN works
FEWEST = 20  # findings
SMALLEST = 5  # of a cluster, or a fiftieth of all
SEED = 0
BELONGS = 0.5  # by HDBSCAN's measure: what lies around a cluster, some times as far from it as its points from each other, is in none
ALONE = -1  # the label of what is in no cluster
STANDS_OUT = (
    0.8  # standard deviations, from which on a number of a cluster is unlike the rest ("large" by Cohen 1988)
)
NUMBERS = (
    "error_deg",
    "driven_deg",
    "predicted_deg",
    "speed_mps",
    "curvature",
    "mask_strength",
    "mask_spread",
    "seconds",
)


@dataclass(frozen=True)
class Unlike:
    """A number of a cluster beside that of the rest: means, and by how many standard deviations of all they differ."""

    name: str
    inside: float
    outside: float
    deviations: float


@dataclass(frozen=True)
class Cluster:
    """label: 0 is the largest. share: of all findings. drives: in how many. mean_error: of |error_deg|, NaN where not known.
    middle: the row that is nearest to the mean of the cluster. unlike: what stands out, most first."""

    label: int
    size: int
    share: float
    drives: int
    kinds: dict[str, int]
    mean_error: float
    middle: int
    unlike: list[Unlike]


@dataclass(frozen=True, eq=False)
class Clusters:
    """rows: the findings that were clustered, N of them. labels: (N,) int64, ALONE for those in none. points: (N, 2) float64,
    their first two principal components, for a scatter."""

    rows: pa.Table
    labels: NDArray[np.int64]
    points: NDArray[np.float64]
    clusters: list[Cluster]


def find_clusters(fleet: Fleet) -> Clusters:
    """Of all findings of network A that have a mask; always the same for the same fleet. Raises VbpError for too few."""
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA

    table = fleet.findings.to_table()
    found, known = features(table)
    rows, found = table.filter(pa.array(known)), found[known].astype(np.float64)
    if len(rows) < FEWEST:
        raise VbpError(
            f"{fleet.folder} has {len(rows)} findings with masks, too few for clusters; {FEWEST} are the least"
        )
    wanted = min(DIMENSIONS, *found.shape)
    reduced = PCA(wanted, random_state=SEED).fit_transform(found)
    model = HDBSCAN(min_cluster_size=max(SMALLEST, len(rows) // 50), copy=True).fit(reduced)
    labels = np.where(model.probabilities_ >= BELONGS, model.labels_, ALONE)
    sizes = np.bincount(labels[labels >= 0]) if (labels >= 0).any() else np.zeros(0, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    renamed = np.full(len(labels), ALONE, dtype=np.int64)
    for new, old in enumerate(order):
        renamed[labels == old] = new
    clusters = [_describe(rows, renamed, reduced, label) for label in range(len(order))]
    return Clusters(rows, renamed, np.asarray(reduced[:, :2], dtype=np.float64), clusters)


def _describe(rows: pa.Table, labels: NDArray[np.int64], reduced: NDArray[np.float64], label: int) -> Cluster:
    inside = labels == label
    picked = rows.filter(pa.array(inside))
    distance = np.linalg.norm(reduced - reduced[inside].mean(0), axis=1)
    kinds = picked["kind"].to_pylist()
    error = np.abs(_numbers(picked, "error_deg"))
    unlike = [_unlike(name, _numbers(rows, name), inside) for name in NUMBERS]
    return Cluster(
        label,
        int(inside.sum()),
        float(inside.mean()),
        len(set(picked["drive"].to_pylist())),
        {kind: kinds.count(kind) for kind in dict.fromkeys(sorted(kinds))},
        float(np.nanmean(error)) if np.isfinite(error).any() else float("nan"),
        int(np.where(inside, distance, np.inf).argmin()),
        sorted((u for u in unlike if abs(u.deviations) >= STANDS_OUT), key=lambda u: -abs(u.deviations)),
    )


def _numbers(rows: pa.Table, name: str) -> NDArray[np.float64]:
    values = np.array(rows[name].to_numpy(zero_copy_only=False), dtype=np.float64)
    values[~np.isfinite(values)] = np.nan  # the strength of an empty mask
    return values


def _unlike(name: str, values: NDArray[np.float64], inside: NDArray[np.bool_]) -> Unlike:
    ours, rest = (v[np.isfinite(v)] for v in (values[inside], values[~inside]))
    if not (len(ours) and len(rest)):
        return Unlike(name, float("nan"), float("nan"), 0.0)
    deviation = float(np.nanstd(values))
    apart = float(ours.mean() - rest.mean())
    return Unlike(name, float(ours.mean()), float(rest.mean()), apart / deviation if deviation > 0 else 0.0)
