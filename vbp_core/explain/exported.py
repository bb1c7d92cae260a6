"""Any nn.Module read into a graph, through torch.export; the module itself is copied first, and left as it is."""

from __future__ import annotations

import copy
import io
import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, fx, nn

from vbp.errors import ExplainError
from vbp.explain.aten.reader import WritesIntoPartError, read_program
from vbp.explain.chain import is_chain, read_chain
from vbp.explain.wired import read_wired
from vbp.graph.operations import AdaptiveAvgPool, Graph
from vbp.graph.trace import trace
from vbp.models.program import Node, Program, Ref, layer_name
from vbp.models.wired import WiredNetwork

EXAMPLES = 2  # frames in the batch that the module is followed with: 1 would be taken for a fixed size


def read_network(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    dtype: torch.dtype = torch.float32,
    scores: bool = True,
) -> Graph:
    """The graph of a network of any kind, of `dtype` on the CPU; BatchNorm folded, Dropout gone, as in eval mode.

    input_shape: (C, H, W) of one input; the module takes (N, C, H, W) and puts out (N,), (N, outputs) or several
    of these, which stand behind one another in the graph's (N, outputs). scores: a softmax or log-softmax at the end is
    left out, so that what is explained are the scores before it. What the graph has no word for becomes an Opaque stage,
    which is run and cannot be explained. The graph shares nothing with the module, which is copied, never run, hooked
    or changed. Raises ExplainError that says what cannot be followed.
    """
    if isinstance(module, Program):
        return read_program(module, input_shape, dtype, scores)
    if isinstance(module, WiredNetwork):
        return read_wired(module, dtype)
    if is_chain(module):
        try:
            graph = read_chain(module, dtype)
            if any(isinstance(stage.op, AdaptiveAvgPool) for stage in graph.stages):
                trace(graph, torch.zeros((1, *input_shape), dtype=dtype))
            return graph
        except ExplainError:
            pass  # a layer that chains have no word for, or not at this size
    try:
        return _read(_export(module, input_shape, EXAMPLES), input_shape, dtype, scores)
    except ExplainError as first:
        try:  # as where a module's own code has taken the number of frames for a fixed one, by len(x)
            return _read(_export(module, input_shape, 1), input_shape, dtype, scores)
        except ExplainError:
            raise first from None


def _read(exported: Any, input_shape: tuple[int, int, int], dtype: torch.dtype, scores: bool) -> Graph:
    exported = _unrolled(exported)
    try:
        return read_program(_program(exported), input_shape, dtype, scores)
    except WritesIntoPartError:
        # torch.export can turn these into functions, at the price of operations that say less.
        with silenced():
            functional = exported.run_decompositions({})
        return read_program(_program(functional), input_shape, dtype, scores)


RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
MAX_UNROLLED = 40  # steps of a network's recurrent layers, at up to a quarter of a second each


def _unrolled(exported: Any) -> Any:
    """Recurrent layers step by step, so that their gates can be told from their signals; longer ones are run whole."""
    targets = [getattr(torch.ops.aten, name).input for name in RECURRENT]
    found = {node: node.target for node in exported.graph.nodes if node.target in targets}
    if not found or sum(_steps(node) for node in found) > MAX_UNROLLED:
        return exported
    from torch._decomp import get_decompositions

    with silenced():
        return exported.run_decompositions(get_decompositions(list(set(found.values()))))


def _steps(node: Any) -> int:
    """input, hidden states, weights, biases, layers, dropout, training, both directions, batch first."""
    layers, both, first = node.args[4], node.args[7], node.args[8]
    steps = node.args[0].meta["val"].shape[1 if first else 0]
    return int(steps) * int(layers) * (2 if both else 1) if isinstance(steps, int) else MAX_UNROLLED + 1


def _export(module: nn.Module, input_shape: tuple[int, int, int], frames: int) -> Any:
    """torch.export's program of a copy of the module, of any number of frames, or, with 1, of one alone."""
    import torch.export  # takes a while, and chains do without

    try:
        own = copy.deepcopy(module).eval().requires_grad_(False).to("cpu")
    except Exception as error:  # whatever the module's own code raises
        raise ExplainError(
            f"the network cannot be copied, so it cannot be read: {_first_line(error)}"
        ) from error
    if any(t.is_floating_point() and t.dtype in (torch.float16, torch.bfloat16) for t in _tensors(own)):
        own = own.float()
    kind = next((t.dtype for t in _tensors(own) if t.is_floating_point()), torch.float32)
    sizes = None if frames == 1 else ({0: torch.export.Dim.AUTO},)
    try:
        example = torch.rand((frames, *input_shape), dtype=kind)
        with torch.no_grad(), silenced():
            return torch.export.export(own, (example,), dynamic_shapes=sizes, strict=False)
    except Exception as error:  # whatever the module's own code raises
        raise ExplainError(_export_failure(error, input_shape)) from error


