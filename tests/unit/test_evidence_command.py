"""`vbp evidence` on the demo drive: the page, its numbers, what it says of what is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import nn

from vbp.cli import main
from vbp.demo import demo_drive
from vbp.evidence import gather, randomisation
from vbp.simulate import load_truth


class Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs) -> None:
        self.tags.append(tag)
        self.sources += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]


def evidence(tmp_path: Path, *more: str) -> list[str]:
    source = demo_drive()
    assert source is not None
    command = ["evidence", str(source), "--model", "NetHVF", "--device", "cpu", "--count", "2"]
    return [*command, "--method", "visualbackprop", "--method", "lrp", "-o", str(tmp_path / "r.html"), *more]


def test_the_command_writes_a_page_and_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = evidence(tmp_path, "--experiments", "truth,theory", "--frames", "40:400")
    assert main(command) == 0
    said = capsys.readouterr().out
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    numbers = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    words = Words()
    words.feed(page)
    assert "script" not in words.tags and "link" not in words.tags
    assert all(s.startswith("data:image/") for s in words.sources)
    assert not re.search(r"https?://", page)
    assert numbers["seed"] == 0 and numbers["versions"]["torch"] == torch.__version__
    found = numbers["networks"][0]["experiments"]
    assert set(found) == {"theory", "truth"}
    for experiment in found.values():
        for line in experiment["findings"]:
            assert line in said
    # The same as `vbp measure` says of the same frames.
    kinds = found["truth"]["numbers"]["kinds"]["visualbackprop"]
    lanes = next(s for s in kinds if s["name"] == "lane markings")
    truth = load_truth(demo_drive())
    assert numbers["frames"] and all(truth.has(n) for n in numbers["frames"])
    assert main(["measure", command[1], "--model", "NetHVF", "--device", "cpu", "--json", "--frames",
                 f"{numbers['frames'][0]}:{numbers['frames'][1] + 1}", "--every",
                 str(numbers["frames"][1] - numbers["frames"][0])]) == 0  # fmt: skip
    measured = json.loads(capsys.readouterr().out)
    want = next(s for s in measured["shares"] if s["name"] == "lane markings")
    assert lanes["energy"] == pytest.approx(want["energy"], rel=1e-5)
    # Ours may be replaced, another's may not.
    assert main([*command[:-4], "--experiments", "truth", "--frames", "40:400"]) == 0
    (tmp_path / "r.json").write_text("mine")
    assert main(command) == 2
    assert (tmp_path / "r.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--experiments", "magic"), "no experiment 'magic'"),
        (("--frames", "41:42"), "no ground truth of these frames"),
        (("-o", "report.pdf"), "give a name that ends in .html"),
        (("--seed", "-1"), "not a whole number from 0"),
        (("-o", "no-such-folder/report.html"), "no-such-folder is no folder"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, capsys, more: tuple[str, str], words: str) -> None:
    try:
        status = main(evidence(tmp_path, *more))
    except SystemExit as leave:
        status = leave.code
    assert status == 2 and words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_lrp_cannot_pass_leaves_the_rest_of_the_report(tmp_path: Path, monkeypatch) -> None:
    """The logarithm of a sum before the dense layers: VisualBackProp, which comes from the last convolution, does not meet that."""

    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.second(self.first(x).relu()).relu()
            return self.head(maps.logsumexp((2, 3)))

    monkeypatch.setattr(randomisation, "SEEDS", 2)
    torch.manual_seed(0)
    model, report = tmp_path / "summed.pt2", tmp_path / "r.html"
    torch.export.save(torch.export.export(Summed().eval(), (torch.rand(2, 3, 12, 16),)), model)
    model.with_suffix(".toml").write_text('output_unit = "rad"\noutput_sign = "left"\n')
    command = [
        "evidence",
        str(demo_drive()),
        "--model",
        str(model),
        "--device",
        "cpu",
        "--count",
        "2",
        "-o",
        str(report),
    ]
    command += ["--method", "visualbackprop", "--method", "lrp", "--experiments", "theory,randomisation"]
    assert main(command) == 0
    part = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))["networks"][0]
    assert part["refused"].keys() == {"lrp"} and "LRP has to pass it" in part["refused"]["lrp"]
    theory_said = part["experiments"]["theory"]["findings"]
    assert len(theory_said) == 1 and theory_said[0].startswith("Remark 1 cannot be tested here: layer")
    assert part["experiments"]["randomisation"]["findings"]
    figure = ["figure", str(demo_drive()), "--model", str(model), "--frame", "3", "--device", "cpu", "-o"]
    assert main([*figure, str(tmp_path / "f.png")]) == 0  # VisualBackProp beside the picture without LRP
    assert main([*figure, str(tmp_path / "g.png"), "--method", "lrp"]) == 2
    assert not (tmp_path / "g.png").exists()


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(gather.EXPERIMENTS, "theory", replace(gather.EXPERIMENTS["theory"], run=interrupted))
    assert main(evidence(tmp_path, "--experiments", "theory", "--frames", "40:100")) == 130
    assert "stopped" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
