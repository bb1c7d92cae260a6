"""Findings made in groups are found as these groups, and a group's numbers are those of its rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetmaker import make_fleet, make_networks, settings_of
from roadmaker import write_drive
from vbp.cli import main
from vbp.errors import VbpError
from vbp.fleet.clusters import find_clusters
from vbp.fleet.dataset import Fleet
from vbp.fleet.schema import finding_schema

GROUPS, EACH, ALONE = 3, 12, 8


def plant(folder: Path) -> np.ndarray:
    """A fleet whose findings are replaced by groups of masks around GROUPS places, and some anywhere; which is which."""
    rng = np.random.default_rng(3)
    write_drive(folder / "in", 25)
    settings = settings_of(make_networks(folder)[:1])
    make_fleet(folder / "out", folder / "in", settings)
    of = np.array([k for k in range(GROUPS) for _ in range(EACH - k)] + [-1] * ALONE)
    rows = []
    for n, group in enumerate(rng.permutation(of)):
        mask = rng.integers(0, 6, (8, 16))
        mask.flat[rng.choice(128, 3)] += 200 * (group < 0)
        hidden = rng.normal(0, 1, 16)
        if group >= 0:
            mask[group + 2, 5 * group + 2 : 5 * group + 5] = 255
            hidden = np.eye(16)[group] + rng.normal(0, 0.02, 16)
        rows.append(
            {
                "drive": f"drive{n % 4}",
                "drive_key": "k",
                "frame": n,
                "peak_frame": n,
                "kind": "error",
                "error_deg": 20.0 if group == 1 else float(rng.normal(0, 1)),
                "speed_mps": None if n % 2 else 10.0,
                "mask": mask.astype(np.uint8).ravel(),
                "hidden": hidden.astype(np.float16),
                "area": float(group),
            }
        )
    (file,) = (folder / "out" / "findings").glob("*.parquet")
    pq.write_table(pa.Table.from_pylist(rows, finding_schema(settings)), file)
    return np.array([r["area"] for r in rows])


def test_groups_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of = plant(tmp_path)
    found = find_clusters(Fleet(tmp_path / "out"))
    assert len(found.clusters) == GROUPS and found.points.shape == (len(of), 2)
    groups = []
    for k, cluster in enumerate(found.clusters):
        ours = found.labels == k
        values, counts = np.unique(of[ours], return_counts=True)
        groups.append(values[counts.argmax()])
        assert 2 * counts.max() / (ours.sum() + (of == groups[-1]).sum()) >= 0.9  # F1
        assert cluster.size == ours.sum() and cluster.share == pytest.approx(ours.mean())
        assert found.labels[cluster.middle] == k and cluster.kinds == {"error": cluster.size}
    assert sorted(groups) == [0, 1, 2]
    assert [c.size for c in found.clusters] == sorted((c.size for c in found.clusters), reverse=True)
    wrong = groups.index(1)
    error = np.array(found.rows["error_deg"].to_pylist())
    inside, (unlike,) = found.labels == wrong, found.clusters[wrong].unlike
    assert found.clusters[wrong].mean_error == pytest.approx(np.abs(error[inside]).mean())
    assert unlike.name == "error_deg"
    assert (unlike.inside, unlike.outside) == pytest.approx((error[inside].mean(), error[~inside].mean()))
    assert main(["clusters", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "cluster 2:" in out and "    error_deg " in out and "standard deviations" in out
    assert main(["clusters", str(tmp_path / "out"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [f["cluster"] for f in data["findings"]] == found.labels.tolist()


def test_too_few(tmp_path: Path) -> None:
    write_drive(tmp_path / "in", 25)
    make_fleet(tmp_path / "out", tmp_path / "in", settings_of(make_networks(tmp_path)[:1]))
    with pytest.raises(VbpError, match="too few for clusters"):
        find_clusters(Fleet(tmp_path / "out"))
