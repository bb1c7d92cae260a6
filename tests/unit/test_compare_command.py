"""`vbp compare`: on the demo drive with a successor in which a fault is planted, and with all that can be wrong."""

from __future__ import annotations

import json
import math
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from faultmaker import angles_of, follower, road, write
from vbp.cli import main
from vbp.demo import demo_drive
from vbp.drives import open_drive
from vbp.engine import Engine, open_network
from vbp.models.network import Network, save_checkpoint

FRAMES = (120, 132)


@pytest.fixture(scope="module")
def demo() -> Path:
    found = demo_drive()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A, the same in another file, and its successor, of whose last convolution some channels are lost."""
    folder = tmp_path_factory.mktemp("networks")
    before, same, after = (folder / f"{name}.safetensors" for name in ("before", "same", "after <b>&"))
    network = open_network("NetHVF")
    save_checkpoint(network, before)
    shutil.copy(before, same)
    last = [layer for layer in network.module.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    with torch.no_grad():
        last.weight[::2] = 0
    save_checkpoint(network, after)
    return before, same, after


def call(drive: Path, a: object, b: object, *words: str) -> list[str]:
    return ["compare", str(drive), "--model", str(a), "--model", str(b), "--device", "cpu", *words]


def test_a_network_with_itself(
    demo: Path, networks: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also out of another file: 0 everywhere, exactly, and so it says."""
    before, same, _ = networks
    for other, frames in ((before, "0:2"), (same, "0:12")):
        words = ("--frames", frames, "--json", "-", "--fail-if-worse", "0deg")
        assert main(call(demo, before, other, *words)) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["same"] and facts["stretches"] == []
        assert (
            "A and B differ in nothing on these frames: predictions and masks are the same"
            in facts["sentences"]
        )
        assert set(facts["by_frame"]["difference_deg"]) == set(facts["by_frame"]["masks_differ"]) == {0.0}
        assert [m["change"]["value"] for m in facts["errors"]["measures"].values()] == [0, 0]
        assert facts["networks"]["A"]["files"][0]["sha256"] == facts["networks"]["B"]["files"][0]["sha256"]


