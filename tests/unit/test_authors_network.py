"""The authors' released network and their 22 frames, against computations that share no code with ours."""

import re
import warnings

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchfile
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn

from vbp.cli import main
from vbp.engine import Engine, open_network
from vbp.errors import ModelError
from vbp.models.network import load_checkpoint
from vbp.models.torch7 import import_torch7

DEAD = [
    9,
    12,
    13,
    16,
    19,
    21,
    22,
]  # the frames on which the last hidden layer puts out nothing, counted from 1


@pytest.fixture(scope="module")
def model_file(shared):
    return shared / "reference" / "visualbackprop-authors" / "model.t7b"


@pytest.fixture(scope="module")
def frames(shared):
    folder = shared / "reference" / "visualbackprop-authors" / "inputs"
    files = sorted(folder.glob("*.jpg"), key=lambda f: int(re.findall(r"\d+", f.name)[0]))
    assert len(files) == 22
    return [cv2.imread(str(f), cv2.IMREAD_COLOR_RGB) for f in files]


def flat(node):
    kind = node.torch_typename().decode().split(".")[-1]
    if kind == "Sequential":
        return [pair for child in node.modules for pair in flat(child)]
    return [(kind, node)]


@pytest.fixture(scope="module")
def reference(model_file, frames):
    """Angles, masks and folded layers in float64, straight from the Torch7 arrays."""
    layers = flat(torchfile.load(str(model_file)))
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]
    x = np.stack(grey)[:, None].astype(np.float64) / 255
    maps, geometry, sizes = [], [], []
    for kind, node in layers:
        if kind == "SpatialBatchNormalization":
            mean, inverse_std = node.running_mean.astype(float), node.running_std.astype(float)
            x = (x - mean[:, None, None]) * (inverse_std * node.weight)[:, None, None] + node.bias[
                :, None, None
            ]
        elif kind == "SpatialConvolution":
            sizes.append(x.shape[2:])
            geometry.append(node.dH)
            view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))[
                :, :, :: node.dH, :: node.dW
            ]
            x = np.einsum("nchwij,ocij->nohw", view, node.weight.astype(float), optimize=True)
            x += node.bias.astype(float)[:, None, None]
        elif kind == "ReLU":
            x = np.maximum(x, 0)
            if x.ndim == 4:
                maps.append(x.sum(1))
        elif kind == "View":
            x = x.reshape(len(x), -1)
        elif kind == "Linear":
            x = x @ node.weight.T.astype(float) + node.bias.astype(float)
    mask = None
    for average, stride, size in zip(maps[::-1], geometry[::-1], sizes[::-1], strict=False):
        mask = average if mask is None else mask * average
        rest = [s - ((m - 1) * stride + 3) for s, m in zip(size, mask.shape[1:], strict=False)]
        ones = torch.ones(1, 1, 3, 3, dtype=torch.float64)
        mask = F.conv_transpose2d(torch.from_numpy(mask)[:, None], ones, None, stride, 0, rest)[:, 0].numpy()
    low, high = mask.min((1, 2), keepdims=True), mask.max((1, 2), keepdims=True)
    return x[:, 0], (mask - low) / (high - low)


