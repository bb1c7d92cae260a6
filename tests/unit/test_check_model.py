"""vbp check-model: the layers, what works on them, and why the rest does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vbp.cli.main import main
from vbp.engine import Engine
from vbp.model_check import check_model
from vbp.models.network import Network
from vbp.models.spec import NetworkSpec


class Small(nn.Module):
    """Two convolutions with a skip, and a product with a logarithm of sums, through which nothing but gradients passes."""

    def __init__(self, gate: bool) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.two = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 8 * 12, 1)
        self.gate = gate

    def forward(self, x):
        x = F.relu(self.one(x))
        x = x + F.relu(self.two(x))
        if self.gate:
            x = x * x.logsumexp(1, keepdim=True)
        return self.head(x.flatten(1))


def make(gate: bool) -> Engine:
    torch.manual_seed(0)
    spec = NetworkSpec("Small", "", {}, 16, 24)
    return Engine(Network(spec, Small(gate), trained=False), "cpu")


def test_layers_with_their_geometry():
    found = check_model(make(gate=False))
    conv = next(layer for layer in found.layers if layer.name == "two")
    assert conv.output == (4, 8, 12) and conv.parameters == 4 * 4 * 9 + 4
    assert conv.field == (7, 7)  # 3, and two steps of the stride of 2 to each side
    joined = next(layer for layer in found.layers if layer.operation == "add")
    assert set(joined.inputs) == {"one", "two"}
    assert all(method.works for method in found.methods)
    assert any("random" in note for note in found.notes)


def test_what_cannot_be_explained_is_named_and_still_predicts():
    found = check_model(make(gate=True))
    by_name = {m.name: m for m in found.methods}
    assert by_name["saliency"].works and by_name["guided-backprop"].works
    assert not by_name["lrp"].works and "aten.logsumexp" in by_name["lrp"].reason
    told = [note for note in found.notes if "no rule of their own" in note]
    assert len(told) == 1 and "logsumexp" in told[0] and "mul" in told[0]
    assert all(m.works or m.reason for m in found.methods)
    assert next(m for m in found.methods if m.name == "occlusion").works
    assert len(found.outputs) == 1 and all(-1e3 < low <= high < 1e3 for low, high in found.outputs)


SPEC = 'input_height = {}\ninput_width = 24\nchannels = 1\noutput_unit = "rad"\noutput_sign = "left"\n'


def test_on_the_command_line(capsys, tmp_path):
    demo = Path(__file__).parents[2] / "assets/demo"
    spec = tmp_path / "net.toml"
    spec.write_text(SPEC.format(16))
    words = ["check-model", f"{__name__}:closed", "--spec", str(spec), "--device", "cpu"]
    assert main([*words, "--drive", str(demo), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["layers"][-1]["output"] == [1] and not facts["trained"]
    assert any("the angle goes from" in note for note in facts["notes"])
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "conv 3x3 /2 padding 1, ReLU" in text and "forward pass" in text


def test_an_input_that_does_not_fit_is_one_sentence(capsys, tmp_path):
    spec = tmp_path / "net.toml"
    spec.write_text(
        'input_height = 20\ninput_width = 24\nchannels = 1\noutput_unit = "rad"\noutput_sign = "left"\n'
    )
    torch.manual_seed(0)

    name = f"{__name__}:closed"
    assert main(["check-model", name, "--spec", str(spec), "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "input of 1x20x24" in told


def closed() -> nn.Module:
    return Small(gate=False)


@pytest.mark.parametrize("word", ["--weights", "--spec"])
def test_what_a_known_network_has_of_its_own_is_not_given_again(capsys, word):
    assert main(["check-model", "NetHVF", word, "x.toml"]) == 2
    assert "of its own" in capsys.readouterr().err
