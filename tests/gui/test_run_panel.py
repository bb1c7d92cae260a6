"""A training run in the window: its checkpoints on the frame on the screen, followed while it trains."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, wait_shown
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication

sys.path.append(str(Path(__file__).resolve().parents[1]))
from roadmaker import tiny_spec, write_drive
from vbp.app.jobs.run_folder import looks_like_run
from vbp.app.main import main
from vbp.drives.opening import open_drive
from vbp.edits import apply
from vbp.engine import Engine
from vbp.frames.sampling import drive_usual
from vbp.frames.strengths import Usual
from vbp.training.folder import Run, Source, checkpoint_path, write_metrics
from vbp.training.loop import train
from vbp.training.recipe import Recipe
from vbp.training.steering import STEERING

EPOCHS = (0.5, 1.0, 2.0)


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("run-panel") / "road", count=60)


@pytest.fixture(scope="session")
def trained(road: Path) -> Path:
    """A real run of the trainer: two epochs of a tiny network."""
    recipe = Recipe(
        epochs=2,
        lr=0.05,
        batch=16,
        test_gap_s=0.2,
        test_fraction=0.25,
        precision="float32",
        checkpoints=EPOCHS,
    )
    return train([Source(str(road))], tiny_spec(), recipe, road.parent / "run", "cpu").path


@pytest.fixture
def run_folder(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def show(qtbot, make_window, road):
    """A window with the drive and the run open, all its checkpoints seen on the first frame."""

    def make(run: Path, count: int = len(EPOCHS)):
        window = make_window("NetSVF")
        window.source.open_drive(road)
        wait_shown(qtbot, window, 0, masked=True)
        window.run.show(run)
        wait_pictures(qtbot, window, count)
        return window

    return make


def pictures(window) -> list[str]:
    return [t.name for t in window.panels.run.strip.tiles if t.picture is not None]


def wait_pictures(qtbot, window, count: int) -> None:
    qtbot.waitUntil(lambda: len(pictures(window)) == count, timeout=WAIT)


def wait_network(qtbot, window, name: object) -> None:
    qtbot.waitUntil(
        lambda: window.player.ready is not None and window.player.ready.name == str(name), timeout=WAIT
    )


def click(qtbot, window, k: int) -> None:
    strip = window.panels.run.strip
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=strip.tile_rect(k).center().toPoint())


def click_plot(qtbot, plot, at: QPointF) -> None:
    view = plot.childAt(at.toPoint())
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.mapFrom(plot, at.toPoint()))


def unfinished(run: Path) -> tuple[Path, object, list]:
    """Make a run one that is still training: its last checkpoint and what was measured after it are taken away."""
    rows = Run(run).metrics()
    last = checkpoint_path(run, EPOCHS[-1])
    kept = last.rename(run / "kept.safetensors")
    write_metrics(run, [r for r in rows if r.epoch <= 1.01], STEERING)
    return kept, last, rows


def test_every_checkpoint_says_what_its_network_says(qtbot, show, trained, road):
    window = show(trained)
    panel = window.panels.run
    assert pictures(window) == ["epoch 0.5", "epoch 1", "epoch 2"]
    assert panel.status().startswith("run: finished, 2 epochs, RMSE ")
    with open_drive(road) as drive:
        for k, checkpoint in enumerate(Run(trained).checkpoints()):
            done = Engine(checkpoint.load(), "cpu").run(drive.frame(0))
            tile = panel.strip.tiles[k]
            assert tile.predicted_deg == pytest.approx(np.degrees(done.angle_rad), abs=1e-3)
            shown = [round(np.degrees(rad), 1) for rad in (drive.angle_rad[0], done.angle_rad)]
            assert tile.error_deg == pytest.approx(shown[0] - shown[1])  # as who reads both counts
            picture = tile.picture()
            reddest = np.unravel_index(np.argmax(done.map("visualbackprop")), picture.shape[:2])
            r, g, b = picture[reddest].astype(int)
            assert r > g + 60 and r > b + 60
    # Another frame: every picture changes with it.
    before = [t.predicted_deg for t in panel.strip.tiles]
    window.player.seek(20)
    qtbot.waitUntil(lambda: window.run.made is not None and window.run.made.index == 20, timeout=WAIT)
    assert all(a != t.predicted_deg for a, t in zip(before, panel.strip.tiles, strict=True))


def test_weak_masks_fade_and_edits_are_followed_and_said(qtbot, show, trained, road):
    """Each checkpoint has its own measure: that of a sample of the open recording, as the window's network has."""
    window = show(trained)
    panel, follower = window.panels.run, window.run.worker._work
    with open_drive(road) as drive:
        engines = [Engine(c.load(), "cpu") for c in Run(trained).checkpoints()]
        wanted = [drive_usual(drive, engine) for engine in engines]
    qtbot.waitUntil(lambda: len(follower._usual._usual) == len(EPOCHS), timeout=2 * WAIT)
    assert list(follower._usual._usual.values())[::-1] == pytest.approx(wanted)
    assert [t.warning for t in panel.strip.tiles] == [""] * 3
    red = [int(t.picture().astype(int)[..., 0].sum()) for t in panel.strip.tiles]
    # As if the last one saw far less here than elsewhere.
    last = next(iter(follower._usual._usual))
    follower._usual._usual[last] = Usual(wanted[2].median + 9, wanted[2].low + 6)
    window.edits._adjust("contrast", 0.9)
    qtbot.waitUntil(lambda: window.run.made.record.edits == window.edits.history.now, timeout=WAIT)
    tiles = panel.strip.tiles
    assert [t.warning.split("; ")[0] for t in tiles] == ["edited: contrast 0.9"] * 3
    assert [" mask weak: 1/10^9 of this" in t.warning for t in tiles] == [False, False, True]
    assert "edited" in panel._late.text()
    with open_drive(road) as drive:
        picture = apply(window.edits.history.now, drive.frame(0))
    for engine, tile in zip(engines, tiles, strict=True):
        assert tile.predicted_deg == pytest.approx(np.degrees(engine.run(picture).angle_rad), abs=1e-3)
    window.edits.clear()
    qtbot.waitUntil(lambda: not window.run.made.record.edits, timeout=WAIT)
    again = [int(t.picture().astype(int)[..., 0].sum()) for t in panel.strip.tiles]
    assert again[:2] == red[:2] and again[2] < red[2]
    window.view.set_overlay(replace(window.presenter.overlay, fade=False))
    assert int(panel.strip.tiles[2].picture().astype(int)[..., 0].sum()) == red[2]


