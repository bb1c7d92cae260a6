"""ONNX's group norms and layers over time: what onnxruntime puts out, and the maps of the module that was exported."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

import onnxmaker
from vbp.engine import open_network
from vbp.errors import ModelError
from vbp.explain.exported import read_network
from vbp.explain.registry import METHODS
from vbp.export.network import write_network
from vbp.graph.trace import trace
from vbp.models.network import Network
from vbp.models.onnx_file import read_onnx
from vbp.models.spec import NetworkSpec

SHAPE = (3, 12, 20)
PICTURES = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, 2), nn.GroupNorm(4, 8), nn.Linear(8 * 5 * 9, 1)
        self.norm.weight.data.uniform_(0.5, 2)
        self.norm.bias.data.uniform_(-1, 1)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).flatten(1))


class Columns(nn.Module):
    """The columns of a picture as steps."""

    def __init__(self, kind: type[nn.Module], first: bool = True, **more) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.first = nn.Conv2d(3, 4, 3, (2, 4)), first
        self.steps = kind(4 * 5, 6, batch_first=first, **more)
        self.head = nn.Linear(12 if more.get("bidirectional") else 6, 1)

    def forward(self, x):
        x = torch.relu(self.conv(x)).permute(0, 3, 1, 2).flatten(2)
        states, _ = self.steps(x if self.first else x.transpose(0, 1))
        return self.head(states[:, -1] if self.first else states[-1])


def network(module: nn.Module) -> Network:
    spec = NetworkSpec("net", "", {}, *SHAPE[1:], SHAPE[0], output_unit="deg", output_sign="right")
    return Network(spec, module.eval())


def assert_same(path, module: nn.Module, methods) -> None:
    program = read_onnx(path)
    given = torch.from_numpy(PICTURES)
    wanted = onnxmaker.run(path, PICTURES)[0]
    with torch.no_grad():
        np.testing.assert_allclose(program(given).reshape(wanted.shape).numpy(), wanted, atol=1e-5)
    found, beside = (trace(read_network(part, SHAPE), given) for part in (program, module.eval()))
    for name in methods:
        maps = [METHODS[name].function(seen, None) for seen in (found, beside)]
        torch.testing.assert_close(maps[0], maps[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("opset", "dynamo"), [(9, False), (17, False)])
def test_a_group_norm_is_one_however_it_is_written(tmp_path, opset, dynamo):
    module = Grouped()
    path = onnxmaker.export(module, tmp_path / "net.onnx", opset, dynamo, SHAPE)
    assert_same(path, module, ("visualbackprop", "lrp", "saliency", "guided-backprop"))
    assert [node.kind for node in read_onnx(path).nodes].count("group_norm") == 1


def test_what_vbp_writes_of_a_group_norm_shows_the_same_mask_when_it_is_opened(tmp_path):
    module = Grouped()
    write_network(network(module), tmp_path / "net.onnx", mask=True)
    mask = onnxmaker.run(tmp_path / "net.onnx", PICTURES)[1]
    seen = trace(read_network(open_network(tmp_path / "net.onnx").module, SHAPE), torch.from_numpy(PICTURES))
    shown = METHODS["visualbackprop"].function(seen, None)
    np.testing.assert_allclose(shown.reshape(mask.shape).numpy(), mask, atol=1e-5)


def test_an_instance_norm_between_other_shapes_is_no_group_norm(tmp_path):
    """It is put back into another shape than that before it."""
    weights = {
        "w": np.random.default_rng(1).normal(size=(8, 3, 3, 3)).astype(np.float32),
        "parts": np.array([0, 4, -1]), "back": np.array([0, 2, 20, 9]), "g": np.ones(4, np.float32), "z": np.zeros(4, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["picture", "w"], ["c"], pads=[0, 0, 0, 0], strides=[2, 2]),
        helper.make_node("Reshape", ["c", "parts"], ["r"]),
        helper.make_node("InstanceNormalization", ["r", "g", "z"], ["i"]),
        helper.make_node("Reshape", ["i", "back"], ["out"]),
    ]
    path = tmp_path / "net.onnx"
    onnx.save(onnxmaker.model(nodes, weights, ["batch", *SHAPE]), path)
    program = read_onnx(path)
    assert "group_norm" not in [node.kind for node in program.nodes]
    wanted = onnxmaker.run(path, PICTURES)[0]
    np.testing.assert_allclose(
        program(torch.from_numpy(PICTURES)).reshape(wanted.shape).numpy(), wanted, atol=1e-5
    )


LAYERS = {
    "LSTM": Columns(nn.LSTM),
    "LSTM both ways, twice": Columns(nn.LSTM, bidirectional=True, num_layers=2),
    "GRU": Columns(nn.GRU),
    "GRU both ways, steps first": Columns(nn.GRU, False, bidirectional=True),
    "RNN": Columns(nn.RNN),
}


@pytest.mark.parametrize(("name", "dynamo"), [*((name, False) for name in LAYERS), ("RNN", True)])
def test_layers_over_time_are_run_and_pass_gradients(tmp_path, name, dynamo):
    path = onnxmaker.export(LAYERS[name], tmp_path / "net.onnx", 18 if dynamo else 17, dynamo, SHAPE)
    assert_same(path, LAYERS[name], ("visualbackprop", "saliency", "gradient-input"))


def test_what_vbp_writes_of_an_lstm_opens_again(tmp_path):
    path = tmp_path / "net.onnx"
    write_network(network(LAYERS["LSTM"]), path, mask=True)
    program, wanted = open_network(path).module, onnxmaker.run(path, PICTURES)[0]
    for one, numbers in zip(torch.from_numpy(PICTURES), wanted, strict=True):
        seen = trace(read_network(program, SHAPE), one[None])
        np.testing.assert_allclose(seen.output.numpy().reshape(-1), numbers, atol=1e-5)


def _steps(op: str, tmp_path, *, rows: int, state: bool = False, **attributes):
    """A node as PyTorch does not write it: the rows of a grey picture are the steps, 5 numbers each."""
    rng = np.random.default_rng(2)
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    weights = {
        "W": rng.normal(size=(ways, rows * 3, 20)), "R": rng.normal(size=(ways, rows * 3, 3)), "B": rng.normal(size=(ways, rows * 6)),
        "S": rng.normal(size=(ways, 1, 3)),
    }  # fmt: skip
    weights = {name: value.astype(np.float32) for name, value in weights.items()} | {
        "p": np.array([12, 1, 20])
    }
    given = ["x", "W", "R", "B"] + (["", "S"] if state else [])
    nodes = [
        helper.make_node("Slice", ["picture", "a", "b", "c"], ["grey"]),
        helper.make_node("Reshape", ["grey", "p"], ["x"]),
        helper.make_node(op, given, ["y", "out"], name="over/time", hidden_size=3, **attributes),
    ]
    weights |= {"a": np.array([0]), "b": np.array([1]), "c": np.array([1])}
    path = tmp_path / "net.onnx"
    onnx.save(onnxmaker.model(nodes, weights, [1, *SHAPE], opset=14), path)
    return path


@pytest.mark.parametrize(
    ("op", "rows", "more"),
    [
        ("GRU", 3, {"direction": "reverse"}),  # the reset gate works on the state
        ("GRU", 3, {"direction": "bidirectional", "linear_before_reset": 1, "state": True}),
        ("LSTM", 4, {"direction": "reverse", "activations": ["Sigmoid", "Relu", "Tanh"]}),
        ("RNN", 1, {"activations": ["Relu"], "state": True}),
    ],
)
def test_a_layer_over_time_means_what_onnxruntime_takes_it_for(tmp_path, op, rows, more):
    path = _steps(op, tmp_path, rows=rows, **more)
    program = read_onnx(path)
    found = np.stack([program(torch.from_numpy(one[None])).detach().numpy().reshape(-1) for one in PICTURES])
    np.testing.assert_allclose(found, onnxmaker.run(path, PICTURES)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"clip": 1.0}, "clip"),
        ({"activations": ["Affine", "Tanh"]}, "Affine, Tanh"),
        ({"direction": "up"}, "'up'"),
        ({"hidden_size": 3, "rows": 4}, "has weights"),
    ],
)
def test_what_is_not_read_of_a_layer_over_time_is_named(tmp_path, more, says):
    more = {"rows": 3, **more}
    more.pop("hidden_size", None)
    path = _steps("GRU", tmp_path, **more)
    with pytest.raises(ModelError, match=f"GRU over.time: .*{says}"):
        read_onnx(path)


def test_a_specification_beside_the_file_that_says_another_thing_than_the_one_in_it_is_named(
    tmp_path, caplog
):
    path = tmp_path / "car.onnx"
    write_network(network(Grouped()), path)
    assert open_network(path).unused == ""
    same = 'output_unit = "deg"\noutput_sign = "right"\n'
    (tmp_path / "car.toml").write_text(same)
    assert open_network(path).unused == ""
    (tmp_path / "car.toml").write_text(same.replace("right", "left") + 'colour = "bgr"\n')
    opened = open_network(path)
    assert opened.spec.output_sign == "left"
    assert (
        "car.toml beside car.onnx is used" in caplog.text
        and "output_sign" in opened.unused
        and "colour" in opened.unused
    )
    assert open_network(path, spec=tmp_path / "car.toml").unused == ""  # which somebody asked for
