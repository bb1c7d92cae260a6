"""Programs saved by torch.export.save (.pt2), read without running anything in them.

torch.export.load unpickles parts of such a file and evaluates others as expressions, and both can run code. What a
network needs is plain: a JSON list of operations (torch/_export/serde/schema.py) and the bytes of its weights.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.assume import assume, outputs_of
from vbp.models.formats import OLD_MODEL, is_program
from vbp.models.network import Network
from vbp.models.program import Node, Program, Ref, layer_name
from vbp.models.safe_ops import allowed
from vbp.models.source import NetworkSource
from vbp.models.spec_file import given_spec, whole_size
from vbp.reading import open_file

MAX_JSON = 64_000_000  # bytes; ResNet-200 has 1 million
MAX_NODES = 100_000
SCHEMA = 8  # the major version whose fields are known
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
    7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}


def load(path: Path, source: NetworkSource) -> Network:
    """The network in the file, with its specification, as `given_spec` finds it, or what is assumed. Raises ModelError."""
    if source.weights:
        raise ModelError(f"{path} has weights of its own, and {source.weights} was given too; leave it out")
    program = read_pt2(path)
    sizes = program.input_shape[1:]
    spec, assumed = given_spec(path, source.spec, sizes), ""
    size = whole_size(path, sizes) if spec is None else (spec.channels, spec.input_height, spec.input_width)
    outputs = outputs_of(program, size, program.outputs)
    if spec is None:
        spec, assumed = assume(path.stem, program, size, outputs)
    return Network(spec, program, path, trained=True, assumed=assumed, outputs=outputs)


def read_pt2(path: str | Path) -> Program:
    """The program in a .pt2 file, its weights on the CPU. Raises ModelError of one sentence."""
    path = Path(path)
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            return _read(_Archive(archive))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise ModelError(
            f"{path} is no program by torch.export.save, or it is damaged ({type(error).__name__}: {str(error)[:80]})"
        ) from error


class _Archive:
    """The members by their names below the archive's root."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.members = {i.filename: i for i in archive.infolist()}
        models = [name for name in self.members if is_program(name)]
        if len(models) > 1:
            raise ModelError(f"it holds {len(models)} programs; one is wanted")
        self.old = not models and OLD_MODEL in self.members
        if not models and not self.old:
            raise ModelError("it is no program by torch.export.save: there is no graph in it")
        self.model = models[0] if models else OLD_MODEL
        self.root = self.model.split("/")[0] + "/" if models else ""
        self.name = Path(self.model).stem

    def bytes(self, name: str, most: int | None = None) -> bytes:
        member = self.members[name]
        if member.compress_type != zipfile.ZIP_STORED:  # a small file that unpacks to a large one
            raise ModelError(f"{name} in it is compressed, which torch.export.save does not do")
        if most is not None and member.file_size > most:
            raise ModelError(f"{name} in it is too large ({member.file_size:,} bytes)")
        return self._archive.read(member)

    def json(self, name: str) -> Any:
        return json.loads(self.bytes(name, MAX_JSON))