def test_a_run_is_followed_while_it_trains(qtbot, show, run_folder):
    kept, last, rows = unfinished(run_folder)
    window = show(run_folder, 2)
    panel = window.panels.run
    assert panel.status().startswith("run: training, epoch 1 of 2, RMSE ")
    kept.rename(last)
    write_metrics(run_folder, rows, STEERING)
    wait_pictures(qtbot, window, 3)
    qtbot.waitUntil(lambda: panel.status().startswith("run: finished"), timeout=WAIT)
    # Nobody sees the panel: the thread looks for nothing; seen again, it has what came meanwhile.
    window.docks["run"].close()
    shutil.copy(last, checkpoint_path(run_folder, 1.5))
    qtbot.wait(50)
    window.docks["run"].show()
    window.docks["run"].raise_()
    wait_pictures(qtbot, window, 4)


def test_a_checkpoint_becomes_the_windows_network_and_back(qtbot, show, trained, settings):
    window = show(trained)
    panel, paths = window.panels.run, [c.path for c in Run(trained).checkpoints()]
    assert panel.back.isHidden()
    click(qtbot, window, 0)
    wait_network(qtbot, window, paths[0])
    qtbot.waitUntil(lambda: window.player.shown_frame.result is not None, timeout=WAIT)
    assert panel.back.isVisible()
    assert panel.back.text() == "Back to NetSVF"
    tile = panel.strip.tiles[0]
    wait_shown(qtbot, window, 0, masked=True)
    qtbot.waitUntil(
        lambda: abs(np.degrees(window.player.shown_frame.result.angle_rad) - tile.predicted_deg) < 1e-3,
        timeout=WAIT,
    )
    # The arrows step through checkpoints while the focus is in the panel, and not through frames.
    panel.strip.setFocus()
    qtbot.keyClick(panel.strip, Qt.Key.Key_Right)
    wait_network(qtbot, window, paths[1])
    assert window.player.target == 0
    names = [window.top.network.itemData(k) for k in range(window.top.network.count())]
    assert str(paths[0]) not in names  # only the one in use stands in the list
    qtbot.mouseClick(panel.back, Qt.MouseButton.LeftButton)
    wait_network(qtbot, window, "NetSVF")
    assert panel.back.isHidden()
    assert settings.text("network", "") == "NetSVF"
    assert settings.recent("networks") == []


