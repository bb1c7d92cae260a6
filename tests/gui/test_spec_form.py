"""The form of a network's specification: live over the drive, written beside the file, and nothing kept that was not saved."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from drivemaker import WAIT, write_drive
from handmaker import drag
from PySide6.QtCore import QPoint, Qt

import fitmaker
import onnxmaker
from vbp.app.shell.window import MainWindow
from vbp.engine import Engine, open_network
from vbp.models.network import Network
from vbp.models.spec_file import read_spec

FRAMES = 40  # fewer than a correlation takes, so that it is of all of them


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "nets" / "net.onnx"
    path.parent.mkdir()
    onnx.save(onnxmaker.small_model(outputs=2), path)
    return path


def opened(qtbot, open_window, tmp_path, path) -> MainWindow:
    window = open_window(write_drive(tmp_path / "forty", FRAMES))
    window.drop(path)
    qtbot.waitUntil(
        lambda: window.player.ready is not None and window.player.ready.name == str(path), timeout=WAIT
    )
    name = Path(path).stem
    qtbot.waitUntil(lambda: getattr(window.player.shown_frame.result, "network", "") == name, timeout=WAIT)
    return window


def choose(box, value):
    box.setCurrentIndex(box.findData(value))
    assert box.currentData() == value
    box.activated.emit(box.currentIndex())


def type_into(edit, text):
    edit.setText(text)
    edit.textEdited.emit(text)


def figure(qtbot, panel) -> float:
    qtbot.waitUntil(lambda: "95 %" in panel.figure_of.text(), timeout=WAIT)
    return float(panel.figure.text().replace("−", "-"))


def by_hand(window, path, make, output=0) -> float:
    """The correlation by onnxruntime and numpy, of what `make` does with a picture."""
    drive = window.player.drive
    pictures = np.stack([make(drive.frame(i)) for i in range(FRAMES)]).transpose(0, 3, 1, 2)
    out = onnxmaker.run(str(path), np.ascontiguousarray(pictures, np.float32))[0][:, output]
    return float(np.corrcoef(-out, drive.angle_rad)[0, 1])  # right is positive


def small(image):
    return cv2.resize(image, (32, 20), interpolation=cv2.INTER_AREA)


def test_it_opens_by_itself_and_follows_every_change(qtbot, open_window, tmp_path, net):
    window = opened(qtbot, open_window, tmp_path, net)
    panel, fields, image = window.panels.spec, window.panels.spec.fields, window.player.shown_frame.image
    assert window.docks["spec"].isVisible()
    assert fields.output.count() == 2 and "out" in fields.output.itemText(1)
    # What the network gets is what the engine gives it.
    np.testing.assert_array_equal(panel.view.shown, window.player.shown_frame.result.input)
    assert figure(qtbot, panel) == pytest.approx(by_hand(window, net, lambda v: small(v) / 255), abs=0.006)
    assert "on 40 frames\n95 %" in panel.figure_of.text()
    choose(fields.colour, "yuv")
    np.testing.assert_array_equal(
        np.dstack(panel.view.channels), small(cv2.cvtColor(image, cv2.COLOR_RGB2YUV))
    )
    assert panel.view._names == ("Y", "U", "V")
    fields.output.setCurrentIndex(1)
    fields.output.activated.emit(1)
    fields.range.setEditText("-1 to 1")
    fields.range.lineEdit().textEdited.emit("-1 to 1")
    made = window.spec._draft
    assert (made.mean, made.std, made.output_index, made.colour) == (0.5, 0.5, 1, "yuv")
    wanted = by_hand(window, net, lambda v: small(cv2.cvtColor(v, cv2.COLOR_RGB2YUV)) / 127.5 - 1, output=1)
    assert figure(qtbot, panel) == pytest.approx(wanted, abs=0.006)
    # The crop is drawn over the picture, in any shape, while the drive can be scrubbed.
    fields.draw.click()
    editor = window.spec.editor
    assert editor.isVisible()
    corner = editor.on_screen().bottomRight().toPoint() - QPoint(1, 1)
    end = QPoint(corner.x() - 90, corner.y() - 20)
    drag(editor, corner, end)
    x, y, w, h = map(int, re.findall(r"\d+", fields.crop.text()))
    assert (x, y) == (0, 0) and w < 310 and h < 240 and abs(w / h - 1.6) > 0.01
    window.player.seek(7)
    qtbot.waitUntil(lambda: window.player.shown_frame.index == 7, timeout=WAIT)
    image = window.player.shown_frame.image
    part = small(cv2.cvtColor(image[y : y + h, x : x + w], cv2.COLOR_RGB2YUV))
    np.testing.assert_array_equal(np.dstack(panel.view.channels), part)
    draft = window.spec._draft
    own = Engine(Network(draft, open_network(net).module), "cpu").prepare(image)
    np.testing.assert_array_equal(own.input, part)
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert not editor.isVisible() and window.spec._draft == made
    # Undone step by step, and closed without a trace.
    panel.undo.click()
    assert window.spec._draft.mean == 0.0
    panel.reset.click()
    assert window.spec._draft == window.player.ready.network.spec
    choose(fields.sign, "left")
    window.docks["spec"].close()
    assert window.spec._draft == window.player.ready.network.spec
    window.actions_by_id["edit-spec"].trigger()
    assert window.docks["spec"].isVisible() and fields.sign.currentData() == "right"
    assert not net.with_suffix(".toml").exists()


def test_what_cannot_be_is_one_sentence_and_is_not_saved(qtbot, open_window, tmp_path, net):
    window = opened(qtbot, open_window, tmp_path, net)
    panel, fields = window.panels.spec, window.panels.spec.fields
    for field, text, words in (
        (fields.crop, "0, 0, 900, 10", "does not lie in the picture, which is 320×240"),
        (fields.crop, "left half", "x, y, width, height in whole pixels"),
        (fields.range.lineEdit(), "1 to 0", "the range 1 to 0 is reversed"),
        (fields.range.lineEdit(), "bright", "write what black and white become"),
    ):
        type_into(field, text)
        assert words in panel.error.text() and panel.error.isVisible() and not panel.save.isEnabled()
        assert window.spec._draft == window.player.ready.network.spec
    type_into(fields.range.lineEdit(), "0 to 255")
    assert not panel.error.text() and panel.save.isEnabled()
    choose(fields.unit, "1/m")
    assert "wheelbase_m and steering_ratio" in panel.error.text()
    fields.wheelbase.setValue(2.85)
    fields.ratio.setValue(14.8)
    assert not panel.error.text() and window.spec._draft.wheelbase_m == 2.85
    choose(fields.preset, "dronet")
    assert "the network takes 3" in panel.error.text()


def test_it_is_saved_beside_the_file_and_opens_with_it(qtbot, open_window, tmp_path, net):
    window = opened(qtbot, open_window, tmp_path, net)
    panel, fields, toml = window.panels.spec, window.panels.spec.fields, net.with_suffix(".toml")
    choose(fields.preset, "udacity-sim")
    choose(fields.colour, "yuv-bgr")
    draft = window.spec._draft
    before = window.player.ready
    panel.save.click()
    qtbot.waitUntil(lambda: window.player.ready is not before, timeout=WAIT)
    assert window.player.ready.network.assumed == "" and window.player.ready.network.spec == draft
    assert open_network(net).spec == draft == read_spec(toml, "net")
    # One that is there is replaced only when that was said.
    toml.write_text("# by hand\n" + toml.read_text())
    choose(fields.sign, "left")
    panel.save.click()
    assert "by hand" in toml.read_text() and "net.toml exists" in panel.question.text()
    before = window.player.ready
    assert panel.save.text() == "Replace"
    panel.save.click()
    qtbot.waitUntil(lambda: window.player.ready is not before, timeout=WAIT)
    assert open_network(net).spec.output_sign == "left"
    assert panel.save.text() == "Save" and sorted(p.name for p in net.parent.iterdir()) == [
        "net.onnx",
        "net.toml",
    ]


def test_of_a_folder_that_is_read_only_another_place_is_asked_for(
    qtbot, open_window, tmp_path, net, monkeypatch
):
    window = opened(qtbot, open_window, tmp_path, net)
    panel = window.panels.spec
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(path) != str(net.parent)
    )  # root may write everywhere
    panel.save.click()
    assert "read only" in panel.question.text() and panel.elsewhere.isVisible()
    other = tmp_path / "mine.toml"
    monkeypatch.setattr("vbp.app.control.spec.QFileDialog.getSaveFileName", lambda *_: (str(other), ""))
    before = window.player.ready
    panel.elsewhere.click()
    qtbot.waitUntil(lambda: window.player.ready is not before, timeout=WAIT)
    assert other.is_file() and window.player.ready.name == f"{net}?spec={other}"


def test_a_network_of_any_size_asks_for_it_in_the_form(qtbot, open_window, tmp_path):
    path = tmp_path / "any.onnx"
    onnx.save(onnxmaker.small_model(shape=("batch", 3, "h", "w")), path)
    drive = write_drive(tmp_path / "unlabelled", FRAMES)
    (drive / "CH2_final_evaluation.csv").unlink()
    window = open_window(drive)
    window.drop(path)
    panel, fields = window.panels.spec, window.panels.spec.fields
    qtbot.waitUntil(lambda: "any size" in window.notice.message(), timeout=WAIT)
    assert window.docks["spec"].isVisible() and fields.height_box.isVisible()
    fields.height_box.setValue(30)
    fields.width_box.setValue(40)
    assert panel.view.shown.shape == (30, 40, 3)
    panel.save.click()
    qtbot.waitUntil(
        lambda: window.player.ready is not None and window.player.ready.name == str(path), timeout=WAIT
    )
    assert window.player.ready.network.spec.input_height == 30 and not fields.height_box.isVisible()
    qtbot.waitUntil(lambda: "no measured angles" in panel.figure_of.text(), timeout=WAIT)
    assert panel.figure.text() == "–"


def write_spots(folder: Path) -> Path:
    """fitmaker's drive as files."""
    drive = fitmaker.Spots()
    (folder / "center").mkdir(parents=True)
    camera, steering = ["seq,timestamp,width,height,frame_id,filename"], ["frame_id,steering_angle,public"]
    for i in range(len(drive)):
        stamp = 1_479_425_476_000_000_000 + i * 200_000_000
        cv2.imwrite(str(folder / f"center/{stamp}.png"), drive.frame(i)[:, :, ::-1])
        camera.append(f"{i},{stamp},{fitmaker.WIDTH},{fitmaker.HEIGHT},center_camera,center/{stamp}.png")
        steering.append(f"{stamp},{drive.angle_rad[i]:.8f},1")
    (folder / "camera.csv").write_text("\n".join(camera) + "\n")
    (folder / "CH2_final_evaluation.csv").write_text("\n".join(steering) + "\n")
    return folder


