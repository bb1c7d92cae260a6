"""ONNX files read as data into a Program: nothing in them is run, and nothing outside their folder is read.

Opsets 7 to 23 of the standard operators (github.com/onnx/onnx, docs/Operators.md), as PyTorch, tf2onnx and keras export
them. A picture with its channels last, or any Transpose, costs nothing: only where an axis lies is noted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models import onnx_layers, onnx_math, onnx_norms, onnx_recurrent, onnx_shapes
from vbp.models.assume import assume, outputs_of
from vbp.models.known import SPEC_KEY
from vbp.models.network import Network
from vbp.models.onnx_node import OnnxNode, Rule
from vbp.models.onnx_values import MAX_NODES, Builder, Data, Known, Value
from vbp.models.program import Program
from vbp.models.source import NetworkSource
from vbp.models.spec import NetworkSpec
from vbp.models.spec_file import ACCEPTED, given_spec, spec_beside, whole_size
from vbp.readable import printable
from vbp.reading import open_file, read_file

if TYPE_CHECKING:
    import onnx

RULES: dict[str, Rule] = {
    **onnx_layers.RULES,
    **onnx_norms.RULES,
    **onnx_recurrent.RULES,
    **onnx_math.RULES,
    **onnx_shapes.RULES,
}
FIRST, LAST = 7, 23  # opsets whose operators are known
MAX_BYTES = 2**31  # of a protobuf file
BATCHES = (2, 3)  # a graph of any batch size is followed with both: what differs depends on it
DEPTH = 16  # of graphs within graphs
FRAME, PICTURE, MASK = "frame", "picture", "mask"  # what vbp calls them in the files that it writes


def load(path: Path, source: NetworkSource) -> Network:
    """The network in the file, with its specification, as `given_spec` finds it, or what is assumed. Raises ModelError."""
    if source.weights:
        raise ModelError(f"{path} has weights of its own, and {source.weights} was given too; leave it out")
    model = _parse(path)
    own = _props(model).get(SPEC_KEY, "")  # of a file that vbp wrote
    try:
        if own:
            _own_part(model.graph)
        name, batch, sizes, last = _input(model.graph)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    spec, assumed, unused = given_spec(path, source.spec, sizes), "", ""
    if spec is None and own:
        spec = _own_spec(path, own, sizes)
    elif spec is not None and own and not source.spec:
        unused = _set_aside(path, spec, own)
    size = whole_size(path, sizes) if spec is None else (spec.channels, spec.input_height, spec.input_width)
    program, names = _read(path, model, name, batch, size, last)
    outputs = outputs_of(program, size, names)
    if spec is None:
        spec, assumed = assume(path.stem, program, size, outputs)
    return Network(spec, program, path, trained=True, assumed=assumed, unused=unused, outputs=outputs)


def read_onnx(path: str | Path, size: tuple[int, int, int] | None = None) -> Program:
    """The program in an ONNX file, which takes pictures (N, C, H, W), its weights on the CPU.

    size: (C, H, W) of them, for a file that leaves them open. Raises ModelError of one sentence.
    """
    path = Path(path)
    model = _parse(path)
    try:
        name, batch, sizes, last = _input(model.graph)
        whole = tuple(n if n is not None else size[i] if size else 0 for i, n in enumerate(sizes))
        if min(whole) < 1:
            raise ModelError("leaves the size of its input open")
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return _read(path, model, name, batch, (whole[0], whole[1], whole[2]), last)[0]


def _parse(path: Path) -> onnx.ModelProto:
    """Raises ModelError."""
    import onnx  # takes a while, and other networks do without
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(read_file(path, MAX_BYTES))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no ONNX file, or it is damaged") from error
    if not model.graph.node:
        raise ModelError(f"{path} is no ONNX file, or it is damaged: it holds no network")
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions or not FIRST <= versions[0] <= LAST:
        found = versions[0] if versions else "none"
        raise ModelError(
            f"{path} is written for ONNX opset {found}, and {FIRST} to {LAST} are read: export it with opset_version=18, "
            "or convert it by onnx.version_converter"
        )
    if len(model.functions):
        import onnx.inliner

        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:  # whatever the library raises of a damaged file
            raise ModelError(f"{path}: its functions cannot be put in place: {str(error)[:120]}") from error
    return model


def read_props(path: str | Path) -> dict[str, str]:
    """What the file says of itself, by its keys. Raises ModelError."""
    return _props(_parse(Path(path)))


def _props(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _own_spec(path: Path, text: str, sizes: tuple[int | None, ...]) -> NetworkSpec:
    try:
        spec = NetworkSpec.from_json(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    said = (spec.channels, spec.input_height, spec.input_width)
    if any(size not in (None, n) for size, n in zip(sizes, said, strict=True)):
        raise ModelError(
            f"{path} takes an input of {'x'.join(map(str, sizes))}, and the specification in it says {'x'.join(map(str, said))}"
        )
    return spec


def _set_aside(path: Path, spec: NetworkSpec, own: str) -> str:
    """That the specification beside the file is used and not the one in it, where they differ."""
    try:
        inside = NetworkSpec.from_json(own)
    except ModelError:
        return f"{spec_beside(path).name} beside {path.name} is used; the specification in {path.name} is damaged"
    names = [n for n in ACCEPTED if n not in ("name", "trained_on", "layers", "inputs")]
    other = [name for name in names if getattr(spec, name) != getattr(inside, name)]
    if not other:
        return ""
    return (
        f"{spec_beside(path).name} beside {path.name} is used, and not the specification in {path.name} itself, which says "
        f"another {', '.join(other)}; move that file away if the network's own is meant"
    )


def _own_part(graph: onnx.GraphProto) -> None:
    """Of a file that vbp wrote, the network: neither its mask nor what prepares a camera's picture, as vbp does both itself."""
    kept = [output for output in graph.output if output.name != MASK]
    wanted, nodes = {output.name for output in kept}, []
    for node in reversed(graph.node):
        if (wanted - {PICTURE}) & set(node.output):
            wanted |= set(node.input)
            nodes.append(node)
    begins = [value for value in graph.value_info if value.name == PICTURE]
    del graph.output[:], graph.node[:]
    graph.output.extend(kept)
    graph.node.extend(reversed(nodes))
    if begins:
        del graph.input[:]
        graph.input.extend(begins)


