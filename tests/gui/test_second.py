"""Two networks at once in the window: one pass over the frames, two masks, two curves, and where they differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog

from roadmaker import tiny_spec
from vbp.comparing.moments import KINDS, moments
from vbp.drives.opening import open_drive
from vbp.engine import Engine
from vbp.frames import run_frames
from vbp.frames.strengths import Usual
from vbp.models.network import build, save_checkpoint
from vbp.session.document import load


@pytest.fixture
def networks(tmp_path):
    """Two networks that differ, and one that predicts classes."""
    specs = (
        tiny_spec(),
        tiny_spec(),
        tiny_spec(
            output="class", arguments={"widths": [6, 8], "strides": [2, 2], "hidden": [16], "outputs": 3}
        ),
    )
    paths = [tmp_path / f"{name}.safetensors" for name in ("one", "two", "signs")]
    for seed, (spec, path) in enumerate(zip(specs, paths, strict=True), 3):
        save_checkpoint(build(spec, seed), path)
    return [str(path) for path in paths]


def compare(qtbot, window, name: str) -> None:
    window.second.use(name)
    qtbot.waitUntil(
        lambda: window.player.second is not None and window.player.second.name == name, timeout=4 * WAIT
    )
    qtbot.waitUntil(lambda: of_second(window) is not None, timeout=WAIT)


def of_second(window):
    frame = window.player.shown_frame
    return window.player.of_second(frame) if frame is not None else None


def predict(qtbot, window) -> None:
    window.actions_by_id["predict"].trigger()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)


def test_a_network_beside_itself_differs_in_nothing(qtbot, open_window, networks, tmp_path):
    window = open_window(write_drive(tmp_path / "ten", frames=10), network=networks[0])
    assert not window.actions_by_id["stop-comparing"].isEnabled()
    compare(qtbot, window, networks[0])
    predict(qtbot, window)
    pair, panel = window.predictions.pair, window.panels.second
    assert np.array_equal(pair.a.predicted, pair.b.predicted) and np.isfinite(pair.b.predicted).all()
    assert not pair.masks_differ.any()
    assert np.array_equal(panel.first.blended(), panel.second.blended())
    assert "B − A 0.0°" in panel.words.text() and "masks agree 100 %" in panel.words.text()
    window.actions_by_id["next-difference"].trigger()
    assert "do not differ" in window.notice.message()
    assert window.player.target == 0
    qtbot.waitUntil(lambda: "do not differ" in panel._none.text(), timeout=WAIT)
    assert panel.list.count() == 0


def test_two_networks_are_run_in_one_pass_and_where_they_differ_is_found(
    qtbot, open_window, networks, tmp_path, monkeypatch
):
    folder = write_drive(tmp_path / "gaps", frames=40, fps=10.0, broken=(4,))
    window = open_window(folder, network=networks[0])
    first, second = window.player.ready.network, None
    compare(qtbot, window, networks[1])
    second = window.player.second.engine.network
    opened: list[int] = []
    monkeypatch.setattr("vbp.app.jobs.predict.open_drive", lambda *a: opened.append(1) or open_drive(*a))
    predict(qtbot, window)
    assert len(opened) == 1
    with open_drive(folder) as drive:
        a, b = ([f.plotted for f in run_frames(drive, [Engine(n, "cpu")])] for n in (first, second))
    pair, plot, timeline = window.predictions.pair, window.panels.angle, window.panels.transport.timeline
    assert pair.a.predicted == pytest.approx(a, abs=1e-4, nan_ok=True)
    assert pair.b.predicted == pytest.approx(b, abs=1e-4, nan_ok=True)
    assert window.predictions.table.predicted == pytest.approx(a, abs=1e-4, nan_ok=True)
    # The plot's third curve, its legend, and the strip.
    plot._draw_curves()
    assert np.isfinite(plot._curves["second"].getData()[1]).sum() == 39
    assert "second" in plot._legend.text
    timeline.grab()
    assert len(timeline._below) == 1
    differences = np.abs(np.subtract(b, a))
    largest = int(np.nanargmax(differences))
    assert (
        f"{differences[largest]:.1f}°" in timeline.describe(largest).split("difference of the networks ")[1]
    )
    # The keys, by size.
    window.actions_by_id["next-difference"].trigger()
    wait_shown(qtbot, window, largest, masked=True)
    window.actions_by_id["next-difference"].trigger()
    next_one = window.player.target
    assert abs(next_one - largest) >= 10
    assert differences[next_one] == np.nanmax(np.where(np.abs(np.arange(40) - largest) < 10, 0, differences))
    window.actions_by_id["previous-difference"].trigger()
    wait_shown(qtbot, window, largest, masked=True)
    # The stretches, of which a click shows the peak.
    panel = window.panels.second
    qtbot.waitUntil(lambda: panel.list.count() > 0, timeout=WAIT)
    found = moments(pair.compared()).found
    item = panel.list.item(0)
    assert KINDS[found[0].kind].title in item.text()
    panel.list.itemClicked.emit(item)
    peak = found[0].peak
    wait_shown(qtbot, window, peak, masked=True)
    # One picture: three colours, and none of them where neither looks.
    panel.views.activated.emit(1)
    both = panel.both.blended().astype(int)
    assert (np.ptp(both, axis=2) > 40).any() and not np.array_equal(both, panel.first.blended())
    # A mask that is weak in its drive is said and fades, the second network's as well.
    usual = Usual(0.0, float(window.predictions.pair.b.strength[peak]) + 3)
    panel.set_usual(None, usual)
    assert "mask weak" in panel.second._warning and "mask weak" not in (panel.first._warning or "")
    assert panel.both._warning.startswith("B: mask weak: 1/")
    faded = panel.both.blended().astype(int)
    assert (faded[..., 2] <= both[..., 2]).all() and (faded < both).any()
    # Smoothed as the picture is: over the two frames that follow each other.
    window.view.set_overlay(replace(window.presenter.overlay, smooth=2))
    for frame in (peak - 1, peak):
        window.player.seek(frame)
        wait_shown(qtbot, window, frame, masked=True)
    for view in (window.panels.picture, panel.first, panel.second, panel.both):
        view.blended()
        assert view.smoothed() == "smoothed over 2 frames"
    window.actions_by_id["stop-comparing"].trigger()
    assert window.predictions.pair is None and window.player.second is None
    plot._draw_curves()
    assert "second" not in plot._legend.text and not len(plot._curves["second"].getData()[1])
    timeline.grab()
    assert timeline._below == [] and panel.stack.currentIndex() == 0
    wait_shown(qtbot, window, found[0].peak, masked=True)


def test_what_cannot_stand_beside_leaves_the_first_untouched(qtbot, open_window, networks, tmp_path):
    window = open_window(write_drive(tmp_path / "six", frames=6), network=networks[0])
    ready = window.player.ready
    broken, anysize = tmp_path / "broken.onnx", tmp_path / "no.safetensors"
    broken.write_bytes(b"no network")
    for name, said in ((broken, "broken.onnx"), (anysize, "no.safetensors"), (networks[2], "classes")):
        window.second.use(str(name))
        qtbot.waitUntil(lambda said=said: said in window.notice.message(), timeout=4 * WAIT)
        assert window.player.ready is ready and window.player.second is None and window.second.name == ""
        assert window.panels.second.choose.isVisibleTo(window.panels.second)
    compare(qtbot, window, networks[1])
    window.second.use(str(broken))  # one that is in use does not give way to one that is no network
    qtbot.waitUntil(lambda: "broken.onnx" in window.notice.message(), timeout=4 * WAIT)
    assert window.player.second.name == window.second.name == networks[1]
    # Another first network: of its kind, the comparison goes on; of another, it ends.
    window.network.use(networks[1])
    qtbot.waitUntil(lambda: window.player.ready.name == networks[1], timeout=4 * WAIT)
    settled(qtbot, window)
    assert of_second(window) is not None
    assert window.predictions.pair.b.predicted[0] == window.predictions.pair.a.predicted[0]
    window.network.use(networks[2])
    qtbot.waitUntil(lambda: window.player.ready.name == networks[2], timeout=4 * WAIT)
    assert window.player.second is None and "cannot be compared" in window.notice.message()


def test_both_come_back_with_the_drive_and_from_a_session(
    qtbot, open_window, make_window, networks, tmp_path, monkeypatch
):
    folder, other = write_drive(tmp_path / "six", frames=6), write_drive(tmp_path / "other", frames=6)
    window = open_window(folder, network=networks[0])
    compare(qtbot, window, networks[1])
    window.session.save(tmp_path / "both.vbp")
    assert load(tmp_path / "both.vbp").networks == tuple(networks[:2])
    window.source.close_drive()
    assert window.predictions.pair is None
    window.close()
    window = make_window(networks[1])
    window.source.open_drive(other)  # it is unknown, so nothing changes
    wait_shown(qtbot, window, 0, masked=True)
    assert window.second.name == ""
    window.source.open_drive(folder)
    qtbot.waitUntil(lambda: window.player.second is not None, timeout=4 * WAIT)
    qtbot.waitUntil(lambda: of_second(window) is not None, timeout=WAIT)
    assert (window.player.ready.name, window.player.second.name) == tuple(networks[:2])
    # It is chosen by the menu, by a file, and by dropping one onto the panel.
    window.second.choose()
    names = [action.text() for action in window.second.menu.actions()]
    assert "NetHVF" in names and "one" in names and "Network file…" in names
    window.second.menu.close()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (networks[0], ""))
    window.second.choose_file()
    qtbot.waitUntil(lambda: window.player.second.name == networks[0], timeout=4 * WAIT)
    panel, data = window.panels.second, QMimeData()
    data.setUrls([QUrl.fromLocalFile(networks[1])])
    place = QPointF(panel.mapTo(window, panel.rect().center()))
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(place, Qt.DropAction.CopyAction, data, buttons, keys))
    qtbot.waitUntil(lambda: window.player.second.name == networks[1], timeout=4 * WAIT)
    assert window.player.ready.name == networks[0]


def test_a_camera_is_seen_by_both(qtbot, live, networks):
    window = live(network=networks[0])
    compare(qtbot, window, networks[1])
    assert "B − A" in window.panels.second.words.text()
