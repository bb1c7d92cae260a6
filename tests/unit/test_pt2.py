"""Programs by torch.export.save: read as torch reads them, and nothing in them is run."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import zipfile

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from vbp.engine import Engine, open_network
from vbp.errors import ExplainError, ModelError, VbpError
from vbp.explain.exported import read_network
from vbp.graph.trace import trace
from vbp.models.pt2 import read_pt2
from vbp.models.safe_ops import ALLOWED, allowed


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 5 * 7, 2)
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1))

    def forward(self, x):
        x = F.relu_(self.norm(self.conv(x[:, [2, 1, 0]] - self.mean)))
        x += torch.cat([p * 0.5 for p in x.chunk(2, 1)], 1)
        return self.head(F.dropout(x, 0.2, self.training).view(x.size(0), -1))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file for any number of frames and one for a single frame, and what they hold."""
    folder = tmp_path_factory.mktemp("pt2")
    module = Net().eval()
    for name, sizes, frames in (("any", ({0: torch.export.Dim.AUTO},), 2), ("one", None, 1)):
        program = torch.export.export(module, (torch.rand(frames, 3, 11, 15),), dynamic_shapes=sizes)
        torch.export.save(program, folder / f"{name}.pt2")
    return folder, module


@pytest.mark.parametrize("name", ["any", "one"])
def test_it_is_read_as_it_was_saved(saved, name):
    folder, module = saved
    program = read_pt2(folder / f"{name}.pt2")
    images = torch.rand(4, 3, 11, 15)
    wanted = module(images).detach()
    if name == "any":
        assert torch.equal(program(images), wanted)
    done = trace(read_network(program, (3, 11, 15)), images)
    assert torch.allclose(done.output, wanted, atol=1e-6)
    assert "conv" in [s.name for s in done.stages] and "head" in [s.name for s in done.stages]


def test_as_a_network_with_a_specification(saved, tmp_path):
    folder, module = saved
    path = tmp_path / "net.pt2"
    path.write_bytes((folder / "one.pt2").read_bytes())
    (tmp_path / "net.toml").write_text('output_unit = "deg"\noutput_sign = "right"\noutput_index = 1\n')
    network = open_network(path)  # the file beside it
    assert (network.spec.channels, network.spec.input_height, network.spec.input_width) == (3, 11, 15)
    frame = (torch.rand(11, 15, 3) * 255).byte().numpy()
    done = Engine(network, "cpu").run(frame, maps=("saliency", "visualbackprop"))
    wanted = module(torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255)[0, 1].detach()
    assert done.angle_rad == pytest.approx(-float(torch.deg2rad(wanted)), abs=1e-6)
    (tmp_path / "other.toml").write_text('output_unit = "deg"\noutput_sign = "right"\ninput_width = 16\n')
    with pytest.raises(VbpError, match="input_width is 16, and the network itself says 15"):
        open_network(path, spec=tmp_path / "other.toml")


def rewritten(path, out, change):
    """The archive with its members changed by change(name, bytes) -> bytes or None."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return out


def edited(path, out, edit):
    """The archive with the graph's JSON edited in place."""

    def change(name, data):
        if not name.endswith("models/model.json"):
            return data
        graph = json.loads(data)
        edit(graph)
        return json.dumps(graph).encode()

    return rewritten(path, out, change)


def old_layout(path, out):
    """As torch 2.5 to 2.7 wrote it."""
    with zipfile.ZipFile(path) as old:
        graph = next(old.read(n) for n in old.namelist() if n.endswith("models/model.json"))
    state, constants = io.BytesIO(), io.BytesIO()
    torch.save(Net().state_dict(), state)
    torch.save({"lifted_tensor_0": torch.tensor([2, 1, 0])}, constants)
    with zipfile.ZipFile(out, "w") as new:
        new.writestr("version", "8.2")
        new.writestr("serialized_exported_program.json", graph)
        new.writestr("serialized_state_dict.pt", state.getvalue())
        new.writestr("serialized_constants.pt", constants.getvalue())
    return out


def test_the_layout_of_older_versions(saved, tmp_path):
    folder, module = saved
    images = torch.rand(2, 3, 11, 15)
    program = read_pt2(old_layout(folder / "any.pt2", tmp_path / "old.pt2"))
    assert torch.equal(program(images), module(images))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("EVIL",)


