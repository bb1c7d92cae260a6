"""The Python examples of the README and of docs/networks.md run as they stand."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vbp.models.registry import load_network

ROOT = Path(__file__).resolve().parents[2]
GUIDES = (ROOT / "docs" / "networks.md", ROOT / "README.md")
EXAMPLES = [e for g in GUIDES for e in re.findall(r"^```python\n(.*?)^```$", g.read_text(), re.M | re.S)]


@pytest.fixture
def taken_for_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The names that an example uses and does not make: a recording, one's own network, and pictures for it."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    widths = [1, 24, 36, 48]
    for before, after in pairwise(widths):
        layers += [nn.BatchNorm2d(before), nn.Conv2d(before, after, 5, 2), nn.ReLU()]
    layers.append(nn.Flatten())
    sizes = [48 * 5 * 22, 100, 10]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    module = nn.Sequential(*layers, nn.Linear(10, 1))
    with torch.no_grad():
        module[-1].bias.fill_(0.5)
    return {"module": module, "images": torch.rand(2, 1, 66, 200), "DRIVE": ROOT / "assets" / "demo"}


def run(start: str, names: dict[str, object]) -> dict[str, object]:
    (example,) = [text for text in EXAMPLES if text.startswith(start)]
    exec(compile(example, "README.md", "exec"), names)
    return names


def test_every_example_is_run_here():
    assert [text.splitlines()[0] for text in EXAMPLES] == [
        "from vbp.models.network import Network, save_checkpoint",
        "import vbp",
    ]


def test_a_network_of_ones_own_is_saved(taken_for_granted):
    run("from vbp.models.network", taken_for_granted)
    network = load_network("my-network.safetensors")
    images = taken_for_granted["images"]
    with torch.no_grad():
        expected = taken_for_granted["module"].eval()(images)
        torch.testing.assert_close(network.module(images), expected)


def test_from_python(taken_for_granted):
    names = run("import vbp", taken_for_granted)
    assert names["angles"].shape == (10,) and np.isfinite(names["angles"]).all()
    assert {k: tuple(v.shape[1:]) for k, v in names["maps"].items()} == {
        "visualbackprop": (125, 640),
        "lrp": (125, 640),
    }
    for relevance, lowest in ((names["mask"], 0), (names["relevance"], -1)):
        assert relevance.shape == (2, 66, 200)
        assert lowest <= float(relevance.min()) and float(relevance.abs().max()) == 1
    names["drive"].close()
