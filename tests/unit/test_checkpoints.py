"""Networks' files: what is stored with the weights, and files that are damaged, foreign or hostile."""

import json
import os
import pickle
import struct

import numpy as np
import pytest
import torch
import torchfile
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from vbp.engine import open_network
from vbp.errors import ModelError
from vbp.models.known import SPEC_KEY
from vbp.models.known_specs import nethvf, netsvf
from vbp.models.network import Network, build, load_checkpoint, save_checkpoint
from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.torch7 import import_torch7


def test_checkpoint_round_trip(tmp_path):
    network = build(nethvf(), seed=3)
    path = tmp_path / "net.safetensors"
    save_checkpoint(network, path)
    back = load_checkpoint(path)
    assert back.spec == network.spec
    assert back.trained
    assert not back.module.training
    for key, value in network.module.state_dict().items():
        assert torch.equal(value, back.module.state_dict()[key]), key
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def own_network(widths, kernel, hidden, batch_norm_first=True):
    """A network as users write it: one flat Sequential, one ReLU for all, and names of its own."""
    relu, layers, previous = nn.ReLU(), [], 1
    for width in widths:
        norm = nn.BatchNorm2d(previous if batch_norm_first else width)
        conv = nn.Conv2d(previous, width, kernel, 2)
        layers += [norm, conv, relu] if batch_norm_first else [conv, norm, relu]
        previous = width
    layers += [nn.Dropout(0.5), nn.Flatten()]
    fan = previous * 5 * 22
    for units in hidden:
        layers += [nn.Linear(fan, units), relu]
        fan = units
    return nn.Sequential(*layers, nn.Linear(fan, 1)).eval()


def own_spec(**arguments):
    given = {"widths": [24, 36, 48], "strides": [2, 2, 2], "hidden": [100, 10], "kernel": 5} | arguments
    return NetworkSpec("Mine", "steering", given, 66, 200, crop=CropRule("bottom", rows=211, of_width=640))


def test_a_network_of_ones_own_is_saved_under_the_names_of_its_specification(tmp_path):
    module = own_network([24, 36, 48], 5, [100, 10])
    for layer in module:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    path = tmp_path / "mine.safetensors"
    save_checkpoint(Network(own_spec(), module), path)
    images = torch.rand(2, 1, 66, 200)
    assert torch.equal(load_checkpoint(path).module(images), module(images))


def test_a_module_that_is_not_its_specification_is_not_saved(tmp_path):
    path = tmp_path / "mine.safetensors"
    module = own_network([24, 36, 48], 5, [100, 10])
    cases = [
        (module, own_spec(strides=[2, 2, 1]), "layer 7 is Conv2d"),
        (module, own_spec(hidden=[100, 11]), "layer 13 is Linear"),
        (module[:-1], own_spec(), "has 14 layers"),
        (own_network([24, 36, 48], 5, [100, 10], False), own_spec(), "layer 0 is Conv2d"),
    ]
    for network, spec, words in cases:
        with pytest.raises(ModelError, match=words):
            save_checkpoint(Network(spec, network), path)
    assert not list(tmp_path.iterdir())


def test_half_precision_files_are_computed_in_single(tmp_path):
    network = build(netsvf())
    path = tmp_path / "half.safetensors"
    save_checkpoint(network, path, half=True)
    assert path.stat().st_size < 0.51 * sum(4 * v.numel() for v in network.module.state_dict().values())
    for key, value in load_checkpoint(path).module.state_dict().items():
        assert torch.equal(value, network.module.state_dict()[key].to(torch.float16).to(value.dtype)), key
    with torch.no_grad():
        network.module.features[1].weight[0, 0, 0, 0] = 1e6
    with pytest.raises(ModelError, match="float16"):
        save_checkpoint(network, path, half=True)


