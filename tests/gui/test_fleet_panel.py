"""A fleet in a real window: its rows sorted, filtered and paged by DuckDB, and the ways from a row to its drive."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drivemaker import WAIT, number_of, wait_shown, write_drive
from PySide6.QtCore import Qt

from fleetmaker import make_fleet, make_networks, settings_of
from vbp.app import command
from vbp.app.jobs import fleet as jobs_fleet
from vbp.app.jobs.fleet_model import COLUMNS, PAGE, PAGES, WEIGHT
from vbp.app.shell import start
from vbp.app.shell.window import MainWindow
from vbp.fleet import needs
from vbp.fleet.dataset import Fleet
from vbp.fleet.schema import drive_schema, finding_schema, frame_schema
from vbp.fleet.settings import Settings, settle
from vbp.overlay import Rect

WRONG = 12
NAMES = [column.title for column in COLUMNS]
MANY, EACH = 200_000, 10_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives, each with a wrong label at another frame, indexed with a crop."""
    place = tmp_path_factory.mktemp("fleet")
    for k in range(2):
        folder = write_drive(place / "in" / f"drive{k}", 40)
        labels = folder / "CH2_final_evaluation.csv"
        lines = labels.read_text().splitlines()
        time, _, public = lines[WRONG + 10 * k + 1].split(",")
        lines[WRONG + 10 * k + 1] = f"{time},{1.5 + k},{public}"
        labels.write_text("\n".join(lines) + "\n")
    settings = settings_of(make_networks(place)[:1])
    make_fleet(place / "out", place / "in", Settings(settings.sides, crop=Rect(20, 60, 240, 120)))
    return place / "out"


@pytest.fixture
def opened(qtbot, make_window, made) -> MainWindow:
    window = make_window()
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        window.drop(made)
    return window


def rows(window: MainWindow) -> list[dict[str, object]]:
    return [window.fleet.model.row(k) for k in range(window.fleet.model.rowCount())]


def ask(qtbot, window: MainWindow, condition: str) -> None:
    box = window.panels.fleet.condition
    box.setText(condition)
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        qtbot.keyClick(box, Qt.Key.Key_Return)


def test_rows_are_sorted_and_filtered(qtbot, opened, made):
    window, panel = opened, opened.panels.fleet
    whole = Fleet(made).findings.to_table().to_pylist()
    assert len(whole) >= 2 and {Path(r["drive"]).name for r in whole} == {"drive0", "drive1"}
    assert window.docks["fleet"].isVisible()
    assert panel.status == f"{len(whole)} findings, 2 drives"
    weights = [r["weight"] for r in rows(window)]
    assert weights == sorted((r["weight"] for r in whole), reverse=True)
    head = panel.table.horizontalHeader()
    assert head.sortIndicatorSection() == WEIGHT
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        head.setSortIndicator(NAMES.index("Frame"), Qt.SortOrder.AscendingOrder)
    assert [r["peak_frame"] for r in rows(window)] == sorted(r["peak_frame"] for r in whole)
    ask(qtbot, window, "kind = 'label' AND drive LIKE '%drive1'")
    (row,) = rows(window)
    assert (row["peak_frame"], Path(row["drive"]).name) == (WRONG + 10, "drive1")
    assert panel.status == f"1 of {len(whole)} findings, 2 drives" and not panel.trouble
    model = window.fleet.model
    words = dict(zip(NAMES, (model.data(model.index(0, k)) for k in range(len(NAMES))), strict=True))
    assert words["Kind"] == "Label steps" and words["Frame"] == str(WRONG + 10) and words["Speed"] == "–"
    for wrong, why in (
        ("no_such > 1", "no_such"),
        ("1; DROP VIEW findings", "semicolon"),
        ("kind =", "Parser"),
    ):
        ask(qtbot, window, wrong)
        assert why in panel.trouble and "\n" not in panel.trouble and rows(window) == [row]
    ask(qtbot, window, "weight < 0")
    assert window.fleet.model.rowCount() == 0 and not panel.trouble
    ask(qtbot, window, "")
    assert len(rows(window)) == len(whole)


