"""What needs no network is said without torch, which takes seconds to load."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from vbp.cli.main import COMMANDS
from vbp.models.known import PUBLISHED, SPECS
from vbp.models.registry import load_network

# One process for all command lines, as Python and NumPy take their time, too: each is run, and what was said is kept.
RUNNER = """
import contextlib, io, json, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise AssertionError("torch was asked for")

sys.meta_path.insert(0, NoTorch())
from vbp.cli.main import main

found = []
for line in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(line)
        except SystemExit as end:
            status = end.code
    found.append([status, out.getvalue(), err.getvalue()])
json.dump(found, sys.stdout)
"""


def run_all(lines: list[list[str]]) -> list[tuple[int, str, str]]:
    text = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [tuple(found) for found in json.loads(text)]


def test_help_and_mistyped_options():
    helps = run_all([[name, "--help"] for name in COMMANDS])
    for name, (status, said, _) in zip(COMMANDS, helps, strict=True):
        assert (status, said.split()[:3]) == (0, ["usage:", "vbp", name]), name
    for name, (status, said, error) in zip(
        COMMANDS, run_all([[name, "--no-such-option=1"] for name in COMMANDS]), strict=True
    ):
        assert (status, said) == (2, ""), name
        assert error.startswith("vbp: ") and error.count("\n") == 1, error


def test_what_is_known_of_a_recording(tmp_path):
    drive = tmp_path / "drive"
    lines = [
        ["simulate", "-o", str(drive), "--frames", "2", "--no-truth"],
        ["info", str(drive), "--json"],
        ["info", str(tmp_path / "none")],
    ]
    (made, _, error), (status, said, _), (none, _, refused) = run_all(lines)
    assert (made, status, none) == (0, 0, 2), error
    assert json.loads(said)["frames"] == 2
    assert refused.startswith("vbp: ") and "none" in refused


def test_little_memory_is_taken_for_what_is_known_of_a_recording(tmp_path):
    (tmp_path / "drive").mkdir()
    for n in range(3):
        cv2.imwrite(str(tmp_path / "drive" / f"{n}.png"), np.zeros((48, 64, 3), np.uint8))
    code = (
        "import sys; from vbp.cli.main import main; from vbp.bench.memory import peak_mib; "
        "main(['info', sys.argv[1]]); print(peak_mib())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "drive")], capture_output=True, text=True, check=True
    )
    *words, mib = done.stdout.splitlines()
    assert any("3" in line for line in words) and not float(mib) > 150  # NaN where the system does not say


def test_which_networks_there_are():
    (status, said, error), (also, table, _), (refused, _, why) = run_all(
        [["models", "--json"], ["models"], ["angles", "nowhere"]]
    )
    assert (status, also, refused) == (0, 0, 2), error
    assert [row["name"] for row in json.loads(said)] == [line.split()[0] for line in table.splitlines()]
    assert "nowhere" in why and why.count("\n") == 1
    for row in json.loads(said):  # as the network itself says
        spec = load_network(row["name"]).spec if row["weights"] else SPECS[row["name"]]()
        assert row["input"] == f"{spec.input_height}x{spec.input_width}"
        assert row["trained_on"] == spec.trained_on


@pytest.mark.parametrize("name", SPECS)
def test_the_networks_whose_weights_are_published(name):
    assert (SPECS[name]().architecture in ("vgg", "resnet")) == (name in PUBLISHED)