def test_the_search_fills_the_form_in(qtbot, open_window, tmp_path):
    path = tmp_path / "seeker.pt2"
    example = torch.zeros(2, 3, fitmaker.ROWS, fitmaker.WIDTH)
    sizes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(fitmaker.Seeker().eval(), (example,), dynamic_shapes=sizes), path)
    window = open_window(write_spots(tmp_path / "spots"))
    window.drop(path)
    panel, before = window.panels.spec, window.spec
    qtbot.waitUntil(lambda: window.player.ready is not None, timeout=WAIT)
    panel.fit.click()
    assert panel.progress.isVisible() and panel.fit.text().startswith("Cancel")
    panel.fit.click()
    assert not panel.progress.isVisible() and before._draft == window.player.ready.network.spec
    panel.fit.click()
    qtbot.waitUntil(lambda: panel.verdict.text() != "", timeout=4 * WAIT)
    assert "fits best" in panel.verdict.text() and not panel.progress.isVisible()
    assert panel.fields.colour.currentData() == "bgr" and panel.fields.range.currentText() == "−1 to 1"
    assert window.spec._draft.crop == fitmaker.TRUTH["crop"] and not path.with_suffix(".toml").exists()
    assert figure(qtbot, panel) > 0.95
    panel.undo.click()
    assert window.spec._draft == window.player.ready.network.spec
