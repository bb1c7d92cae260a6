"""The index on a Ray cluster of two nodes; where Ray is installed (`pip install 'vbp[ray]'`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetmaker import make_drives, make_fleet, make_networks, rows_of, settings_of
from vbp.cli import main
from vbp.fleet.work import Task

pytest.importorskip("ray", reason="Ray is not installed")


@pytest.mark.filterwarnings("ignore")
def test_two_nodes_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    from vbp.fleet.on_ray import OnRay

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent))
    drives = make_drives(tmp_path / "in", 3)
    (drives / "bad.mp4").write_bytes(b"no video" * 99)
    settings, said = settings_of(make_networks(tmp_path)), []
    make_fleet(tmp_path / "here", drives, settings)
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(**node)
        with OnRay(cluster.address, Task(tmp_path / "ray", settings, "cpu", 1)) as runner:
            report = make_fleet(tmp_path / "ray", drives, settings, said, runner)
    finally:
        cluster.shutdown()
    assert report.frames == 153 and len(said) == len(report.failed) == 1
    assert repr(rows_of(tmp_path / "ray")) == repr(rows_of(tmp_path / "here"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_where_no_cluster_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    drives, (network, _) = make_drives(tmp_path / "in", 1), make_networks(tmp_path)
    command = ["index", str(drives), "-o", str(tmp_path / "out"), "--model", network, "--ray", address]
    assert main(command) == 2
    assert f"no Ray cluster answers at {address}" in capsys.readouterr().err