def _input(graph: onnx.GraphProto) -> tuple[str, int | None, tuple[int | None, ...], bool]:
    """Of the picture: its name, the batch (None: any), (channels, height, width) (None: any), and whether channels lie last."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        named = ", ".join(f"{v.name} ({'x'.join(map(str, _sizes(v))) or '?'})" for v in inputs[:6])
        raise ModelError(
            f"takes {len(inputs)} inputs{': ' if named else ''}{named}; vbp gives a network one picture"
        )
    value = inputs[0]
    sizes = [n if isinstance(n, int) and n > 0 else None for n in _sizes(value)]
    if len(sizes) != 4:
        shape = "x".join("any" if n is None else str(n) for n in sizes)
        raise ModelError(f"takes an input of {shape or 'no axes'}; a picture is (N, channels, height, width)")
    channels = (1, 3)
    last = sizes[3] in channels and sizes[1] not in channels
    if sizes[1] is None or (sizes[1] in channels and sizes[3] in channels):
        first = [node for node in graph.node if value.name in node.input]
        order = [
            list(a.ints)
            for node in first
            if node.op_type == "Transpose"
            for a in node.attribute
            if a.name == "perm"
        ]
        last = [0, 3, 1, 2] in order or (sizes[1] is None and sizes[3] in channels)
    placed = (sizes[3], sizes[1], sizes[2]) if last else (sizes[1], sizes[2], sizes[3])
    if any(n is not None and n > 2**20 for n in sizes):
        raise ModelError(f"takes an input of {'x'.join(map(str, sizes))}, which is no picture")
    return value.name, sizes[0], placed, last


def _sizes(value: onnx.ValueInfoProto) -> list[int | str]:
    dims = value.type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or "any" for d in dims]


def _read(
    path: Path, model: onnx.ModelProto, name: str, batch: int | None, size: tuple[int, int, int], last: bool
) -> tuple[Program, list[str]]:
    """The program, and what the file calls its outputs."""
    builder = Builder(BATCHES if batch is None else (batch,))
    try:
        meta = tuple(torch.empty((n, *size), device="meta") for n in builder.batches)
        picture = Data("input", meta, (0, 2, 3, 1) if last else (0, 1, 2, 3))
        reader = _Reader(path.parent, builder, model.opset_import)
        values = reader.run(model.graph, {name: picture})
        outputs, names = [], []
        for output in model.graph.output:
            value = builder.materialised(_found(values, output.name))
            if isinstance(value, Data):
                outputs.append(value.name)
                names.append(printable(output.name)[:60])
        if not outputs:
            raise ModelError("what it puts out does not depend on the picture")
        return Program(builder.needed(outputs), builder.tensors, "input", (batch, *size), outputs), names
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (TypeError, ValueError) as error:  # names that are no texts
        raise ModelError(f"{path} is damaged ({type(error).__name__})") from error


def _found(values: dict[str, Value], name: str) -> Value:
    if name not in values:
        raise ModelError(f"{name[:80]!r} is used and nothing puts it out")
    return values[name]


class _Reader:
    """folder: in which weights beside the file may lie."""

    def __init__(self, folder: Path, builder: Builder, opsets: Iterable[Any]) -> None:
        self.folder, self.builder = folder, builder
        self.opset = next(entry.version for entry in opsets if entry.domain in ("", "ai.onnx"))
        self.count = 0

    def run(self, graph: onnx.GraphProto, given: dict[str, Value], depth: int = 0) -> dict[str, Value]:
        """What each name in the graph stands for. given: what comes from outside. Raises ModelError."""
        if len(graph.sparse_initializer):
            raise ModelError("holds sparse weights, which are not read")
        values = dict(given)
        for tensor in graph.initializer:
            if tensor.name not in values:
                held = self.tensor(tensor)
                values[tensor.name] = Known(tuple(held for _ in self.builder.batches))
        for node in graph.node:
            self.count += 1
            if self.count > MAX_NODES:
                raise ModelError(f"holds more than {MAX_NODES} nodes")
            self.builder.layer = "without a name"
            try:
                self.builder.layer = _layer(node)
                results = self._node(node, values, depth)
            except ModelError as error:
                raise ModelError(f"{node.op_type} {self.builder.layer}: {error}") from error
            except RecursionError as error:
                raise ModelError(f"{node.op_type} {self.builder.layer} lies too deep") from error
            except Exception as error:  # what an operation makes of inputs that do not fit, in a damaged file
                lines = str(error).strip().splitlines() or [type(error).__name__]
                raise ModelError(
                    f"{node.op_type} {self.builder.layer} cannot be read: {lines[0][:160]}"
                ) from error
            values.update((name, value) for name, value in zip(node.output, results, strict=False) if name)
        return values

    def _node(self, node: onnx.NodeProto, values: dict[str, Value], depth: int) -> tuple[Value, ...]:
        if node.domain not in ("", "ai.onnx"):
            raise ModelError(f"belongs to {node.domain}, whose operators are not read")
        inputs = [_found(values, name) if name else None for name in node.input]
        if node.op_type == "If":
            return self._chosen(node, inputs, values, depth)
        rule = RULES.get(node.op_type)
        if rule is None:
            raise ModelError("this operator is not known to vbp, so the network cannot be read")
        attributes = {a.name: self.attribute(a) for a in node.attribute}
        found = rule(self.builder, OnnxNode(node.op_type, inputs, tuple(node.output), attributes, self.opset))
        return found if isinstance(found, tuple) else (found,)

    def _chosen(
        self, node: onnx.NodeProto, inputs: list[Value | None], values: dict[str, Value], depth: int
    ) -> tuple[Value, ...]:
        """The branch of an If that does not depend on the picture, as exporters write around a squeeze."""
        condition = inputs[0]
        if not isinstance(condition, Known) or depth > DEPTH:
            raise ModelError("decides by the picture what is computed, which cannot be followed")
        wanted = "then_branch" if bool(condition.fixed) else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == wanted)
        inner = self.run(branch, values, depth + 1)
        return tuple(_found(inner, output.name) for output in branch.output)

    def attribute(self, given: onnx.AttributeProto) -> Any:
        import onnx

        value = onnx.helper.get_attribute_value(given)
        if isinstance(value, onnx.TensorProto):
            return self.tensor(value)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, int | float):
            return value
        if not hasattr(value, "__iter__"):
            return value
        texts = (v.decode(errors="replace") if isinstance(v, bytes) else v for v in value)
        return [v for v in texts if isinstance(v, int | float | str)]

    def tensor(self, proto: onnx.TensorProto) -> Tensor:
        """Floats of every size as float32. Raises ModelError."""
        import onnx

        where = f"the weight {proto.name[:80]!r}" if proto.name else "a constant"
        try:
            if proto.data_location == onnx.TensorProto.EXTERNAL:
                proto = self._beside(proto)
            array = onnx.numpy_helper.to_array(proto)
            if array.dtype.kind in "OSU" or array.dtype.kind == "c":
                raise ModelError(f"{where} holds no real numbers")
            if array.dtype.kind not in "iub":
                array = array.astype(np.float32)
                # Masks are minus infinity, and limits of one number plus.
                if np.isnan(array).any() or (array.size > 1 and bool((array == np.inf).any())):
                    raise ModelError(f"{where} holds values that are not finite; the network is broken")
            if array.dtype.kind == "u" and array.dtype.itemsize > 1:
                array = array.astype(np.int64)
            return torch.from_numpy(np.array(array, order="C"))
        except ModelError:
            raise
        except Exception as error:  # whatever numpy makes of sizes that do not fit the bytes
            raise ModelError(f"{where} is damaged: {str(error)[:120]}") from error

    def _beside(self, proto: onnx.TensorProto) -> onnx.TensorProto:
        """The tensor with its bytes, which lie in a file in the same folder. Raises ModelError."""
        import onnx

        facts = {entry.key: entry.value for entry in proto.external_data}
        name = facts.get("location", "")
        path = (self.folder / name).resolve()
        if not name or not path.is_relative_to(self.folder.resolve()):
            raise ModelError(f"its weights lie in {name[:200]!r}, outside its own folder, which is not read")
        if not path.is_file():
            raise ModelError(
                f"its weights lie in {name[:200]!r}, which is not there; put that file beside it"
            )
        offset = int(facts.get("offset") or 0)
        most = path.stat().st_size - offset
        length = int(facts["length"]) if facts.get("length") else most
        count = math.prod(proto.dims)
        if offset < 0 or not 0 <= length <= most or count > length * 2:
            raise ModelError(f"{name[:200]!r} is too short for the weight {proto.name[:80]!r}")
        with open_file(path) as file:
            file.seek(offset)
            data = file.read(length)
        whole = onnx.TensorProto()
        whole.CopyFrom(proto)
        whole.ClearField("external_data")
        whole.data_location = onnx.TensorProto.DEFAULT
        whole.raw_data = data
        return whole


def _layer(node: onnx.NodeProto) -> str:
    """What the layer is called: by its weight in the network that was exported, else by the node's own name."""
    for name in node.input:
        if name.endswith(".weight") and "/" not in name:
            return str(name.removesuffix(".weight"))[:120]
    own = str(node.name or (node.output[0] if node.output else "") or "without a name")
    return own.strip("/").replace("/", ".")[:120]