def test_fresh_weights_are_seeded_and_leave_the_random_state_alone():
    state = torch.random.get_rng_state()
    a, b, c = build(netsvf(), 1), build(netsvf(), 1), build(netsvf(), 2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(a.module.features[1].weight, b.module.features[1].weight)
    assert not torch.equal(a.module.features[1].weight, c.module.features[1].weight)
    assert not a.trained


def write_checkpoint(path, change_spec=None, change_weights=None):
    network = build(NetworkSpec("t", "steering", {"widths": [2], "strides": [1], "hidden": [3]}, 8, 8))
    spec = json.loads(network.spec.to_json())
    weights = dict(network.module.state_dict())
    if change_spec:
        change_spec(spec)
    if change_weights:
        change_weights(weights)
    save_file(weights, path, metadata={SPEC_KEY: json.dumps(spec)})


BAD_SPECS = {
    "another architecture": (lambda s: s.update(architecture="transformer"), "transformer"),
    "too small an input": (lambda s: s.update(input_height=1), "too small"),
    "no picture": (lambda s: s.update(input_width=0), "no picture"),
    "odd channels": (lambda s: s.update(channels=4), "4 input channels"),
    "unknown field": (lambda s: s.update(magic="blue"), "magic"),
    "unknown colour": (lambda s: s.update(colour="blue"), "rgb, bgr, yuv"),
    "two means": (lambda s: s.update(mean=[0.5, 0.5]), "mean of the specification holds 2 numbers"),
    "radius without a car": (lambda s: s.update(output_unit="1/m"), "wheelbase_m and steering_ratio"),
    "scale of zero": (lambda s: s.update(output_scale=0), "output_scale"),
    "classes that are numbers": (lambda s: s.update(output="class", classes=[1]), "classes"),
    "unknown output": (lambda s: s.update(output="weather"), "steering_wheel_angle, class"),
    "another version": (lambda s: s.update(format=99), "another version"),
    "not a table": (lambda s: s.update(crop=[1]), "cannot be read"),
    "crop outside": (
        lambda s: s.update(crop={"kind": "rect", "rect": [0.5, 0.5, 1, 1]}),
        "does not lie in the frame",
    ),
    "unknown crop": (lambda s: s.update(crop={"kind": "top"}), "crop rule"),
    "widths that are words": (lambda s: s["arguments"].update(widths=["a"]), "cannot be read"),
    "widths of another length": (lambda s: s["arguments"].update(widths=[2, 2]), "one stride for each width"),
    "all the memory there is": (lambda s: s["arguments"].update(hidden=[10**6, 10**6]), "parameters"),
    "std of zero": (lambda s: s.update(std=0), "cannot be applied"),
    "unknown unit": (lambda s: s.update(output_unit="m"), "rad, deg, 1/m"),
    "arguments that are none": (lambda s: s.update(arguments="abc"), "arguments of the specification"),
    "a list for a name": (lambda s: s.update(architecture=[]), "architecture of the specification"),
    "half a row": (lambda s: s.update(input_height=8.5), "input_height of the specification"),
    "channels that are true": (lambda s: s.update(channels=True), "channels of the specification"),
    "endless crop": (
        lambda s: s.update(crop={"kind": "bottom", "rows": float("inf"), "of_width": 640}),
        "rows of the specification",
    ),
    "crop beyond floats": (lambda s: s.update(crop={"kind": "rect", "rect": [0, 0, 1, 10**400]}), "read"),
    "mean beyond floats": (lambda s: s.update(mean=10**400), "mean of the specification"),
    "a name that is a number": (lambda s: s.update(name=5), "name of the specification"),
    "a picture of all the memory there is": (
        lambda s: s.update(input_width=10**6, input_height=10**6) or s["arguments"].update(strides=[10**6]),
        "values for one frame",
    ),
    "maps of all the memory there is": (
        lambda s: (
            s.update(input_width=10**4, input_height=10**4)
            or s["arguments"].update(widths=[99, 2], strides=[1, 10**4], kernel=1)
        ),
        "values for one frame",
    ),
    "unknown argument": (lambda s: s["arguments"].update(magic=1), "magic"),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_bad_specifications_get_one_sentence(tmp_path, name):
    change, word = BAD_SPECS[name]
    path = tmp_path / "bad.safetensors"
    write_checkpoint(path, change_spec=change)
    with pytest.raises(ModelError) as error:
        open_network(path)
    assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


BAD_WEIGHTS = {
    "missing": (lambda w: w.pop("head.1.weight"), "lacks head.1.weight"),
    "extra": (lambda w: w.update(more=torch.zeros(2)), "it has more, which the network has not"),
    "other sizes": (
        lambda w: w.update({"head.1.bias": torch.zeros(7)}),
        "head.1.bias is 7, and 3 is expected",
    ),
    "not finite": (
        lambda w: w.update({"head.1.bias": torch.full((3,), torch.nan)}),
        "not finite in head.1.bias",
    ),
    "beyond float32": (
        lambda w: w.update({"head.1.bias": torch.full((3,), 1e300, dtype=torch.float64)}),
        "not finite in head.1.bias",
    ),
    "complex": (
        lambda w: w.update({"head.1.bias": torch.zeros(3, dtype=torch.complex64)}),
        "type torch.complex64 in head.1.bias",
    ),
    "a variance below zero": (
        lambda w: w.update({"features.0.running_var": torch.full((1,), -1.0)}),
        "variance below 0 in features.0.running_var",
    ),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_weights_get_one_sentence(tmp_path, name):
    change, word = BAD_WEIGHTS[name]
    path = tmp_path / "bad.safetensors"
    write_checkpoint(path, change_weights=change)
    with pytest.raises(ModelError, match=word):
        open_network(path)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


@pytest.mark.parametrize("protocol", [0, 2, 5, "torch"])
def test_a_pickle_is_refused_and_not_run(tmp_path, protocol):
    path = tmp_path / "net.safetensors"
    if protocol == "torch":
        torch.save({"a": torch.zeros(1)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(), protocol))
    with pytest.raises(ModelError, match="pickle" if protocol else "no network file"):
        open_network(path)


def torch7_tensor(size, stride, offset=1, values=(1.0, 2.0, 3.0), claimed=None):
    """A Torch7 file of one tensor, true or lying."""

    def named(index, name):
        return struct.pack("<iii", 4, index, 3) + b"V 1" + struct.pack("<i", len(name)) + name

    storage = struct.pack(f"<q{len(values)}f", len(values) if claimed is None else claimed, *values)
    shape = struct.pack(f"<i{2 * len(size) + 1}q", len(size), *size, *stride, offset)
    return named(1, b"torch.FloatTensor") + shape + named(2, b"torch.FloatStorage") + storage


def test_torch7_tensors_stay_within_their_numbers(tmp_path):
    path = tmp_path / "t.t7"
    path.write_bytes(torch7_tensor([2, 1], [1, 1], 2))
    np.testing.assert_array_equal(torchfile.load(str(path)), [[2], [3]])
    lies = [
        torch7_tensor([10**12], [1]),
        torch7_tensor([2], [10**12]),
        torch7_tensor([3], [1], 2),
        torch7_tensor([3], [-1], 3),
        torch7_tensor([3], [1], -5),
        torch7_tensor([-1], [1]),
        torch7_tensor([10**6, 10**6], [0, 0]),
        torch7_tensor([3], [1], claimed=10**15),
        torch7_tensor([3], [1], claimed=-1),
        torch7_tensor([1] * 1000, [1] * 1000),
    ]
    for data in lies:
        path.write_bytes(data)
        with pytest.raises(ValueError):
            torchfile.load(str(path))
        with pytest.raises(ModelError, match="is not a Torch7 file"):
            import_torch7(path)


def test_files_that_are_none(tmp_path):
    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(1)}, plain)
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    for path, word in [
        (plain, "no vbp specification; use --model package.module:factory --weights FILE"),
        (empty, "no network file"),
        (tmp_path, "is a folder"),
        (os.devnull, "is not a file"),
        (tmp_path / "nowhere", "there is no network"),
        ("NetXYZ", "NetSVF, NetHVF"),
    ]:
        with pytest.raises(ModelError, match=word):
            open_network(path)


@pytest.mark.parametrize("name", ["net.pth", "net.pt", "net.ckpt"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_alone_say_how_they_are_used(tmp_path, name, wrapped):
    path = tmp_path / name
    module = torch.nn.Conv2d(3, 4, 3)
    torch.save({"state_dict": module.state_dict()} if wrapped else module.state_dict(), path)
    for legacy in (False, True):
        if legacy:
            torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)
        with pytest.raises(ModelError) as error:
            open_network(path)
        assert str(error.value) == (
            f"{path} holds weights and does not say of which network (one is {'state_dict.' * (wrapped and not legacy)}weight); use --model package.module:factory "
            "--weights FILE for a network of your own, or vbp import-weights for published ones of a VGG or ResNet"
        )


def test_a_whole_module_that_was_pickled_is_not_opened(tmp_path, recwarn):
    torch.save(torch.nn.Conv2d(3, 4, 3), tmp_path / "whole.pt")
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 4, 3)), tmp_path / "script.pt")
    recwarn.clear()
    for name, words in (
        ("whole.pt", r"would run code.*onnx.*--weights whole.pt"),
        ("script.pt", "which is code.*onnx"),
    ):
        with pytest.raises(ModelError, match=words) as e:
            open_network(tmp_path / name)
        assert "\n" not in str(e.value) and not recwarn.list


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 4000), junk=st.binary(max_size=40))
def test_damaged_files_never_crash(tmp_path_factory, cut, junk):
    path = tmp_path_factory.mktemp("x") / "n.safetensors"
    write_checkpoint(path)
    data = path.read_bytes()
    path.write_bytes(
        data[:cut] + junk + data[cut + len(junk) :] if cut < len(data) else data[: len(data) // 2]
    )
    try:
        network = load_checkpoint(path)
    except ModelError as error:
        assert str(path) in str(error)
    else:
        assert network.module is not None
