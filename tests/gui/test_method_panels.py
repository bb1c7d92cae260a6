"""Panels that show any method: chosen, set, late, remembered, up to six at once; hidden ones cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive

from vbp.app.panels.panels import FIRST_METHODS
from vbp.explain import METHODS


def shown(window, name):
    """The map that a panel shows."""
    return window.panels.methods[name].view._mask


def choose(panel, method):
    """As a person does, by the chooser."""
    row = panel.chooser.findData(method)
    panel.chooser.setCurrentIndex(row)
    panel.chooser.activated.emit(row)


def wait_complete(qtbot, window, frame):
    qtbot.waitUntil(lambda: window.presenter.complete(frame), timeout=WAIT)


@pytest.fixture
def window(qtbot, open_window, tmp_path):
    from roadmaker import tiny_spec
    from vbp.models.network import build, save_checkpoint

    save_checkpoint(build(tiny_spec(), 3), tmp_path / "tiny.safetensors")
    made = open_window(network=str(tmp_path / "tiny.safetensors"))
    wait_complete(qtbot, made, 0)
    return made


def test_a_gap_clears_what_was_shown_of_the_frame_before(qtbot, open_window, tmp_path):
    from roadmaker import tiny_spec
    from vbp.app.jobs.explain import Explained, LayersMade
    from vbp.models.network import build, save_checkpoint

    save_checkpoint(build(tiny_spec(), 3), tmp_path / "tiny.safetensors")
    folder = write_drive(tmp_path / "gaps", frames=8, broken=(4,))
    window = open_window(folder, network=str(tmp_path / "tiny.safetensors"), frame=3)
    window.actions_by_id["add-method"].trigger()
    names = ("lrp", "method-2")
    qtbot.waitUntil(lambda: all(shown(window, name) is not None for name in names), timeout=WAIT)
    wait_complete(qtbot, window, 3)
    player, before = window.player, window.player.shown_frame
    player.seek(4)
    wait_shown(qtbot, window, 4)
    settled(qtbot, window)
    assert player.shown_frame.record.gap
    # What was still on its way when the gap came, too.
    request = window.panels.lrp.request()
    window.explanations.explained.emit(Explained(before, "lrp", request, np.ones((24, 48), np.float32), 1.0))
    window.explanations.layers_made.emit(LayersMade(before, [("conv", np.ones((4, 4)), np.ones((4, 4)))]))
    for name in names:
        view = window.panels.methods[name].view
        assert view._mask is None and view._image is None
        assert window.panels.methods[name].caption() == ""
    assert window.presenter.layers_frame is None
    player.seek(3)
    wait_shown(qtbot, window, 3, masked=True)
    wait_complete(qtbot, window, 3)
    assert all(shown(window, name) is not None for name in names)


def test_a_panel_shows_any_method(qtbot, window):
    panel = window.panels.lrp
    assert [panel.chooser.itemData(k) for k in range(panel.chooser.count())] == list(METHODS)
    result = window.player.shown_frame.result
    for method in METHODS:
        choose(panel, method)
        expected = window.player.engine.explain(result, panel.request())
        qtbot.waitUntil(
            lambda expected=expected: np.array_equal(shown(window, "lrp"), expected), timeout=WAIT
        )
        assert window.docks["lrp"].windowTitle() == METHODS[method].title
        assert set(panel.parameters()) == {p.name for p in METHODS[method].parameters}


def test_sliders_keep_their_numbers_for_each_method(qtbot, window):
    panel = window.panels.lrp
    panel.set_parameter("eps", 0.01)
    choose(panel, "fbi")
    panel.set_parameter("keep", 0.25)
    panel.set_parameter("every", 0)
    choose(panel, "lrp")
    assert panel.parameters() == {"eps": pytest.approx(0.01, rel=0.03), "bias": 1.0}
    assert panel.values_of("fbi")["keep"] == pytest.approx(0.25, abs=0.01)
    choose(panel, "fbi")
    assert panel.parameters()["every"] == 0.0
    choose(panel, "grad-cam")
    panel.set_parameter("back", 1.3)
    assert panel.parameters() == {"back": 1.0}, "whole numbers"


def test_six_at_once_all_of_the_frame_on_the_screen(qtbot, window):
    for _ in range(7):
        window.actions_by_id["add-method"].trigger()
    qtbot.waitUntil(lambda: set(FIRST_METHODS) <= window.presenter.seen, timeout=WAIT)
    assert all(window.docks[name].isVisible() for name in FIRST_METHODS)
    window.player.seek(20)
    wait_shown(qtbot, window, 20, masked=True)
    wait_complete(qtbot, window, 20)
    result = window.player.shown_frame.result
    for name, method in FIRST_METHODS.items():
        panel = window.panels.methods[name]
        assert panel.method == method
        expected = window.player.engine.explain(result, panel.request())
        assert np.array_equal(shown(window, name), expected), name
        assert panel.caption() == ""


def test_a_hidden_panel_asks_for_nothing(qtbot, window):
    explained = []
    window.explanations.explained.connect(lambda m: explained.append(m.panel))
    window.docks["lrp"].close()
    window.player.seek(10)
    wait_shown(qtbot, window, 10, masked=True)
    settled(qtbot, window)
    assert explained == []
    window.actions_by_id["panel-method-3"].trigger()
    wait_complete(qtbot, window, 10)
    assert explained == ["method-3"]
    window.actions_by_id["panel-lrp"].trigger()
    wait_complete(qtbot, window, 10)
    qtbot.waitUntil(
        lambda: explained == ["method-3", "lrp"], timeout=WAIT
    )  # and the other was not made again


def test_a_panel_that_lags_says_so(qtbot, window):
    panel = window.panels.lrp
    window.explanations.worker.ask = lambda request: True  # nothing is made any more
    window.player.seek(8)
    wait_shown(qtbot, window, 8, masked=True)
    qtbot.waitUntil(lambda: panel.caption() == "0.40 s late", timeout=WAIT)
    window.player.seek(0)
    wait_shown(qtbot, window, 0, masked=True)
    qtbot.waitUntil(lambda: panel.caption() == "", timeout=WAIT)


def test_what_was_chosen_is_remembered(qtbot, window, make_window, settings):
    window.actions_by_id["add-method"].trigger()
    choose(window.panels.lrp, "saliency")
    choose(window.panels.methods["method-2"], "lrp-alpha-beta")
    window.panels.methods["method-2"].set_parameter("alpha", 3)
    network = window.player.network_name
    window.close()
    again = make_window(network)
    qtbot.waitUntil(lambda: again.panels.lrp.chooser.isEnabled(), timeout=WAIT)
    assert again.panels.lrp.method == "saliency"
    panel = again.panels.methods["method-2"]
    assert (panel.method, panel.parameters()["alpha"]) == ("lrp-alpha-beta", pytest.approx(3, abs=0.02))
    qtbot.waitUntil(lambda: again.docks["method-2"].isVisible(), timeout=WAIT)
    assert not again.docks["method-3"].isVisible()
    again.actions_by_id["reset-layout"].trigger()
    qtbot.waitUntil(lambda: not again.docks["method-2"].isVisible(), timeout=WAIT)


DAMAGED = (
    "nonsense",
    "[]",
    '{"method": 3}',
    '{"method": "gone", "numbers": {"eps": 1}}',
    '{"method": "lrp", "numbers": {"eps": NaN}}',
    '{"method": "lrp", "numbers": {"eps": 1e99, "no": 1}}',
)


def test_damaged_settings_count_as_none(qtbot, make_window, settings):
    for name, kept in zip(FIRST_METHODS, DAMAGED, strict=True):
        settings.set(f"methods/{name}", kept)
    window = make_window("NetHVF")
    for panel in window.panels.methods.values():
        qtbot.waitUntil(lambda panel=panel: panel.chooser.isEnabled(), timeout=WAIT)
        assert panel.method in METHODS
        assert panel.chooser.currentData() == panel.method
        assert all(np.isfinite(v) for v in panel.parameters().values())


def test_a_slow_method_waits_for_a_pause_and_gives_way(qtbot, window):
    panel = window.panels.lrp
    asked = []
    window.explanations.explained.connect(lambda m: asked.append((m.request.method, m.frame.index)))
    choose(panel, "occlusion")
    panel.set_parameter("size", 8)
    wait_complete(qtbot, window, 0)
    qtbot.waitUntil(lambda: ("occlusion", 0) in asked, timeout=WAIT)
    for frame in range(1, 9):
        window.player.seek(frame)
        wait_shown(qtbot, window, frame, masked=True)
    wait_complete(qtbot, window, 8)
    assert asked[-1] == ("occlusion", 8)


def test_what_a_method_cannot_explain_is_said_in_its_panel(qtbot, window):
    explain, panel = window.player.engine.explain, window.panels.methods["method-2"]
    from vbp.errors import ExplainError

    def refuse(result, request, *args):
        if request.method == "phi":
            raise ExplainError("phi needs a convolution, and this network has none")
        return explain(result, request, *args)

    window.player.engine.explain = refuse
    window.actions_by_id["add-method"].trigger()
    choose(panel, "phi")
    qtbot.waitUntil(lambda: "phi needs" in (panel.view._warning or ""), timeout=WAIT)
    choose(panel, "saliency")
    qtbot.waitUntil(
        lambda: panel.view._warning is None and shown(window, "method-2") is not None, timeout=WAIT
    )
    assert not window.notice.isVisible()


def test_six_panels_fit_into_a_small_window(qtbot, window):
    """And onto a small screen with the methods that have the most sliders."""
    for _ in range(6):
        window.actions_by_id["add-method"].trigger()
        qtbot.wait(50)
    shown_ones = [panel for name, panel in window.panels.methods.items() if window.docks[name].isVisible()]
    assert len(shown_ones) == len(FIRST_METHODS)
    wait_complete(qtbot, window, 0)
    settled(qtbot, window)
    assert (window.width(), window.height()) == (1280, 720)
    for panel, method in zip(
        shown_ones,
        ("lrp", "phi", "fbi", "guided-backprop", "lrp-alpha-beta", "lrp-composite"),
        strict=True,
    ):
        choose(panel, method)
    wait_complete(qtbot, window, 0)
    settled(qtbot, window)
    assert window.width() == 1280 and window.height() <= 768
    for panel in shown_ones:
        assert panel.view.width() >= 160 and panel.view.height() >= 36
