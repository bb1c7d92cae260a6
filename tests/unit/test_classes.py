"""The sign network against Table 2, folders of class images, and learning from them."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from roadmaker import write_signs
from vbp.classes import UNKNOWN, class_name, labels_for, score_classes, unknown_folders
from vbp.cli.main import main
from vbp.drives import OpenOptions, class_folders, open_drive
from vbp.engine import Engine, open_network
from vbp.errors import DriveError, VbpError
from vbp.models.network import build, load_checkpoint
from vbp.models.signs import SIGNS, netsign
from vbp.training.classes import spec_for_classes, split_tracks
from vbp.training.folder import Run

# Table 2 of the paper, typed from it row by row: maps, height, width; then the FC sizes.
TABLE_2 = "16x123x123 16x61x61 24x59x59 24x29x29 32x27x27 32x13x13 48x11x11 48x5x5"


def test_layers_are_those_of_table_2() -> None:
    network = build(netsign())
    sizes, kinds = [], []
    x = torch.zeros(1, 3, 125, 125)
    for layer in (*network.module.features, *network.module.head):  # type: ignore[union-attr,misc]
        x = layer(x)
        kinds.append(type(layer).__name__)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            sizes.append(tuple(x.shape[1:]))
    expected = [tuple(int(n) for n in row.split("x")) for row in TABLE_2.split()]
    assert sizes == [*expected, (64,), (43,)]
    assert kinds == ["BatchNorm2d", "Conv2d", "ReLU"] * 8 + ["Flatten", "Linear", "ReLU", "Linear"]
    assert all(m.kernel_size == (3, 3) for m in network.module.modules() if isinstance(m, nn.Conv2d))


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    folder = write_signs(tmp_path / "Final/Images", ["00000", "00010", "00002"], tracks=1, each=2)
    (folder / "00002" / "GT-00002.csv").write_text("Filename;ClassId\n")
    (tmp_path / "names.csv").write_text("ClassId,SignName\n")
    with open_drive(tmp_path) as drive:
        assert drive.info.kind == "class-folders" and drive.info.classes == ("00000", "00002", "00010")
        assert drive.labels is not None and drive.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert drive.names[2] == "Final/Images/00002/00000_00000.png"
        assert labels_for(drive, netsign()).tolist() == [0, 0, 2, 2, 10, 10]
        sizes = {drive.frame(i).shape for i in range(len(drive))}
        assert len(sizes) == 6  # each its own
        assert np.isnan(drive.angle_rad).all()
        assert labels_for(drive, netsign(["a", "b"])).tolist() == [0, 0] + [UNKNOWN] * 4
        with pytest.raises(DriveError, match="leave out --camera"):
            class_folders.open(tmp_path, OpenOptions(camera="left"))


def test_what_is_no_folder_of_classes(tmp_path: Path) -> None:
    one = write_signs(tmp_path / "one", ["a"])
    assert open_drive(one).info.kind == open_drive(one / "a").info.kind == "images"
    cameras = write_signs(tmp_path / "cameras", ["left", "right", "center"])
    assert open_drive(cameras).info.kind == "images"
    beside = write_signs(tmp_path / "beside", ["a", "b"])
    cv2.imwrite(str(beside / "x.png"), np.zeros((4, 4), np.uint8))
    assert open_drive(beside).info.kind == "images"
    deeper = write_signs(tmp_path / "deeper", ["a", "b", "c/d"])
    assert open_drive(deeper).info.kind == "images"
    (deeper / "z").symlink_to(deeper)  # a circle
    assert not class_folders.sniff(deeper) and not class_folders.sniff(tmp_path / "nothing")


def test_classes_by_name(tmp_path: Path) -> None:
    with open_drive(
        write_signs(tmp_path / "s", ["Keep_right", "stop", "something"], tracks=1, each=1)
    ) as drive:
        found = labels_for(drive, netsign()).tolist()
    assert [class_name(netsign(), k) for k in found] == ["Keep right", "", "Stop"]


def test_each_folder_is_a_class_by_itself(tmp_path: Path, capsys) -> None:
    """GTSRB's numbers, one sign by its name, and a folder of another kind, which alone is not known."""
    names = ["00000", "00042", "00043", "background", "Keep_right"]
    folder = write_signs(tmp_path / "s", names, tracks=1, each=2)
    spec = netsign()
    keep = spec.classes.index("Keep right")
    with open_drive(folder) as drive:
        assert drive.info.classes == tuple(names)
        by_number = [0, 0, 42, 42, UNKNOWN, UNKNOWN]
        assert labels_for(drive, spec).tolist() == [*by_number, UNKNOWN, UNKNOWN, keep, keep]
        said = unknown_folders(drive, spec)
        assert said.startswith(
            "NetSign has no class named 00043, background, so the true class of 4 of the 10 pictures"
        )
    for command in (["eval"], ["predict", "-o", str(tmp_path / "p.csv")]):
        assert main([command[0], str(folder), "--model", "NetSign", "--device", "cpu", *command[1:]]) == 0
        printed = capsys.readouterr()
        assert f"vbp: {said}" in printed.err and "of 6 frames whose class is known" in printed.out


