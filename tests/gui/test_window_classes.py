"""A classifier in the window: its classes for the angle, the true ones, and what the maps explain."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown
from PySide6.QtCore import Qt

from vbp.app.state.settings import Settings
from vbp.engine import Engine
from vbp.models.network import build, save_checkpoint
from vbp.models.registry import load_network
from vbp.models.spec import NetworkSpec
from vbp.results import MapRequest


def tiny_classifier() -> NetworkSpec:
    arguments = {"widths": [4, 6], "strides": [2, 2], "hidden": [8], "outputs": 3}
    return NetworkSpec(
        "Tiny", "steering", arguments, 24, 24, channels=3, output="class", classes=("cat", "dog", "cow")
    )


@pytest.fixture
def signs(tmp_path):
    """Pictures of several sizes in folders, the third of no class of the network."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "ant"):
        (tmp_path / "signs" / name).mkdir(parents=True)
        for k in range(4):
            picture = rng.integers(0, 256, (20 + 5 * k, 30, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "signs" / name / f"{k}.png"), picture)
    return tmp_path / "signs"


@pytest.fixture
def network(tmp_path):
    save_checkpoint(build(tiny_classifier(), 2), tmp_path / "tiny.safetensors")
    return str(tmp_path / "tiny.safetensors")


@pytest.fixture
def window(qtbot, open_window, signs, network):
    made = open_window(signs, network=network)
    qtbot.waitUntil(lambda: made.presenter.complete(0), timeout=WAIT)
    return made


def bars(window):
    return window.panels.prediction.classes._rows


def test_classes_take_the_place_of_the_wheel(qtbot, window):
    assert "Tiny has no class named ant" in window.panels.info.text.toPlainText()
    panel = window.panels.prediction
    assert panel.currentWidget() is panel.classes and window.docks["steering"].windowTitle() == "Class"
    for frame, expected in ((0, -1), (5, 0), (9, 1)):  # the folders in natural order: ant, cat, dog
        window.player.seek(frame)
        wait_shown(qtbot, window, frame, masked=True)
        result = window.player.shown_frame.result
        order = np.argsort(-result.probabilities)
        names = ["cat", "dog", "cow"]
        assert [name for name, _, _ in bars(window)] == [names[k] for k in order]
        assert [p for _, p, _ in bars(window)] == pytest.approx(result.probabilities[order])
        assert [true for _, _, true in bars(window)] == [k == expected for k in order]
        value = result.probabilities[expected] if expected >= 0 else result.probabilities.max()
        assert window.predictions.table.predicted[frame] == pytest.approx(100 * value)
    assert np.array_equal(np.isfinite(window.predictions.table.driven), [False] * 4 + [True] * 8)


def test_the_whole_drive_and_the_worst_picture(qtbot, window):
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=4 * WAIT)
    told = window.predictions.table.predicted
    assert np.isfinite(told).all()
    worst = int(np.argmin(told[4:])) + 4
    window.playback.go_worst()
    wait_shown(qtbot, window, worst, masked=True)
    assert window.notice.message() == "", "all of the drive is known"


def test_the_next_wrong_class_and_the_rest_that_is_not_known(qtbot, window):
    table = window.predictions.table
    table.labels[:] = table.classes  # of the frames shown so far
    window.playback.go_wrong()
    assert window.notice.message().startswith("0 wrong frames of ")
    [button] = window.notice.actions_shown()
    button.click()
    qtbot.waitUntil(lambda: table.known.all() and not window.predictions.running, timeout=4 * WAIT)
    table.labels[:] = table.classes
    table.labels[[3, 7]] = 1 - np.minimum(table.classes[[3, 7]], 1)
    window.player.seek(0)
    for expected in (3, 7, 3):
        window.playback.go_wrong()
        assert window.player.target == expected
    wait_shown(qtbot, window, 3, masked=True)


def test_the_maps_follow_the_target(qtbot, window, settings: Settings):
    box = window.top.target
    listed = [box.itemData(k) for k in range(box.count())]
    assert listed == ["class", "class:0", "class:1", "class:2"] and box.itemText(2) == "dog"
    result, engine = window.player.shown_frame.result, window.player.engine
    seen = []
    for row in (0, 2, 3):
        box.setCurrentIndex(row)
        box.activated.emit(row)
        wanted = engine.explain(result, MapRequest("lrp", target=listed[row]))
        view = window.panels.lrp.view
        qtbot.waitUntil(lambda wanted=wanted, view=view: np.allclose(view._mask, wanted), timeout=WAIT)
        seen.append(wanted)
    assert not np.array_equal(seen[1], seen[2])
    assert settings.text("target/class", "") == "class:2"