def _read(archive: _Archive) -> Program:
    if (
        f"{archive.root}byteorder" in archive.members
        and archive.bytes(f"{archive.root}byteorder", 16) != b"little"
    ):
        raise ModelError("it was written on a machine of another byte order")
    data = archive.json(archive.model)
    version = data.get("schema_version", {}).get("major")
    if version != SCHEMA:
        raise ModelError(
            f"it was written by {str(data.get('torch_version'))[:20]} in version {version} of its format, and {SCHEMA} is "
            "read; export it again"
        )
    graph, signature = data["graph_module"]["graph"], data["graph_module"]["signature"]
    if len(graph["nodes"]) > MAX_NODES:
        raise ModelError(f"it holds {len(graph['nodes']):,} operations, which is too many")
    weights = _old_weights(archive) if archive.old else _weights(archive)
    tensors: dict[str, Tensor] = {}
    constants: dict[str, Any] = {}
    inputs: list[str] = []
    for spec in signature["input_specs"]:
        ((kind, value),) = spec.items()
        if kind == "user_input":
            argument = _argument(value["arg"])
            if not isinstance(argument, Ref):
                raise ModelError(f"it takes an input that is no picture ({str(argument)[:40]})")
            inputs.append(argument.name)
        elif kind in ("parameter", "buffer", "tensor_constant"):
            name = value[f"{kind}_name"]
            if name not in weights:
                raise ModelError(f"it lacks the weights {name[:60]}")
            tensors[value["arg"]["name"]] = weights[name]
        elif kind == "constant_input":
            constants[value["name"]] = next(iter(value["value"].values()))
        else:
            raise ModelError(f"it holds a {str(kind)[:40]}, which is no tensor and cannot be read")
    if len(inputs) != 1:
        raise ModelError(f"it takes {len(inputs)} inputs; vbp gives it one picture")
    nodes = [_node(node, constants) for node in graph["nodes"]]
    shape = tuple(n.get("as_int") for n in graph["tensor_values"][inputs[0]]["sizes"])
    if len(shape) != 4 or any(n is not None and not (type(n) is int and 0 < n < 2**20) for n in shape):
        raise ModelError(f"it takes an input of {len(shape)} axes; pictures (N, C, H, W) are wanted")
    outputs = [
        value["arg"]["as_tensor"]["name"]
        for spec in signature["output_specs"]
        for kind, value in spec.items()
        if kind == "user_output" and "as_tensor" in value["arg"]
    ]
    known = {inputs[0], *tensors, *(name for node in nodes for name in node.outputs)}
    if lost := [name for name in outputs if name not in known]:
        raise ModelError(f"its output {lost[0][:60]} is computed nowhere")
    return Program(nodes, tensors, inputs[0], shape, outputs)


def _node(node: dict[str, Any], constants: dict[str, Any]) -> Node:
    target, name = str(node["target"]), str(node.get("name") or "")
    op = target.removeprefix("torch.ops.") if target.startswith("torch.ops.") else target.lstrip("_")
    layer = _layer(node, name or op)
    if not allowed(op):
        raise ModelError(f"layer {layer} calls {op[:80]}, which vbp does not run from a file")
    arguments: dict[str, Any] = {}
    for i, given in enumerate(node["inputs"]):
        key = given["name"] if op.startswith("aten.") else str(i)
        value = _argument(given["arg"])
        if isinstance(value, Ref) and value.name in constants:
            value = constants[value.name]
        arguments[str(key)] = value
    outputs: list[str] = []
    for output in node["outputs"]:
        found = _argument(output)
        outputs += [
            ref.name for ref in (found if isinstance(found, list) else [found]) if isinstance(ref, Ref)
        ]
    many = len(node["outputs"]) > 1 or any("as_tensors" in output for output in node["outputs"])
    return Node(op, arguments, tuple(outputs), layer, many)


def _argument(value: dict[str, Any]) -> Any:
    """One of the schema's Arguments. Raises ModelError for what is no plain value."""
    ((kind, v),) = value.items()
    if kind == "as_none":
        return None
    if kind in ("as_tensor", "as_token"):
        return Ref(_text(v["name"]))
    if kind == "as_tensors":
        return [Ref(_text(t["name"])) for t in v]
    if kind in ("as_int", "as_float", "as_bool", "as_string"):
        return _scalar(v)
    if kind in ("as_ints", "as_floats", "as_bools"):
        return [_scalar(n) for n in v]
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return _symbol(v)
    if kind in ("as_sym_ints", "as_sym_bools", "as_sym_floats"):
        return [_symbol(n) for n in v]
    if kind in ("as_optional_tensor", "as_optional_tensors"):
        return [_argument(t) for t in v] if isinstance(v, list) else _argument(v)
    if kind == "as_scalar_type":
        return DTYPES[v]
    if kind == "as_memory_format":
        return FORMATS[v]
    if kind == "as_layout":
        return torch.strided
    if kind == "as_device":
        return torch.device("cpu")  # wherever it was exported
    raise ModelError(f"it holds an argument {str(kind)[:40]}, which cannot be read")