def test_a_class_that_is_called_by_a_number_is_that_class(tmp_path: Path) -> None:
    folder = write_signs(tmp_path / "s", ["30", "50"], tracks=1, each=1)
    with open_drive(folder) as drive:
        assert labels_for(drive, netsign(["50", "30", "stop"])).tolist() == [1, 0]
        assert unknown_folders(drive, netsign(["50", "30", "stop"])) == ""


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40), st.floats(0, 1), st.integers(0, 9)
)
def test_a_track_is_learnt_or_held_out_never_both(
    rows: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    names = tuple(f"{label}/{track:05}_{i:05}.ppm" for i, (label, track) in enumerate(rows))
    held = split_tracks(labels, names, fraction, seed)
    for label in set(labels.tolist()):
        tracks = {t for c, t in rows if c == label}
        out = {t for (c, t), h in zip(rows, held, strict=True) if c == label and h}
        kept = {t for (c, t), h in zip(rows, held, strict=True) if c == label and not h}
        assert not out & kept and kept  # of each class something is learnt
        assert bool(out) == (fraction > 0 and len(tracks) > 1)


def test_scores_of_classes() -> None:
    truth = np.array([0, 0, 0, 1, 1, UNKNOWN, 2])
    found = np.array([0, 1, 1, 1, 0, 2, UNKNOWN])
    scores = score_classes(truth, found)
    assert (scores.frames, scores.right, scores.accuracy) == (5, 2, 0.4)
    assert scores.confusion == [(0, 1, 2), (1, 0, 1)]
    assert scores.by_class == {0: (3, 1), 1: (2, 1)}
    assert np.isnan(score_classes(truth[:0], found[:0]).accuracy)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of three classes, and the run that learnt them."""
    root = tmp_path_factory.mktemp("learnt")
    folder = write_signs(root / "data", ["00000", "00001", "00002"])
    command = [
        "train",
        str(folder),
        "--network",
        "netsign",
        "-o",
        str(root / "run"),
        "--epochs",
        "6",
        "--lr",
        "0.005",
    ]
    assert (
        main(
            [
                *command,
                "--batch",
                "9",
                "--threads",
                "1",
                "--schedule",
                "cosine",
                "--augment",
                "all",
                "--seed",
                "3",
            ]
        )
        == 0
    )
    return folder, root / "run"


def test_a_network_learns_the_classes(learnt: tuple[Path, Path]) -> None:
    _, run = learnt
    network = load_checkpoint(run / "last.safetensors")
    assert network.spec.classes == SIGNS and "after 6 of 6 epochs" in network.spec.trained_on
    facts = json.loads((run / "classes.json").read_text())
    assert facts["classes"] == {"00000": "20 km/h", "00001": "30 km/h", "00002": "50 km/h"}
    assert facts["train_pictures"] == 27 and len(facts["test_pictures"]) == 9
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "train_loss", "test_loss", "test_accuracy", "lr", "seconds"]
    assert [float(row["epoch"]) for row in rows] == [1 / 3, 2 / 3, 1, 2, 3, 4, 5, 6]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert [c.epoch for c in Run(run).checkpoints()] == [0.1, 0.5, 1, 4, 6]
    assert Run(run).finished and Run(run).metrics()[-1].test_accuracy == float(rows[-1]["test_accuracy"])
    assert not list(run.glob(".*")) and not list(run.glob("*.part"))


def test_how_a_classifier_formed_is_drawn(
    learnt: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = learnt
    command = ["evolution", str(run), str(folder), "--frame", "13", "-o", str(tmp_path / "f.png")]
    assert main([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["epochs"] == [0.1, 0.5, 1, 4, 6]
    (frame,) = facts["frames"]
    with open_drive(folder) as drive:
        for k, checkpoint in enumerate(Run(run).checkpoints()):
            expected = Engine(checkpoint.load(), "cpu").run(drive.frame(13), maps=()).classes
            assert expected is not None and frame["class"][k] == expected.number
            assert frame["class_name"][k] == expected.name == SIGNS[expected.number]
            assert frame["probability"][k] == pytest.approx(expected.probability)
    assert cv2.imread(str(tmp_path / "f.png")).shape == (facts["height"], facts["width"], 3)


def test_a_finished_run_is_reported_and_fine_tuned(
    learnt: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = learnt
    assert main(["train", "--resume", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    rows = Run(run).metrics()
    assert facts["epochs"] == 6 and facts["test_accuracy"] == rows[-1].test_accuracy
    assert facts["best_accuracy"] == max(r.test_accuracy for r in rows) and "test_rmse_rad" not in facts
    start = ["--init", str(run / "best.safetensors"), "--epochs", "1", "--lr", "1e-9", "--batch", "9"]
    assert main(["train", str(folder), *start, "-o", str(tmp_path / "more"), "--threads", "1"]) == 0
    assert "% of the pictures held out (whole tracks" in capsys.readouterr().out
    files = (run / "best.safetensors", tmp_path / "more/last.safetensors")
    begun, tuned = (load_checkpoint(file).module.state_dict() for file in files)
    for name in (n for n in begun if n.startswith("head")):
        torch.testing.assert_close(tuned[name], begun[name], atol=1e-6, rtol=0)
    other = write_signs(tmp_path / "other", ["cat", "dog"], tracks=2, each=1)
    assert main(["train", str(other), *start, "-o", str(tmp_path / "new")]) == 2
    assert "was trained on other classes" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--augment", "flip"], "keep left"),
        (["--angle-weighting", "0.9"], "--angle-weighting does nothing for NetSign"),
        (["--test-gap", "9"], "--test-gap does nothing"),
        (["--min-speed", "3"], "--min-speed does nothing"),
        (["--test-fraction", "2"], "--test-fraction 2"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_signs(tmp_path / "data", ["a", "b"], tracks=2, each=1)
    command = ["train", str(folder), "--network", "NetSign", "-o", str(tmp_path / "run")]
    assert main([*command, *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_signs(tmp_path / "data", ["a", "b"], tracks=2, each=1)
    network = ["--network", "NetSign", "-o", str(tmp_path / "run")]
    assert main(["train", str(folder / "a"), *network]) == 2
    assert "has no classes to learn" in capsys.readouterr().err
    assert main(["train", str(folder), str(folder), *network]) == 2
    assert "learns from one folder" in capsys.readouterr().err
    (tmp_path / "run").mkdir()
    (tmp_path / "run/mine").touch()
    assert main(["train", str(folder), *network]) == 2
    assert "is not empty" in capsys.readouterr().err
    far = write_signs(tmp_path / "far", ["0", "90000"], tracks=2, each=1)
    with open_drive(far) as drive, pytest.raises(VbpError, match="number them from 0"):
        spec_for_classes(netsign(), drive)


def test_the_command_line_with_a_classifier(
    learnt: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = learnt
    command = [str(folder), "--model", str(run / "last.safetensors")]
    assert main(["predict", *command, "-o", str(tmp_path / "p.csv"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = sum(row["class"] == row["label"] for row in rows)
    assert (facts["rows"], facts["right"], facts["accuracy"], facts["not_finite"]) == (
        36,
        right,
        right / 36,
        0,
    )
    assert sum(int(row["right"]) for row in rows) == right
    assert rows[13]["label_name"] == "30 km/h" and 0 < float(rows[13]["probability"]) <= 1
    assert main(["predict", *command, "-o", str(tmp_path / "p.csv")]) == 0  # its own file is replaced

    assert main(["eval", *command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert told["right"] == right and [c["frames"] for c in told["by_class"]] == [12, 12, 12]
    assert sum(pair["frames"] for pair in told["confusion"]) == 36 - right
    assert main(["eval", *command]) == 0
    assert f"{right} of 36 frames" in capsys.readouterr().out

    assert main(["info", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["class_frames"] == {"00000": 12, "00001": 12, "00002": 12}
    assert main(["eval", str(folder), "--model", "NetSVF"]) == 2
    assert "no measured steering angle" in capsys.readouterr().err


def test_maps_of_classes(
    learnt: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = learnt
    command = ["explain", str(folder), "--model", str(run / "last.safetensors"), "--method", "saliency"]
    command += ["--frames", "0:3", "--force", "-o"]
    maps = {}
    with open_drive(folder) as drive:
        shot = Engine(open_network(run / "last.safetensors"), "cpu").run(drive.frame(0), maps=())
    assert shot.probabilities is not None
    first = f"class:{shot.probabilities.argmax()}"
    for target in ("output", "class", "class:41", "class:42", first):
        assert main([*command, str(tmp_path / f"{target}.npz"), "--target", target]) == 0
        with np.load(tmp_path / f"{target}.npz") as found:
            maps[target] = found["saliency"]
            assert first == f"class:{found['class'][0]}"
    assert "not a number" not in capsys.readouterr().out
    np.testing.assert_array_equal(maps["output"], maps["class"])
    np.testing.assert_array_equal(maps["class"][0], maps[first][0])
    assert not np.array_equal(maps["class:41"], maps["class:42"])
    for target, said in (("magnitude", "no magnitude"), ("class:99", "no output 99"), ("error", "error")):
        assert main([*command, str(tmp_path / "x.npz"), "--target", target]) == 2
        assert said in capsys.readouterr().err
    figure = tmp_path / "f.png"
    command = ["figure", str(folder), "--model", str(run / "last.safetensors"), "-o", str(figure)]
    assert main([*command, "--frame", "0", "--frame", "20", "--target", "class:2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in facts["rows"]] == [0, 1]
    assert cv2.imread(str(figure)).shape[:2] == (facts["height"], facts["width"])


def test_exports_of_a_classifier(learnt: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = learnt
    command = ["export", str(folder), "--model", str(run / "last.safetensors"), "-o"]
    for _ in range(2):  # the second replaces the first, which is its own
        assert main([*command, str(tmp_path / "n.csv"), "--start", "2", "--end", "5"]) == 0
    with (tmp_path / "n.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label_name"] for row in rows] == ["20 km/h"] * 4 and rows[0]["predicted_rad"] == ""
    assert all(0 < float(row["probability"]) <= 1 and row["class_name"] in SIGNS for row in rows)
    for layout in ("stage", "picture"):
        picture = tmp_path / f"{layout}.png"
        assert main([*command, str(picture), "--start", "13", "--layout", layout]) == 0
        assert cv2.imread(str(picture)) is not None


def test_a_network_that_has_its_own_classes_is_not_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_signs(tmp_path / "data", ["a", "b"], tracks=2, each=1)
    assert main(["train", str(folder), "--network", "resnet-18", "-o", str(tmp_path / "run")]) == 2
    assert "ResNet-18 cannot be trained on these classes" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
