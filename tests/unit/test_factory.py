"""A network of the user's own, found in the folder that the program was started in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from vbp.engine import open_network

CODE = """
import sys
from torch import nn
FIRST = sys.path[0]

def make():
    assert sys.path[0] == FIRST
    return nn.Sequential(nn.Conv2d(1, 4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 10, 1))
"""
SPEC = 'input_height = 20\ninput_width = 32\nchannels = 1\noutput_unit = "rad"\noutput_sign = "left"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "network_of_mine.py").write_text(CODE)
    (tmp_path / "mine.toml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "network_of_mine", raising=False)
    return tmp_path


def test_the_folder_comes_first_for_the_network_and_last_for_the_program(folder: Path) -> None:
    """A json.py beside a drive must not replace the one that the program imports later."""
    open_network("network_of_mine:make?spec=mine.toml")
    assert str(folder) == sys.modules["network_of_mine"].FIRST
    assert sys.path.index(str(folder)) == len(sys.path) - 1


def test_random_weights_are_the_same_each_time(folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = (open_network("network_of_mine:make?spec=mine.toml") for _ in range(2))
    assert not one.trained
    for a, b in zip(one.module.parameters(), two.module.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_named_in_a_file_of_several(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FILE#NAME as text, and what is left out is logged."""
    model = open_network("network_of_mine:make?spec=mine.toml").module
    state = model.state_dict()
    torch.save({"model": state, "ema": {k: v + 1 for k, v in state.items()}}, folder / "last.ckpt")
    network = open_network("network_of_mine:make", weights="last.ckpt#ema", spec="mine.toml")
    assert network.trained and network.path == Path("last.ckpt")
    assert torch.equal(network.module.state_dict()["0.bias"], state["0.bias"] + 1)
    assert "left out: model (4 tensors)" in network.unused and network.unused in caplog.text