def test_from_classes_to_angles_and_back(qtbot, window, network, tmp_path, drive_folder):
    from roadmaker import tiny_spec

    save_checkpoint(build(tiny_spec(), 3), tmp_path / "angle.safetensors")
    window.network.use(str(tmp_path / "angle.safetensors"))
    qtbot.waitUntil(lambda: window.docks["steering"].windowTitle() == "Steering", timeout=WAIT)
    wait_shown(qtbot, window, 0, masked=True)
    settled(qtbot, window)
    assert window.panels.prediction.currentWidget() is window.panels.steering
    assert np.isnan(window.predictions.table.driven).all()
    box = window.top.target
    row = box.findData("error")  # of which there is none here
    box.setCurrentIndex(row)
    box.activated.emit(row)
    said = "no driven angle is known"
    qtbot.waitUntil(lambda: said in (window.panels.lrp.view._warning or ""), timeout=WAIT)

    window.source.open_drive(drive_folder)  # where there is one
    wait_shown(qtbot, window, 0, masked=True)
    qtbot.waitUntil(lambda: window.presenter.complete(0), timeout=WAIT)
    assert said not in (window.panels.lrp.view._warning or "")
    assert np.isfinite(window.predictions.table.driven).any()
    window.network.use(network)  # a steering drive and a classifier: nothing is known to be right
    qtbot.waitUntil(lambda: window.docks["angle"].windowTitle() == "Probability", timeout=WAIT)
    wait_shown(qtbot, window, 0, masked=True)
    qtbot.waitUntil(lambda: len(bars(window)) == 3, timeout=WAIT)
    assert not any(true for _, _, true in bars(window))
    assert np.isnan(window.predictions.table.driven).all() and box.target() == "class"


def test_the_target_is_remembered(qtbot, make_window, settings: Settings, network):
    settings.set("target/class", "class:1")
    settings.set("target/angle", "nonsense")
    window = make_window(network)
    qtbot.waitUntil(lambda: window.top.target.target() == "class:1", timeout=WAIT)
    window.network.use("NetSVF")
    qtbot.waitUntil(lambda: window.top.target.target() == "output", timeout=WAIT)


@pytest.fixture(scope="module")
def real_signs(shared, tmp_path_factory):
    """Signs of GTSRB, five pictures of each of five, that NetSign takes for others, mostly."""
    folder = tmp_path_factory.mktemp("gtsrb")
    for sign, track in (("00002", 1), ("00002", 2), ("00004", 2), ("00018", 0), ("00030", 5)):
        (folder / sign).mkdir(exist_ok=True)
        for path in (shared / "data/gtsrb/train" / sign).glob(f"0000{track}_*.ppm"):
            shutil.copy(path, folder / sign)
    return folder


def test_the_confusion_matrix_of_real_signs(qtbot, open_window, real_signs):
    window = open_window(real_signs, network="NetSign")
    panel, player, matrix = window.panels.findings, window.player, window.panels.findings.matrix
    window.view.toggle_panel("findings", True)
    assert not panel.matrix_button.isVisible()
    window.predictions.start()
    qtbot.waitUntil(panel.matrix_button.isVisible, timeout=4 * WAIT)
    # By hand: each picture alone, its class by its folder's name.
    cells: dict[tuple[int, int], list[int]] = {}
    engine = Engine(load_network("NetSign"), "cpu")
    for index, name in enumerate(player.drive.names):
        result = engine.run(player.drive.frame(index), maps=())
        cells.setdefault((int(name[:5]), int(np.argmax(result.probabilities))), []).append(index)
    engine.close()
    right = sum(len(frames) for (a, b), frames in cells.items() if a == b)
    assert f"{4 * right}.0 % right: {right} of 25 frames" in panel.figures.text() and 0 < right < 20
    qtbot.mouseClick(panel.matrix_button, Qt.MouseButton.LeftButton)
    assert panel.stack.currentWidget() is matrix and not panel.part.isEnabled()

    def numbers() -> dict[tuple[int, int], int]:
        classes = [int(matrix.horizontalHeaderItem(k).text()) for k in range(matrix.columnCount())]
        places = [
            (r, c) for r in range(len(classes)) for c in range(len(classes)) if matrix.item(r, c).text()
        ]
        return {(classes[r], classes[c]): int(matrix.item(r, c).text()) for r, c in places}

    assert numbers() == {cell: len(frames) for cell, frames in cells.items()}
    assert matrix.cell_of(30, 24).toolTip().startswith("Ice or snow: 2 of 5 frames taken for Road narrows")

    def click(a: int, b: int) -> None:
        item = matrix.cell_of(a, b)
        matrix.scrollToItem(item)
        at = matrix.visualItemRect(item).center()
        qtbot.mouseClick(matrix.viewport(), Qt.MouseButton.LeftButton, pos=at)

    for expected in (*cells[18, 26], cells[18, 26][0]):  # and round the end
        click(18, 26)
        assert player.target == expected
    click(30, 26)  # of which there is none
    assert player.target == expected
    wait_shown(qtbot, window, expected, masked=True)
    # From A to B alone.
    window.marks.set_part(cells[18, 26][1], cells[18, 26][1] + 5)
    assert panel.figures.text().splitlines()[1].startswith("A to B: ") and sum(numbers().values()) == 6
    click(18, 26)
    assert player.target == cells[18, 26][1]
    panel.matrix_button.click()
    assert panel.stack.currentWidget() is panel.table
    window.source.close_drive()
    assert not panel.matrix_button.isVisible() and matrix.rowCount() == 0
