"""`vbp eval` against numpy by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from roadmaker import tiny_spec, write_drive
from vbp.cli import main
from vbp.drives import open_drive
from vbp.drives.labels import curvature
from vbp.engine import Engine, open_network
from vbp.models.network import build, save_checkpoint
from vbp.training.evaluation import evaluate


def rmse(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A drive of many speeds and angles, some of them unknown, and a network."""
    folder = tmp_path_factory.mktemp("eval")
    angles = np.linspace(-1.2, 1.2, 60)
    angles[5] = np.nan
    speeds = np.linspace(0, 30, 60)
    drive = write_drive(folder / "road", 60, angles=angles, speeds=speeds)
    save_checkpoint(build(tiny_spec(trained_on="nothing yet"), 3), folder / "net.safetensors")
    return drive, folder / "net.safetensors"


def test_numbers_by_hand(made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    source, model = made
    assert main(["eval", str(source), "--model", str(model), "--device", "cpu", "--json"]) == 0
    got = json.loads(capsys.readouterr().out)
    with open_drive(source) as drive:
        engine = Engine(open_network(model), "cpu")
        predicted = np.array([engine.run(drive.frame(i), ()).angle_rad for i in range(60)])
        actual, speed = drive.angle_rad, drive.speed_mps
    known = np.isfinite(actual)
    error = (actual - predicted)[known]
    assert got["frames"] == 59 and got["unlabelled"] == 1 and got["gaps"] == 0
    assert got["rmse_rad"] == pytest.approx(rmse(error), rel=1e-4)
    assert got["mae_deg"] == pytest.approx(np.degrees(np.abs(error).mean()), rel=1e-4)
    for name, quantile in (("median_deg", 0.5), ("p95_deg", 0.95), ("largest_deg", 1.0)):
        assert got[name] == pytest.approx(np.degrees(np.quantile(np.abs(error), quantile)), rel=1e-4)
    assert got["bias_deg"] == pytest.approx(np.degrees(error.mean()), rel=1e-3)
    assert got["corr"] == pytest.approx(np.corrcoef(actual[known], predicted[known])[0, 1], abs=1e-4)
    assert got["always_zero_rmse_rad"] == pytest.approx(rmse(actual[known]), rel=1e-6)
    assert [(b["speed_mps_from"], b["speed_mps_to"]) for b in got["by_speed"]] == [
        (0, 5),
        (5, 10),
        (10, 15),
        (15, 20),
        (20, None),
    ]
    for part in got["by_speed"]:
        rows = (
            known
            & (speed >= part["speed_mps_from"])
            & (speed < (part["speed_mps_to"] if part["speed_mps_to"] else np.inf))
        )
        assert part["frames"] == rows.sum() > 0
        assert part["rmse_rad"] == pytest.approx(rmse((actual - predicted)[rows]), rel=1e-4)
        assert part["always_zero_rmse_rad"] == pytest.approx(rmse(actual[rows]), rel=1e-6)
    radius = 2.85 / np.tan(np.abs(actual) / 14.8)
    bounds = [np.inf, 1000, 300, 100, 50, 0]
    for part, outer, inner in zip(got["by_curvature"], bounds[:-1], bounds[1:], strict=True):
        rows = known & (radius <= outer) & (radius > inner)
        assert part["frames"] == rows.sum() > 0
        assert part["mae_deg"] == pytest.approx(
            np.degrees(np.abs((actual - predicted)[rows]).mean()), rel=1e-4
        )
    assert sum(b["frames"] for b in got["by_curvature"]) == 59


def test_filters_and_words(made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    source, model = made
    call = ["eval", str(source), "--model", str(model), "--device", "cpu"]
    assert main([*call, "--frames", "0:20", "--min-speed", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 10  # frames 10 to 19 are faster than 5 m/s
    assert main(call) == 0
    text = capsys.readouterr().out
    for word in ("RMSE rad", "by speed", "20 and more", "under 50 m (> 48°)", "trained on: nothing yet"):
        assert word in text
    assert "1 frames without an angle" in text
    assert main(["eval", str(source), "--device", "cpu", "--frames", "0:2"]) == 0
    assert "–" in capsys.readouterr().out  # bins without frames


def test_nothing_to_compare_with(made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    source, model = made
    assert main(["eval", str(source), "--model", str(model), "--frames", "5"]) == 2
    assert "no measured steering angle on these frames" in capsys.readouterr().err
    assert main(["eval", str(source / "center"), "--model", str(model)]) == 2
    assert "no measured steering angle" in capsys.readouterr().err


def test_unknown_speeds_are_in_no_bin() -> None:
    nan = float("nan")
    got = evaluate(np.array([0.1, -0.2, 0.3]), np.array([0.0, 0.0, nan]), np.array([nan, 12.0, 12.0]))
    assert got["frames"] == 2
    assert [b["frames"] for b in got["by_speed"]] == [0, 0, 1, 0, 0]
    assert got["rmse_rad"] == got["always_zero_rmse_rad"] == pytest.approx(rmse(np.array([0.1, 0.2])))
    assert np.isnan(got["corr"])


def test_curvature_is_the_bicycles() -> None:
    assert curvature(np.array([0.0]))[0] == 0
    # 14.8 times the angle whose tangent is wheelbase over radius
    assert curvature(np.array([14.8 * np.arctan(2.85 / 100), -14.8 * np.arctan(2.85 / 50)])) == pytest.approx(
        [0.01, -0.02]
    )
