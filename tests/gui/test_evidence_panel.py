"""The maps of the frame on the screen, tested in the window: asked for, cancelled, closed in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from drivemaker import WAIT, wait_shown
from PySide6.QtCore import QPoint, QRect, Qt

from vbp.app.panels.evidence import EvidencePanel
from vbp.app.player.source import State
from vbp.engine import Engine, open_network
from vbp.evidence import perturbation, quick, randomisation, shift
from vbp.evidence.outcome import Plot, Series
from vbp.evidence.quick import Quick
from vbp.evidence.subject import Frames, Subject
from vbp.frames.strengths import Usual

PATIENCE = 4 * WAIT  # the thread gives way to everything else


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything: the same code, in seconds."""
    monkeypatch.setattr(perturbation, "COUNTS", (3,))
    monkeypatch.setattr(perturbation, "SHARES", (0.5,))
    monkeypatch.setattr(quick.shift, "OFFSETS", (-0.05, 0.05))
    monkeypatch.setattr(quick.theory, "EPS", (1.0, 100.0))


@pytest.fixture
def shown(qtbot, make_window, drive_folder):
    window = make_window("NetHVF")
    window.source.open_drive(drive_folder)
    wait_shown(qtbot, window, 0, masked=True)
    window.docks["evidence"].show()
    window.docks["evidence"].raise_()
    return window


def press(qtbot, window) -> None:
    qtbot.mouseClick(window.panels.evidence.button, Qt.MouseButton.LeftButton)


def test_it_is_off_until_it_is_wanted(make_window) -> None:
    window = make_window()
    assert not window.docks["evidence"].isVisible()
    assert window.actions_by_id["panel-evidence"].text() == "Evidence"


def test_a_frame_is_tested_on_request(qtbot, shown) -> None:
    panel = shown.panels.evidence
    assert panel.stack.currentIndex() == 0
    press(qtbot, shown)
    assert panel.button.text() == "Cancel"
    qtbot.waitUntil(lambda: panel.stack.currentIndex() == 1, timeout=PATIENCE)
    assert panel.button.text() == "Test this frame" and panel.status() == "this frame"
    said = panel.verdicts.text()
    assert "random fully connected layers" in said and "|phi|" in said and "VisualBackProp" in said
    assert not panel.grab().isNull()
    shown.player.seek(3)
    wait_shown(qtbot, shown, 3, masked=True)
    assert panel.status() == "of frame 0"
    shown.source.close_drive()
    qtbot.waitUntil(lambda: panel.stack.currentIndex() == 0, timeout=WAIT)


def test_that_the_picture_is_edited_or_its_mask_weak_is_said(qtbot, shown) -> None:
    panel, edits = shown.panels.evidence, shown.edits
    strength = shown.player.shown_frame.record.strength
    shown.predictions._set_usual(Usual(strength + 9, strength + 6))
    shown.view.toggle_panel("edits", True)
    edits._adjust("brightness", -20.0)
    qtbot.waitUntil(lambda: bool(shown.player.shown_frame.record.edits), timeout=WAIT)
    press(qtbot, shown)
    assert panel.status().startswith("frame 0, edited: ")
    qtbot.waitUntil(lambda: panel.stack.currentIndex() == 1, timeout=PATIENCE)
    first = panel.verdicts.text().split("\n\n")[0]
    assert first.startswith("The tested picture: edited: brightness -20; mask weak: 1/")
    assert panel.status() == "this frame"
    edits.clear()  # the same frame, and another picture
    qtbot.waitUntil(lambda: panel.status() == "of frame 0, edited", timeout=WAIT)


def test_a_test_can_be_cancelled_and_asked_for_again(qtbot, shown) -> None:
    panel = shown.panels.evidence
    press(qtbot, shown)
    press(qtbot, shown)
    assert panel.button.text() == "Test this frame" and panel.status() == ""
    press(qtbot, shown)
    qtbot.waitUntil(lambda: panel.stack.currentIndex() == 1, timeout=PATIENCE)


def test_it_rests_while_the_drive_plays(qtbot, shown) -> None:
    panel = shown.panels.evidence
    shown.player.source.state = State.PLAYING  # as the thread sees it
    press(qtbot, shown)
    assert "waits" in panel.status()
    qtbot.wait(300)
    assert panel.stack.currentIndex() == 0 and "waits" in panel.status()
    shown.player.source.state = State.PAUSED
    qtbot.waitUntil(lambda: panel.stack.currentIndex() == 1, timeout=PATIENCE)


def test_the_window_closes_in_the_middle_of_a_test(qtbot, shown) -> None:
    press(qtbot, shown)
    shown.close()
    assert shown.threads_left == []


def subject_of(engine: Engine, image: np.ndarray, crop) -> Subject:
    made = engine.prepare(image, crop)
    found = Subject(
        engine.network, engine, Frames((0,), (made.crop,), made.input[None]), ["visualbackprop"], seed=0
    )
    found.prepare(lambda amount: None)
    return found


@pytest.mark.parametrize("size", [(411, 111), (650, 130), (411, 300), (900, 400)])
def test_in_a_low_panel_a_legend_hides_no_plot(qtbot, size) -> None:
    panel = EvidencePanel()
    qtbot.addWidget(panel)
    curves = tuple(
        Series(name, (0.0, 100.0), (0.0, 9.0)) for name in ("VisualBackProp", "LRP", "random order")
    )
    plot = Plot("Most relevant first", "regions replaced", "angle in °", curves)
    panel.show_result(
        0, Quick((plot, plot, plot), ("Replacing the 100 most relevant regions first changes it more.",))
    )
    panel.resize(*size)
    panel.show()
    qtbot.wait(20)
    for view in panel.plots:
        legend, drawn = view._legend, view._view
        assert legend.height() >= legend.heightForWidth(legend.width())
        assert legend.geometry().bottom() < drawn.geometry().top() and drawn.height() >= 40
        assert panel.rect().contains(QRect(view.mapTo(panel, QPoint(0, 0)), view.size()))


def test_what_the_panel_says_is_what_was_measured() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    engine = Engine(open_network("NetHVF"), "cpu")
    done = engine.run(image, ("visualbackprop", "lrp"))
    shares: list[float] = []
    made = quick.quick(engine, image, done.crop, ["visualbackprop", "lrp", "occlusion"], shares.append)
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1.0
    assert [s.name for s in made.plots[0].series] == ["VisualBackProp", "LRP", "random order"]
    vbp, lrp = done.map("visualbackprop"), done.map("lrp")
    moved = shift.changes(subject_of(engine, image, done.crop), 0, shift.salient(vbp))
    assert (
        made.plots[1].series[0].name == "VisualBackProp"
        and made.plots[1].series[-1].name == "everything shifted"
    )
    assert made.plots[1].series[0].y == pytest.approx(moved.tolist(), abs=1e-6)
    assert "random marks" in made.verdicts[1] and "VisualBackProp" in made.verdicts[1]
    at = list(made.plots[2].series[0].x).index(100.0)
    assert made.plots[2].series[0].y[at] == pytest.approx(
        np.corrcoef(vbp.ravel(), np.abs(lrp).ravel())[0, 1], abs=1e-3
    )
    assert "unchanged: VisualBackProp" in made.verdicts[2]
    assert randomisation.SAME == 0.99
