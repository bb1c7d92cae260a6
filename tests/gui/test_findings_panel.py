"""The panel of findings over a real window: what is found after predicting and by a pass with masks, and the ways to it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from drivemaker import WAIT, finding_at, wait_shown, write_drive
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractItemView

from faultmaker import FAULTS, are_those_planted, follower, with_faults
from vbp.app.panels.finding_rows import VERDICT, FindingRows
from vbp.app.panels.findings import FindingsPanel
from vbp.findings.find import find
from vbp.findings.finding import Observed
from vbp.findings.kinds import KINDS

WRONG = 12


@pytest.fixture
def found(qtbot, open_window, tmp_path):
    """A window in which a drive with a wrong label was looked through, with its panel seen."""
    folder = write_drive(tmp_path / "short", 24)
    labels = folder / "CH2_final_evaluation.csv"
    lines = labels.read_text().splitlines()
    time, _, public = lines[WRONG + 1].split(",")
    lines[WRONG + 1] = f"{time},1.5,{public}"
    labels.write_text("\n".join(lines) + "\n")
    window = open_window(folder, network="NetSVF")
    window.view.toggle_panel("findings", True)
    panel = window.panels.findings
    assert "Predict the whole drive" in panel._empty.text()
    qtbot.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    assert panel.button.text() == "Cancel" and window.findings.under_way()
    qtbot.waitUntil(lambda: panel.button.text() == "Look through", timeout=4 * WAIT)
    return window


def test_a_drive_is_looked_through_and_gone_through(qtbot, found):
    window, panel = found, found.panels.findings
    table = window.predictions.table
    assert np.isfinite(table.predicted).all() and np.isfinite(table.strength).all()
    assert panel.figures.text().startswith("Drive: RMSE") and "24 labelled frames" in panel.figures.text()
    first = next(f for f in panel.shown if f.kind == "label")
    assert (first.start, first.peak) == (WRONG, WRONG) and panel.table.rowCount() == len(panel.shown)
    bands = window.panels.transport.timeline._findings
    assert [(b.first, b.last) for b in bands] == [(f.start, f.end) for f in panel.shown]
    assert "Label steps: +" in window.panels.transport.timeline.describe(WRONG)
    assert any("Label steps: +" in text for text in window.panels.angle.bands.words(WRONG / 20))
    assert not window.panels.angle.bands.words(1.15)
    panel.kinds.setCurrentIndex(panel.kinds.findData("label"))
    panel.kinds.activated.emit(panel.kinds.currentIndex())
    cell = panel.table.visualItemRect(panel.table.item(0, 0)).center()
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    wait_shown(qtbot, window, WRONG)
    qtbot.mouseClick(panel.part, Qt.MouseButton.LeftButton)
    assert (window.marks.a, window.marks.b) == (first.start, first.end)
    window.source.close_drive()
    assert panel.table.rowCount() == 0 and window.panels.transport.timeline._findings == []


def test_a_threshold_for_errors_is_asked_for_and_looked_at_again(qtbot, found, monkeypatch):
    """What was seen with the masks is kept: nothing is run again, and the other kinds are found as before."""
    window, panel = found, found.panels.findings
    before = {f.kind for f in panel.found}
    seen = window.findings._seen
    asked = []
    monkeypatch.setattr(
        "vbp.app.control.findings.QInputDialog.getDouble", lambda *a: asked.append(a) or (0.01, True)
    )
    with qtbot.waitSignal(window.findings.worker.told, timeout=WAIT):
        panel.threshold_action.trigger()
    wanted = find(seen, thresholds={"error": 0.01}).found
    assert asked and [(f.key, f.threshold) for f in panel.found] == [(f.key, f.threshold) for f in wanted]
    assert panel._status.text().endswith("errors from 0.01°")
    assert any("error" in (f.kind, *f.also) for f in panel.found)
    with qtbot.waitSignal(window.findings.worker.told, timeout=WAIT):
        window.findings.set_threshold(0.0)
    assert {f.kind for f in panel.found} == before and "errors from" not in panel._status.text()


def first_played(qtbot, window) -> int:
    wait_shown(qtbot, window, window.player.target)
    shown: list[int] = []
    slot = window.player.shown.connect(lambda frame: shown.append(frame.index))
    window.player.play()
    qtbot.waitUntil(lambda: len(shown) >= 2, timeout=WAIT)
    window.player.pause()
    window.player.shown.disconnect(slot)
    assert shown == sorted(shown)
    return shown[0]


def test_the_keys_show_a_peak_and_playing_begins_2_s_before(qtbot, open_window, tmp_path):
    window = open_window(write_drive(tmp_path / "long", 200))
    window.view.toggle_panel("findings", True)
    panel, player = window.panels.findings, window.player
    peaks = [60, 110, 190]
    panel.set_findings([finding_at(player.drive, peak) for peak in peaks], int(player.drive.timestamps_ns[0]))
    following, before = (window.actions_by_id[f"{which}-finding"].trigger for which in ("next", "previous"))
    player.seek(100)
    for go, peak in ((following, 110), (following, 190), (following, 60), (before, 190), (before, 110)):
        go()
        wait_shown(qtbot, window, peak)
        assert panel.table.chosen.peak == peak and player.target == peak and not player.playing
    # Those that may be wanted next are read meanwhile.
    qtbot.waitUntil(lambda: {60, 110, 190} <= set(player.drive._cache), timeout=WAIT)
    assert first_played(qtbot, window) == 110 - 40
    # Not after one has gone elsewhere.
    following()
    wait_shown(qtbot, window, 190)
    player.step(-2)
    assert first_played(qtbot, window) == 189
    # Nor where A to B is to be repeated, which begins later.
    window.marks.set_part(180, 195)
    window.marks.set_looping(True)
    before()
    following()
    wait_shown(qtbot, window, 190)
    assert first_played(qtbot, window) == 180


def test_12_planted_faults_are_found_and_nothing_else(qtbot, open_window, faulty_drive, monkeypatch):
    monkeypatch.setattr("vbp.models.registry.load_network", lambda _: follower())
    monkeypatch.setattr("vbp.engine.Engine", with_faults())
    window = open_window(faulty_drive, network="follower")
    window.view.toggle_panel("findings", True)
    panel, timeline = window.panels.findings, window.panels.transport.timeline
    qtbot.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.button.text() == "Look through", timeout=4 * WAIT)
    of = are_those_planted(panel.found)
    assert panel.shown == of and panel._status.text() == "12 found"
    panel.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    words = [[panel.table.item(row, k).text() for k in range(3)] for row in range(panel.table.rowCount())]
    assert words[:3] == [
        ["Attention jumps", "00:02.0", "0.6 s"],
        ["Weak mask", "00:05.0", "1.0 s"],
        ["Label steps", "00:08.0", "0.1 s"],
    ]
    assert [row[0] for row in words] == [KINDS[kind].title for _, kind in FAULTS.values()]
    assert [(b.first, b.last) for b in timeline._findings] == [(f.start, f.end) for f in of]


def test_sorting_filtering_and_words(qtbot):
    times = (np.arange(400) * 5e7).astype(np.int64)
    driven = np.zeros(400)
    predicted = np.sin(np.arange(400) / 3)
    predicted[100:110] += 30
    driven[300] = 20
    none = np.full(400, np.nan)
    seen = Observed(
        np.arange(400), times, driven, predicted, none, none, none, none, none, np.zeros(400, dtype=bool)
    )
    panel = FindingsPanel()
    qtbot.addWidget(panel)
    panel.set_findings(find(seen).found, 0, "not looked for: Weak mask, as there are no masks")
    assert panel.table.rowCount() == 2 and panel._status.text() == "2 found, not all kinds"

    def column(k: int) -> list[str]:
        return [panel.table.item(row, k).text() for row in range(panel.table.rowCount())]

    assert column(4) == ["100", "300"] and column(1) == ["00:05.0", "00:15.0"]
    panel.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(1) == ["00:15.0", "00:05.0"]
    chosen = []
    panel.chosen.connect(chosen.append)
    panel.table.selectRow(0)
    qtbot.keyClick(panel.table, Qt.Key.Key_Return)
    assert [f.peak for f in chosen] == [300]
    panel.kinds.setCurrentIndex(panel.kinds.findData("label"))
    panel.kinds.activated.emit(panel.kinds.currentIndex())
    assert column(0) == ["Label steps"] and panel._status.text() == "1 of 2, not all kinds"
    panel.set_findings([], 0, "not looked for: Weak mask, as there are no masks")
    assert (
        panel._empty.text() == "Nothing was found; not looked for: Weak mask, as there are no masks"
        and panel.stack.currentIndex() == 0
    )


def test_verdicts_a_table_and_a_reel(qtbot, found, tmp_path, monkeypatch):
    window, panel = found, found.panels.findings
    label = next(f for f in panel.shown if f.kind == "label")
    count = panel.table.rowCount()
    panel.search.setText("label steps")
    assert [f.kind for f in panel.rows] == ["label"]
    panel.search.setText("")
    panel.table.select(label)
    panel.note_action.trigger()
    panel.note_action.trigger()  # the note that is there
    (note,) = window.marks.notes
    assert (note.frame, note.end) == (label.start, label.end) and note.name.startswith("Label steps +")
    assert window.panels.notes.table.state() == QAbstractItemView.State.EditingState
    panel._judge("known")
    assert panel.table.item(panel.table.currentRow(), VERDICT).text() == "known"
    assert panel.rows[panel.table.currentRow()] is label
    panel._judge("ignored")
    assert label not in panel.rows and panel.table.rowCount() == count - 1
    path = str((tmp_path / "short").resolve())
    assert dict(window.settings.document(path).verdicts) == {f"label@{label.peak_ns}": "ignored"}
    panel.ignored.setChecked(True)
    assert label in panel.rows
    # The table holds all, as the command's does.
    window.findings.save_table(tmp_path / "found.csv")
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert lines[0].startswith("frame,timestamp_ns,seconds,kind,") and len(lines) == 1 + len(panel.found)
    window.findings.save_table(tmp_path / "short" / "camera.csv")
    assert "camera.csv" in window.notice.message() and "seq" in (tmp_path / "short/camera.csv").read_text()
    jobs = []
    monkeypatch.setattr(window.export.queue, "add", jobs.append)
    panel.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    window.findings.make_reel(tmp_path / "reel.mp4")
    (job,) = jobs
    assert [p.title[0].partition(": ")[0] for p in job.parts] == [
        f"{k} of {count}" for k in range(1, count + 1)
    ]
    assert all(p.first == 0 for p in job.parts)  # the drive begins less than 2 s before any


def test_what_is_chosen_is_judged_and_makes_the_reel(qtbot):
    times = (np.arange(800) * 5e7).astype(np.int64)
    driven, predicted = np.zeros(800), np.sin(np.arange(800) / 3)
    for at, error in ((100, 30), (300, 40), (500, 50)):
        predicted[at : at + 10] += error
    none = np.full(800, np.nan)
    seen = Observed(np.arange(800), times, driven, predicted, *(5 * (none,)), np.zeros(800, bool))
    panel = FindingsPanel()
    qtbot.addWidget(panel)
    panel.set_findings(find(seen).found, 0)
    worst, second, last = panel.rows
    assert panel.for_reel == [worst, second, last]
    judged = []
    panel.verdict_given.connect(lambda finding, word: judged.append((finding, word)))
    panel.table.selectRow(0)
    assert panel.for_reel == [worst, second, last]  # one is chosen by looking at it
    cell = panel.table.visualItemRect(panel.table.item(1, 0)).center()
    qtbot.mouseClick(
        panel.table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, cell
    )
    panel._ask_menu(QPoint(0, 0))
    panel.menu.close()
    assert panel.for_reel == [worst, second] and panel.reel_action.text() == "Make a reel of the 2 chosen…"
    panel._judge("real")
    assert judged == [(worst, "real"), (second, "real")]
    panel.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    panel.set_verdicts({second.key: "real"})
    assert panel.for_reel == sorted([worst, second], key=lambda f: f.start)
    panel.set_working(0.25, "1:30 left")
    assert panel._status.text() == "25 %, 1:30 left"


def test_the_chosen_row_stays_in_view_in_a_lower_and_narrower_panel(qtbot):
    rows, times = FindingRows(), SimpleNamespace(timestamps_ns=np.arange(80) * 10**9)
    qtbot.addWidget(rows)
    rows.resize(900, 600)
    rows.show()
    rows.fill([finding_at(times, 10 * k) for k in range(8)], 0, {})
    rows._select_again({rows.of_row(6).key})  # whatever keys a test before holds
    rows.resize(400, 110)
    chosen, seen = rows.item(6, 0), rows.viewport()
    qtbot.waitUntil(lambda: seen.rect().contains(rows.visualItemRect(chosen).center()), timeout=WAIT)
    head = rows.horizontalHeader()
    assert head.sectionSize(VERDICT) == head.sectionSizeHint(VERDICT)  # no wider, where there is no room
