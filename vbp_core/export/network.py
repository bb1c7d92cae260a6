"""A network as an ONNX file, for the car, with VisualBackProp's mask as a second output where that is asked for.

Written by PyTorch's exporter from the graph that vbp runs: it has a word for nearly every operation that a file may
bring, where a writer of ours would need some two hundred. It is the one by tracing (dynamo=False), which needs no
other package and takes half a second where the other one takes eight; the module is one that either can follow.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vbp.errors import ExplainError, VbpError
from vbp.explain.exported import read_network, silenced
from vbp.export.network_input import Preparation
from vbp.export.network_mask import NetworkWithMask
from vbp.files import check_target, whole_file
from vbp.graph.operations import Opaque
from vbp.models.known import SPEC_KEY
from vbp.models.network import Network
from vbp.models.onnx_file import FRAME, MASK, MAX_BYTES, PICTURE, read_props
from vbp.models.spec import NetworkSpec

if TYPE_CHECKING:
    import onnx

# The last that knows LayerNormalization and GridSample but not yet the axes of ReduceMax as an input: TensorRT from 8.6
# and OpenVINO from 2023 on read all of it.
OPSET = 17
OUTPUT = "output"
BATCH = "batch"


def write_network(
    network: Network,
    path: str | Path,
    mask: bool = False,
    frame: tuple[int, int] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Write the network as an ONNX file that is whole or not there; what was written, as facts for a summary.

    It takes pictures as `preprocess.to_tensor` makes them, float32 (N, C, H, W), by the name "picture", and puts out
    "output" (N, outputs), and where `mask`, "mask" (N, H, W) in [0, 1]. frame: the (height, width) of a camera's pictures, which it then takes
    as they are, "frame" (N, height, width, 3) uint8 RGB, and prepares itself, to 2 of 255. Its metadata hold the specification, so that
    vbp opens it. A file that vbp did not write is replaced only with `force`. Raises VbpError of one sentence.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise VbpError(f"{path} is not an ONNX file's name; give a name that ends in .onnx")
    if network.path is not None and path.exists() and path.samefile(network.path):
        raise VbpError(f"{path} is the network itself; write to another file")
    check_target(path, is_ours, None, force)
    model = network_model(network, mask, frame)
    if model.ByteSize() > MAX_BYTES:
        raise VbpError(f"{network.spec.name} is larger than 2 GiB, which is more than an ONNX file may hold")
    with whole_file(path, is_ours, None, force) as temporary:
        temporary.write_bytes(model.SerializeToString())
    (taken,) = model.graph.input
    batch, *rest = (dim.dim_value for dim in taken.type.tensor_type.shape.dim)
    return {
        "file": str(path),
        "opset": OPSET,
        "batch": batch or None,  # any
        "input": {"name": taken.name, "size": rest, "type": "uint8" if frame else "float32"},
        "outputs": [value.name for value in model.graph.output],
        **meanings(network.spec),
    }


def network_model(
    network: Network, mask: bool = False, frame: tuple[int, int] | None = None
) -> onnx.ModelProto:
    """The network as an ONNX model in memory; see `write_network`. Raises VbpError."""
    import onnx

    spec = network.spec
    shape = (spec.channels, spec.input_height, spec.input_width)
    graph = read_network(network.module, shape, scores=spec.takes_scores)
    try:
        module = NetworkWithMask(graph, shape, mask).eval()
    except ExplainError as error:
        rest = "; without --mask it can be written" if mask else ""
        raise ExplainError(
            f"{spec.name} cannot be written{' with its mask' * mask}: {error}{rest}"
        ) from error
    names = [OUTPUT, MASK] if mask else [OUTPUT]
    model = _exported(spec, module, torch.zeros((1, *shape)), PICTURE, names, module.of_any_batch)
    if mask:  # the exporter leaves its size open
        for dim, size in zip(
            list(model.graph.output[1].type.tensor_type.shape.dim)[1:], shape[1:], strict=True
        ):
            dim.dim_value = size
    if frame is not None:
        before = Preparation(spec, *frame)
        example = torch.zeros((1, *frame, 3), dtype=torch.uint8)
        _put_before(model, _exported(spec, before, example, FRAME, [PICTURE], module.of_any_batch))
    onnx.checker.check_model(model)
    plain = replace(spec, architecture="", arguments={}, layers={}, inputs={})
    facts = {SPEC_KEY: plain.to_json(), **meanings(spec)}
    onnx.helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
    )
    model.producer_name, model.doc_string = "vbp", spec.name
    return model


def _exported(
    spec: NetworkSpec, module: nn.Module, example: Tensor, taken: str, put_out: list[str], free: bool
) -> onnx.ModelProto:
    """What PyTorch's exporter makes of the module. free: of any number of frames. Raises ExplainError."""
    import onnx

    data: Any = io.BytesIO()  # which its annotations do not know
    # It prints a graph of pages where it has no word for something.
    getattr(torch._C, "_jit_set_onnx_log_enabled", lambda on: None)(False)
    try:
        with silenced(), torch.no_grad():
            torch.onnx.export(
                module,
                (example,),
                data,
                dynamo=False,
                opset_version=OPSET,
                input_names=[taken],
                output_names=put_out,
                dynamic_axes={name: {0: BATCH} for name in (taken, *put_out)} if free else None,
            )
        return onnx.load_model_from_string(data.getvalue())
    except Exception as error:  # whatever the exporter raises of what it has no word for
        raise ExplainError(f"{spec.name} cannot be written as ONNX: {_reason(module, error)}") from error


def _put_before(model: onnx.ModelProto, before: onnx.ModelProto) -> None:
    """What `before` puts out becomes what the model takes, under its name, where vbp finds the network again."""
    graph, first = model.graph, before.graph
    for node in first.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = name if name in ("", FRAME, PICTURE) else f"prepare{name}"
        node.name = f"prepare{node.name}"
    for tensor in first.initializer:
        tensor.name = f"prepare{tensor.name}"
    nodes = [*first.node, *graph.node]
    graph.value_info.extend(graph.input)
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(first.input)
    graph.initializer.extend(first.initializer)


def meanings(spec: NetworkSpec) -> dict[str, Any]:
    """What the numbers in the output are, for programs that do not read a specification."""
    if spec.is_classifier:
        return {"name": spec.name, "meaning": "the scores of classes", "classes": list(spec.classes)}
    return {
        "name": spec.name,
        "meaning": spec.output,
        "unit": spec.output_unit,
        "positive": spec.output_sign,
        "index": spec.output_index,
        "scale": spec.output_scale,
        "offset": spec.output_offset,
        "bins": list(spec.output_bins),
    }


def is_ours(path: Path) -> bool:
    """An ONNX file that vbp wrote, or nothing yet."""
    if path.stat().st_size == 0:
        return True
    try:
        return SPEC_KEY in read_props(path)
    except VbpError:
        return False


def _reason(module: nn.Module, error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for stage in getattr(module, "stages", ()):
        if isinstance(stage.op, Opaque) and stage.op.what.removeprefix("aten.") in text:
            return f"layer {stage.name} ({stage.op.what}) has no counterpart in ONNX's opset {OPSET}"
    return text[:200]
