"""Torch7 files: the network that the paper's authors released, and the layers of any other."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torchfile
from numpy.typing import NDArray
from torch import Tensor, nn

from vbp.errors import ModelError
from vbp.models.network import Network, build
from vbp.models.spec import CropRule, NetworkSpec
from vbp.models.weights import put_weights
from vbp.reading import open_file

MAX_DIMENSIONS = 8
MAX_DEPTH = 50
EPS = 1e-5  # BatchNorm's, in both frameworks

LayerWithWeights: TypeAlias = nn.Conv2d | nn.BatchNorm2d | nn.Linear
WITH_WEIGHTS: dict[str, type[nn.Module]] = {
    "SpatialConvolution": nn.Conv2d,
    "SpatialBatchNormalization": nn.BatchNorm2d,
    "Linear": nn.Linear,
}


def import_torch7(path: str | Path, name: str = "") -> Network:
    """Read a Torch7 steering network (BatchNorm, 3x3 convolution, ReLU; then fully connected layers).

    The input is taken to be the bottom rows of a 640 columns wide frame, unscaled, as the authors'
    1x125x640. Torch7's cudnn BatchNorm stores the INVERSE standard deviation in `running_std`.
    Raises ModelError.
    """
    path = Path(path)
    try:
        layers = read_layers(path)
        network = build(_spec(layers, name or "Authors' network", path))
    except (LookupError, AttributeError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ModelError(f"{path} holds no steering network as the paper describes it ({error})") from error
    load_layers(network, layers, path)
    return network


def read_layers(path: Path) -> list[tuple[str, Any]]:
    """The layers of a Torch7 network and their kinds, in the order in which they are run.

    A container that is no Sequential stands before what is in it. Raises ModelError.
    """
    try:
        open_file(path).close()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}; give a Torch7 network (.t7, .t7b)"
        ) from error
    try:
        return list(_leaves(torchfile.load(str(path)), 0))
    except Exception as error:  # the reader raises whatever its bytes lead to
        raise ModelError(f"{path} is not a Torch7 file that can be read ({type(error).__name__})") from error


def load_layers(network: Network, layers: list[tuple[str, Any]], path: Path) -> None:
    """Put the weights of Torch7 layers into the network's layers, the first into the first.

    layers: as `read_layers` gives them. Raises ModelError that names the first that does not fit.
    """
    sources = [(kind, node) for kind, node in layers if kind in WITH_WEIGHTS]
    targets = [(k, m) for k, m in network.module.named_modules() if isinstance(m, LayerWithWeights)]
    who = network.spec.name
    weights: dict[str, Tensor] = {}
    for (name, layer), (kind, node) in zip(targets, sources, strict=False):
        if not isinstance(layer, WITH_WEIGHTS[kind]):
            raise ModelError(
                f"{path} does not fit {who}: it has a {kind} where {name} ({type(layer).__name__}) is expected"
            )
        try:
            weights |= {f"{name}.{key}": value for key, value in _weights(layer, node).items()}
        except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path} holds no weights for {name} ({error})") from error
    if len(sources) != len(targets):
        raise ModelError(
            f"{path} does not fit {who}: it has {len(sources)} layers with weights, and {len(targets)} are expected"
        )
    put_weights(network.module, weights, path, who)
    network.trained = True


def _weights(layer: LayerWithWeights, node: Any) -> dict[str, Tensor]:
    """A Torch7 layer's weights by PyTorch's names."""
    weights = {"weight": _tensor(node.weight)}
    if isinstance(layer, nn.Conv2d):
        shape = (int(node.nOutputPlane), int(node.nInputPlane), int(node.kH), int(node.kW))
        weights["weight"] = weights["weight"].view(shape)
    if layer.bias is not None:
        weights["bias"] = _tensor(node.bias)
    elif (bias := getattr(node, "bias", None)) is not None and bool(np.any(bias)):
        raise ValueError("it has biases, and this network has none")
    if isinstance(layer, nn.BatchNorm2d):
        weights["running_mean"] = _tensor(node.running_mean)
        if getattr(node, "running_var", None) is not None:
            weights["running_var"] = _tensor(node.running_var)
        else:  # older files hold the inverse standard deviation
            weights["running_var"] = (_tensor(node.running_std).pow(-2) - EPS).clamp_min(0)
    return weights


def _tensor(values: Any) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.float64))


def _read_long(reader: Any) -> int:
    return int(
        reader._read("<q")[0]
    )  # torchfile's own takes the machine's long, which has 4 bytes on Windows


def _read_storage(dtype: np.dtype[Any], reader: Any) -> NDArray[Any]:
    size = _read_long(reader) * dtype.itemsize
    rest = os.fstat(reader.f.fileno()).st_size - reader.f.tell()
    if not 0 <= size <= rest:
        raise ValueError("its numbers are cut short")
    return np.frombuffer(reader.f.read(size), dtype)


def _read_tensor(reader: Any) -> NDArray[Any]:
    """A view of a storage, within its bounds: torchfile's own would read whatever memory the file asks for."""
    dimensions = reader.read_int()
    if not 0 <= dimensions <= MAX_DIMENSIONS:
        raise ValueError("a tensor of it is damaged")
    size = [_read_long(reader) for _ in range(dimensions)]
    stride = [_read_long(reader) for _ in range(dimensions)]
    first = _read_long(reader) - 1
    storage = reader.read_obj()
    if storage is None or not size:
        return np.empty(0)
    if not isinstance(storage, np.ndarray) or first < 0 or min(*size, *stride) < 0:
        raise ValueError("a tensor of it is damaged")
    last = first + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if last >= len(storage) or math.prod(size) > len(storage):
        raise ValueError("a tensor of it is damaged")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[first:], size, steps, writeable=False)


