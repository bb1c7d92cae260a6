"""Weak masks in the window: they fade, are said, stand in the timeline; and an output that does not move is said, too."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive

from roadmaker import tiny_spec
from vbp.app.state.settings import Settings
from vbp.frames.strengths import Usual
from vbp.models.network import build, save_checkpoint
from vbp.overlay import Overlay


@pytest.fixture
def dark(tmp_path):
    """A drive of 24 frames of which the last three are black."""
    folder = write_drive(tmp_path / "dark", frames=24)
    for file in sorted(folder.rglob("*.jpg"))[-3:]:
        cv2.imwrite(str(file), np.zeros_like(cv2.imread(str(file))))
    return folder


def test_weak_masks_fade_and_are_said(qtbot, open_window, dark, tmp_path, settings):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(build(tiny_spec(), 3), path)
    window = open_window(dark, network=str(path))
    picture, predictions, timeline = (
        window.panels.picture,
        window.predictions,
        window.panels.transport.timeline,
    )
    assert predictions.usual is None
    predictions.sample()
    qtbot.waitUntil(lambda: predictions.usual is not None, timeout=4 * WAIT)
    usual, strengths = predictions.usual, predictions.table.strength
    assert np.isfinite(strengths).all()
    # The tiny network's biases shine through: how much weaker the mask of a black picture is, is its own affair.
    weak = int(strengths.argmin())
    predictions._set_usual(replace(usual, low=float(np.sort(strengths)[1]), median=float(strengths.max())))
    window.player.seek(weak)
    wait_shown(qtbot, window, weak, masked=True)
    settled(qtbot, window)
    assert "mask weak" in (picture._warning or "")
    assert "mask weak" in timeline.describe(weak) and "mask weak" not in timeline.describe(
        int(strengths.argmax())
    )
    assert "mask stronger than on 0 % of" in timeline.describe(weak)
    timeline.grab()
    assert timeline._below is not None
    wide = int(strengths.argmax())
    spreads = predictions.table.spread
    predictions._set_usual(replace(predictions.usual, spread=float(spreads[wide]) / 12))
    assert "mask scattered: 12 times this drive's median" in timeline.describe(wide)
    window.player.seek(wide)
    wait_shown(qtbot, window, wide, masked=True)
    assert "mask scattered: 12 times" in picture._warning
    window.player.seek(weak)
    wait_shown(qtbot, window, weak, masked=True)
    shown = picture.blended().astype(int)
    window.actions_by_id["fade"].trigger()
    assert not window.presenter.overlay.fade
    full = picture.blended().astype(int)
    assert np.abs(full - shown).sum() > 0 and (full[..., 0] - shown[..., 0]).sum() >= 0
    job = window.export._settings()
    assert (job.overlay.fade, job.usual) == (False, predictions.usual)
    window.actions_by_id["fixed"].trigger()
    assert window.presenter.overlay == Overlay(fade=False, fixed=True)
    fixed = picture.blended().astype(int)
    assert (fixed[..., 0] <= full[..., 0]).all() and (fixed < full).any()
    assert Settings(settings._store).flag("overlay/fixed", False)
    seen: list[Usual | None] = []
    predictions.usual_changed.connect(lambda: seen.append(predictions.usual))
    window.network.use(str(path))  # another network: nothing is known of its masks, until a sample was taken
    qtbot.waitUntil(lambda: None in seen, timeout=WAIT)


def test_an_output_that_does_not_move_is_said(qtbot, open_window, dark, tmp_path):
    network = build(tiny_spec(), 3)
    for parameter in network.module.head[-1].parameters():
        parameter.data.mul_(1e-6)
    path = tmp_path / "still.safetensors"
    save_checkpoint(network, path)
    window = open_window(dark, network=str(path))
    window.predictions.sample()
    qtbot.waitUntil(lambda: "nearly constant" in window.notice.label.text(), timeout=4 * WAIT)
