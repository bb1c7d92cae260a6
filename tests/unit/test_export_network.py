"""Networks as ONNX files with their mask: onnxruntime puts out what vbp shows, and vbp opens the file again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vbp.bench.recordings import read_demo
from vbp.cli.main import main
from vbp.engine import open_network
from vbp.errors import VbpError
from vbp.explain.exported import read_network
from vbp.explain.registry import explain
from vbp.explain.visualbackprop import min_max, scale_up
from vbp.export import network as writer
from vbp.export.network import network_model, write_network
from vbp.export.network_mask import box_sums
from vbp.graph.operations import Window
from vbp.graph.trace import trace
from vbp.models.network import Network
from vbp.models.spec import CropRule, NetworkSpec
from vbp.preprocess import prepare, to_tensor

SIZE = (3, 24, 40)


def own(module: nn.Module, size: tuple[int, int, int] = SIZE) -> Network:
    spec = NetworkSpec("ours", "", {}, size[1], size[2], size[0], output_unit="deg", output_sign="right")
    return Network(spec, module.eval())


def run(model: onnx.ModelProto | Path, pictures: np.ndarray, name: str = "picture") -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    given = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: pictures})


def shown(network: Network, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """vbp's own outputs and masks."""
    graph = read_network(network.module, pictures.shape[1:], scores=network.spec.takes_scores)
    seen = trace(graph, torch.from_numpy(pictures))
    return seen.output.numpy(), explain(seen, "visualbackprop").numpy()


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return [np.asarray(frame) for frame in read_demo(300)[::150]]