def test_escape_goes_back_too(qtbot, show, trained):
    window = show(trained)
    click(qtbot, window, 2)
    wait_network(qtbot, window, Run(trained).checkpoints()[2].path)
    qtbot.keyClick(window.panels.run.strip, Qt.Key.Key_Escape)
    wait_network(qtbot, window, "NetSVF")


def test_a_mark_of_the_plot_chooses_its_checkpoint(qtbot, show, trained):
    window = show(trained)
    plot = window.panels.run.plot
    click_plot(qtbot, plot, plot.mark_point(1))
    wait_network(qtbot, window, Run(trained).checkpoints()[1].path)


def test_a_damaged_checkpoint_is_told_in_its_place(qtbot, show, run_folder):
    broken = checkpoint_path(run_folder, 1.0)
    broken.write_bytes(b"not a network")
    window = show(run_folder, 2)
    tile = window.panels.run.strip.tiles[1]
    assert tile.words == "cannot be used"
    assert str(broken) in tile.tip and "\n" not in tile.tip
    # Put right, it is looked at again; removed, it goes.
    shutil.copy(checkpoint_path(run_folder, 2.0), broken)
    wait_pictures(qtbot, window, 3)
    broken.unlink()
    wait_pictures(qtbot, window, 2)


def test_a_run_that_disappears_is_told_and_stays_on_the_screen(qtbot, show, run_folder):
    window = show(run_folder)
    shutil.rmtree(run_folder)
    panel = window.panels.run
    qtbot.waitUntil(lambda: panel.trouble.isVisible(), timeout=WAIT)
    assert str(run_folder) in panel.trouble.text()
    assert len(pictures(window)) == 3


@pytest.mark.parametrize("how", ["missing", "empty", "other", "unknown network", "no json"])
def test_a_folder_that_is_no_run_is_one_notice(qtbot, make_window, run_folder, how):
    config = run_folder / "config.json"
    if how == "missing":
        shutil.rmtree(run_folder)
    elif how == "empty":
        config.unlink()
    elif how == "other":
        config.write_text('{"kind": "something else"}')
    elif how == "unknown network":
        data = json.loads(config.read_text())
        data["spec"]["input_height"] = "tall"
        config.write_text(json.dumps(data))
    else:
        config.write_text("{")
    window = make_window()
    window.run.show(run_folder)
    qtbot.waitUntil(lambda: window.notice.message() != "", timeout=WAIT)
    assert str(run_folder) in window.notice.message()
    assert window.panels.run.stack.currentIndex() == 0


def test_a_bad_folder_leaves_the_run_that_is_open(qtbot, show, trained, tmp_path):
    window = show(trained)
    window.run.show(tmp_path)
    qtbot.waitUntil(lambda: window.notice.message() != "", timeout=WAIT)
    qtbot.waitUntil(lambda: not window.run._loading, timeout=WAIT)
    assert window.run.state.path == trained
    wait_pictures(qtbot, window, 3)


def test_a_dropped_run_opens_with_the_drive_that_it_learned_from(qtbot, make_window, trained, road):
    window = make_window("NetSVF")
    assert not window.docks["run"].isVisible()
    assert looks_like_run(trained) and not looks_like_run(road)
    window.drop(trained)
    qtbot.waitUntil(lambda: window.player.drive is not None, timeout=WAIT)
    assert window.player.path == road
    wait_pictures(qtbot, window, 3)
    assert window.player.shown_frame.index == 45  # the first that was held out
    window.source.close_drive()
    assert pictures(window) == []