def _symbol(value: dict[str, Any]) -> Any:
    ((kind, v),) = value.items()
    return Ref(_text(v)) if kind == "as_name" else _scalar(v)


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, int) and abs(value) >= 2**63):
        raise ModelError(f"it holds {str(value)[:40]} where a number is expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ModelError(f"it holds {str(value)[:40]} where a name is expected")
    return value


def _layer(node: dict[str, Any], name: str) -> str:
    """metadata: "key,path,class;..." of the modules that the node stands in."""
    stack = str(node.get("metadata", {}).get("nn_module_stack", ""))
    entries = [tuple(part.split(",")[1:3]) for part in stack.split(";") if not part.startswith("_empty")]
    return layer_name([(e[0][:80], e[1]) for e in entries if len(e) == 2], name[:80])


def _weights(archive: _Archive) -> dict[str, Tensor]:
    """Raw bytes, and what is pickled only as far as it is tensors."""
    found: dict[str, Tensor] = {}
    for kind, file in (("weights", "weights_config"), ("constants", "constants_config")):
        folder = f"{archive.root}data/{kind}/"
        config = archive.json(f"{folder}{archive.name}_{file}.json")["config"]
        raw: dict[str, Tensor] = {}
        for name, entry in config.items():
            member = f"{folder}{_text(entry['path_name'])}"
            if entry.get("tensor_meta") is None or entry["use_pickle"]:
                if "tensor" not in entry["path_name"] and "weight" not in entry["path_name"]:
                    continue  # an object; where it is needed, the graph says so
                pickled = _pickled(archive.bytes(member))
                if not _is_plain(pickled):
                    raise ModelError("it holds pickled weights that are no tensor")
                found[name] = pickled.detach()
                continue
            meta = entry["tensor_meta"]
            dtype = DTYPES[meta["dtype"]]
            if member not in raw:
                data = bytearray(archive.bytes(member))
                raw[member] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            found[name] = _strided(name, raw[member], meta, dtype)
    if broken := next((name for name, t in found.items() if t.is_floating_point() and _broken(t)), None):
        raise ModelError(f"{broken[:80]} holds values that are not finite; the network is broken")
    return found


def _broken(values: Tensor) -> bool:
    """Masks are minus infinity, and limits of one number plus."""
    return bool(torch.isnan(values).any()) or (values.numel() > 1 and bool((values == math.inf).any()))


def _strided(name: str, raw: Tensor, meta: dict[str, Any], dtype: torch.dtype) -> Tensor:
    size = [int(n["as_int"]) for n in meta["sizes"]]
    stride = [int(n["as_int"]) for n in meta["strides"]]
    offset = int(meta["storage_offset"]["as_int"])
    fits = len(size) == len(stride) and min([offset, *size, *stride]) >= 0 and raw.dtype == dtype
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=False))
    if not fits or (0 not in size and (last >= raw.numel() or math.prod(size) > raw.numel())):
        raise ModelError(f"its weights {name[:60]} do not fit into their bytes")
    return torch.as_strided(raw, size, stride, offset) if 0 not in size else torch.empty(size, dtype=dtype)


def _pickled(data: bytes) -> Any:
    """What is pickled, as far as it is tensors. Raises ModelError."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile pickle makes of it
        raise ModelError(
            "it holds pickled weights that are more than tensors, and could run code; export it again with a newer torch"
        ) from error


def _old_weights(archive: _Archive) -> dict[str, Tensor]:
    """torch 2.5 to 2.7 pickled a table of tensors."""
    found: dict[str, Tensor] = {}
    for name in ("serialized_state_dict.pt", "serialized_constants.pt"):
        table = _pickled(archive.bytes(name))
        found |= {k: v.detach() for k, v in table.items() if _is_plain(v)}
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided
