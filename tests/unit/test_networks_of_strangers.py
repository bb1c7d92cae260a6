"""Networks of strangers, as they lie in public repositories: each opens and computes what it computed there, or is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from netmaker import Guided, scaled
from vbp.cli.main import main
from vbp.engine import Engine, open_network
from vbp.errors import ModelError
from vbp.explain.exported import read_network
from vbp.explain.registry import explain
from vbp.explain.target import Target, value
from vbp.graph.trace import trace
from vbp.models import program
from vbp.models.program import Program
from vbp.models.registry import load_network

pytestmark = pytest.mark.shared

OPENS = {
    "carnd-functional-elu-bgr": ("model.hdf5", "model.json"),
    "carnd-keras-zip": ("model.keras",),
    "carnd-keras2-crop-two-lambdas": ("model.h5",),
    "carnd-nvidia-elu-yuv": ("model.h5",),
    "donkey-categorical-crop-bn": ("pilot_Cropped",),
    "donkey-linear": ("mypilot.h5",),
    "dronet-residual-json": ("model_struct.json", "model_weights.h5"),
    "lane-navigation-servo-degrees": ("lane_navigation_final.h5",),
    "thunderhill-crop-first-two-outputs": ("thunderhill.h5",),
    "tiny-63-parameters-json": ("model.json", "model.h5"),
}
# Those that another test opens to the same closeness: test_onnx.py the first, test_torch_containers.py by code that makes them.
ONNX = {
    "light-steering-onnx": "steering_model_light.onnx",
    "pilotnet-grey-onnx-and-pth": "nvidia_pilotnet.onnx",
    "sign-classifier-onnx-nhwc": "traffic_sign_classifier_2.onnx",
}
REFUSED = {  # and the way out
    "donkey-3-frames-conv3d/pilot_3Dspeedup_4Kernels": "3 pictures at once, img_in .3x120x160x3.",
    "deeppicar-tflite-int8/opt-k2-40x30x3-T1.h5": "Quantize.*save",
    "deeppicar-tflite-int8/opt-k2-40x30x3-T1.tflite": "TFLite.*tf2onnx.convert --tflite",
    "sign-classifier-torchscript/traffic_sign_cpu.pt": "TorchScript.*torch.onnx.export.*package.module:factory --weights traffic_sign_cpu.pt",
    "lightning-container-ckpt/epoch=99-step=123400.ckpt": "state_dict.model.first_conv.weight.*package.module:factory --weights",
    "pilotnet-grey-onnx-and-pth/entire_lane_keeping_model.pth": "whole network.*NVIDIA_PilotNet.*package.module:factory --weights entire",
    "pilotnet-grey-onnx-and-pth/best_lane_keeping_model.pth": "conv_layers.0.weight.*package.module:factory --weights",
}
FILES = [(folder, file) for folder, files in OPENS.items() for file in files]
METHODS = ("visualbackprop", "lrp", "saliency", "guided-backprop")
CENTRES = np.linspace(-1, 1, 15)


@pytest.fixture(scope="module")
def networks(shared):
    return shared / "data" / "networks"


def fed(folder: Path) -> tuple[torch.Tensor, dict]:
    golden = dict(np.load(folder / "golden.npz"))
    images = golden["inputs"].astype(np.float32) * np.float32(golden["scale"]) + np.float32(golden["offset"])
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), golden


def in_keras_order(values: np.ndarray, like: tuple[int, ...]) -> np.ndarray:
    """A flattened map (N, C, H, W) as Keras flattens it; like: (channels, rows, columns)."""
    return values.reshape(len(values), *like).transpose(0, 2, 3, 1).reshape(len(values), -1)


@pytest.mark.parametrize("name, file", FILES)
def test_a_network_computes_what_it_computed_where_it_is_from(networks, name, file):
    folder = networks / name
    images, golden = fed(folder)
    program = load_network(folder / file).module
    found = program(images)
    for i, output in enumerate(found if isinstance(found, tuple) else (found,)):
        np.testing.assert_allclose(output.numpy(), golden[f"out{i}"], rtol=1e-4, atol=1e-4)
    layer = json.loads((folder / "facts.json").read_text())["golden"]["hidden"]
    last = [node for node in program.nodes if node.outputs[0] == layer or node.layer.startswith(f"{layer}.")][
        -1
    ]
    hidden = Program(program.nodes, program.tensors, program.input_name, program.input_shape, last.outputs)(
        images
    )
    values = hidden.numpy()
    maps = {"activation_7": (128, 7, 7), "flatten_1": (64, 2, 33), "flatten_5": (2, 3, 7)}
    if layer in maps:
        values = in_keras_order(values, maps[layer])
    np.testing.assert_allclose(values, golden["hidden"].reshape(values.shape), rtol=1e-4, atol=1e-4)


def gradient_of(module: Program, images: torch.Tensor, bins: int) -> torch.Tensor:
    inputs = images.clone().requires_grad_()
    output = module(inputs)
    output = (output[0] if isinstance(output, tuple) else output).reshape(len(images), -1)
    (output @ torch.tensor(CENTRES).float() if bins else output[:, 0]).sum().backward()
    return inputs.grad


@pytest.mark.parametrize("name", [*OPENS, *ONNX])
def test_a_network_is_explained_and_its_gradients_are_those_of_autograd(networks, name, monkeypatch):
    folder = networks / name
    images, _ = fed(folder)
    images = images[:2]
    network = load_network(folder / (OPENS.get(name) or (ONNX[name],))[0])
    bins = network.spec.output_bins
    graph = read_network(network.module, tuple(images.shape[1:]), scores=network.spec.takes_scores)
    run = trace(graph, images)
    target = Target("output", 0, bins=bins)
    for method in ("visualbackprop", "lrp", "lrp-composite", "phi", "guided-backprop"):
        maps = explain(run, method, target)
        assert maps.shape == (2, *images.shape[2:])
        assert bool(torch.isfinite(maps).all()) and bool((maps != 0).any())
    module = network.module
    last = module.nodes[-1]
    if network.spec.takes_scores and last.kind == "softmax":  # the scores before it are explained
        scores = (last.arguments["self"].name,)
        module = Program(module.nodes[:-1], module.tensors, module.input_name, module.input_shape, scores)
    gradient = gradient_of(module, images, bins)
    with monkeypatch.context() as patch:
        own = program.call
        patch.setattr(
            program,
            "call",
            lambda op, given: Guided.apply(given["self"]) if op == "aten.relu.default" else own(op, given),
        )
        guided = gradient_of(module, images, bins)
    for method, wanted in (
        ("saliency", gradient.abs().amax(1)),
        ("gradient-input", (gradient * images).sum(1)),
        ("guided-backprop", guided.sum(1)),
    ):
        torch.testing.assert_close(explain(run, method, target), scaled(wanted), rtol=0, atol=1e-5)


def test_bins_become_an_angle_by_their_mean_or_the_likeliest(networks, tmp_path):
    folder = networks / "donkey-categorical-crop-bn"
    golden = np.load(folder / "golden.npz")
    fields = 'output_unit = "deg"\noutput_sign = "right"\ninput_range = [0, 255]\noutput_bins = 15\noutput_scale = 10.0\n'
    shares = golden["out0"].astype(np.float64)
    for reading, wanted in (("expected", shares @ CENTRES), ("largest", CENTRES[shares.argmax(1)])):
        spec = tmp_path / f"{reading}.toml"
        spec.write_text(f'{fields}output_reading = "{reading}"\n')
        engine = Engine(load_network(f"{folder / 'pilot_Cropped'}?spec={spec}"), "cpu")
        angles = np.degrees(engine.angles(engine.trace(golden["inputs"]).output))
        np.testing.assert_allclose(angles, -10 * wanted, atol=1e-4)


def test_a_servo_whose_middle_is_90_is_straight_there(networks, tmp_path):
    folder = networks / "lane-navigation-servo-degrees"
    golden = np.load(folder / "golden.npz")
    spec = tmp_path / "servo.toml"
    spec.write_text('output_unit = "deg"\noutput_sign = "right"\ncolour = "yuv"\noutput_offset = 90\n')
    engine = Engine(load_network(f"{folder / 'lane_navigation_final.h5'}?spec={spec}"), "cpu")
    run = engine.trace(golden["inputs"])
    np.testing.assert_allclose(np.degrees(engine.angles(run.output)), 90 - golden["out0"][:, 0], atol=1e-3)
    # The error is driven less predicted, and zero where the driven angle is the predicted one.
    driven = engine.angles(run.output)
    target = engine.target("error", driven)
    np.testing.assert_allclose(value(run.output, target).numpy(), 0, atol=1e-3)


def test_what_is_assumed_of_a_file_without_specification_is_said(networks, caplog):
    network = open_network(networks / "donkey-linear" / "mypilot.h5")
    Engine(network, "cpu")
    assert caplog.text.count(network.assumed) == 1
    assert (network.spec.input_height, network.spec.input_width, network.spec.channels) == (120, 160, 3)
    for text in ("RGB", "0 to 1", "n_outputs0", "25 degrees to the right", "mypilot.toml"):
        assert text in network.assumed
    assert "0 to 255" in load_network(networks / "carnd-nvidia-elu-yuv" / "model.h5").assumed


@pytest.mark.parametrize("file", REFUSED)
def test_what_cannot_be_opened_says_why_and_what_to_do(networks, file):
    with pytest.raises(ModelError, match=REFUSED[file]) as caught:
        load_network(networks / file)
    assert "\n" not in str(caught.value)


def test_no_folder_is_forgotten(networks):
    tested = {*OPENS, *ONNX, *(name.partition("/")[0] for name in REFUSED)}
    assert {path.parent.name for path in networks.glob("*/golden.npz")} == tested


@pytest.mark.parametrize("name", [*OPENS, *ONNX])
def test_a_figure_shows_the_four_methods(networks, name, tmp_path, capsys):
    file, picture = (OPENS.get(name) or (ONNX[name],))[0], tmp_path / "figure.png"
    spec = tmp_path / "net.toml"
    signs = name.startswith("sign")
    spec.write_text('output = "class"\n' if signs else 'output_unit = "deg"\noutput_sign = "right"\n')
    model = f"{networks / name / file}?spec={spec}" if name in ONNX else str(networks / name / file)
    methods = [part for method in METHODS for part in ("--method", method)]
    drive = str(networks / "drives" / "donkey-tub-v1")
    assert (
        main(["figure", drive, "--model", model, "--frame", "40", *methods, "-o", str(picture), "--json"])
        == 0
    )
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert not row["missing"] and picture.read_bytes()[1:4] == b"PNG"
