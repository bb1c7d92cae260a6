"""What the export dialog offers is what the window shows; preview, export and window show the same maps and words."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from drivemaker import WAIT
from PySide6.QtCore import Qt
from test_export_dialog import LONG, Attending, ask
from test_method_panels import wait_complete

from vbp.app.jobs.export_queue import DONE, FAILED, Export
from vbp.app.shell.window import MainWindow
from vbp.explain import METHODS
from vbp.export.compose import Composer
from vbp.export.facts import facts_of
from vbp.export.frames import open_source
from vbp.export.job import Job
from vbp.overlay import Rect


def exported(qtbot, window: MainWindow) -> Export:
    """What came of the dialog, when its button is pressed."""
    qtbot.mouseClick(window.export.dialog.export_button, Qt.MouseButton.LeftButton)
    export = window.export.queue.running
    assert export is not None
    qtbot.waitUntil(lambda: export.state in (DONE, FAILED), timeout=LONG)
    assert export.state == DONE, export.text
    return export


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1]


def tiles(job: Job) -> dict[str, Rect]:
    with open_source(job) as source:
        facts = facts_of(source.drive, source.engine, np.array([job.first]), source.layers)
    composer = Composer(facts, job.settings)
    return dict(zip(composer.tiles, composer.places.tiles, strict=True))


def test_what_is_on_the_screen_is_exported(qtbot, open_window, tmp_path) -> None:
    window = open_window(network="NetSVF", frame=8)
    panels, methods = window.panels, window.presenter.methods
    window.actions_by_id["add-method"].trigger()
    panels.lrp.choose("fbi", {"tau": 2.0})
    panels.methods["method-2"].choose("saliency")
    methods.set_target("negative")
    wait_complete(qtbot, window, 8)
    dialog = ask(qtbot, window, tmp_path / "one.png", ".png")
    assert dialog.panels.chosen() == ("camera", "visualbackprop", "fbi", "saliency", "plot")
    qtbot.waitUntil(lambda: dialog.preview._rgb is not None, timeout=WAIT)
    before = dialog.preview._rgb
    dialog.panels.boxes["plot"].setChecked(False)  # the export predicts the frames around, too
    dialog.layout_box.setCurrentIndex(dialog.layout_box.findData("grid"))
    qtbot.waitUntil(lambda: dialog.preview._rgb is not before, timeout=WAIT)
    preview = dialog.preview._rgb.copy()
    shown = {"fbi": panels.lrp.view, "saliency": panels.methods["method-2"].view}
    shown |= {"visualbackprop": panels.visualbackprop.view}
    views = {name: view.blended() for name, view in shown.items()}
    job = exported(qtbot, window).job
    assert job.settings.target == "negative" and job.settings.parameters["fbi"]["tau"] == 2.0
    picture = read(job.output)
    assert preview.shape == picture.shape
    # Another process with other threads: the last bits of a sum may be others.
    assert np.percentile(np.abs(preview.astype(int) - picture), 99.9) <= 2
    for name, place in tiles(job).items():
        if name == "camera":
            continue
        tile = picture[place.y : place.y + place.height, place.x : place.x + place.width]
        view = views[name]
        mode = cv2.INTER_AREA if place.width < view.shape[1] else cv2.INTER_CUBIC
        expected = cv2.resize(view, (place.width, place.height), interpolation=mode)
        low = place.height - 60  # where a warning may stand
        assert np.percentile(np.abs(tile[:low].astype(int) - expected[:low]), 99) <= 2, name


def test_methods_come_and_go_with_the_screen(qtbot, open_window) -> None:
    window = open_window(network="NetSVF", frame=3)
    dialog = ask(qtbot, window)
    assert list(dialog.panels.boxes) == ["camera", "plain", "visualbackprop", "lrp", "maps", "plot"]
    others = [dialog.panels.others.itemData(k) for k in range(1, dialog.panels.others.count())]
    assert others == [name for name in METHODS if name not in ("visualbackprop", "lrp")]
    row = dialog.panels.others.findData("phi")
    dialog.panels.others.activated.emit(row)
    assert dialog.panels.chosen() == ("camera", "visualbackprop", "lrp", "phi", "plot")
    dialog.panels.boxes["visualbackprop"].setChecked(False)
    dialog.close()
    window.panels.lrp.choose("saliency")
    dialog = ask(qtbot, window)
    assert dialog.panels.chosen() == ("camera", "saliency", "phi", "plot")
    assert dialog.settings().target == window.presenter.methods.target


def test_the_preview_and_the_export_warn_of_the_same(qtbot, open_window, tmp_path) -> None:
    """Of a crop that does not fit, and of maps that cannot be: in the same words, each once."""
    torch.export.save(
        torch.export.export(Attending().eval(), (torch.rand(2, 3, 24, 32),)), tmp_path / "attending.pt2"
    )
    (tmp_path / "attending.toml").write_text(
        'output_unit = "rad"\noutput_sign = "left"\n[crop]\nrows = 300\nof_width = 320\n'
    )
    window = open_window(network=str(tmp_path / "attending.pt2"), frame=8)
    dialog = ask(qtbot, window, tmp_path / "one.png", ".png")
    qtbot.waitUntil(lambda: dialog.preview._rgb is not None, timeout=WAIT)
    said = dialog.missing.text()
    assert "VisualBackProp shows nothing" in said and "LRP shows nothing" in said and "300" in said
    export = exported(qtbot, window)
    # Of the predictions around it, which the preview does not know yet, the export says one thing more.
    warnings = [text for text in export.warnings if "nearly constant" not in text]
    assert sorted(warnings) == sorted(said.split("; "))
    with open_source(export.job) as source:
        assert source.engine.name == window.player.engine.name


def test_a_slider_keeps_the_number_that_it_was_given(qtbot, open_window) -> None:
    """The default of the window is the default of the command line, to the last bit."""
    panel = open_window(network="NetSVF").panels.lrp
    for name, method in METHODS.items():
        panel.choose(name)
        assert panel.parameters() == {p.name: float(p.default) for p in method.parameters}
    panel.choose("fbi", {"tau": 0.123456789})
    assert panel.parameters()["tau"] == 0.123456789
