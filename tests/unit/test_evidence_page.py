"""docs/evidence/page.py: what README.md says is what the reports' numbers are."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from subjectmaker import less, nothing, small_network, small_subject
from vbp.cli.main import clean
from vbp.evidence import perturbation, randomisation, recovery, shift

PAGE = Path(__file__).parents[2] / "docs/evidence/page.py"


def make(folder: Path, facts: dict[str, Any], monkeypatch, capsys) -> str:
    (folder / "road-nethvf.json").write_text(json.dumps(clean(facts)))
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(folder)])
    runpy.run_path(str(PAGE))
    return capsys.readouterr().out


def row_of(page: str, title: str, table: int = 0) -> list[str]:
    rows = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in rows[table].strip("|").split("|")]


def test_the_page_follows_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    less(monkeypatch)
    monkeypatch.setattr(shift, "OFFSETS", (-0.1, 0.1))
    subject = small_subject(small_network())
    runs = {
        "perturbation": perturbation,
        "shift": shift,
        "randomisation": randomisation,
        "recovery": recovery,
    }
    outcomes = {name: experiment.run(subject, nothing) for name, experiment in runs.items()}
    experiments = {n: {"findings": o.findings, "numbers": o.numbers} for n, o in outcomes.items()}
    facts = {
        "frames": [3, 5, 8, 9],
        "seconds": 1.0,
        "networks": [{"remarks": [], "experiments": experiments}],
    }
    gain = experiments["perturbation"]["numbers"]["methods"]["lrp"]["gain"]
    gain |= {"value": 1.26, "low": 0.31, "high": 2.2, "p": 1e-5}
    first = make(tmp_path, facts, monkeypatch, capsys)
    assert row_of(first, "LRP", 1)[1] == "**1.3° [0.3, 2.2]**"
    assert row_of(first, "LRP")[1] == "1 of 1" and row_of(first, "phi")[1] == "0 of 1"  # the summary
    assert "5 of AOPC" in first and "## NetHVF" in first and "## NetSVF" not in first
    assert f"- {outcomes['shift'].findings[-1]}" in first and outcomes["shift"].findings[-1].startswith(
        "The largest"
    )
    gain["p"] = 0.04  # as one of five, no more
    assert row_of(make(tmp_path, facts, monkeypatch, capsys), "LRP", 1)[1] == "1.3° [0.3, 2.2] n.s."
    share = experiments["shift"]["numbers"]["maps"]["saliency"]
    share["share"] |= {"value": 0.42, "low": 0.4, "high": 0.44}
    share["over_random"]["p"] = 1e-6
    page = make(tmp_path, facts, monkeypatch, capsys)
    assert row_of(page, "Saliency", 1)[3] == "**0.42 [0.40, 0.44]**"
    cascade = experiments["randomisation"]["numbers"]["cascading"]["phi"]
    cascade[-1]["spearman"] |= {"value": 0.123, "low": float("nan"), "high": float("nan")}
    cascade[1]["spearman"] |= {"value": float("nan")}
    assert row_of(make(tmp_path, facts, monkeypatch, capsys), "phi", 2)[1:3] == ["–", "0.12"]


@pytest.mark.parametrize("name", ["README.md", "docs/evidence/README.md"])
def test_what_stands_in_the_repository_is_what_its_reports_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folder, copy = PAGE.parent, tmp_path / "README.md"
    written = (folder.parents[1] / name).read_text(encoding="utf-8")
    copy.write_text(written, encoding="utf-8")
    more = [str(copy)] if name == "README.md" else []
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(folder), *more])
    runpy.run_path(str(PAGE))
    assert (copy.read_text(encoding="utf-8") if more else capsys.readouterr().out) == written
