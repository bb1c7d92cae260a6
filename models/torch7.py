"""Import of the network that the paper's authors released (a Torch7 file)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchfile
from numpy.typing import NDArray
from torch import nn

from vbp.errors import ModelError
from vbp.models.network import Network, build
from vbp.models.spec import CropRule, NetworkSpec

MAX_DIMENSIONS = 8
EPS = 1e-5  # BatchNorm's, in both frameworks


def import_torch7(path: str | Path, name: str = "") -> Network:
    """Read a Torch7 steering network (BatchNorm, 3x3 convolution, ReLU; then fully connected layers).

    The input is taken to be the bottom rows of a 640 columns wide frame, unscaled, as the authors'
    1x125x640. Torch7's cudnn BatchNorm stores the INVERSE standard deviation in `running_std`.
    Raises ModelError.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path} is not a file; give a Torch7 network (.t7, .t7b)")
    try:
        root = torchfile.load(str(path))
    except Exception as error:  # the reader raises whatever its bytes lead to
        raise ModelError(f"{path} is not a Torch7 file that can be read ({type(error).__name__})") from error
    try:
        layers = list(_layers(root))
        return _convert(layers, name or "Authors' network", path)
    except (LookupError, AttributeError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ModelError(f"{path} holds no steering network as the paper describes it ({error})") from error


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
    kinds = {
        "Byte": "u1",
        "Char": "i1",
        "Short": "<i2",
        "Int": "<i4",
        "Long": "<i8",
        "Float": "<f4",
        "Double": "<f8",
    }
    kinds |= {f"Cuda{name}": code for name, code in kinds.items()} | {"Cuda": "<f4"}
    for name, code in kinds.items():
        storage = partial(_read_storage, np.dtype(code))
        torchfile.type_handlers[f"torch.{name}Storage".encode()] = lambda reader, _, read=storage: read(
            reader
        )
        torchfile.type_handlers[f"torch.{name}Tensor".encode()] = lambda reader, _: _read_tensor(reader)


_register_readers()


def _layers(node: Any) -> Iterator[tuple[str, Any]]:
    kind = node.torch_typename().decode().split(".")[-1]
    if kind == "Sequential":
        for child in node.modules:
            yield from _layers(child)
    else:
        yield kind, node


def _convert(layers: list[tuple[str, Any]], name: str, path: Path) -> Network:
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
    spec = NetworkSpec(
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
    network = build(spec)
    targets = [m for m in network.module.modules() if isinstance(m, nn.BatchNorm2d | nn.Conv2d | nn.Linear)]
    sources = [(k, n) for k, n in layers if k not in ("ReLU", "View")]
    with torch.no_grad():
        for target, (kind, source) in zip(targets, sources, strict=True):
            _copy(target.weight, source.weight, path)
            _copy(target.bias, source.bias, path)
            if kind == "SpatialBatchNormalization":
                assert isinstance(target, nn.BatchNorm2d)
                inverse_std = torch.tensor(np.array(source.running_std, dtype=np.float64))
                assert target.running_mean is not None and target.running_var is not None
                _copy(target.running_mean, source.running_mean, path)
                _copy(target.running_var, (inverse_std.pow(-2) - EPS).clamp_min(0).numpy(), path)
    network.trained = True
    return network


def _copy(target: torch.Tensor | None, values: Any, path: Path) -> None:
    source = torch.tensor(np.array(values, dtype=np.float64))
    if target is None or target.shape != source.shape or not bool(torch.isfinite(source).all()):
        raise ModelError(
            f"{path} has weights of another size than its layers say, or values that are not finite"
        )
    target.copy_(source)