@pytest.fixture(scope="module")
def checkpoint(model_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("authors") / "authors.safetensors"
    assert main(["import-torch7", str(model_file), "-o", str(path)]) == 0
    return path


def test_angles_and_masks_agree_with_an_independent_computation(checkpoint, frames, reference):
    angles, masks = reference
    engine = Engine(open_network(checkpoint), "cpu")
    for n, frame in enumerate(frames):
        done = engine.run(frame)
        assert (done.crop.height, done.crop.width) == (125, 640)
        assert abs(done.angle_rad - angles[n]) < 1e-4
        assert np.abs(done.map("visualbackprop") - masks[n]).max() < 1e-3
    batch_angles, batch_maps = engine(frames)
    np.testing.assert_allclose(batch_angles, angles, atol=1e-4)
    np.testing.assert_allclose(batch_maps["visualbackprop"].numpy(), masks, atol=1e-3)


def test_lrp_agrees_with_captum_on_the_folded_network(checkpoint, frames):
    engine = Engine(open_network(checkpoint), "cpu", torch.float64)
    trace = engine.trace(np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]))

    class Folded(nn.Module):
        """The folded weights as plain modules, which is all that captum sees."""

        def __init__(self):
            super().__init__()
            convs, dense = [], []
            for stage in trace.stages:
                if type(stage.op).__name__ == "Flatten":
                    continue
                weight = stage.op.weight
                if weight.dim() == 4:
                    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stage.op.window.stride).double()
                else:
                    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
                layer.weight.data, layer.bias.data = weight.clone(), stage.op.bias.clone()
                layer.rule = EpsilonRule(100.0)
                target = convs if weight.dim() == 4 else dense
                target.append(layer)
                if stage.relu:
                    target.append(nn.ReLU())
            self.convs, self.dense = nn.Sequential(*convs), nn.Sequential(*dense)

        def forward(self, x):
            return self.dense(self.convs(x).flatten(1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = LRP(Folded().eval()).attribute(trace.input.clone(), target=0).sum(1).detach()
    top = expected.abs().amax((1, 2), keepdim=True)
    expected = torch.where(top > 0, expected / torch.where(top > 0, top, 1.0), expected).numpy()
    for n, frame in enumerate(frames):
        got = engine.run(frame, ("lrp",)).map("lrp")
        assert np.abs(got - expected[n]).max() < 1e-6, n + 1
    # In single precision, as the window computes it, rounding is all that is left.
    single = Engine(open_network(checkpoint), "cpu")
    for n, frame in enumerate(frames):
        assert np.abs(single.run(frame, ("lrp",)).map("lrp") - expected[n]).max() < 1e-4, n + 1


def test_dead_frames_give_a_zero_map_and_a_reason(checkpoint, frames):
    engine = Engine(open_network(checkpoint), "cpu")
    for number, frame in enumerate(frames, 1):
        with np.errstate(all="raise"):
            done = engine.run(frame, ("visualbackprop", "lrp"))
        assert np.isfinite(done.map("lrp")).all()
        assert done.map("visualbackprop").max() == 1
        if number in DEAD:
            assert not done.map("lrp").any()
            assert "dead" in done.warning and "constant +0.3" in done.warning
        else:
            assert np.abs(done.map("lrp")).max() == 1
            assert done.warning == ""


def test_layers_are_figure_2b(checkpoint, frames):
    engine = Engine(open_network(checkpoint), "cpu")
    done = engine.run(frames[0])
    layers = engine.layers(done)
    assert len(layers) == 10
    assert layers[0].channels == 8 and layers[0].mask.shape == (123, 638)
    assert layers[-1].feature_map.shape == (1, 17)
    for layer in layers:
        assert layer.feature_map.shape == layer.mask.shape
        assert layer.mask.max() == pytest.approx(1)


def test_the_import_is_what_was_released(checkpoint, model_file):
    spec = load_checkpoint(checkpoint).spec
    assert spec.arguments["widths"] == [8, 8, 16, 16, 24, 24, 36, 36, 48, 48]
    assert spec.arguments["hidden"] == [128, 16]
    assert spec.arguments["last_norm"] is True
    assert (spec.input_height, spec.input_width) == (125, 640)


def test_files_that_are_no_steering_network(tmp_path, model_file):
    junk = tmp_path / "junk.t7b"
    for data in (b"", b"hello", b"\x04\x00\x00\x00" * 50, model_file.read_bytes()[:100_000]):
        junk.write_bytes(data)
        with pytest.raises(ModelError, match="junk.t7b"):
            import_torch7(junk)
    with pytest.raises(ModelError, match="not a file"):
        import_torch7(tmp_path)


def test_the_command_line_writes_reference_results(checkpoint, shared, reference, tmp_path):
    out = tmp_path / "maps.npz"
    inputs = shared / "reference" / "visualbackprop-authors" / "inputs"
    command = [
        "explain",
        str(inputs),
        "--model",
        str(checkpoint),
        "--method",
        "visualbackprop",
        "--method",
        "lrp",
    ]
    assert main([*command, "-o", str(out)]) == 0
    angles, masks = reference
    with np.load(out, allow_pickle=False) as data:
        assert {"frame", "lrp", "predicted_rad", "timestamp_ns", "visualbackprop"} <= set(data)
        np.testing.assert_array_equal(data["frame"], np.arange(22))  # img2 before img10
        np.testing.assert_allclose(data["predicted_rad"], angles, atol=1e-6)
        np.testing.assert_allclose(data["visualbackprop"], masks, atol=1e-5)
        assert data["lrp"].dtype == np.float32
        assert data["lrp"].shape == (22, 125, 640)
        assert [n + 1 for n in range(22) if not data["lrp"][n].any()] == DEAD
