"""A classifier's training run in the window: classes and accuracy where a steering network's has angles and RMSE."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, wait_shown, write_drive

sys.path.append(str(Path(__file__).resolve().parents[1]))
from runmaker import example
from vbp.classes import class_name
from vbp.drives import open_drive
from vbp.engine import Engine
from vbp.training.classes import CLASSES
from vbp.training.folder import Run, write_metrics


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return example("classes", tmp_path).train(tmp_path / "run")


def test_every_checkpoint_says_its_class(qtbot, make_window, run: Run) -> None:
    window = make_window("NetSVF")
    window.drop(run.path)  # with nothing open, the pictures that it learnt from open with it
    panel, checkpoints = window.panels.run, run.checkpoints()
    assert len(checkpoints) == 5
    qtbot.waitUntil(lambda: sum(t.picture is not None for t in panel.strip.tiles) == 5, timeout=WAIT)
    source = Path(run.config.sources[0].path)
    assert window.player.path == source
    with open_drive(source) as drive:
        picture = drive.frame(window.player.shown_frame.index)
    for tile, checkpoint in zip(panel.strip.tiles, checkpoints, strict=True):
        network = checkpoint.load()
        probabilities = Engine(network, "cpu").run(picture).probabilities
        k = int(probabilities.argmax())
        assert tile.class_text == f"{class_name(network.spec, k)} {100 * probabilities[k]:.0f} %"
        assert np.isnan(tile.predicted_deg)


def test_a_frame_without_a_picture_asks_for_no_drive(qtbot, open_window, run: Run, tmp_path: Path) -> None:
    window = open_window(write_drive(tmp_path / "gap", frames=4, broken=(2,)), frame=2)
    assert window.player.on_gap
    window.run.show(run.path)
    tiles = window.panels.run.strip
    qtbot.waitUntil(lambda: len(tiles.tiles) == 5, timeout=WAIT)
    assert {t.words for t in tiles.tiles} == {"no picture"} and window.run.complete(2)
    window.player.seek(1)
    wait_shown(qtbot, window, 1)
    window.source.open_drive(tmp_path / "gap", frame=2)
    qtbot.waitUntil(lambda: {t.words for t in tiles.tiles} == {"no picture"}, timeout=WAIT)


def test_its_status_and_curves_are_those_of_a_classifier(qtbot, make_window, run: Run) -> None:
    window = make_window("NetSVF")
    window.run.show(run.path)
    panel, rows = window.panels.run, run.metrics()
    right = f"{100 * rows[-1].test_accuracy:.1f} % right"
    qtbot.waitUntil(lambda: panel.status() == f"run: finished, 6 epochs, {right}", timeout=WAIT)
    curves = panel.plot._curves
    assert curves.quantity == "loss" and curves.unit == ""
    np.testing.assert_array_equal(curves.train, [r.train_loss for r in rows])
    np.testing.assert_array_equal(curves.test, [r.test_loss for r in rows])
    assert not panel.plot.grab().isNull()
    # Followed as it trains, and with nothing held out.
    nan = float("nan")
    write_metrics(run.path, [replace(r, test_loss=nan, test_accuracy=nan) for r in rows[:3]], CLASSES)
    qtbot.waitUntil(lambda: "train loss" in panel.status(), timeout=WAIT)
    assert panel.status().startswith("run: training, epoch 1 of 6, train loss ")