def test_the_thread_ends_with_the_window_even_in_the_middle(qtbot, make_window, trained):
    window = make_window()
    window.run.show(trained)
    thread = window.run.worker._thread
    window.close()
    assert window.threads_left == []
    assert not thread.is_alive()


def test_playing_goes_on_and_the_strip_comes_after(qtbot, show, trained):
    window = show(trained)
    window.player.play()
    qtbot.waitUntil(lambda: not window.player.playing, timeout=WAIT)
    last = window.player.frames - 1
    qtbot.waitUntil(lambda: window.run.made.index == last, timeout=WAIT)
    assert window.panels.run._late.text() == ""


# `vbp` without anything.


@pytest.fixture
def command(qtbot, monkeypatch, settings):
    """main() up to the moment when its window stands; what it opened is closed at the end."""
    made = []
    window_class = __import__("vbp.app.shell.window", fromlist=["MainWindow"]).MainWindow

    class Kept(window_class):
        def __init__(self, scheme=None):
            super().__init__(settings, scheme="dark")
            made.append(self)

    def application(_):
        """The one that the tests have; its loop does not hold them up."""
        app = QApplication.instance()
        monkeypatch.setattr(app, "exec", lambda: 0, raising=False)
        return app

    application.instance = QApplication.instance
    monkeypatch.setattr("vbp.app.shell.window.MainWindow", Kept)
    monkeypatch.setattr("PySide6.QtWidgets.QApplication", application)

    def start(*arguments: object):
        assert main([*map(str, arguments), "--device", "cpu"]) == 0
        return made[-1]

    yield start
    for window in made:
        window.close()
        window.deleteLater()


def test_vbp_alone_plays_the_demo_drive_the_first_time(qtbot, command, settings):
    window = command()
    qtbot.waitUntil(lambda: window.player.playing, timeout=WAIT)
    assert window.player.network_name == "NetSVF"
    qtbot.waitUntil(lambda: window.player.shown_frame.index >= 3, timeout=WAIT)
    assert window.player.shown_frame.result is not None
    assert np.isfinite(window.predictions.table.predicted).any()
    window.source.close_drive()
    assert window.stack.currentWidget() is window.start_page
    assert settings.recent() == []  # who has opened nothing yet finds the demo the next time too


def test_vbp_alone_leads_who_comes_back_to_the_start_page(qtbot, command, settings, drive_folder):
    settings.add_recent(str(drive_folder))
    window = command()
    qtbot.wait(50)
    assert window.stack.currentWidget() is window.start_page
    assert window.player.path is None
    assert not window.start_page.demo.isHidden()


def test_vbp_with_a_run_steps_through_it(qtbot, command, trained, road):
    window = command("--run", trained)
    wait_pictures(qtbot, window, 3)
    assert window.player.path == road
    assert window.docks["run"].isVisible()


def test_vbp_takes_a_run_for_what_it_is(qtbot, command, trained):
    window = command(trained)
    wait_pictures(qtbot, window, 3)


def test_rows_without_a_test_show_the_training_error(qtbot, show, run_folder):
    rows = [replace(r, test_rmse_rad=float("nan")) for r in Run(run_folder).metrics()]
    write_metrics(run_folder, rows, STEERING)
    window = show(run_folder)
    assert "train RMSE" in window.panels.run.status()
    plot = window.panels.run.plot
    assert plot.mark_point(0).y() < plot.mark_point(2).y() < plot.height()


def test_a_second_network_stays_while_checkpoints_are_clicked_through(qtbot, show, run_folder):
    window = show(run_folder)
    window.second.open(checkpoint_path(run_folder, EPOCHS[0]))
    qtbot.waitUntil(lambda: window.player.second is not None, timeout=WAIT)
    for k in (0, len(EPOCHS) - 1):
        click(qtbot, window, k)
        wait_network(qtbot, window, checkpoint_path(run_folder, EPOCHS[k]))
        player = window.player
        qtbot.waitUntil(
            lambda p=player: p.is_current(p.shown_frame) and p.of_second(p.shown_frame) is not None,
            timeout=WAIT,
        )
        frame = player.shown_frame
        same = frame.result.angle_rad == window.player.of_second(frame).angle_rad
        assert same == (k == 0)