def test_enter_opens_the_drive_as_it_was_indexed_and_the_key_goes_on(qtbot, opened, made):
    window, panel, player = opened, opened.panels.fleet, opened.player
    ask(qtbot, window, "kind = 'label' AND peak_frame IN (12, 22)")
    found = rows(window)
    assert len(found) == 2
    panel.table.setFocus()
    panel.table.setCurrentIndex(window.fleet.model.index(0, 0))
    qtbot.keyClick(panel.table, Qt.Key.Key_Return)
    wait_shown(qtbot, window, found[0]["peak_frame"], masked=True)
    assert (
        player.path == Path(found[0]["drive"])
        and number_of(player.shown_frame.image) == found[0]["peak_frame"]
    )
    assert player.network_name == Fleet(made).settings.sides[0].source
    assert player.shown_frame.result.crop == Rect(20, 60, 240, 120)
    following = window.actions_by_id["next-finding"].trigger
    for k in (1, 0):
        following()
        wait_shown(qtbot, window, found[k]["peak_frame"], masked=True)
        assert player.path == Path(found[k]["drive"]) and panel.table.currentIndex().row() == k
        assert player.shown_frame.result.crop == Rect(20, 60, 240, 120)
    # In the other order, the key goes on from the row that is open.
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        panel.table.horizontalHeader().setSortIndicator(NAMES.index("Frame"), Qt.SortOrder.AscendingOrder)
    other = [r["peak_frame"] for r in rows(window)]
    here = other.index(player.target)
    assert panel.table.currentIndex().row() == here
    following()
    wait_shown(qtbot, window, other[1 - here])
    # The crop is the fleet's, and not kept as one that was drawn.
    assert window.settings.document(str(player.path.resolve())).crop is None
    # Elsewhere, it is the drive's own again.
    assert window.fleet.leading
    (elsewhere,) = {Path(r["drive"]) for r in found} - {player.path}
    window.source.open_drive(elsewhere)
    assert not window.fleet.leading and player.crop is None
    window.fleet.show_row(0)
    window.source.close_drive()
    assert not window.fleet.leading
    window.actions_by_id["close-fleet"].trigger()
    assert window.fleet.model.rowCount() == 0 and not window.actions_by_id["close-fleet"].isEnabled()


def test_a_drive_that_is_gone_and_pictures_of_the_others(qtbot, make_window, made, tmp_path):
    window = make_window()
    fleet, panel = window.fleet, window.panels.fleet
    with qtbot.waitSignal(fleet.worker.finished, timeout=WAIT):
        window.drop(made)
    ask(qtbot, window, "kind = 'label' AND peak_frame IN (12, 22)")
    places = [(r["drive"], r["peak_frame"]) for r in rows(window)]
    qtbot.waitUntil(lambda: all(fleet.pictures.picture(p) is not None for p in places), timeout=WAIT)
    assert all(fleet.pictures.picture(p).height() <= 96 for p in places)
    assert not any(fleet.pictures.picture(p).isNull() for p in places)
    first, second = (Path(drive) for drive, _ in places)
    away = first.with_name("away")
    first.rename(away)
    try:
        fleet.show_row(0)
        assert panel.trouble == f"{first} is not there any more, so it cannot be opened"
        assert window.player.drive is None
        fleet.go(1)
        wait_shown(qtbot, window, places[1][1])
        assert window.player.path == second and not panel.trouble
    finally:
        away.rename(first)


def test_what_is_like_a_row(qtbot, opened, made):
    window, panel = opened, opened.panels.fleet
    before = len(rows(window))
    panel.table.setCurrentIndex(window.fleet.model.index(0, 0))
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        panel.like_action.trigger()
    found = rows(window)
    assert {r["kind"] for r in found} == {"alike"} and panel.back.isVisible()
    assert [r["value"] for r in found] == sorted((r["value"] for r in found), reverse=True)
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        panel.back.click()
    assert len(rows(window)) == before and not panel.back.isVisible()


def test_the_command_line_opens_a_fleet(qtbot, make_window, made, tmp_path, capsys):
    source = Fleet(made).settings.sides[0].source
    window = make_window()
    start._show(window, command._parser().parse_args([str(made), "--model", source]))
    qtbot.waitUntil(lambda: window.fleet.model.rowCount() > 0, timeout=WAIT)
    assert window.player.drive is None
    assert command.run([str(made), "--screenshot", str(tmp_path / "a.png")]) == 2
    assert "--screenshot needs a recording" in capsys.readouterr().err


def test_the_window_needs_neither_duckdb_nor_pyarrow():
    code = "import sys, vbp.app.shell.window; print(*{'duckdb', 'pyarrow', 'sklearn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b""


def test_what_is_no_fleet_or_cannot_be_asked(qtbot, make_window, made, tmp_path, monkeypatch):
    window = make_window()
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(made / "vbp-fleet.json", copy)
    window.fleet.open(copy)
    qtbot.waitUntil(lambda: "holds no indexed drive" in window.notice.message(), timeout=WAIT)
    assert not window.actions_by_id["close-fleet"].isEnabled()
    monkeypatch.setattr(needs, "find_spec", lambda name: None)  # neither is installed
    window.fleet.open(made)
    assert "pip install 'vbp[fleet]'" in window.notice.message()


def filled(schema: pa.Schema, rows: int, values: dict[str, object]) -> pa.Table:
    """A table of that schema; a text is that of all rows, and what is not given is not known."""

    def column(field: pa.Field) -> pa.Array:
        value = values.get(field.name)
        if isinstance(value, str):
            return pa.array([value] * rows).dictionary_encode().cast(field.type)
        return pa.nulls(rows, field.type) if value is None else pa.array(value, field.type)

    return pa.Table.from_arrays([column(field) for field in schema], schema=schema)


