"""`vbp figure`: networks and methods side by side."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadmaker import tiny_spec, write_drive
from vbp.cli import main
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.figure import LINE, MARGIN
from vbp.models.network import build, save_checkpoint
from vbp.overlay import blend, grey_to_rgb


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("figure")
    drive = write_drive(folder / "road", 6, angles=np.linspace(-0.2, 0.3, 6))
    save_checkpoint(build(tiny_spec(), 3), folder / "net.safetensors")
    return drive, folder / "net.safetensors"


def test_each_row_is_the_input_and_its_maps(
    made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, model = made
    out = tmp_path / "figure.png"
    command = ["figure", str(source), "--model", str(model), "--device", "cpu", "-o", str(out), "--json"]
    assert main([*command, "--frame", "1", "--frame", "4"]) == 0
    facts = json.loads(capsys.readouterr().out)
    picture = cv2.cvtColor(cv2.imread(str(out)), cv2.COLOR_BGR2RGB)
    assert picture.shape == (facts["height"], facts["width"], 3)
    engine = Engine(open_network(model), "cpu")
    height, width = engine.spec.input_height, engine.spec.input_width
    with open_drive(source) as drive:
        for n, frame in enumerate((1, 4)):
            done = engine.run(drive.frame(frame), ("visualbackprop", "lrp"))
            assert facts["rows"][n]["frame"] == frame
            assert facts["rows"][n]["predicted_rad"] == pytest.approx(done.angle_rad, rel=1e-4)
            seen = grey_to_rgb(done.input)
            wanted = [seen, blend(seen, done.map("visualbackprop")), blend(seen, done.map("lrp"))]
            y = LINE + MARGIN + n * (height + LINE + 2 * MARGIN) + LINE
            for k, tile in enumerate(wanted):
                x = MARGIN + k * (width + MARGIN)
                assert np.array_equal(picture[y : y + height, x : x + width], tile), (frame, k)


def test_figure_2b_shows_every_layer_and_the_masks_between(made: tuple[Path, Path], tmp_path: Path) -> None:
    source, model = made
    out = tmp_path / "maps.png"
    command = [
        "figure",
        str(source),
        "--model",
        str(model),
        "--device",
        "cpu",
        "--frame",
        "2",
        "-o",
        str(out),
    ]
    assert main([*command, "--maps"]) == 0
    picture = cv2.imread(str(out), cv2.IMREAD_GRAYSCALE)
    engine = Engine(open_network(model), "cpu")
    height, width = engine.spec.input_height, engine.spec.input_width
    with open_drive(source) as drive:
        done = engine.run(drive.frame(2))
    # By hand: the mean of each convolution's maps after its ReLU, and from the last one on the box sums times the means.
    wanted = [(done.input / 255.0, done.map())]
    for layer, value in zip(engine.layers(done), done.trace.values[1:], strict=False):
        mean = value[0].mean(0).numpy()
        assert layer.feature_map == pytest.approx(mean / mean.max(), abs=1e-6)
        wanted.append((mean / mean.max(), layer.mask))
    assert len(wanted) > 2
    for n, pair in enumerate(wanted):
        y = LINE + MARGIN + n * (height + LINE + MARGIN) + LINE
        for k, values in enumerate(pair):
            x = MARGIN + k * (width + MARGIN)
            tile = cv2.resize(
                np.asarray(values, np.float32), (width, height), interpolation=cv2.INTER_NEAREST
            )
            assert np.abs(picture[y : y + height, x : x + width] / 255.0 - tile).max() < 0.003, (n, k)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frame", "0", "--maps", "--method", "lrp"], "leave out --method"),
        (["--frame", "6"], "there is no frame 6"),
        (["--frame", "0", "-o", "figure.jpg"], "give a name that ends in .png"),
        (["--frame", "0", "--model", "NoNet"], "NoNet"),
        (["--frame", "0", "-o", "/dev/null/figure.png"], "is no folder"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    made: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    source, model = made
    command = ["figure", str(source), "--model", str(model), "-o", str(tmp_path / "f.png"), *arguments]
    if "--model" in arguments:
        command = [c for c in command if c != str(model)]
        command.remove("--model")
    assert main(command) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "f.png").exists()


def test_a_picture_of_the_users_stays(made: tuple[Path, Path], tmp_path: Path) -> None:
    source, model = made
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    command = ["figure", str(source), "--model", str(model), "--frame", "0", "-o", str(mine)]
    assert main(command) == 2 and mine.read_bytes() == b"mine"
    assert main([*command, "--force"]) == 0 and mine.read_bytes() != b"mine"
