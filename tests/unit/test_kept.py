"""The files of kept predictions: whole or not there, of what they say, and not more than fit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from roadmaker import tiny_spec, write_drive
from vbp.drives.base import OpenOptions
from vbp.drives.opening import open_drive
from vbp.frames import kept
from vbp.frames.table import FrameTable
from vbp.models.network import Network, build
from vbp.overlay import Rect

FRAMES = 40
READ = OpenOptions()


@pytest.fixture
def table(tmp_path: Path) -> FrameTable:
    with open_drive(write_drive(tmp_path / "drive", FRAMES)) as drive:
        table = FrameTable(drive)
    rng = np.random.default_rng(2)
    table.predicted[:30], table.strength[:30] = rng.normal(size=30), rng.normal(size=30)
    table.strength[3] = -np.inf
    table.classes[:30] = rng.integers(0, 9, 30)
    table.gaps = {35: "it is damaged: \u2014"}
    return table


def test_what_was_kept_is_what_it_was(table: FrameTable, tmp_path: Path) -> None:
    kept.save("a", table, tmp_path)
    found = kept.load("a", FRAMES, tmp_path)
    assert found is not None and found.gaps == table.gaps
    for name in ("predicted", "strength", "classes"):
        assert np.array_equal(getattr(found, name), getattr(table, name), equal_nan=True), name
    assert kept.load("b", FRAMES, tmp_path) is None and kept.load("a", FRAMES + 1, tmp_path) is None
    assert not (tmp_path / "a.predictions").exists()  # it was of something else


def test_of_any_damage_nothing_is_read(table: FrameTable, tmp_path: Path) -> None:
    kept.save("a", table, tmp_path)
    file = tmp_path / "a.predictions"
    whole = file.read_bytes()
    for at in [*range(0, len(whole), 37), len(whole) - 1]:
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :], whole + b"x"):
            file.write_bytes(damaged)
            assert kept.load("a", FRAMES, tmp_path) is None and not file.exists()
    shutil.copy(__file__, file)
    assert kept.load("a", FRAMES, tmp_path) is None


def test_the_oldest_give_way(table: FrameTable, tmp_path: Path) -> None:
    kept.save("a", table, tmp_path)
    size = (tmp_path / "a.predictions").stat().st_size
    room = 4 * size + size // 2  # the time in a file takes some bytes more or less
    for k, name in enumerate("abcd"):
        kept.save(name, table, tmp_path, room)
        os.utime(tmp_path / f"{name}.predictions", (1000 + k, 1000 + k))
    assert kept.load("a", FRAMES, tmp_path) is not None  # of use: now b is the oldest
    kept.save("e", table, tmp_path, room)
    assert sorted(p.stem for p in tmp_path.glob("*.predictions")) == ["a", "c", "d", "e"]
    kept.save("f", table, tmp_path, size // 2)  # too large for the folder
    assert not (tmp_path / "f.predictions").exists()
    assert kept.forget_all(tmp_path)[0] == 4 and not list(tmp_path.glob("*.predictions"))


WRITER = """
import sys
from pathlib import Path
import numpy as np
from vbp.frames import kept
class Table:
    predicted = strength = np.full(200_000, 1.5)
    classes = np.zeros(200_000, dtype=np.int64)
    gaps = {}
    def __len__(self): return 200_000
table = Table()
print("go", flush=True)
while True:
    kept.save("a", table, Path(sys.argv[1]))
"""


def test_killed_while_it_is_written_it_is_whole_or_not_there(tmp_path: Path) -> None:
    for n in (1, 2):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(20 * n):
                kept.load("a", 200_000, tmp_path)  # some time, in which it is written again and again
            process.send_signal(signal.SIGKILL)
        for file in tmp_path.glob("*.predictions"):
            found = kept._read(file.read_bytes(), "a", 200_000)
            assert (found.predicted == 1.5).all()


def test_the_key_knows_the_files_the_network_and_how_they_are_read(tmp_path: Path) -> None:
    folder = write_drive(tmp_path / "drive", 6)
    network = build(tiny_spec(), 3)

    def key(network: Network = network, options: OpenOptions = READ, crop: Rect | None = None) -> str:
        with open_drive(folder, options) as drive:
            return kept.key_of(drive, options, network, crop)

    first = key()
    assert first and first == key() == key(build(tiny_spec(), 3))
    changed = build(tiny_spec(), 3)
    with torch.no_grad():
        next(changed.module.parameters()).view(-1)[0] += 1e-6
    others = {
        key(changed),
        key(build(tiny_spec(), 4)),
        key(options=OpenOptions(max_gap_s=0.1)),
        key(crop=Rect(0, 0, 40, 30)),
    }
    assert first not in others and len(others) == 4
    own = Network(tiny_spec(architecture=""), nn.Sequential(nn.Flatten(), nn.LazyLinear(1)))
    assert key(own) == ""  # code that nobody can see into
    picture = next(p for p in sorted(folder.rglob("*")) if p.suffix in (".png", ".jpg"))
    stat, data = picture.stat(), picture.read_bytes()
    picture.write_bytes(data)
    os.utime(picture, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert key() != first
    second = key()
    picture.unlink()
    assert key() not in (first, second)
