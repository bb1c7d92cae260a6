"""ONNX files by ONNX's own library, as exporters write them, and what onnxruntime makes of a picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

Weights = dict[str, NDArray[np.generic]]


def model(
    nodes: Sequence[onnx.NodeProto],
    weights: Weights,
    shape: Sequence[int | str],
    output: str = "out",
    opset: int = 13,
) -> onnx.ModelProto:
    """A graph of one input "picture" of this shape and one output."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="test")
    made.ir_version = 8
    return made


def nhwc_model(opset: int = 13, batch: int | str = "batch") -> onnx.ModelProto:
    """As tf2onnx writes a network of Keras: a Transpose in front and behind, MatMul and Add, sizes computed on the way."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    weights: Weights = {
        "mean": np.array([0.1, 0.2, 0.3], np.float32).reshape(1, 1, 1, 3),
        "w1": draw(8, 3, 5, 5),
        "b1": draw(8),
        "scale": draw(1, 1, 1, 8),  # of a BatchNorm that still lies where Keras put it
        "w2": draw(6, 8, 3, 3),
        "w3": draw(6 * 4 * 7, 5),
        "b3": draw(5),
        "w4": draw(5, 2),
        "minus": np.array([-1], np.int64),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "axes": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Sub", ["picture", "mean"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "w1", "b1"], ["conv1"], name="net/conv1/Conv", strides=[2, 2], auto_pad="SAME_UPPER"),
        helper.make_node("Relu", ["conv1"], ["relu1"], name="net/conv1/Relu"),
        helper.make_node("Transpose", ["relu1"], ["last1"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["last1", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["first2"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first2", "w2"], ["conv2"], name="net/conv2/Conv", strides=[2, 2]),
        helper.make_node("Elu", ["conv2"], ["elu2"], name="net/conv2/Elu", alpha=1.0),
        helper.make_node("Transpose", ["elu2"], ["last2"], perm=[0, 2, 3, 1]),
        helper.make_node("Shape", ["last2"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "one", "axes"], ["count"]),
        helper.make_node("Concat", ["count", "minus"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["last2", "wanted"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["dense1"], name="net/dense1/MatMul"),
        helper.make_node("Add", ["dense1", "b3"], ["biased"]),
        helper.make_node("Relu", ["biased"], ["relu3"]),
        helper.make_node("MatMul", ["relu3", "w4"], ["out"], name="net/dense2/MatMul"),
    ]  # fmt: skip
    return model(nodes, weights, [batch, 20, 32, 3], opset=opset)


class Variety(nn.Module):
    """A steering network with what exporters write in many ways: sizes, clips, joins, groups."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.norm = nn.Conv2d(3, 8, 5, 2, 2), nn.BatchNorm2d(8)
        self.norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
        self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(16, 6, 3)
        self.head = nn.Sequential(nn.Linear(6 * 8 * 14, 10), nn.ELU(), nn.Dropout(0.3), nn.Linear(10, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv1(x)))
        joined = torch.cat([x, torch.nn.functional.leaky_relu(self.conv2(x), 0.1) + x], 1)
        x = torch.clamp(self.conv3(self.pool(joined)), 0, 6)
        return self.head(x.view(x.size(0), -1)).squeeze(1)


def export(
    module: nn.Module, path: Path, opset: int, dynamo: bool, shape: Sequence[int], free: bool = True
) -> Path:
    """By PyTorch's exporter, the newer one where `dynamo`; of any batch size where `free`."""
    example = torch.rand(2 if free else 1, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            sizes = ({0: torch.export.Dim("batch")},) if free else None
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=sizes,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
        else:
            axes = {"picture": {0: "batch"}} if free else None
            torch.onnx.export(
                module.eval(), (example,), str(path), dynamo=False, opset_version=opset,
                input_names=["picture"], dynamic_axes=axes,
            )  # fmt: skip
    return path


def run(path: Path | str | bytes, pictures: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What onnxruntime puts out, one picture at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    each = [session.run(None, {name: pictures[i : i + 1]}) for i in range(len(pictures))]
    return [np.stack([np.asarray(one[k]).reshape(-1) for one in each]) for k in range(len(each[0]))]


SCALED = (helper.make_node("Div", ["picture", "k"], ["d"]), helper.make_node("Sub", ["d", "one"], ["x"]))


def small_model(
    front: Sequence[onnx.NodeProto] = (),
    shape: Sequence[int | str] = ("batch", 3, 20, 32),
    outputs: int = 1,
    last: Sequence[onnx.NodeProto] = (),
    name: str = "out",
) -> onnx.ModelProto:
    """A convolution and a dense layer. front: what makes "x" of "picture" first. last: what makes `name` of "m" at the end."""
    rng = np.random.default_rng(0)
    weights: Weights = {
        "w1": rng.normal(0, 0.1, (4, 3, 5, 5)).astype(np.float32),
        "w2": rng.normal(0, 0.1, (4, outputs)).astype(np.float32),
        "k": np.array([127.5], np.float32),
        "one": np.array([1.0], np.float32),
    }
    nodes = [
        *front,
        helper.make_node("Conv", ["x" if front else "picture", "w1"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w2"], ["m" if last else name]),
        *last,
    ]
    return model(nodes, weights, shape, name)