def _register_readers() -> None:
    kinds = dict(Byte="u1", Char="i1", Short="<i2", Int="<i4", Long="<i8", Float="<f4", Double="<f8")  # noqa: C408
    kinds |= {f"Cuda{name}": code for name, code in kinds.items()} | {"Cuda": "<f4"}
    for name, code in kinds.items():
        storage = partial(_read_storage, np.dtype(code))
        torchfile.type_handlers[f"torch.{name}Storage".encode()] = lambda reader, _, read=storage: read(
            reader
        )
        torchfile.type_handlers[f"torch.{name}Tensor".encode()] = lambda reader, _: _read_tensor(reader)


_register_readers()


def _leaves(node: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deep")
    kind = node.torch_typename().decode().split(".")[-1]
    if kind != "Sequential":
        yield kind, node
    for child in getattr(node, "modules", None) or ():
        yield from _leaves(child, depth + 1)


def _spec(layers: list[tuple[str, Any]], name: str, path: Path) -> NetworkSpec:
    kinds = [k for k, _ in layers]
    known = {"SpatialBatchNormalization", "SpatialConvolution", "ReLU", "View", "Linear"}
    if unknown := sorted(set(kinds) - known):
        raise ModelError(f"{path} has a layer {unknown[0]}, which a steering network of the paper has not")
    if kinds.count("View") != 1:
        raise ModelError(
            f"{path} holds no steering network: one View joins its convolutions to its dense layers"
        )
    convs = [n for k, n in layers if k == "SpatialConvolution"]
    dense = [n for k, n in layers if k == "Linear"]
    split = kinds.index("View")
    last_norm = kinds[split - 1] == "SpatialBatchNormalization"
    expected = ["SpatialBatchNormalization", "SpatialConvolution", "ReLU"] * len(convs)
    expected += ["SpatialBatchNormalization"] * last_norm
    expected += ["View"] + ["Linear", "ReLU"] * (len(dense) - 1) + ["Linear"]
    if kinds != expected:
        raise ModelError(f"{path} has its layers in another order than the steering networks of the paper")
    for conv in convs:
        if (
            conv.kH != 3
            or conv.kW != 3
            or conv.dH != conv.dW
            or conv.padH
            or conv.padW
            or conv.groups not in (1, None)
        ):
            raise ModelError(
                f"{path} has a convolution that is not 3x3, square in its stride and without padding"
            )
    return NetworkSpec(
        name=name,
        architecture="steering",
        arguments={
            "widths": [int(c.nOutputPlane) for c in convs],
            "strides": [int(c.dH) for c in convs],
            "hidden": [int(d.weight.shape[0]) for d in dense[:-1]],
            "outputs": int(dense[-1].weight.shape[0]),
            "last_norm": last_norm,
        },
        input_height=125,
        input_width=640,
        channels=int(convs[0].nInputPlane),
        crop=CropRule("bottom", rows=125, of_width=640),
        trained_on=f"imported from {path.name}",
    )