class Reader(HTMLParser):
    """What a page is made of, where every element that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href") or k.startswith("on")]
        if tag not in ("meta", "img", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_successor_with_a_planted_fault(
    demo: Path,
    networks: tuple[Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, same, after = networks
    report, numbers = tmp_path / "report.html", tmp_path / "numbers.json"
    words = [
        "--frames",
        "{}:{}".format(*FRAMES),
        "--noise-floor",
        str(same),
        "-o",
        str(report),
        "--json",
        str(numbers),
    ]
    assert main(call(demo, before, after, *words, "--fail-if-worse", "0.2deg")) == 1
    out = capsys.readouterr()
    assert "B is worse: its RMSE by" in out.err and "more than 0.2°" in out.err
    assert "noise floor: A and C differ in nothing" in out.out and f"written to {report}" in out.out
    facts = json.loads(numbers.read_text())
    frames = facts["by_frame"]
    assert frames["frame"] == list(range(*FRAMES))
    with open_drive(demo) as drive:  # each network alone, frame by frame
        alone = [Engine(open_network(path), "cpu") for path in (before, after)]
        expected = np.array(
            [[math.degrees(e.run(drive.frame(i)).angle_rad) for i in range(*FRAMES)] for e in alone]
        )
        driven = np.degrees(drive.angle_rad[slice(*FRAMES)])
    np.testing.assert_allclose([frames["a_deg"], frames["b_deg"]], expected, atol=1e-3)
    rmse = [math.sqrt(sum((d - p) ** 2 for d, p in zip(driven, row)) / len(driven)) for row in expected]
    found = facts["errors"]["measures"]["rmse"]
    assert [found["a"]["value"], found["b"]["value"]] == pytest.approx(rmse, abs=1e-3)
    assert rmse[1] > rmse[0] + 0.2 and found["a"]["low"] is None  # half a second says nothing on others
    jumps = np.abs(expected[1] - expected[0]) >= facts["thresholds"]["apart"]
    first = FRAMES[0] + int(np.flatnonzero(jumps)[0])
    assert any(s["start"] <= first <= s["end"] for s in facts["stretches"] if s["kind"] != "reason")
    assert facts["noise_floor"][0]["same"]
    page = report.read_text()
    reader = Reader()
    reader.feed(page)
    assert not reader.open and "script" not in reader.tags and "b" not in reader.tags
    assert reader.links and all(link.startswith("data:image/jpeg;base64,") for link in reader.links)
    assert "after &lt;b&gt;&amp;" in page and "http" not in page.replace("http-equiv", "")
    words = ["--frames", "128:132", "--json", str(numbers)]  # over a file of its own
    assert main(call(demo, after, before, *words, "--fail-if-worse", "0.2deg")) == 0
    assert "B is better" in capsys.readouterr().out
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    assert main(call(demo, before, after, "-o", str(mine))) == 2
    assert "was not written by vbp" in capsys.readouterr().err and mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "two networks are compared, and --model was given 0 times; give --model A --model B"),
        (["--model", "NetSVF"], "--model was given 1 times"),
        (["--model", "NetHVF"] * 3, "--model was given 3 times"),
        (["--model", "NetHVF", "--model", "NetSign"], "NetHVF predicts an angle and NetSign classes"),
        (["--model", "NetHVF"] * 2 + ["--fail-if-worse", "1%"], "give degrees, as 0.2deg"),
        (["--model", "NetHVF"] * 2 + ["--fail-if-worse", "0.2"], "is no limit; give a number with its unit"),
        (["--model", "NetHVF"] * 2 + ["--fail-if-worse", "-1deg"], "expected one argument"),
        (["--model", "NetHVF"] * 2 + ["-o", "report.txt"], "give a name that ends in .html"),
        (["--model", "NetHVF"] * 2 + ["-o", "r.html", "--json", "r.html"], "cannot be both"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line(
    words: list[str], said: str, demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["compare", str(demo), *words])
    except SystemExit as end:
        status = int(end.code or 0)
    err = capsys.readouterr().err
    assert status == 2 and said in err and err.count("\n") == 1


def broken() -> Network:
    network = follower()
    with torch.no_grad():
        network.module[3].bias.fill_(math.nan)
    return network


@pytest.mark.parametrize(
    ("labels", "pictures", "status", "said"),
    [
        ("none", True, 2, "no measured steering angle on these frames, so --fail-if-worse cannot decide"),
        ("one", True, 0, "1 frame"),
        ("all", False, 2, "no frame has a truth and a prediction of both networks"),
    ],
)
def test_drives_that_say_little(
    labels: str,
    pictures: bool,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    angles = angles_of(30)
    known = {"none": np.full(30, np.nan), "one": np.where(np.arange(30) == 12, angles, np.nan), "all": angles}
    drive = write(tmp_path / "drive", [road(a, k) for k, a in enumerate(angles)], known[labels])
    if labels == "none":
        shutil.rmtree(drive)
        drive = tmp_path / "pictures"
        drive.mkdir()
        for k, angle in enumerate(angles):
            (drive / f"{k:02}.png").write_bytes(png(road(angle, k)))
    if not pictures:
        for path in (drive / "center").iterdir():
            path.write_bytes(b"nothing")
    monkeypatch.setattr("vbp.engine.open_network", lambda source: {"nan": broken}.get(source, follower)())
    report = tmp_path / "r.html"
    assert main(call(drive, "a", "b", "--fail-if-worse", "0.2deg", "-o", str(report))) == status
    out = capsys.readouterr()
    assert said in out.out + out.err and "Traceback" not in out.err
    if labels == "none":
        assert main(call(drive, "a", "b", "-o", str(report))) == 0
        assert "errors cannot be compared: no measured angle is known" in capsys.readouterr().out
    if labels == "one":
        assert main(call(drive, "a", "nan", "--fail-if-worse", "99deg")) == 1
        out = capsys.readouterr()
        assert "it puts out no number on 30 of 30 frames where A does" in out.err
        assert "no frame has a prediction of both A and B" in out.out
        assert main(call(drive, "nan", "nan")) == 0
    else:
        Reader().feed(report.read_text())


def png(picture: np.ndarray) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
