"""The one command for a machine with a card: every command of its plan is one that there is."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from vbp.cli.main import COMMANDS, Parser

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("gather", "setup", "tests", "bench", "drives", "train")


def planned(tmp_path: Path, *parts: str, **given: str) -> list[str]:
    command = ["sh", str(ROOT / "tests/cuda/run"), "--plan", *parts]
    here = {"WORK": str(tmp_path / "work"), "OUT": str(tmp_path / "out"), "DRIVES": "3", "UNSEEN": "2"}
    done = subprocess.run(command, env={**os.environ, **here, **given}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_its_commands_are_ours(tmp_path):
    lines = planned(tmp_path, REAL="drive.mp4")
    ours = [shlex.split(line.split(" -m vbp ")[1].split(" > ")[0]) for line in lines if " -m vbp " in line]
    assert [words[0] for words in ours] == ["bench", "train", "train"]
    ours.append(
        [w.strip('"') for w in re.search(r"-m vbp (simulate.*?) >", drive_script())[1].split()]  # type: ignore[index]
    )
    for words in ours:
        numbers = [{"$2.part": "folder", "$3": "1001", "$4": "400"}.get(w, w) for w in words]
        parsed(numbers)
    training = parsed(ours[1])
    assert training.sources == [
        "drive.mp4",
        *(str(tmp_path / f"work/drives/{n}") for n in (1001, 1002, 1003)),
    ]
    assert training.test == ["2150:", "", "", ""]


def parsed(words: list[str]) -> argparse.Namespace:
    parser = Parser(prog=f"vbp {words[0]}")
    import_module(COMMANDS[words[0]][0]).add_arguments(parser)
    return parser.parse_args(words[1:])


def drive_script() -> str:
    return (ROOT / "tests/cuda/drive").read_text()


def test_it_runs_every_file_that_has_a_test_for_a_card(tmp_path):
    (line,) = (line for line in planned(tmp_path, "tests") if "pytest" in line)
    named = {word for word in line.split() if word.startswith("tests/") and word.endswith(".py")}
    marked = re.compile(r"pytest\.mark\.cuda")
    there = {
        str(f.relative_to(ROOT)) for f in ROOT.glob("tests/**/test_*.py") if marked.search(f.read_text())
    }
    assert there <= named and "tests/cuda/test_right.py" in named


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_run_alone(part, tmp_path):
    assert planned(tmp_path, part, PYTHON=sys.executable)[0] == f"== {part}"


def test_a_part_that_is_not_there_is_named(tmp_path):
    command = ["sh", str(ROOT / "tests/cuda/run"), "--plan", "all"]
    done = subprocess.run(command, env={**os.environ, "WORK": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 2 and "there is no part all; parts: gather" in done.stderr
