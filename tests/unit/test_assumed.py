"""A network in a file without a specification: what is assumed of it, and that all formats are treated alike."""

import logging

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

import onnxmaker
from vbp.engine import Engine, open_network
from vbp.errors import ModelError, SizeUnknownError
from vbp.models.formats import ALL_SUFFIXES, looks_like_network
from vbp.models.registry import load_network


def test_an_onnx_file_opens_with_what_is_assumed_said_once(tmp_path, caplog):
    path = tmp_path / "net.onnx"
    onnx.save(onnxmaker.small_model([]), path)
    with caplog.at_level(logging.WARNING):
        network = open_network(path)
        Engine(network, "cpu")
        Engine(network, "cpu")
    assert caplog.text.count("net does not say how its pictures") == 1
    spec = network.spec
    assert (spec.channels, spec.input_height, spec.input_width) == (3, 20, 32)
    assert (spec.output_unit, spec.output_sign, spec.output_scale, spec.std) == ("deg", "right", 25.0, 1.0)
    path.with_suffix(".toml").write_text('output_unit = "rad"\noutput_sign = "left"\n')
    assert open_network(path).assumed == "" and open_network(path).spec.output_unit == "rad"


def test_a_network_that_scales_its_picture_itself_is_given_it_as_it_is(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(onnxmaker.small_model(onnxmaker.SCALED), path)
    network = load_network(path)
    assert network.spec.std == 1 / 255 and "0 to 255" in network.assumed
    picture = np.random.default_rng(1).integers(0, 256, (20, 32, 3), dtype=np.uint8)
    wanted = onnxmaker.run(str(path), picture.transpose(2, 0, 1)[None].astype(np.float32))[0][0, 0]
    got = Engine(network, "cpu").run(picture, []).angle_rad
    assert np.degrees(got) == pytest.approx(-25 * float(wanted), abs=1e-4)


def test_a_softmax_is_classes_unless_its_name_steers(tmp_path):
    softmax = [helper.make_node("Softmax", ["m"], ["out"])]
    onnx.save(onnxmaker.small_model([], outputs=5, last=softmax), tmp_path / "a.onnx")
    assert load_network(tmp_path / "a.onnx").spec.output == "class"
    softmax = [helper.make_node("Softmax", ["m"], ["steering"])]
    onnx.save(onnxmaker.small_model([], outputs=5, last=softmax, name="steering"), tmp_path / "b.onnx")
    assert load_network(tmp_path / "b.onnx").spec.output_bins == (-1.0, -0.5, 0.0, 0.5, 1.0)


def test_the_steering_output_is_found_by_its_name(tmp_path):
    model = onnxmaker.small_model(
        [], outputs=2, last=[helper.make_node("Identity", ["m"], ["throttle"])], name="throttle"
    )
    model.graph.node.append(helper.make_node("Relu", ["f"], ["steering_angle"]))
    model.graph.output.append(helper.make_tensor_value_info("steering_angle", onnx.TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "net.onnx")
    network = load_network(tmp_path / "net.onnx")
    assert network.spec.output_index == 2 and "output steering_angle" in network.assumed


def test_pictures_of_any_size_are_asked_for(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(onnxmaker.small_model([], ("batch", 3, "h", "w")), path)
    with pytest.raises(
        SizeUnknownError, match=r"any size \(3xanyxany\): say input_height and input_width .*net\.toml"
    ) as caught:
        load_network(path)
    assert caught.value.sizes == (3, None, None)
    onnx.save(onnxmaker.small_model([], ("batch", 3, 20, 32)), path)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6
    onnx.save(model, path)
    with pytest.raises(ModelError, match="6 channels"):
        load_network(path)


def test_a_program_by_torch_export_is_treated_alike(tmp_path):
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 8, 1)).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 8, 10),)), tmp_path / "net.pt2")
    network = load_network(tmp_path / "net.pt2")
    assert "whole picture in grey, from 0 to 1; its output times 25 degrees to the right" in network.assumed


def test_a_file_is_known_for_a_network_by_its_name_or_by_what_is_in_it(tmp_path):
    assert {".safetensors", ".onnx", ".pt2", ".h5", ".keras", ".json"} <= set(ALL_SUFFIXES)
    onnx.save(onnxmaker.small_model([]), tmp_path / "net.onnx")
    plain = tmp_path / "pilot"
    plain.write_bytes((tmp_path / "net.onnx").read_bytes())
    assert looks_like_network(tmp_path / "net.onnx") and looks_like_network(plain)
    (tmp_path / "manifest.json").write_text("{}")
    assert not looks_like_network(tmp_path / "manifest.json")
