"""What would mislead about a mask is shown and said in every page, figure and file, as it is in the window."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from roadmaker import tiny_spec, write_drive
from vbp.cli.main import main
from vbp.comparing.pair import PairTable
from vbp.comparing.report import pictures
from vbp.drives import Drive, open_drive
from vbp.engine import Engine
from vbp.evidence.gather import Job, gather
from vbp.evidence.registry import Options
from vbp.figure import side_by_side
from vbp.frames import run_frames
from vbp.models.network import Network, build, load_checkpoint, save_checkpoint
from vbp.overlay import PAPER
from vbp.session.document import Document, save
from vbp.session.fingerprint import fingerprint
from vbp.session.note import Note

COUNT, BRIGHT, DARK = 40, 5, 39
SAID = "mask weak: 1/"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A drive whose last frame is all but black, and a network without biases, which sees next to nothing there."""
    folder = tmp_path_factory.mktemp("dark")
    drive = write_drive(folder / "drive", COUNT)
    last = sorted(drive.rglob("*.png"))[-1]
    cv2.imwrite(str(last), cv2.imread(str(last)) // 60)
    network = build(tiny_spec(), 3)
    for name, values in network.module.state_dict().items():
        if name.endswith("bias"):
            values.zero_()
    save_checkpoint(network, folder / "net.safetensors")
    return drive, folder / "net.safetensors"


@pytest.fixture
def drive(made: tuple[Path, Path]) -> Drive:
    with open_drive(made[0]) as drive:
        yield drive


@pytest.fixture
def network(made: tuple[Path, Path]) -> Network:
    return load_checkpoint(made[1])


def red(jpeg: bytes) -> int:
    """By how much red stands out of the strongest pixels."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    return int((picture[..., 2] - picture[..., 1]).max())


def test_the_evidence_page(drive: Drive, network: Network) -> None:
    for frame in (BRIGHT, DARK):
        job = Job([network], drive, [frame], ["visualbackprop", "saliency"], [], Options(), "cpu")
        (part,) = gather(job, lambda share, what: None)
        shown = dict(part.pictures[1:])
        weak = [title for title in shown if SAID in title]
        assert len(weak) == (frame == DARK)
        assert any(
            f"mask is weak, as the network saw next to nothing, on 1 of 1 frames ({DARK})" in r
            for r in part.remarks
        ) == (frame == DARK)
        assert all((red(jpeg) > 100) == (frame == BRIGHT) for jpeg in shown.values())


def test_the_comparison_page(drive: Drive, network: Network) -> None:
    engines = [Engine(network, "cpu"), Engine(network, "cpu")]
    pair = PairTable(drive, network.spec, network.spec)
    for frame in run_frames(drive, engines):
        pair.add(frame)
    peaks = [SimpleNamespace(peak=BRIGHT), SimpleNamespace(peak=DARK)]
    bright, dark = pictures(drive, engines, pair.compared(), peaks)
    assert all(SAID not in title and red(jpeg) > 100 for title, jpeg in bright.pictures)
    assert all(SAID in title and red(jpeg) < 60 for title, jpeg in dark.pictures)


def test_the_notes(made: tuple[Path, Path], drive: Drive, tmp_path: Path) -> None:
    times = [int(t) for t in drive.timestamps_ns]
    notes = tuple(Note(k, k, times[k], times[k]) for k in (BRIGHT, DARK))
    document = Document(str(made[0]), fingerprint(made[0]), networks=(str(made[1]),), notes=notes)
    save(document, tmp_path / "mine.vbp.json")
    page = tmp_path / "notes.html"
    assert main(["notes", str(tmp_path / "mine.vbp.json"), "-o", str(page), "--device", "cpu"]) == 0
    bright, dark = (part.split('"')[0] for part in page.read_text("utf-8").split("base64,")[1:])
    assert red(base64.b64decode(bright)) > 100 and red(base64.b64decode(dark)) < 60
    seen = re.sub("<img[^>]*>", "", page.read_text("utf-8"))  # without the words for who sees no picture
    assert seen.count(SAID) == 1


def test_a_figure(drive: Drive, network: Network) -> None:
    engine = Engine(network, "cpu")
    faded, _ = side_by_side(drive, [engine], [DARK], ["visualbackprop"])
    full, _ = side_by_side(drive, [engine], [DARK], ["visualbackprop"], replace(PAPER, fade=False))
    of = [picture.astype(int)[..., 0] - picture[..., 1] for picture in (faded, full)]
    assert of[0].max() < 60 and of[1].max() > 100


def test_an_output_that_hardly_moves_is_said_wherever_frames_go_by(
    made: tuple[Path, Path], tmp_path: Path, capsys
) -> None:
    network = load_checkpoint(made[1])
    for parameter in network.module.head[-1].parameters():
        parameter.data.mul_(1e-6)
    save_checkpoint(network, tmp_path / "still.safetensors")
    for command in (
        ("predict", "-o", "a.csv"),
        ("explain", "-o", "a.npz"),
        ("eval",),
        ("export", "-o", "a.csv", "--force"),
        ("export", "-o", "a.mcap"),
        ("figure", "-o", "a.png", "--frame", "5"),
        ("compare", "--model", str(made[1])),
        ("findings",),
    ):
        name, *words = command
        words = [str(tmp_path / w) if w.startswith("a.") else w for w in words]
        model = ["--model", str(tmp_path / "still.safetensors"), "--device", "cpu"]
        assert main([name, str(made[0]), *model, *words]) == 0, command
        out, err = capsys.readouterr()
        assert "nearly constant" in out + err or "Constant output" in out, command


def test_what_speaks_for_and_what_against_look_unlike_by_default(
    made: tuple[Path, Path], drive: Drive, network: Network, tmp_path: Path
) -> None:
    """Of a signed method, in the paper's red: red for it, blue against it."""
    figure, (frame,) = side_by_side(drive, [Engine(network, "cpu")], [BRIGHT], ["gradient-input"])
    (relevance,) = frame.results[0].maps.values()
    assert relevance.min() < -0.3 and relevance.max() > 0.3
    output = tmp_path / "clip.png"
    words = ["--panels", "gradient-input", "--layout", "picture", "--size", "384x192", "--start", str(BRIGHT)]
    assert main(["export", str(made[0]), "--model", str(made[1]), "-o", str(output), *words]) == 0
    for picture in (figure, cv2.imread(str(output))[..., ::-1]):
        r, b = picture[..., 0].astype(int), picture[..., 2].astype(int)
        assert (r - b > 60).sum() > 5 and (b - r > 60).sum() > 5
