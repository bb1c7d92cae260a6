"""One frame, one way: playback, the whole drive, tables, maps and a live recording say the same of a frame."""

from __future__ import annotations

import csv
import json
import math
import threading
from pathlib import Path

import numpy as np
import pytest
from drivemaker import WAIT, settled, wait_shown, write_drive

from livemaker import MjpegServer
from vbp.cli.main import main
from vbp.frames.table import COLUMNS

FRAMES, GAP, AT = 12, 3, 5
BASE = ["frame", "timestamp_ns", "driven_deg", "predicted_deg", "error_deg", "speed_mps"]
FACTORY = """
from torch import nn

def make():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 18, 1)
    )
"""
# 300 rows of a picture that has 240: the whole of it is taken, stretched, and that is said.
SPEC = """
name = "Own"
input_height = 40
input_width = 80
channels = 1
output_unit = "rad"
output_sign = "left"
crop = { rows = 300, of_width = 320 }
"""
NETWORK = "own_network:make?spec=own.toml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_drive(tmp_path / "road", FRAMES, broken=(GAP,))
    (tmp_path / "own_network.py").write_text(FACTORY)
    (tmp_path / "own.toml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_part_says_the_same(qtbot, open_window, folder: Path, capsys) -> None:
    common = ["road", "--model", NETWORK, "--device", "cpu"]
    assert main(["predict", *common, "-o", "predict.csv"]) == 0
    assert main(["export", *common, "-o", "export.csv"]) == 0
    assert main(["explain", *common, "--precision", "single", "-o", "maps.npz"]) == 0
    capsys.readouterr()
    predicted, exported = rows_of(folder / "predict.csv"), rows_of(folder / "export.csv")
    assert list(predicted[0]) == list(exported[0]) == list(COLUMNS) and list(predicted[0])[:6] == BASE
    assert predicted == exported
    angles = [
        math.radians(float(row["predicted_deg"])) if row["predicted_deg"] else math.nan for row in predicted
    ]
    assert [n for n, angle in enumerate(angles) if math.isnan(angle)] == [GAP] and len(set(angles)) > 2
    assert predicted[GAP]["gap"] and not predicted[GAP]["warning"]
    warnings = {row["warning"] for n, row in enumerate(predicted) if n != GAP}
    assert len(warnings) == 1 and "bottom 300 rows" in next(iter(warnings))
    assert {row["model"] for row in predicted} == {"Own (random weights)"}
    with np.load(folder / "maps.npz") as maps:
        np.testing.assert_allclose(maps["predicted_rad"], angles, rtol=0, atol=1e-6)
        assert not maps["visualbackprop"][GAP].any()
        assert maps.files[: len(BASE)] == BASE  # the names of every table
        for name in BASE[2:]:
            wanted = [float(row[name] or "nan") for row in predicted]
            np.testing.assert_allclose(maps[name], wanted, rtol=0, atol=1e-4)

    # The window: the frame on the screen, and the whole drive behind it.
    window = open_window(folder / "road", network=NETWORK)
    window.player.seek(AT)
    wait_shown(qtbot, window, AT, masked=True)
    settled(qtbot, window)
    result = window.player.shown_frame.result
    assert result.angle_rad == pytest.approx(angles[AT], abs=1e-6)
    assert (result.network, result.warning) == ("Own (random weights)", predicted[AT]["warning"])
    window.predictions.start()
    qtbot.waitUntil(lambda: not window.predictions.running, timeout=WAIT)
    np.testing.assert_allclose(window.predictions.table.predicted, np.degrees(angles), rtol=0, atol=1e-4)


def test_a_recording_says_the_same(folder: Path, capsys) -> None:
    common = ["--model", NETWORK, "--device", "cpu"]
    assert main(["predict", "road", *common, "-o", "predict.csv"]) == 0
    wanted = rows_of(folder / "predict.csv")[AT]
    picture = sorted((folder / "road" / "center").iterdir())[AT].read_bytes()
    over = threading.Event()
    with MjpegServer() as server:

        def send() -> None:
            while not over.wait(1 / 15):
                server.send(picture)

        sender = threading.Thread(target=send)
        sender.start()
        live = ["--no-window", "--seconds", "3", "--record", "recording"]
        status = main(["camera", server.url, *common, *live])
        over.set()
        sender.join()
    assert status == 0, capsys.readouterr().err
    rows = [row for row in rows_of(folder / "recording" / "frames.csv") if row["predicted_deg"]]
    assert rows and list(rows[0])[:6] == BASE
    for row in rows:
        assert float(row["predicted_deg"]) == pytest.approx(
            float(wanted["predicted_deg"]), abs=0.03
        )  # another JPEG decoder
    head = json.loads((folder / "recording" / "vbp-recording.json").read_text())
    assert head["model"] == wanted["model"]
