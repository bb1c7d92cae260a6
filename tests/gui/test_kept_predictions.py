"""Predictions come back in another window, of the same files alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive

from roadmaker import tiny_spec
from vbp.app.main import main
from vbp.frames import kept
from vbp.models.network import build, save_checkpoint


@pytest.fixture(autouse=True)
def predictions_are_kept_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a test can look into it."""
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("vbp.frames.kept.folder", lambda: tmp_path / "kept")


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(build(tiny_spec(), 3), path)
    return str(path)


@pytest.fixture
def predicted(qtbot, open_window, tmp_path, network):
    """A window in which a drive with a damaged picture was predicted."""
    window = open_window(write_drive(tmp_path / "short", 24, broken=(7,)), network=network)
    qtbot.waitUntil(window.predictions.keeps, timeout=WAIT)
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    return window


def came_back(qtbot, window):
    qtbot.waitUntil(lambda: window.player.ready is not None and window.predictions.keeps(), timeout=WAIT)
    settled(qtbot, window)
    return window.predictions.table


def test_they_come_back_after_a_switch_and_a_restart(
    qtbot, predicted, make_window, tmp_path, network, monkeypatch
):
    window, before = predicted, predicted.predictions.table
    window.source.open_drive(write_drive(tmp_path / "other", 6))
    wait_shown(qtbot, window, 0, masked=True)
    assert np.isfinite(came_back(qtbot, window).predicted).sum() == 1
    assert window.panels.status.kept.isHidden()
    window.source.open_drive(tmp_path / "short")
    wait_shown(qtbot, window, 0, masked=True)
    after = came_back(qtbot, window)
    assert after is not before and np.array_equal(after.predicted, before.predicted, equal_nan=True)
    assert after.gaps.keys() == {7}
    window.end()
    # With the sample of the drive known, none is taken, though it is time for it.
    monkeypatch.setattr("vbp.app.control.predictions.SAMPLE_AFTER_MS", 0)
    second = make_window(network)
    asked = []
    monkeypatch.setattr(second.predictions.sampler, "ask", asked.append)
    second.source.open_drive(tmp_path / "short")
    wait_shown(qtbot, second, 0, masked=True)
    table = came_back(qtbot, second)
    assert np.array_equal(table.predicted, before.predicted, equal_nan=True)
    assert np.array_equal(table.strength, before.strength, equal_nan=True)
    assert not asked and second.predictions.usual is not None
    assert second.panels.status.kept.text().startswith("predictions kept from ")
    second.panels.angle._draw_curves()
    assert np.isfinite(second.panels.angle._curves["predicted"].getData()[1]).sum() >= 23
    second.actions_by_id["forget-kept"].trigger()
    settled(qtbot, second)
    assert list((tmp_path / "kept").iterdir()) == [] and second.panels.status.kept.isHidden()
    assert "1 kept prediction removed" not in second.notice.message()  # two drives were kept
    assert not np.isfinite(second.predictions.table.predicted[1:]).any()


def test_never_of_a_changed_file_nor_of_another_network_or_crop(
    qtbot, predicted, make_window, tmp_path, network
):
    predicted.end()
    assert len(list((tmp_path / "kept").iterdir())) == 1
    picture = sorted((tmp_path / "short" / "center").iterdir())[12]
    stat, data = picture.stat(), picture.read_bytes()
    picture.write_bytes(data[:-200] + bytes(200))  # of the same size, and it says that it is as old
    os.utime(picture, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    window = make_window(network)
    window.source.open_drive(tmp_path / "short")
    wait_shown(qtbot, window, 0, masked=True)
    assert np.isfinite(came_back(qtbot, window).predicted).sum() == 1
    assert window.panels.status.kept.isHidden()


def test_a_damaged_one_is_no_trouble(qtbot, predicted, make_window, tmp_path, network):
    predicted.end()
    (file,) = (tmp_path / "kept").iterdir()
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    window = make_window(network)
    window.source.open_drive(tmp_path / "short")
    wait_shown(qtbot, window, 0, masked=True)
    assert np.isfinite(came_back(qtbot, window).predicted).sum() == 1
    assert window.notice.message() == "" and not file.exists()
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    window.end()
    assert kept.load(file.stem, 24, tmp_path / "kept") is not None


def test_a_picture_of_the_window_leaves_none(tmp_path, network):
    folder, out = write_drive(tmp_path / "short", 24), tmp_path / "window.png"
    assert main([str(folder), "--model", network, "--frame", "20", "--screenshot", str(out)]) == 0
    assert out.is_file()
    assert list((tmp_path / "kept").iterdir()) == []
