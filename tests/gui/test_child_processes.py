"""The processes that the program starts import nothing from the folder in which it was started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from drivemaker import write_drive

from vbp.app.jobs.export_queue import DONE, FAILED, ExportQueue
from vbp.bench.large import measure_large
from vbp.bench.window import measure_window
from vbp.drives.base import OpenOptions
from vbp.export.job import Job, Settings
from vbp.simulate import Settings as World
from vbp.simulate import simulate

LONG = 120_000  # milliseconds: a process has to import torch
NETWORK = """
from torch import nn
def net():
    return nn.Sequential(nn.Conv2d(1, 4, 5, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
"""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with modules in it that bear the names of Python's and others'."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("json", "numpy", "pickle"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the current folder')\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return folder


@pytest.mark.parametrize("name", ["json", "numpy", "pickle"])
def test_the_folder_is_hostile(hostile: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True)
    assert "imported from the current folder" in done.stderr


@pytest.mark.parametrize("model", ["NetSVF", "mine:net?spec=mine.toml"])
def test_an_export_of_the_window(qtbot, hostile: Path, tmp_path: Path, model: str) -> None:
    """A network of the user's own is found there all the same: they name it."""
    (hostile / "mine.py").write_text(NETWORK.replace("nn.LazyLinear(1)", "nn.Linear(4 * 6 * 10, 1)"))
    (hostile / "mine.toml").write_text(
        'input_height = 20\ninput_width = 32\nchannels = 1\noutput_unit = "rad"\noutput_sign = "left"\n'
    )
    drive = write_drive(tmp_path / "drive", 4)
    settings = Settings(size=(320, 180), encoder="cpu")
    job = Job(drive, OpenOptions(), model, "cpu", tmp_path / "clip.mp4", 0, 3, settings=settings)
    queue = ExportQueue()
    export = queue.add(job)
    qtbot.waitUntil(lambda: export.state in (DONE, FAILED), timeout=LONG)
    assert export.state == DONE, export.text
    assert (tmp_path / "clip.mp4").stat().st_size > 1000


@pytest.mark.filterwarnings("error::UserWarning")  # which says that a process of multiprocessing died
def test_workers_of_a_simulation(hostile: Path, tmp_path: Path) -> None:
    assert (simulate(tmp_path / "road", World(frames=24, seed=1), workers=2) / "center").is_dir()


def test_the_window_that_is_measured(hostile: Path, tmp_path: Path) -> None:
    drive = write_drive(tmp_path / "drive", 60)
    found = measure_window({"drive": drive}, "NetSVF", "cpu", 20, 3, strokes=1)
    assert found is not None and found["window_ms"] > 0
    assert len(found["recordings"]["drive"]["findings_ms"]) == 3
    assert (
        len(found["recordings"]["drive"]["strokes_ms"]) == 20
    )  # of every move, though not each has a picture of its own


def test_the_long_drive_that_is_measured(hostile: Path, tmp_path: Path) -> None:
    assert measure_large(write_drive(tmp_path / "drive", 6), "NetSVF", "cpu", 0.0)["frames"] == 6
