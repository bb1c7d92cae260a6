"""ONNX files: what onnxruntime puts out and what the module that was exported shows; nothing in them is run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxmaker
from vbp.cli.main import main
from vbp.engine import Engine, open_network
from vbp.errors import ModelError
from vbp.explain.exported import read_network
from vbp.explain.registry import METHODS
from vbp.graph.operations import Opaque
from vbp.graph.trace import trace
from vbp.models.formats import is_onnx
from vbp.models.onnx_file import read_onnx

SHAPE = (3, 40, 64)
SPEC = 'output_unit = "rad"\noutput_sign = "left"\ninput_range = [0, 1]\n'


def pictures(count: int = 3, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


def outputs(program, images: np.ndarray) -> np.ndarray:
    """Of a program of any batch size, or picture by picture of a fixed one."""
    given = torch.from_numpy(images)
    with torch.no_grad():
        if program.input_shape[0] is None:
            return program(given).reshape(len(images), -1).numpy()
        return torch.cat([program(one[None]).reshape(1, -1) for one in given]).numpy()


@pytest.fixture(scope="module")
def variety(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return folder, onnxmaker.Variety().eval()


@pytest.mark.parametrize(
    ("opset", "dynamo", "free"),
    [(9, False, True), (11, False, False), (13, False, True), (18, True, True), (23, True, False)],
)  # fmt: skip
def test_what_pytorch_exports_is_as_onnxruntime_runs_it_and_shows_what_the_module_shows(
    variety, opset, dynamo, free
):
    folder, module = variety
    path = onnxmaker.export(module, folder / f"{opset}{dynamo}{free}.onnx", opset, dynamo, SHAPE, free)
    images = pictures()
    program = read_onnx(path)
    assert program.input_shape == ((None if free else 1), *SHAPE)
    wanted = onnxmaker.run(path, images)[0]
    np.testing.assert_allclose(outputs(program, images), wanted, atol=1e-4)

    own, theirs = read_network(program, SHAPE), read_network(module, SHAPE)
    given = torch.from_numpy(images)
    ours, beside = trace(own, given), trace(theirs, given)
    for name in ("visualbackprop", "saliency", "guided-backprop"):
        explained = [METHODS[name].function(t, None) for t in (ours, beside)]
        torch.testing.assert_close(explained[0], explained[1], atol=1e-5, rtol=1e-4)


def test_layers_are_called_as_in_the_network_that_was_exported(variety):
    folder, module = variety
    path = onnxmaker.export(module, folder / "names.onnx", 13, False, SHAPE)
    named = {stage.name for stage in read_network(read_onnx(path), SHAPE).stages}
    assert {"conv2", "conv3", "head.0", "head.3"} <= named


@pytest.mark.parametrize("batch", ["batch", 1])
@pytest.mark.parametrize("opset", [11, 13, 21])
def test_channels_last_cost_nothing(tmp_path, opset, batch):
    path = tmp_path / "nhwc.onnx"
    onnx.save(onnxmaker.nhwc_model(opset, batch), path)
    program = read_onnx(path)
    images = pictures(4, (3, 20, 32))
    wanted = onnxmaker.run(str(path), np.ascontiguousarray(images.transpose(0, 2, 3, 1)))[0]
    np.testing.assert_allclose(outputs(program, images), wanted, atol=1e-5)
    assert program.input_shape == (None if batch == "batch" else 1, 3, 20, 32)
    assert not {"permute", "transpose", "index_select"} & {node.kind for node in program.nodes}
    graph = read_network(program, (3, 20, 32))
    assert not [stage for stage in graph.stages if isinstance(stage.op, Opaque)]
    seen = trace(graph, torch.from_numpy(images))
    for name in ("visualbackprop", "lrp", "saliency", "guided-backprop"):
        assert METHODS[name].function(seen, None).shape == (4, 20, 32)


def _node(op: str, inputs: list[str], **attributes) -> onnx.NodeProto:
    return helper.make_node(op, inputs, ["out"], name="odd", **attributes)


FLOATS = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
# Every way of writing what PyTorch's operations have only one word for: onnxruntime says what it means.
ODD = {
    "uneven padding": (_node("Conv", ["picture", "w"], pads=[0, 1, 2, 1], strides=[2, 1]), {"w": FLOATS}, 13),
    "same lower": (_node("Conv", ["picture", "w"], auto_pad="SAME_LOWER", strides=[2, 2]), {"w": FLOATS}, 13),
    "transposed": (_node("ConvTranspose", ["picture", "w"], strides=[2, 2], pads=[0, 1, 1, 0]), {"w": FLOATS.transpose(1, 0, 2, 3).copy()}, 13),
    "transposed same": (_node("ConvTranspose", ["picture", "w"], strides=[2, 2], auto_pad="SAME_UPPER"), {"w": FLOATS.transpose(1, 0, 2, 3).copy()}, 13),
    "maximum, uneven": (_node("MaxPool", ["picture"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1]), {}, 13),
    "maximum, far side": (_node("MaxPool", ["picture"], kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"), {}, 13),
    "maximum, rounded up": (_node("MaxPool", ["picture"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {}, 13),
    "mean, uneven": (_node("AveragePool", ["picture"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1]), {}, 13),
    "mean, counted": (_node("AveragePool", ["picture"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), {}, 13),
    "mean, far side": (_node("AveragePool", ["picture"], kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"), {}, 13),
    "clip before 11": (_node("Clip", ["picture"], min=0.25, max=0.75), {}, 9),
    "hard sigmoid": (_node("HardSigmoid", ["picture"], alpha=0.3, beta=0.1), {}, 13),
    "softmax before 13": (_node("Softmax", ["picture"], axis=1), {}, 11),
    "softmax of channels": (_node("Softmax", ["picture"], axis=1), {}, 13),
    "slope for each channel": (_node("PRelu", ["picture", "a"]), {"a": np.array([0.1, 0.5, -0.2], np.float32).reshape(3, 1, 1)}, 13),
    "pad before 11": (_node("Pad", ["picture"], pads=[0, 0, 1, 2, 0, 0, 3, 0], mode="reflect"), {}, 9),
    "pad": (_node("Pad", ["picture", "p", "v"]), {"p": np.array([0, 0, 1, 2, 0, 0, -3, 0]), "v": np.array(0.5, np.float32)}, 13),
    "edge": (_node("Pad", ["picture", "p"], mode="edge"), {"p": np.array([0, 0, 1, 2, 0, 0, 3, 0])}, 13),
    "slice before 10": (_node("Slice", ["picture"], starts=[2, -9], ends=[1000, -1], axes=[2, 3]), {}, 9),
    "slice backwards": (_node("Slice", ["picture", "s", "e", "a", "t"]), {"s": np.array([-1]), "e": np.array([-9999]), "a": np.array([3]), "t": np.array([-2])}, 13),
    "gather": (_node("Gather", ["picture", "i"], axis=1), {"i": np.array([2, 0, -2])}, 13),
    "powers": (_node("Pow", ["picture", "e"]), {"e": np.array(3, np.float32)}, 13),
    "larger of three": (_node("Max", ["picture", "a", "b"]), {"a": np.float32([[[0.5]]]), "b": np.full((3, 1, 1), 0.6, np.float32)}, 13),
    "mean of axes": (_node("ReduceMean", ["picture"], axes=[2, 3], keepdims=0), {}, 13),
    "mean of axes from 18": (_node("ReduceMean", ["picture", "a"], keepdims=1), {"a": np.array([-1])}, 18),
    "length": (_node("ReduceL2", ["picture"], axes=[1]), {}, 13),
    "nearest, half pixel": (_node("Resize", ["picture", "", "s"], mode="nearest"), {"s": np.array([1, 1, 1.5, 0.7], np.float32)}, 13),
    "linear": (_node("Resize", ["picture", "", "", "z"], mode="linear", coordinate_transformation_mode="align_corners"), {"z": np.array([1, 3, 7, 29])}, 13),
    "linear, pytorch": (_node("Resize", ["picture", "", "", "z"], mode="linear", coordinate_transformation_mode="pytorch_half_pixel"), {"z": np.array([1, 3, 22, 26])}, 13),
    "cubic": (_node("Resize", ["picture", "", "s"], mode="cubic", coordinate_transformation_mode="asymmetric"), {"s": np.array([1, 1, 2, 1.5], np.float32)}, 13),
    "nearest, rounded up": (_node("Resize", ["picture", "", "s"], mode="nearest", nearest_mode="ceil"), {"s": np.array([1, 1, 2, 2], np.float32)}, 13),
    "remainder as C's": (_node("Mod", ["picture", "d"], fmod=1), {"d": np.array(-0.3, np.float32)}, 13),
    "upsample": (_node("Upsample", ["picture", "s"], mode="nearest"), {"s": np.array([1, 1, 2, 3], np.float32)}, 9),
    "layer norm": (_node("LayerNormalization", ["picture", "w"], axis=-1), {"w": FLOATS.reshape(-1)[:13].copy()}, 17),
    "instance norm": (_node("InstanceNormalization", ["picture", "w", "v"]), {"w": np.float32([1, 2, 3]), "v": np.float32([0, 1, 2])}, 13),
    "group norm": (_node("GroupNormalization", ["picture", "w", "v"], num_groups=3), {"w": np.float32([1, 2, 3]), "v": np.float32([0, 1, 2])}, 21),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("turned", [False, True])
def test_an_operator_means_what_onnxruntime_takes_it_for(tmp_path, name, turned):
    """Turned: through Transposes that are never run, so that each operator meets another layout."""
    node, weights, opset = ODD[name]
    images = pictures(2, (3, 11, 13))
    nodes, shape = [node], [1, 3, 11, 13]
    if turned:
        shape = [1, 11, 13, 3]
        inner = onnx.NodeProto()
        inner.CopyFrom(node)
        inner.input[0], inner.output[0] = "turned", "inner"
        back = [0, 2, 3, 1] if name != "mean of axes" else [1, 0]
        nodes = [
            helper.make_node("Transpose", ["picture"], ["turned"], perm=[0, 3, 1, 2]),
            inner,
            helper.make_node("Transpose", ["inner"], ["out"], perm=back),
        ]
    path = tmp_path / "odd.onnx"
    onnx.save(onnxmaker.model(nodes, weights, shape, opset=opset), path)
    fed = np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if turned else images
    wanted = onnxmaker.run(str(path), fed)[0]
    np.testing.assert_allclose(outputs(read_onnx(path), images), wanted, atol=1e-5, rtol=1e-5)


def test_quantised_by_pairs_is_run(tmp_path):
    """QuantizeLinear and DequantizeLinear around a convolution whose weights are whole numbers."""
    rng = np.random.default_rng(3)
    weights = {
        "s": np.float32(0.01), "z": np.uint8(7), "ws": np.float32([0.02, 0.03, 0.05, 0.01]),
        "w": rng.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8), "wz": np.zeros(4, np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["picture", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("Conv", ["x", "wf"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["out"]),
    ]
    path = tmp_path / "qdq.onnx"
    onnx.save(onnxmaker.model(nodes, {k: np.asarray(v) for k, v in weights.items()}, [1, 3, 11, 13]), path)
    images = pictures(2, (3, 11, 13)) * 3  # beyond what the type holds, too
    np.testing.assert_allclose(
        outputs(read_onnx(path), images), onnxmaker.run(str(path), images)[0], atol=1e-4
    )


def test_half_precision_old_inputs_and_weights_beside_the_file(tmp_path):
    """float16 weights are computed in float32; weights that count as inputs, and those in a file beside it, are found."""
    made = onnxmaker.nhwc_model()
    for tensor in made.graph.initializer:
        if tensor.name == "w1":
            made.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, list(tensor.dims)))
        if tensor.name == "w3":
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), "w3half")
            made.graph.initializer.append(half)
            cast = helper.make_node("Cast", ["w3half"], ["w3"], to=TensorProto.FLOAT)
    kept = [t for t in made.graph.initializer if t.name != "w3"]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    made.graph.node.insert(0, cast)
    path = tmp_path / "beside.onnx"
    onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=64)
    assert (tmp_path / "weights.bin").stat().st_size > 1000
    images = pictures(2, (3, 20, 32))
    wanted = onnxmaker.run(str(path), np.ascontiguousarray(images.transpose(0, 2, 3, 1)))[0]
    np.testing.assert_allclose(outputs(read_onnx(path), images), wanted, atol=1e-4)
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(ModelError, match=r"weights\.bin' is too short"):
        read_onnx(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin', which is not there; put that file beside it"):
        read_onnx(path)


@pytest.mark.parametrize("where", ["../secret.bin", "ABSOLUTE", "link.bin", "inner/../../secret.bin"])
def test_nothing_outside_its_folder_is_read(tmp_path, where):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(4 * 8 * 3 * 25))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    made = onnxmaker.nhwc_model()
    tensor = next(t for t in made.graph.initializer if t.name == "w1")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", str(secret) if where == "ABSOLUTE" else where
    path = folder / "net.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder, which is not read"):
        read_onnx(path)


def _saved(tmp_path: Path, nodes: list[onnx.NodeProto], weights=None, shape=(1, 3, 8, 8), **rest) -> Path:
    path = tmp_path / "bad.onnx"
    path.write_bytes(onnxmaker.model(nodes, weights or {}, shape, **rest).SerializeToString())
    return path


RELU = helper.make_node("Relu", ["picture"], ["out"])
LARGE = {"n": np.array([100_000, 100_000])}


@pytest.mark.parametrize(
    ("nodes", "weights", "shape", "opset", "says"),
    [
        ([helper.make_node("Conv", ["picture", "w"], ["out"], name="steer/conv")], {"w": FLOATS[:, :2].copy()}, (1, 3, 8, 8), 13, "Conv steer.conv cannot be read"),
        ([helper.make_node("NonZero", ["picture"], ["out"], name="a/b")], {}, (1, 3, 8, 8), 13, r"NonZero a\.b: this operator is not known"),
        ([helper.make_node("Fused", ["picture"], ["out"], domain="com.microsoft")], {}, (1, 3, 8, 8), 13, "belongs to com.microsoft"),
        ([helper.make_node("Relu", ["nowhere"], ["out"])], {}, (1, 3, 8, 8), 13, "'nowhere' is used and nothing puts it out"),
        ([RELU], {}, (1, 3, 8, 8), 99, "opset 99, and 7 to 23 are read"),
        ([RELU], {}, (1, 8), 13, "takes an input of 1x8; a picture is"),
        ([RELU], {}, (1, "c", "h", "w"), 13, "leaves the size of its input open"),
        ([helper.make_node("ConstantOfShape", ["n"], ["c"]), helper.make_node("Add", ["picture", "c"], ["out"])], LARGE, (1, 3, 8, 8), 13, "constant of 10,000,000,000 numbers"),
        ([helper.make_node("Expand", ["picture", "n"], ["out"])], {"n": np.array([1, 3, 8 * 2**14, 8])}, (1, 3, 8, 8), 13, "cannot be read"),
        ([helper.make_node("Tile", ["picture", "n"], ["out"])], {"n": np.array([1, 1, 2**14, 2**13])}, (1, 3, 8, 8), 13, "too many"),
        ([helper.make_node("Reshape", ["picture", "n"], ["out"])], {"n": np.array([7, 7])}, (1, 3, 8, 8), 13, "cannot make 1x3x8x8 numbers into 7x7"),
        ([helper.make_node("Constant", [], ["out"], value_float=1.0)], {}, (1, 3, 8, 8), 13, "does not depend on the picture"),
        ([helper.make_node("Loop", ["picture"], ["out"], body=helper.make_graph([RELU], "b", [], []))], {}, (1, 3, 8, 8), 13, "Loop .* not known"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_its_place(tmp_path, nodes, weights, shape, opset, says):
    with pytest.raises(ModelError, match=says) as caught:
        read_onnx(_saved(tmp_path, nodes, weights, shape, opset=opset))
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path / "bad.onnx"))


def test_a_network_of_several_inputs_is_refused_by_their_names(tmp_path):
    made = onnxmaker.model([helper.make_node("Sum", ["picture", "speed"], ["out"])], {}, (1, 3, 8, 8))
    made.graph.input.append(helper.make_tensor_value_info("speed", TensorProto.FLOAT, ["batch", 1]))
    path = tmp_path / "two.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match=r"takes 2 inputs: picture \(1x3x8x8\), speed \(batchx1\)"):
        read_onnx(path)


@given(
    at=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 400),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_ends_in_a_sentence(tmp_path, at, cut):
    data = bytearray(onnxmaker.nhwc_model().SerializeToString())
    for place, value in at:
        data[place % len(data)] = value
    path = tmp_path / "damaged.onnx"
    path.write_bytes(data[: len(data) - cut])
    try:
        read_onnx(path)
    except ModelError as error:
        assert "\n" not in str(error) and str(path) in str(error)


def test_it_is_known_by_what_is_in_it(tmp_path):
    plain = tmp_path / "network"
    plain.write_bytes(onnxmaker.nhwc_model().SerializeToString())
    assert is_onnx(plain)
    other = tmp_path / "other"
    other.write_bytes(b"\x89HDF\r\n")
    assert not is_onnx(other)
    assert not is_onnx(tmp_path / "absent")


def test_it_opens_as_any_network_does(tmp_path, capsys):
    """With its specification beside it: by the engine and by the commands."""
    path = tmp_path / "net.onnx"
    onnx.save(onnxmaker.nhwc_model(), path)
    path.with_suffix(".toml").write_text(SPEC + "output_index = 1\n")
    engine = Engine(open_network(path), "cpu")
    frame = np.full((20, 32, 3), 128, np.uint8)
    result = engine.run(frame, ["visualbackprop", "lrp"])
    wanted = onnxmaker.run(str(path), np.full((1, 20, 32, 3), 128 / 255, np.float32))[0][0, 1]
    assert result.angle_rad == pytest.approx(float(wanted), abs=1e-5)
    assert main(["check-model", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said
    assert main(["models"]) == 0


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["light-steering-onnx", "pilotnet-grey-onnx-and-pth", "sign-classifier-onnx-nhwc"]
)
def test_networks_of_strangers(shared, name):
    folder = shared / "data" / "networks" / name
    golden = np.load(folder / "golden.npz")
    program = read_onnx(next(folder.glob("*.onnx")))
    fed = golden["inputs"].astype(np.float32) * golden["scale"] + golden["offset"]
    images = np.ascontiguousarray(fed.transpose(0, 3, 1, 2), dtype=np.float32)
    np.testing.assert_allclose(outputs(program, images), golden["out0"].reshape(len(images), -1), atol=1e-4)
    seen = trace(read_network(program, images.shape[1:]), torch.from_numpy(images))
    for method in ("visualbackprop", "lrp", "saliency", "guided-backprop"):
        assert bool(METHODS[method].function(seen, None).any()), method
