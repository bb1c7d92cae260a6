"""--target and --set of `vbp explain` and `vbp figure`, and what the engine makes of targets."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from roadmaker import tiny_spec, write_drive
from vbp.cli import main
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.explain import explain
from vbp.frames import read_frame, run_frame, run_frames
from vbp.models.network import Network, build, save_checkpoint
from vbp.results import FrameRequest, MapRequest, map_requests

ANGLES = np.linspace(-0.2, 0.3, 6)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("targets")
    drive = write_drive(folder / "road", 6, angles=ANGLES)
    save_checkpoint(build(tiny_spec(), 3), folder / "net.safetensors")
    return drive, folder / "net.safetensors"


def run(made: tuple[Path, Path], out: Path, *more: str, command: str = "explain") -> int:
    source, model = made
    return main([command, str(source), "--model", str(model), "--device", "cpu", "-o", str(out), *more])


def maps(made: tuple[Path, Path], out: Path, *more: str) -> dict[str, np.ndarray]:
    assert run(made, out, "--force", *more) == 0
    with np.load(out) as file:
        return dict(file)


def test_targets_reach_the_methods(made: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    kinds = ("output", "negative", "magnitude", "error", "error-magnitude")
    found = {k: maps(made, out, "--method", "lrp", "--target", k) for k in kinds}
    lrp = {k: f["lrp"] for k, f in found.items()}
    predicted = found["output"]["predicted_rad"]
    assert np.abs(lrp["output"]).max() == 1
    np.testing.assert_allclose(lrp["negative"], -lrp["output"])
    np.testing.assert_allclose(lrp["error"], -lrp["output"])
    np.testing.assert_allclose(lrp["magnitude"], lrp["output"] * np.sign(predicted)[:, None, None])
    worse = np.sign(predicted - ANGLES)[:, None, None]  # where more of the angle is more of the error
    assert len(np.unique(worse)) == 2
    np.testing.assert_allclose(lrp["error-magnitude"], lrp["output"] * worse)


def test_numbers_reach_the_methods(made: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    both = ("--method", "lrp", "--method", "lrp-composite")
    plain, other = maps(made, out, *both), maps(made, out, *both, "--set", "lrp-composite.alpha=2")
    assert np.array_equal(plain["lrp"], other["lrp"])
    assert not np.array_equal(plain["lrp-composite"], other["lrp-composite"])
    eps = maps(made, out, "--method", "lrp", "--eps", "0.5")
    assert np.array_equal(eps["lrp"], maps(made, out, "--method", "lrp", "--set", "lrp.eps=0.5")["lrp"])


def test_the_figure_takes_them_too(
    made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []
    for name, more in (("a", ()), ("b", ("--target", "negative")), ("c", ("--set", "lrp.eps=0.001"))):
        out = tmp_path / f"{name}.png"
        assert run(made, out, "--frame", "2", "--style", "heat", "--json", *more, command="figure") == 0
        assert json.loads(capsys.readouterr().out)["target"] == ("negative" if name == "b" else "output")
        written.append(out.read_bytes())
    assert len(set(written)) == 3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "lrp.eps"], "METHOD.NAME=VALUE"),
        (["--set", "lrp.eps=much"], "METHOD.NAME=VALUE"),
        (["--method", "lrp", "--set", "lrp.eps=nan"], "eps of LRP is a number, not nan"),
        (["--method", "lrp", "--set", "lrp.eps=1e400"], "eps of LRP is a number, not inf"),
        (["--method", "lrp", "--set", "lrp.bias=0.5"], "bias of LRP is 0 or 1, not 0.5"),
        (
            ["--method", "grad-cam", "--set", "grad-cam.back=1.5"],
            "back of Grad-CAM is a whole number, not 1.5",
        ),
        (
            ["--method", "grad-cam", "--set", "grad-cam.back=-1"],
            "0 layers back or more",
        ),
        (
            ["--method", "occlusion", "--set", "occlusion.size=8.5"],
            "size of Occlusion is a whole number, not 8.5",
        ),
        (["--set", "fbi.tau=1"], "add --method fbi"),
        (["--method", "lrp", "--set", "lrp.tau=1"], "it takes: eps, bias"),
        (["--method", "saliency", "--set", "saliency.eps=1"], "it takes: nothing"),
        (
            ["--method", "saliency", "--target", "output:3"],
            "there is no output 3: the network has one output, 0",
        ),
        (["--method", "saliency", "--target", "class"], "has no classes, so there is no class to explain"),
        (["--method", "saliency", "--target", "class:0"], "has no classes, so there is no class to explain"),
    ],
)
def test_what_is_not_understood_is_told(
    made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    assert run(made, tmp_path / "maps.npz", *more) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "maps.npz").exists()


def test_a_target_that_is_none(made: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(made, tmp_path / "maps.npz", "--target", "speed")


def test_an_error_needs_driven_angles(
    made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = write_drive(tmp_path / "no-angles", 3, angles=np.zeros(3))
    for file in pictures.glob("*.csv"):
        file.unlink()
    lost = (next((p for p in pictures.rglob("*.[jp][pn]g")), pictures).parent, made[1])
    for command, more in (("explain", ()), ("figure", ("--frame", "0"))):
        assert run(lost, tmp_path / "out.png", "--target", "error", *more, command=command) == 2
        assert "no driven angle" in capsys.readouterr().err


def test_the_engine_explains_the_angle_whatever_side_is_positive(made: tuple[Path, Path]) -> None:
    """The same network, told that its right is positive: the maps for left turn round."""
    source, model = made
    network = open_network(model)
    right = Network(replace(network.spec, output_sign="right", output_unit="deg"), network.module)
    with open_drive(source) as drive:
        frame = drive.frame(1)
    for method in ("lrp", "gradient-input", "occlusion"):
        a, b = (Engine(n, "cpu", torch.float64).run(frame, (method,)).map(method) for n in (network, right))
        np.testing.assert_allclose(a, -b, atol=1e-7)
    engine = Engine(right, "cpu", torch.float64)
    done = engine.run(frame)
    # The network says -y degrees; driven so that the error is just above or below zero.
    for step in (-1e-6, 1e-6):
        wanted = MapRequest("gradient-input", target="error-magnitude")
        got = engine.explain(done, wanted, done.angle_rad + step)
        raises = explain(done.trace, "gradient-input")[
            0
        ].numpy()  # of the raw output, whose right is positive
        np.testing.assert_allclose(got, raises * np.sign(step), atol=1e-7)


def test_frames_without_a_driven_angle_have_no_map_of_the_error(made: tuple[Path, Path]) -> None:
    """Alone or among others of a batch, and the frames with one have theirs: a drive begins before its labels do."""
    request = FrameRequest(map_requests(["lrp", "visualbackprop"], target="error"), strict=True)
    lrp, vbp = request.maps
    with open_drive(made[0]) as drive:
        drive.angle_rad = drive.angle_rad.copy()
        drive.angle_rad[:5] = np.nan
        engine = Engine(open_network(made[1]), "cpu")
        alone = [run_frame(read_frame(drive, i), [engine], request).results[0] for i in range(6)]
        with closing(run_frames(drive, [engine], request)) as frames:
            together = [frame.results[0] for frame in frames]
    for results in (alone, together):
        assert [lrp in r.maps for r in results] == [False] * 5 + [True]
        assert all(vbp in r.maps for r in results)  # which explains no output
        assert all(
            list(r.missing.values())
            == ["no driven angle is known of this frame, so there is no error to explain"]
            for r in results[:5]
        )
        assert not results[5].missing and results[5].maps[lrp].any()
