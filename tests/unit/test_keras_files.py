"""Keras files of old versions and of every layout, made here as they were written then."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kerasmaker import layer, numbers, read_here, sequential, tiny, write
from lambdamaker import CODES
from vbp.errors import ModelError
from vbp.explain.exported import read_network
from vbp.explain.registry import explain
from vbp.graph.trace import trace
from vbp.models.registry import load_network

SPEC = 'output_unit = "deg"\noutput_sign = "left"\n'


@pytest.fixture(autouse=True)
def here(monkeypatch):
    read_here(monkeypatch)


def run(path, images):
    """images (N, rows, columns, channels)"""
    return load_network(path).module(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()).numpy()


# What Keras 1 wrote


def test_keras_1_with_theanos_order_of_axes(tmp_path):
    kernel, bias, dense = numbers(4, 3, 2, 3), numbers(4), numbers(4 * 3 * 3, 2)
    config = sequential(
        layer(
            "Convolution2D", "c", nb_filter=4, nb_row=2, nb_col=3, border_mode="valid", subsample=[1, 1], dim_ordering="th",
            activation="relu", bias=True, batch_input_shape=[None, 3, 4, 5],
        ),
        layer("Dropout", "d", p=0.5),
        layer("Flatten", "f"),
        layer("Dense", "o", output_dim=2, bias=False, activation="tanh"),
    )  # fmt: skip
    path = write(
        tmp_path / "net.h5",
        config,
        {"c": {"c_W": kernel, "c_b": bias}, "d": {}, "f": {}, "o": {"o_W": dense}},
        keras_version="1.2.2",
    )
    network = load_network(path)
    assert (network.spec.input_height, network.spec.input_width, network.spec.channels) == (4, 5, 3)
    images = torch.from_numpy(numbers(2, 3, 4, 5))
    maps = F.conv2d(images, torch.from_numpy(kernel), torch.from_numpy(bias)).relu()
    torch.testing.assert_close(network.module(images), torch.tanh(maps.flatten(1) @ torch.from_numpy(dense)))


def test_keras_1_functional_with_merge_and_normalisation(tmp_path):
    a, b, dense = numbers(1, 1, 3, 4), numbers(1, 1, 3, 4), numbers(4 * 5 * 8, 1)
    norm = [numbers(8), numbers(8), numbers(8), np.abs(numbers(8)) + 0.1]
    convolution = {
        "nb_filter": 4,
        "nb_row": 1,
        "nb_col": 1,
        "dim_ordering": "tf",
        "bias": False,
        "border_mode": "same",
    }

    def node(kind, name, *inputs, **config):
        return {
            **layer(kind, name, **config),
            "name": name,
            "inbound_nodes": [[[i, 0, 0] for i in inputs]] if inputs else [],
        }

    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": [
                node("InputLayer", "in", batch_input_shape=[None, 4, 5, 3]),
                node("Convolution2D", "a", "in", **convolution),
                node("Convolution2D", "b", "in", **convolution),
                node("Merge", "m", "a", "b", mode="concat", concat_axis=-1),
                node("BatchNormalization", "n", "m", mode=0, axis=-1, epsilon=1e-3),
                node("Flatten", "f", "n"),
                node("Dense", "o", "f", output_dim=1, bias=False),
            ],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["o", 0, 0]],
        },
    }  # fmt: skip
    weights = {
        "a": {"a_W": a},
        "b": {"b_W": b},
        "n": dict(zip(["g", "b", "running_mean", "running_std"], norm)),
        "o": {"o_W": dense},
    }
    path = write(tmp_path / "net", config, weights, keras_version="1.1.2")
    images = numbers(2, 4, 5, 3)
    joined = np.concatenate([images @ a[0, 0], images @ b[0, 0]], -1)
    wanted = (norm[0] * (joined - norm[2]) / np.sqrt(norm[3] + 1e-3) + norm[1]).reshape(2, -1) @ dense
    np.testing.assert_allclose(run(path, images), wanted, atol=1e-5)


def test_keras_1_keeps_the_gates_of_an_lstm_apart(tmp_path):
    units, features = 2, 15
    arrays = {
        f"r_{g}_{k}": v
        for g in "icfo"
        for k, v in (("W", numbers(features, units)), ("U", numbers(units, units)), ("b", numbers(units)))
    }
    config = sequential(
        layer("Reshape", "s", target_shape=[4, features], batch_input_shape=[None, 4, 5, 3]),
        layer("LSTM", "r", output_dim=units, activation="tanh", inner_activation="hard_sigmoid"),
    )
    path = write(tmp_path / "net.h5", config, {"s": {}, "r": arrays}, keras_version="1.2.0")
    images = numbers(3, 4, 5, 3)
    state, memory = np.zeros((3, units)), np.zeros((3, units))
    for x in images.reshape(3, 4, features).transpose(1, 0, 2):
        i, c, f, o = (
            x @ arrays[f"r_{g}_W"] + state @ arrays[f"r_{g}_U"] + arrays[f"r_{g}_b"] for g in "icfo"
        )
        i, f, o = (np.clip(0.2 * v + 0.5, 0, 1) for v in (i, f, o))
        memory = f * memory + i * np.tanh(c)
        state = o * np.tanh(memory)
    np.testing.assert_allclose(run(path, images), state, atol=1e-5)


def test_theano_turned_its_kernels_round(tmp_path):
    kernel = numbers(2, 3, 3, 4)
    config = sequential(
        layer(
            "Conv2D", "c", filters=4, kernel_size=[2, 3], use_bias=False, batch_input_shape=[None, 4, 5, 3]
        ),
        layer("Flatten", "f"),
    )
    images = torch.from_numpy(numbers(2, 3, 4, 5))
    for backend, turned in (("tensorflow", kernel), ("theano", kernel[::-1, ::-1].copy())):
        path = write(tmp_path / f"{backend}.h5", config, {"c": {"c/kernel:0": kernel}}, keras_version="2.0.8")
        with h5py.File(path, "a") as file:
            file["model_weights"].attrs["backend"] = backend
        wanted = F.conv2d(images, torch.from_numpy(turned).permute(3, 2, 0, 1)).permute(0, 2, 3, 1).flatten(1)
        torch.testing.assert_close(load_network(path).module(images), wanted)


# Lambda layers


@pytest.mark.parametrize(
    "name, change", [("affine", lambda x: x / 127.5 - 1), ("minus", lambda x: 0.5 - x / 4)]
)
def test_a_lambda_is_recognised(tmp_path, name, change):
    kernel = numbers(60, 1)
    function = layer(
        "Lambda", "scale", function=[CODES["3.6"][name], None, None], batch_input_shape=[None, 4, 5, 3]
    )
    images = numbers(2, 4, 5, 3)
    path = tiny(tmp_path / "net.h5", kernel=kernel, bias=np.zeros(1, np.float32), extra=[function])
    np.testing.assert_allclose(run(path, images), change(images).reshape(2, -1) @ kernel, atol=1e-5)


def test_what_a_lambda_computes_may_be_said(tmp_path):
    """Cut, resized and scaled, in this order, before a dense layer that sees 2x2 pixels."""
    kernel = numbers(12, 1)
    config = sequential(
        layer(
            "Lambda", "cut", function=[CODES["3.8"]["outside"], None, None], batch_input_shape=[None, 6, 7, 3]
        ),
        layer("Flatten", "flat"),
        layer("Dense", "out", units=1, use_bias=False),
    )
    path = write(tmp_path / "net.h5", config, {"out": {"out/kernel:0": kernel}}, keras_version="2.2.4")
    with pytest.raises(
        ModelError, match=r"cut.*MAX.*numbers 1\.0.*takes 6x7x3.*\[layers\.cut\].*scale.*crop.*resize"
    ):
        load_network(path)
    spec = tmp_path / "net.toml"
    spec.write_text(
        SPEC
        + "[layers.cut]\ncrop = [1, 1, 3, 0]\nresize = [2, 2]\ninterpolation = 'bilinear-1'\nscale = 2.0\noffset = -1\n"
    )
    images = numbers(2, 6, 7, 3)
    wanted = (images[:, 1:5:2, 3::2] * 2 - 1).reshape(2, -1) @ kernel
    np.testing.assert_allclose(run(path, images), wanted, atol=1e-5)
    for said, words in (
        ("[layers.other]\nscale = 1\n", "layer other.*cut"),
        ("[layers.cut]\nsize = [2, 2]\n", "accepted in it: scale"),
        ("[layers.cut]\ncrop = [1, 2]\n", r"layers.cut.crop is \[1, 2\]; a list of 4"),
        ("[layers.cut]\ncrop = [3, 3, 0, 0]\n", "layer cut.*more is cut off"),
        ("layers = 3\n", "layers is no table"),
    ):
        spec.write_text(SPEC + said)
        with pytest.raises(ModelError, match=words):
            load_network(path)


# Containers


def test_json_in_json_and_weights_beside_it_or_named(tmp_path):
    whole = tiny(tmp_path / "whole.h5")
    images = numbers(2, 4, 5, 3)
    wanted = run(whole, images)
    with h5py.File(whole) as file:
        config = file.attrs["model_config"]
    folder = tmp_path / "apart"
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(json.dumps(json.loads(config))))
    with pytest.raises(ModelError, match="without weights.*--weights.*model.h5"):
        load_network(folder / "model.json")
    np.testing.assert_array_equal(run(f"{folder / 'model.json'}?weights={whole}", images), wanted)
    with h5py.File(whole) as file, h5py.File(folder / "model_weights.h5", "w") as weights:
        weights.attrs["layer_names"] = file["model_weights"].attrs["layer_names"]
        for name in file["model_weights"]:
            file.copy(f"model_weights/{name}", weights)
    for name in ("model.json", "model_weights.h5"):
        np.testing.assert_array_equal(run(folder / name, images), wanted)
    (folder / "model.json").unlink()
    with pytest.raises(ModelError, match="weights and no architecture.*model.save"):
        load_network(folder / "model_weights.h5")


def test_weights_that_lead_out_of_the_folder_are_not_taken(tmp_path):
    whole = tiny(tmp_path / "whole.h5")
    folder = tmp_path / "inside"
    folder.mkdir()
    with h5py.File(whole) as file:
        (folder / "model.json").write_text(file.attrs["model_config"])
    (folder / "model.h5").symlink_to(whole)
    with pytest.raises(ModelError, match="without weights"):
        load_network(folder / "model.json")


def test_a_name_may_be_anything_and_a_block_may_stand_before(tmp_path):
    with h5py.File(tmp_path / "block", "w", userblock_size=1024):
        pass
    whole = tiny(tmp_path / "mypilot")
    assert load_network(whole).spec.name == "mypilot"
    with pytest.raises(ModelError, match="weights and no architecture"):
        load_network(tmp_path / "block")


def test_arithmetic_as_tf_keras_writes_it(tmp_path):
    """TFOpLambda and SlicingOpLambda: (2 - x / 127.5)[:, 1:3], its sum with itself, flattened."""

    def operation(name, function, node, kind="TFOpLambda"):
        return {**layer(kind, name, function=function), "name": name, "inbound_nodes": [node]}

    whole = {"start": None, "stop": None, "step": None}
    config = {
        "class_name": "Functional",
        "config": {
            "name": "m",
            "layers": [
                {**layer("InputLayer", "in", batch_input_shape=[None, 4, 5, 3]), "name": "in", "inbound_nodes": []},
                operation("cast", "cast", ["in", 0, 0, {"dtype": "float32"}]),
                operation("div", "math.truediv", ["cast", 0, 0, {"y": 127.5, "name": None}]),
                operation("sub", "math.subtract", ["_CONSTANT_VALUE", -1, 2.0, {"y": ["div", 0, 0]}]),
                operation("cut", "__operators__.getitem", ["sub", 0, 0, {"slice_spec": [whole, {**whole, "start": 1, "stop": 3}]}], "SlicingOpLambda"),
                operation("add", "__operators__.add", ["cut", 0, 0, {"y": ["cut", 0, 0]}]),
                {**layer("Flatten", "f"), "name": "f", "inbound_nodes": [[["add", 0, 0, {}]]]},
            ],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["f", 0, 0]],
        },
    }  # fmt: skip
    path = write(tmp_path / "net.h5", config, {}, keras_version="2.8.0")
    images = numbers(2, 4, 5, 3)
    np.testing.assert_allclose(run(path, images), 2 * (2 - images / 127.5)[:, 1:3].reshape(2, -1), atol=1e-5)


def test_an_input_that_is_no_picture_may_be_given_a_number(tmp_path):
    kernel = numbers(62, 1)

    def part(kind, name, *inputs, **config):
        nodes = [[[i, 0, 0, {}] for i in inputs]] if inputs else []
        return {**layer(kind, name, **config), "name": name, "inbound_nodes": nodes}

    layers = [
        part("InputLayer", "speed", batch_input_shape=[None, 2]),
        part("InputLayer", "camera", batch_input_shape=[None, 4, 5, 3]),
        part("Flatten", "f", "camera"),
        part("Concatenate", "both", "speed", "f", axis=-1),
        part("Dense", "out", "both", units=1, use_bias=False),
    ]
    ends = {"input_layers": [["speed", 0, 0], ["camera", 0, 0]], "output_layers": [["out", 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}
    path = write(tmp_path / "net.h5", config, {"out": {"out/kernel:0": kernel}}, keras_version="2.3.1")
    with pytest.raises(
        ModelError, match=r"2 inputs, speed \(2\), camera \(4x5x3\).*one picture.*\[\[inputs\]\].*speed"
    ):
        load_network(path)
    (tmp_path / "net.toml").write_text(SPEC + '[[inputs]]\nname = "speed"\nvalue = 0.5\n')
    images = numbers(3, 4, 5, 3)
    wanted = 0.5 * kernel[:2].sum() + images.reshape(3, -1) @ kernel[2:]
    np.testing.assert_allclose(run(path, images), wanted, atol=1e-5)
    graph = read_network(load_network(path).module, (3, 4, 5))
    maps = explain(trace(graph, torch.from_numpy(images).permute(0, 3, 1, 2)), "gradient-input")
    relevance = (kernel[2:].reshape(4, 5, 3) * images).sum(-1)
    wanted = relevance / np.abs(relevance).max((1, 2), keepdims=True)
    np.testing.assert_allclose(maps.numpy(), wanted, atol=1e-5)
    (tmp_path / "net.toml").write_text(SPEC + '[[inputs]]\nname = "sped"\nvalue = 0.5\n')
    with pytest.raises(ModelError, match="name = .speed"):
        load_network(path)


def test_a_softmax_is_taken_for_classes_unless_it_steers(tmp_path):
    for name, output in (("out", "class"), ("angle_out", "steering_wheel_angle")):
        config = sequential(
            layer("Flatten", "flat", batch_input_shape=[None, 4, 5, 3]),
            layer("Dense", name, units=5, use_bias=False, activation="softmax"),
        )
        path = write(
            tmp_path / f"{name}.h5", config, {name: {"kernel:0": numbers(60, 5)}}, keras_version="2.3.1"
        )
        network = load_network(path)
        assert network.spec.output == output and len(network.spec.output_bins) == (
            5 if name == "angle_out" else 0
        )
        assert ("5 classes" in network.assumed) == (output == "class")