@pytest.mark.parametrize("name", ["NetSVF", "NetHVF", "PilotNet", "ResNet-18"])
def test_onnxruntime_puts_out_the_outputs_and_the_mask_that_vbp_shows(name, frames, tmp_path):
    network = open_network(name)
    path = tmp_path / "net.onnx"
    write_network(network, path, mask=True)
    inputs = np.stack([prepare(frame, network.spec)[0] for frame in frames])
    pictures = to_tensor(inputs, network.spec, torch.device("cpu")).contiguous().numpy()
    outputs, masks = run(path, pictures)
    wanted, theirs = shown(network, pictures)
    assert masks.shape == theirs.shape == (len(frames), *pictures.shape[2:])
    np.testing.assert_allclose(outputs, wanted, atol=1e-4 * max(1, float(np.abs(wanted).max())))
    np.testing.assert_allclose(masks, theirs, atol=1e-4)
    assert masks.min() == 0 and masks.max() == 1

    again = open_network(path)
    assert again.spec.name == network.spec.name and again.trained
    assert again.spec.output_to_radians == network.spec.output_to_radians
    for found, expected in zip(shown(again, pictures), (wanted, theirs), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


class Odd(nn.Module):
    """What the mask is passed through beside convolutions: a gate, a norm, resampling, padding, a skip, odd strides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 6, (3, 5), (2, 3), (1, 0))
        self.norm, self.gate = nn.GroupNorm(2, 6), nn.Conv2d(6, 6, 1)
        self.same = nn.Conv2d(6, 6, 3, padding=2, dilation=2)
        self.wide = nn.ConvTranspose2d(6, 4, 3, 2, 1)
        self.sparse = nn.Conv2d(4, 4, 1, 3)  # its kernel is smaller than its stride
        self.head = nn.Linear(4 * 3 * 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu(self.norm(self.first(F.pad(x, (1, 2, 2, 1), mode="reflect"))), 0.1)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = torch.relu(self.same(x) + x)
        x = torch.relu(self.wide(F.max_pool2d(x, 2, 2, ceil_mode=True)))
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        x = torch.tanh(self.sparse(F.adaptive_avg_pool2d(x, (9, 5))))
        return self.head(x.flatten(1))


def test_the_mask_passes_gates_norms_resampling_padding_skips_and_odd_strides():
    network = own(Odd())
    pictures = np.random.default_rng(0).random((3, *SIZE), dtype=np.float32)
    outputs, masks = run(network_model(network, mask=True), pictures)
    wanted, theirs = shown(network, pictures)
    np.testing.assert_allclose(outputs, wanted, atol=1e-4)
    np.testing.assert_allclose(masks, theirs, atol=1e-4)
    assert 0.01 < theirs.mean() < 0.9


@pytest.mark.parametrize("kind", [nn.SiLU, nn.Mish, nn.GELU, nn.Hardswish])
def test_an_activation_that_the_file_writes_out_is_the_same_one_when_it_is_opened(kind, tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, 2), kind(), nn.Conv2d(4, 4, 3, 2), kind(), nn.Flatten(), nn.Linear(180, 1)]
    network = own(nn.Sequential(*layers))
    write_network(network, tmp_path / "net.onnx", mask=True)
    pictures = np.random.default_rng(0).random((2, *SIZE), dtype=np.float32)
    for found, wanted in zip(shown(open_network(tmp_path / "net.onnx"), pictures), shown(network, pictures)):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_without_a_mask_only_the_outputs_are_written_and_what_nothing_sees_is_a_mask_of_zeros():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 11 * 19, 1))
    assert [out.name for out in network_model(own(module)).graph.output] == ["output"]
    module[0].bias.data.fill_(-100.0)  # every neuron is off
    _, masks = run(network_model(own(module), mask=True), np.ones((1, *SIZE), np.float32))
    assert masks.shape == (1, *SIZE[1:]) and not masks.any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_box_sums_are_the_transposed_convolution_of_ones(data):
    def pair(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation = pair(1, 5), pair(1, 4), pair(0, 3), pair(1, 2)
    size, more = (
        pair(9, 14),
        pair(-1, 0),
    )  # with ceil_mode there is one place more, whose window reaches beyond
    window = Window(kernel, stride, padding, dilation)
    count = tuple(
        (size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 - more[a]
        for a in (0, 1)
    )
    mask = torch.rand((2, *count), generator=torch.Generator().manual_seed(count[0]))
    found = box_sums(mask[:, None], window, count, size)[:, 0]
    torch.testing.assert_close(min_max(found), min_max(scale_up(mask, window, *size)), atol=1e-5, rtol=1e-5)


def test_the_file_says_what_its_output_means(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 22 * 38, 1))
    facts = write_network(own(module), tmp_path / "net.onnx", mask=True)
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert (said["name"], said["unit"], said["positive"]) == ("ours", "deg", "right")
    assert json.loads(said["vbp.spec"])["output_sign"] == "right"
    sizes = [[d.dim_value or d.dim_param for d in o.type.tensor_type.shape.dim] for o in model.graph.output]
    assert sizes == [["batch", 1], ["batch", 24, 40]]
    assert facts["batch"] is None and facts["outputs"] == ["output", "mask"]


def test_what_cannot_be_written_is_one_sentence(tmp_path, capsys, monkeypatch):
    there = tmp_path / "there.onnx"
    there.write_bytes(b"somebody else's")
    out = str(tmp_path / "net.onnx")

    def said(*words: str) -> str:
        assert main(["export-network", *words]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert "ends in .onnx" in said("PilotNet", "-o", str(tmp_path / "net.pb"))
    assert "--force" in said("PilotNet", "-o", str(there))
    assert "is no folder" in said("PilotNet", "-o", str(tmp_path / "none" / "net.onnx"))
    assert there.read_bytes() == b"somebody else's"
    assert main(["export-network", "PilotNet", "-o", out, "--mask"]) == 0
    assert "out  output, mask" in capsys.readouterr().out
    assert "is the network itself" in said(out, "-o", out)

    def broken(model: object) -> bytes:
        raise OSError(28, "No space left on device")

    before = Path(out).read_bytes()
    monkeypatch.setattr(writer, "network_model", lambda *a: _Broken(network_model(*a), broken))
    assert "No space left" in said("PilotNet", "-o", out)
    assert Path(out).read_bytes() == before and sorted(os.listdir(tmp_path)) == ["net.onnx", "there.onnx"]


class _Broken:
    def __init__(self, model: onnx.ModelProto, serialise) -> None:
        self.graph, self.ByteSize, self.SerializeToString = (
            model.graph,
            model.ByteSize,
            lambda: serialise(model),
        )


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 8, 8, 8), nn.Conv2d(8, 4, 1)
        self.attend, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(60, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(x))
        y = x.flatten(2).transpose(1, 2)
        y = self.attend(y, y, y, need_weights=False)[0].transpose(1, 2).reshape(x.shape)
        return self.head(torch.relu(self.last(y)).flatten(1))


def test_a_network_without_a_mask_is_named_by_the_layer_and_written_without():
    torch.manual_seed(0)
    network = own(Attending())
    with pytest.raises(VbpError, match=r"ours cannot be written with its mask: layer \S+ .*without --mask"):
        network_model(network, mask=True)
    pictures = np.random.default_rng(0).random((2, *SIZE), dtype=np.float32)
    model = network_model(network)
    free = bool(model.graph.input[0].type.tensor_type.shape.dim[0].dim_param)
    found = run(model, pictures)[0] if free else np.concatenate([run(model, p[None])[0] for p in pictures])
    graph = read_network(network.module, SIZE)
    np.testing.assert_allclose(found, trace(graph, torch.from_numpy(pictures)).output.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "name, more, size",
    [
        ("NetHVF", {}, (480, 640)),
        ("PilotNet", {"colour": "yuv-bgr", "resize": "linear"}, (160, 320)),
        ("PilotNet", {"colour": "bgr", "order": ("resize", "crop", "colour"), "resize_to": (200, 100), "crop": CropRule("rect", rect=(0, 0.25, 1, 0.66))}, (240, 320)),
    ],
)  # fmt: skip
def test_with_preprocessing_it_takes_a_cameras_picture(name, more, size, frames, tmp_path):
    network = open_network(name)
    network.spec = replace(network.spec, **more)
    given = [np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)) for frame in frames]
    write_network(network, tmp_path / "net.onnx", mask=True, frame=size)
    inputs = np.stack([prepare(frame, network.spec)[0] for frame in given])
    pictures = to_tensor(inputs, network.spec, torch.device("cpu")).contiguous().numpy()
    wanted, theirs = shown(network, pictures)
    outputs, masks = run(tmp_path / "net.onnx", np.stack(given), "frame")
    np.testing.assert_allclose(outputs, wanted, atol=2e-3)
    np.testing.assert_allclose(masks, theirs, atol=0.02)
    found = shown(open_network(tmp_path / "net.onnx"), pictures)
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)
    np.testing.assert_allclose(found[1], theirs, atol=1e-5)


def test_what_cannot_be_done_to_a_picture_inside_is_said(tmp_path, capsys):
    network = open_network("PilotNet")
    for more, word in (
        ({"colour": "hsv"}, "colours hsv"),
        ({"resize": "pil-box"}, "pil-box"),
        ({"blur": 3}, "blur of 3"),
    ):
        network.spec = replace(open_network("PilotNet").spec, **more)
        with pytest.raises(VbpError, match=f"{word}.*without --with-preprocessing"):
            network_model(network, frame=(160, 320))
    with pytest.raises(SystemExit):
        main(["export-network", "-o", str(tmp_path / "a.onnx"), "--with-preprocessing", "640"])
    assert "like 640x480" in capsys.readouterr().err