@contextmanager
def silenced() -> Iterator[None]:
    """torch.export logs pages about what fails; the ExplainError says it in one sentence."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "torch"]
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _export_failure(error: Exception, input_shape: tuple[int, int, int]) -> str:
    size = "x".join(str(n) for n in input_shape)
    kind, text = type(error).__name__, _first_line(error)
    if "missing" in text and ("positional argument" in text or "required argument" in text):
        return "the network takes several inputs; vbp gives it one picture"
    if (
        "GuardOnDataDependent" in kind
        or "data-dependent" in text
        or "Could not guard" in text
        or "control flow" in text
    ):
        return (
            "the network decides what it computes by looking at the values in the picture (an if or a loop on a tensor), "
            f"which cannot be followed: {text}"
        )
    return f"the network cannot be followed with an input of {size}: {text}"


def _first_line(error: Exception) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:240]


def _program(exported: Any) -> Program:
    """torch.export's own graph as plain data."""
    signature = exported.graph_signature
    weights = {**exported.state_dict, **exported.constants}
    tensors: dict[str, Tensor] = {}
    names: dict[str, Any] = {}  # of fx nodes that are no Node: what stands for them
    inputs: list[str] = []
    for spec in signature.input_specs:
        if spec.kind.name in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            tensors[spec.arg.name] = weights[spec.target].detach()
        elif spec.kind.name == "USER_INPUT":
            if hasattr(spec.arg, "value"):  # an argument with a default
                names[spec.arg.name] = spec.arg.value
            else:
                inputs.append(spec.arg.name)
        else:
            raise ExplainError(f"the network holds {spec.target}, which is no tensor and cannot be read")
    if len(inputs) != 1:
        raise ExplainError(f"the network takes {len(inputs)} inputs; vbp gives it one picture")
    nodes: list[Node] = []
    shape: tuple[int | None, ...] = ()
    outputs: tuple[str, ...] = ()
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            if node.name == inputs[0]:
                shape = tuple(n if isinstance(n, int) else None for n in node.meta["val"].shape)
        elif node.op == "call_function" and node.target is operator.getitem:
            names[node.name] = Ref(f"{node.args[0].name}.{node.args[1]}")
        elif node.op == "call_function":
            nodes.append(_node(node, names))
        elif node.op == "output":
            outputs = _outputs(signature, names)
        else:
            raise ExplainError(
                f"the network holds a part that cannot be followed (layer {_layer(node)}: {node.target})"
            )
    return Program(nodes, tensors, inputs[0], shape, outputs)


def _outputs(signature: Any, names: dict[str, Any]) -> tuple[str, ...]:
    found = []
    for spec in signature.output_specs:
        if spec.kind.name == "USER_OUTPUT" and hasattr(spec.arg, "name") and not hasattr(spec.arg, "value"):
            ref = names.get(spec.arg.name, Ref(spec.arg.name))
            if isinstance(ref, Ref):
                found.append(ref.name)
    return tuple(found)


def _node(node: fx.Node, names: dict[str, Any]) -> Node:
    target: Any = node.target

    def plain(value: Any) -> Any:
        if isinstance(value, fx.Node):
            return names.get(value.name, Ref(value.name))
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return value

    if isinstance(target, torch._ops.OpOverload):
        op = str(target).replace("::", ".")
        schema = [argument.name for argument in target._schema.arguments]
        arguments = dict(zip(schema, map(plain, node.args), strict=False))
        arguments |= {k: plain(v) for k, v in node.kwargs.items()}
    else:
        module = getattr(target, "__module__", None) or ""
        op = f"{module.lstrip('_').split('.')[0]}.{getattr(target, '__name__', target)}"
        arguments = {str(i): plain(v) for i, v in enumerate(node.args)}
    value = node.meta.get("val")
    many = isinstance(value, list | tuple)
    outputs = (
        tuple(f"{node.name}.{i}" for i in range(len(value))) if many else (node.name,)  # type: ignore[arg-type]
    )
    return Node(op, arguments, outputs, _layer(node), many)


def _layer(node: fx.Node) -> str:
    """The path of a layer of torch.nn; of what stands in a module's own code, the module's path and the node's name."""
    stack = [v for v in (node.meta.get("nn_module_stack") or {}).values() if not v[0].startswith("_empty")]
    return layer_name([(path, str(kind)) for path, kind in stack], node.name)
