"""What the window predicts of a drive: one table, by the network that is on the screen."""

from __future__ import annotations

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive
from PySide6.QtCore import Qt

from roadmaker import tiny_spec
from vbp.drives.opening import open_drive
from vbp.engine import Engine
from vbp.frames import run_frames
from vbp.models.network import build, save_checkpoint


def test_the_whole_drive_is_predicted_by_the_network_on_the_screen(qtbot, open_window, tmp_path):
    """Not by whatever its file has become since it was opened."""
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(build(tiny_spec(), 3), path)
    folder = write_drive(tmp_path / "gaps", frames=10, broken=(4,))
    window = open_window(folder, network=str(path))
    network = window.player.ready.network
    save_checkpoint(build(tiny_spec(), 8), path)
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    with open_drive(folder) as drive:
        expected = [f.plotted for f in run_frames(drive, [Engine(network, "cpu")])]
        other = [f.plotted for f in run_frames(drive, [Engine(build(tiny_spec(), 8), "cpu")])]
    table = window.predictions.table
    assert np.isnan(table.predicted[4]) and np.isnan(expected[4])
    assert table.predicted == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert np.nanmax(np.abs(table.predicted - other)) > 1e-2
    # The picture that turned out to be missing: the timeline shows it, and the curve does not go across.
    timeline, plot = window.panels.transport.timeline, window.panels.angle
    assert timeline.gap_at(4) and not timeline.gap_at(3) and not timeline.gap_at(5)
    plot._draw_curves()
    xs, ys = plot._curves["predicted"].getData()
    assert xs[np.flatnonzero(np.isnan(ys))[0] - 1] == pytest.approx(3 / 20, abs=0.01)
    for frame in (7, 2):
        window.player.seek(frame)
        wait_shown(qtbot, window, frame, masked=True)
        assert table.predicted[frame] == pytest.approx(expected[frame], abs=1e-4)


def test_another_network_starts_another_table(qtbot, open_window, tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for seed, path in enumerate(paths, 3):
        save_checkpoint(build(tiny_spec(), seed), path)
    window = open_window(write_drive(tmp_path / "six", frames=6), network=str(paths[0]))
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    before = window.predictions.table
    window.network.use(str(paths[1]))
    qtbot.waitUntil(lambda: window.player.ready.name == str(paths[1]), timeout=WAIT)
    wait_shown(qtbot, window, 0, masked=True)
    settled(qtbot, window)
    after = window.predictions.table
    assert after is not before and np.isfinite(before.predicted).all()
    assert np.isfinite(after.predicted).sum() == 1 and after.predicted[0] != before.predicted[0]
    window.source.close_drive()
    assert window.predictions.table is None


def test_what_is_known_of_a_drive_outlives_one_that_does_not_open(qtbot, open_window, tmp_path):
    """It is a video by its first bytes, so that the good recording has given way by the time it fails."""
    path = tmp_path / "a.safetensors"
    save_checkpoint(build(tiny_spec(), 3), path)
    window = open_window(write_drive(tmp_path / "six", frames=6), network=str(path))
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    before = window.predictions.table
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\0\0\0\x20ftypisom" + bytes(4000))
    window.drop(bad)
    qtbot.waitUntil(lambda: "bad.mp4" in window.notice.message(), timeout=WAIT)
    wait_shown(qtbot, window, 0, masked=True)
    settled(qtbot, window)
    assert window.predictions.table is before and np.isfinite(before.predicted).all()
    plot = window.panels.angle
    plot._draw_curves()
    assert np.isfinite(plot._curves["predicted"].getData()[1]).sum() >= 6
    window.source.open_drive(tmp_path / "six")  # asked for again, it may be another by now
    wait_shown(qtbot, window, 0, masked=True)
    settled(qtbot, window)
    assert window.predictions.table is not before  # what was kept of the same files is in it


def test_closing_the_window_meanwhile_asks(qtbot, open_window):
    window = open_window(network="NetSVF")
    qtbot.waitUntil(window.predictions.keeps, timeout=WAIT)
    window.predictions.start()
    window.evidence.test()
    window.close()
    assert window.isVisible()
    assert window.question.text() == (
        "Still under way: the prediction of the whole drive, of which what is done so far is kept; "
        "and the test of the maps, which is not kept."
    )
    qtbot.mouseClick(window.question.stop, Qt.MouseButton.LeftButton)
    assert not window.isVisible() and window.threads_left == []