@pytest.fixture(scope="module")
def many(made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200,000 findings in 20 drives that are not there, and 20,000 frames."""
    settings, folder = Fleet(made).settings, tmp_path_factory.mktemp("many") / "fleet"
    settle(folder, settings)
    for name in ("frames", "findings", "drives"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    for k in range(MANY // EACH):
        key, drive = f"{k:020x}", f"/nowhere/drive{k}"
        weights, numbers = rng.random(EACH), np.arange(EACH)
        found = {
            "drive": drive,
            "drive_key": key,
            "kind": "error",
            "unit": "°",
            "peak_frame": numbers,
            "weight": weights,
            "value": weights * 9,
            "speed_mps": weights * 30,
        }
        frames = {
            "drive": drive,
            "drive_key": key,
            "frame": numbers[:1000],
            "error_deg": rng.normal(0, 5, 1000),
            "speed_mps": rng.random(1000) * 50,
            "curvature": rng.normal(0, 0.02, 1000).astype(np.float32),
        }
        row = {"drive": drive, "drive_key": key}
        for name, table in (
            ("findings", filled(finding_schema(settings), EACH, found)),
            ("frames", filled(frame_schema(settings), 1000, frames)),
            ("drives", filled(drive_schema(settings), 1, {n: [v] for n, v in row.items()})),
        ):
            pq.write_table(table, folder / name / f"{key}.parquet")
    return folder


def test_many_rows_are_fetched_in_pages(qtbot, make_window, many):
    window = make_window()
    window.fleet.open(many)
    model, table = window.fleet.model, window.panels.fleet.table
    qtbot.waitUntil(lambda: model.rowCount() == MANY, timeout=WAIT)
    assert window.panels.fleet.status == "200,000 findings, 20 drives"
    qtbot.waitUntil(lambda: len(model.pages) > 0, timeout=WAIT)
    assert set(model.pages) == {0}
    weights = Fleet(many).findings.to_table(columns=["weight"])["weight"].to_numpy()
    heaviest = np.sort(weights)[::-1]
    for row in (150_000, MANY - 1, 77):
        table.scrollTo(model.index(row, 0))
        qtbot.waitUntil(lambda row=row: row // PAGE in model.pages, timeout=WAIT)
        assert model.row(row)["weight"] == heaviest[row]
    assert len(model.pages) <= 8  # what was in view, and not what lies between
    for row in range(0, MANY, PAGE * 20):
        model.row(row)
    assert len(model.pages) == PAGES


def test_of_more_rows_than_are_kept_the_first_are_shown(qtbot, make_window, many, monkeypatch):
    monkeypatch.setattr(jobs_fleet, "MOST", 1000)
    window = make_window()
    with qtbot.waitSignal(window.fleet.worker.finished, timeout=WAIT):
        window.fleet.open(many)
    assert window.fleet.model.rowCount() == 1000
    assert window.panels.fleet.status == "200,000 findings, the first 1,000 in this order, 20 drives"
    ask(qtbot, window, "weight < 0.5")
    total = int((Fleet(many).findings.to_table(columns=["weight"])["weight"].to_numpy() < 0.5).sum())
    assert window.panels.fleet.status.startswith(f"{total:,} of 200,000 findings, the first 1,000")
    assert window.fleet.model.row(0)["weight"] < 0.5


def test_errors_by_speed_and_curvature_filter_the_rows(qtbot, make_window, many):
    window = make_window()
    window.fleet.open(many)
    panel = window.panels.fleet
    qtbot.waitUntil(lambda: bool(panel.curvature.bars), timeout=WAIT)
    frames = Fleet(many).frames.to_table(columns=["error_deg", "speed_mps", "curvature"])
    error, speed, bend = (column.to_numpy() for column in frames.columns)
    assert len(panel.speed.bars) == 21 and len(panel.curvature.bars) == 11
    for k, here in ((5, (speed >= 10) & (speed < 12)), (20, speed >= 40)):
        bar = panel.speed.bars[k]
        assert (
            bar.value == pytest.approx(np.abs(error[here]).mean()) and f" {here.sum():,} frames" in bar.words
        )
    for k, here in (
        (0, bend >= 0.05),
        (1, (bend >= 0.02) & (bend < 0.05)),
        (5, np.abs(bend) < 0.002),
        (9, (bend <= -0.02) & (bend > -0.05)),
    ):
        assert panel.curvature.bars[k].value == pytest.approx(np.abs(error[here]).mean())
    assert panel.curvature.bars[1].words.startswith("20 to 50 m to the left: ")
    at = panel.speed.bar_rect(5).center().toPoint()
    qtbot.mouseClick(panel.speed, Qt.MouseButton.LeftButton, pos=at)
    assert panel.condition.text() == "speed_mps >= 10 AND speed_mps < 12"
    speeds = Fleet(many).findings.to_table(columns=["speed_mps"])["speed_mps"].to_numpy()
    wanted = int(((speeds >= 10) & (speeds < 12)).sum())
    qtbot.waitUntil(lambda: window.fleet.model.rowCount() == wanted, timeout=WAIT)
