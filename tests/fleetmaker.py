"""Small fleets: drives of some seconds, two networks that run in a moment, and an index of them in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from roadmaker import tiny_spec, write_drive
from vbp.engine import network_name, open_network
from vbp.fleet.discover import find_drives
from vbp.fleet.keys import network_key
from vbp.fleet.pool import Here
from vbp.fleet.run import Report, Runner, index
from vbp.fleet.settings import Settings, Side
from vbp.fleet.work import Task
from vbp.models.network import build, save_checkpoint

SECONDS = 1.0  # of a piece: 20 frames
TABLES = ("frames", "findings", "drives")


def make_networks(folder: Path) -> list[str]:
    """Two untrained networks of one kind, which differ in their weights: A, B."""
    paths = [folder / name for name in ("a.safetensors", "b.safetensors")]
    for seed, path in enumerate(paths):
        save_checkpoint(build(tiny_spec(trained_on="nothing yet"), seed), path)
    return list(map(str, paths))


def make_drives(folder: Path, count: int = 3, frames: int = 50) -> Path:
    for k in range(count):
        write_drive(folder / f"drive{k}", frames + k, seed=k)
    return folder


def settings_of(sources: list[str], seconds: float = SECONDS) -> Settings:
    networks = [open_network(source) for source in sources]
    sides = (
        Side(s, network_name(n), network_key(n, s), n.trained, "")
        for s, n in zip(sources, networks, strict=True)
    )
    return Settings(tuple(sides), seconds=seconds)


def make_fleet(
    folder: Path,
    drives: Path | list[Path],
    settings: Settings,
    said: list[str] | None = None,
    runner: Runner | None = None,
) -> Report:
    paths = find_drives([drives] if isinstance(drives, Path) else drives)
    say = (said if said is not None else []).append
    if runner is not None:
        return index(folder, settings, paths, runner, say, lambda *_: None)
    with Here(Task(folder, settings, "cpu")) as here:
        return index(folder, settings, paths, here, say, lambda *_: None)


def rows_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all whole files, sorted: what two ways of indexing must have in common."""
    found = {}
    for name in TABLES:
        files = sorted((folder / name).glob("*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        found[name] = sorted(rows, key=lambda r: (r["drive"], r.get("frame") or 0, r.get("kind") or ""))
    return found


def counts(folder: Path) -> dict[str, list[int]]:
    """Drive -> its frames, as often as they are there."""
    table = ds.dataset(str(folder / "frames")).to_table(columns=["drive", "frame"])
    found: dict[str, list[int]] = {}
    for drive, frame in zip(table["drive"].to_pylist(), table["frame"].to_pylist(), strict=True):
        found.setdefault(drive, []).append(frame)
    return {drive: sorted(frames) for drive, frames in found.items()}