def test_a_pickle_in_it_is_not_run(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, _ = saved
    evil = pickle.dumps(Evil())

    def change(name, data):
        if name.endswith("weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true')
        return evil if "/weight_" in name or name.endswith(".pt") else data

    with pytest.raises(ModelError, match="could run code"):
        read_pt2(rewritten(folder / "any.pt2", tmp_path / "evil.pt2", change))
    old = old_layout(folder / "any.pt2", tmp_path / "old.pt2")
    with pytest.raises(ModelError, match="could run code"):
        read_pt2(rewritten(old, tmp_path / "evil2.pt2", lambda n, d: evil if n.endswith("dict.pt") else d))
    assert not (tmp_path / "EVIL").exists()
    pickle.loads(evil)  # noqa: S301  # by which one sees that it would have been
    assert (tmp_path / "EVIL").exists()


def test_expressions_in_it_are_not_evaluated(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def edit(graph):
        for value in graph["graph_module"]["graph"]["tensor_values"].values():
            value["sizes"][:1] = [{"as_expr": {"expr_str": "__import__('os').mkdir('EVIL')", "hint": None}}]
        graph["guards_code"] = ["__import__('os').mkdir('EVIL')"]

    program = read_pt2(edited(saved[0] / "any.pt2", tmp_path / "evil.pt2", edit))
    read_network(program, (3, 11, 15))
    assert not (tmp_path / "EVIL").exists()


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.from_file.default", "torch.ops.prim.device.default", "os.system", "builtins.eval",
     "torch.ops.aten.set_.source_Tensor", "torch.ops.aten.add.out", "torch.load", "torch.ops.aten.__class__.mro"],
)  # fmt: skip
def test_what_it_may_call(saved, tmp_path, target):
    def edit(graph):
        graph["graph_module"]["graph"]["nodes"][3]["target"] = target

    with pytest.raises(ModelError, match="does not run from a file"):
        read_pt2(edited(saved[0] / "any.pt2", tmp_path / "bad.pt2", edit))


def test_the_list_of_what_may_be_called_is_of_things_that_exist():
    for name in ALLOWED:
        assert hasattr(torch.ops.aten, name), name
    assert not any(allowed(f"aten.{name}.out") for name in ALLOWED)


def giant(graph):
    node = next(n for n in graph["graph_module"]["graph"]["nodes"] if "view" in n["target"])
    node["target"] = "torch.ops.aten.expand.default"
    node["inputs"][0]["arg"] = {"as_tensor": {"name": "p_head_weight"}}
    node["inputs"][1] = {"name": "size", "arg": {"as_ints": [2**31, 2, 210]}, "kind": 1}


def widen(graph):
    node = next(n for n in graph["graph_module"]["graph"]["nodes"] if "conv2d" in n["target"])
    node["inputs"] += [{"name": "padding", "arg": {"as_ints": [2**20, 2**20]}, "kind": 1}]


@pytest.mark.parametrize("edit", [giant, widen])
def test_it_cannot_ask_for_all_memory(saved, tmp_path, edit):
    with pytest.raises(ExplainError, match="too many"):
        read_network(read_pt2(edited(saved[0] / "any.pt2", tmp_path / "big.pt2", edit)), (3, 11, 15))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda n, d: None if n.endswith("model.json") else d, "no graph in it"),
        (lambda n, d: None if n.endswith("weight_0") else d, "damaged"),
        (lambda n, d: d[:-4] if n.endswith("weight_0") else d, "do not fit into their bytes"),
        (lambda n, d: d.replace(b'"major": 8', b'"major": 9'), "version 9"),
        (lambda n, d: b"\0\0\xc0\x7f" + d[4:] if n.endswith("weight_0") else d, "not finite"),
        (lambda n, d: b"big" if n.endswith("byteorder") else d, "byte order"),
        (lambda n, d: b"[" * 100_000 if n.endswith("model.json") else d, "damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(saved, tmp_path, change, words):
    with pytest.raises(ModelError, match=words) as told:
        read_pt2(rewritten(saved[0] / "any.pt2", tmp_path / "bad.pt2", change))
    assert "\n" not in str(told.value)


def test_what_unpacks_to_more_than_it_is_long(saved, tmp_path):
    with zipfile.ZipFile(saved[0] / "any.pt2") as old, zipfile.ZipFile(tmp_path / "b.pt2", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ModelError, match="compressed"):
        read_pt2(tmp_path / "b.pt2")


def read_it(path):
    """Reads and runs; what a damaged file may raise is told in one sentence."""
    try:
        program = read_pt2(path)
        shape = tuple(n or 3 for n in program.input_shape[1:])
        if max(shape) < 100:
            trace(read_network(program, shape), torch.rand(1, *shape))
    except (ModelError, ExplainError) as error:
        assert "\n" not in str(error)[:300]


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_bytes_that_are_wrong(saved, tmp_path, data):
    raw = bytearray((saved[0] / "any.pt2").read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    for _ in range(data.draw(st.integers(0, 20))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "x.pt2").write_bytes(raw)
    read_it(tmp_path / "x.pt2")


ODD = st.sampled_from([None, -1, 0, 1, 2, 7, 2**62, 2**70, 1.5, float("nan"), "", "x", [], {}, [1, 2], True, {"as_int": 3},
                       {"as_ints": [0, 0]}, {"as_tensor": {"name": "x"}}, {"as_none": True}, {"as_sym_int": {"as_name": "x"}}])  # fmt: skip


@given(st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_graph_that_is_wrong(saved, tmp_path, data):
    def edit(graph):
        places = [graph["graph_module"]["graph"]["nodes"], graph["graph_module"]]
        for _ in range(data.draw(st.integers(1, 3))):
            place = places[data.draw(st.integers(0, 1))]
            for _ in range(data.draw(st.integers(1, 7))):
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                if not keys:
                    break
                key = data.draw(st.sampled_from(keys))
                if not isinstance(place[key], dict | list) or data.draw(st.integers(0, 9)) == 0:
                    place[key] = copy.deepcopy(data.draw(ODD))  # the next edit may change it
                    break
                place = place[key]

    read_it(edited(saved[0] / "any.pt2", tmp_path / "y.pt2", edit))
