"""A list of ATen operations read into a graph of stages."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain.opaque import Call, Grouped, OfFrames, Slot
from vbp.graph.folding import fold
from vbp.graph.operations import Concat, Flatten, Graph, Identity, Op, Opaque, Stage
from vbp.models.program import CHECKS, NUMBERS, Node, Program, call, resolve, with_defaults

LARGEST = 2**28  # values of one frame's map, or of a constant; more fits into no memory
BATCHES = (2, 3)  # a program of any batch size is followed with both: what differs depends on it


class WritesIntoPartError(ExplainError):
    """An operation in place changes a part of a tensor that is used again as a whole."""


@dataclass(frozen=True)
class PerBatch:
    """A number that depends on how many frames there are: its value at each of the batch sizes followed."""

    values: tuple[Any, ...]


@dataclass(eq=False)
class Flow:
    """A value that depends on the picture. number: in the graph.

    seen: without data, as the program takes it, at each batch size. squeezed: it is (N, 1) in the graph and (N,) in
    the program. storage: equal for views of one tensor.
    """

    number: int
    seen: tuple[Tensor, ...]
    storage: int
    squeezed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.seen[0].shape)


def read_program(
    program: Program,
    input_shape: tuple[int, int, int],
    dtype: torch.dtype = torch.float32,
    scores: bool = True,
) -> Graph:
    """The graph of a program, as `exported.read_network` says. Raises ExplainError."""
    reader = Reader(program, input_shape, scores)
    try:
        reader.read()
    except ExplainError:
        raise
    except Exception as error:  # what a damaged file makes of a program that is none
        raise ExplainError(
            f"the network cannot be followed: {type(error).__name__}: {error}"[:240]
        ) from error
    return Graph(tuple(fold(reader.stages))).to("cpu", dtype)


class Reader:
    """Follows a program with tensors that have sizes and no data; each node becomes a stage, or nothing."""

    def __init__(self, program: Program, input_shape: tuple[int, int, int], scores: bool) -> None:
        self.program, self.scores = program, scores
        declared = program.input_shape
        batch = declared[0] if declared else None
        self.batches = BATCHES if batch is None else (batch,)
        if len(declared) != 4 or any(
            d not in (None, n) for d, n in zip(declared[1:], input_shape, strict=True)
        ):
            wanted = "x".join("any" if d is None else str(d) for d in declared[1:])
            raise ExplainError(
                f"the network takes an input of {wanted}, and its specification says {'x'.join(map(str, input_shape))}"
            )
        self.stages: list[Stage] = []
        self.before_softmax: dict[int, Flow] = {}  # a softmax's number: what it took
        self.kind = next((t.dtype for t in program.tensors.values() if t.is_floating_point()), torch.float32)
        self._storages = 1
        first = Flow(
            0,
            tuple(torch.empty((n, *input_shape), dtype=self.kind, device="meta") for n in self.batches),
            0,
        )
        self.values: dict[str, Any] = {**program.tensors, program.input_name: first}
        self._first = first
        self._names: Counter[str] = Counter()

    def read(self) -> None:
        from vbp.explain.aten_rules import RULES, VIEWS

        last_use = {
            ref: i for i, node in enumerate(self.program.nodes) for ref in _refs(node.arguments)
        } | dict.fromkeys(self.program.outputs, len(self.program.nodes))
        for i, node in enumerate(self.program.nodes):
            if node.kind in CHECKS:
                continue
            try:
                given = resolve(node.arguments, self.values.__getitem__)
                arguments = with_defaults(node.op, given)
            except (KeyError, AttributeError, ValueError, TypeError) as error:
                raise ExplainError(f"layer {node.layer} calls {node.op}, which is not known here") from error
            flows = _flows(arguments)
            if not flows and not _has(arguments, PerBatch):
                self._define(node, self._constant(node, given))
                continue
            if node.kind == "sym_size" and flows:
                sizes = tuple(seen.shape[arguments["dim"]] for seen in flows[0].seen)
                self._define(node, sizes[0] if len(set(sizes)) == 1 else PerBatch(sizes))
                continue
            if node.op in NUMBERS or (not flows and node.kind.startswith("sym_")):
                self._define(node, self._number(node, given))
                continue
            rule = RULES.get(node.kind)
            try:
                result = rule(self, node, arguments) if rule is not None and flows else None
                if result is None:
                    result = self.opaque(node, given)
            except ExplainError:
                raise
            except (
                Exception
            ) as error:  # arguments that the operation does not take, of a file that is damaged
                raise ExplainError(
                    f"layer {node.layer} ({node.op}) cannot be read: {str(error).splitlines()[:1]}"
                ) from error
            if node.kind in VIEWS and flows and not node.many and result is not flows[0]:
                result.storage = flows[0].storage
            if node.in_place and flows:
                self._replace(node, flows[0], result, i, last_use)
            self._define(node, result)
        self._finish()

    # What rules ask for

    def stage(
        self, node: Node, op: Op, *inputs: Flow, seen: tuple[Tensor, ...], relu: bool = False, name: str = ""
    ) -> Flow:
        """One more stage; seen: what the program takes its output for."""
        self.stages.append(Stage(name or node.layer, op, relu, tuple(flow.number for flow in inputs)))
        return Flow(len(self.stages), seen, self.new_storage())

    def new_storage(self) -> int:
        self._storages += 1
        return self._storages

    def follow(self, node: Node, arguments: dict[str, Any]) -> tuple[Any, ...]:
        """What the node puts out at each batch size, without data. Raises ExplainError where it does not fit."""
        return tuple(self._without_data(node, arguments, k) for k in range(len(self.batches)))

    def plain(self, node: Node, flow: Flow) -> Flow:
        """The flow as the program takes it, in the graph too."""
        if not flow.squeezed:
            return flow
        return self.stage(node, Opaque(lambda x: x.squeeze(1), "squeeze"), flow, seen=flow.seen)

    def opaque(self, node: Node, arguments: dict[str, Any]) -> Any:
        """A stage that runs the node as it is. Several outputs are as many stages."""
        arguments = _each(arguments, lambda v: self.plain(node, v) if isinstance(v, Flow) else v)
        flows = _flows(arguments)
        results = self.follow(node, arguments)
        counted = next((i for i, flow in enumerate(flows) if self._of_frames(flow)), None)
        if counted is None and (not flows or _has(arguments, PerBatch)):
            counted = len(flows)
            flows.append(self._first)  # only for how many frames there are
        slots = {id(flow): Slot(i) for i, flow in enumerate(flows)}
        template = _each(
            arguments,
            lambda v: slots[id(v)] if isinstance(v, Flow) else _by_frames(v, self.batches),
        )
        if not all(isinstance(t, Tensor) for r in results for t in (r if node.many else [r])):
            raise ExplainError(
                f"layer {node.layer} ({node.op}) turns what it sees into a number of Python's, which cannot be followed"
            )
        rows = 0 if counted is None else flows[counted].shape[0]
        fixed = len(self.batches) == 1 and all(f.shape[:1] == (self.batches[0],) for f in flows)
        found = []
        for i in range(len(results[0]) if node.many else 1):
            seen = tuple(r[i] for r in results) if node.many else results
            run: Any = Call(node.op, template, counted or 0, rows, self.batches[0], i if node.many else None)
            if fixed:
                run = Grouped(run, self.batches[0])
            found.append(self.stage(node, Opaque(run, node.op.rsplit(".", 1)[0]), *flows, seen=seen))
        return found if node.many else found[0]

    # The rest is its own

    def _define(self, node: Node, result: Any) -> None:
        found = tuple(result) if node.many else (result,)
        self.values.update(zip(node.outputs, found, strict=False))

    def _constant(self, node: Node, arguments: dict[str, Any]) -> Any:
        """What does not depend on the picture is computed now."""
        try:
            if node.op not in NUMBERS:
                size = call(node.op, _each(arguments, _to_meta))
                _check_size(node, size, 1)
        except (NotImplementedError, RuntimeError):
            pass  # it says more with data
        try:
            with torch.no_grad():
                return call(node.op, _each(arguments, _on_cpu))
        except Exception as error:
            raise ExplainError(f"layer {node.layer} ({node.op}) cannot be computed: {error}") from error

    def _of_frames(self, flow: Flow) -> bool:
        """Does its first axis tell how many frames there are?"""
        sizes = [seen.shape[0] if seen.dim() else 0 for seen in flow.seen]
        first = self.batches[0]
        return all(
            n and n * first == sizes[0] * frames for n, frames in zip(sizes, self.batches, strict=True)
        )

    def _number(self, node: Node, arguments: dict[str, Any]) -> Any:
        try:
            values = tuple(call(node.op, _each(arguments, _at(k))) for k in range(len(self.batches)))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ExplainError(f"layer {node.layer} ({node.op}) cannot be computed: {error}") from error
        return values[0] if len(set(values)) == 1 else PerBatch(values)

    def _without_data(self, node: Node, arguments: dict[str, Any], k: int) -> Any:
        at = _each(arguments, _at(k))
        try:
            with torch.no_grad():
                result = call(node.op, _each(at, _to_meta))
        except (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError) as first:
            try:  # some operations need data
                with torch.no_grad():
                    result = call(node.op, _each(at, _to_zeros))
            except Exception:
                raise ExplainError(
                    f"layer {node.layer} ({node.op}) cannot take its input: {str(first).splitlines()[0]}"
                ) from first
            result = _each(result, _to_meta)
        _check_size(node, result, self.batches[k])
        return result

    def _replace(self, node: Node, old: Flow, new: Flow, at: int, last_use: dict[str, int]) -> None:
        """After an operation in place, every name of its tensor means the new value."""
        for name, value in self.values.items():
            if value is old:
                self.values[name] = new
            elif isinstance(value, Flow) and value.storage == old.storage and last_use.get(name, -1) > at:
                raise WritesIntoPartError(
                    f"layer {node.layer} writes into a part of a tensor in place, which cannot be followed; "
                    "write it as a function that returns a new tensor"
                )

    def _finish(self) -> None:
        """The outputs behind one another, as the last stage."""
        flows = [self.values[name] for name in self.program.outputs]
        flows = [flow for flow in flows if isinstance(flow, Flow)]
        if not flows:
            raise ExplainError("the network's output does not depend on its input")
        node = Node("aten.flatten", {}, (), "output")
        vectors = [v for v in (self._vector(node, flow) for flow in flows) if v is not None]
        if not vectors:
            shape = "x".join(str(n) for n in flows[0].shape[1:])
            raise ExplainError(
                f"the network puts out maps of {shape}; steering angles or the scores of classes are wanted, (N, outputs)"
            )
        if len(vectors) > 1:
            self.stage(node, Concat(), *vectors, seen=vectors[0].seen)
        else:
            self.stage(node, Identity(), vectors[0], seen=vectors[0].seen)

    def _vector(self, node: Node, flow: Flow) -> Flow | None:
        """An output as (N, outputs) in the graph; None for maps."""
        if self.scores and flow.number in self.before_softmax:
            flow = self.before_softmax[flow.number]
        of_frames = bool(flow.shape) and [seen.shape[0] for seen in flow.seen] == list(self.batches)
        if of_frames and (flow.squeezed or len(flow.shape) == 2):
            return flow
        rest = flow.shape[1:]
        if not of_frames:
            raise ExplainError(
                f"the network puts out {'x'.join(map(str, flow.shape)) or 'one number'} for {self.batches[0]} "
                "pictures; (N,) or (N, outputs) is wanted"
            )
        if not rest:
            run = Opaque(lambda x: x.unsqueeze(1), "unsqueeze")
            return self.stage(node, run, flow, seen=flow.seen)
        if max(rest) == math.prod(rest):
            return self.stage(node, Flatten(), flow, seen=flow.seen)
        return None


def _refs(arguments: Any) -> list[str]:
    found: list[str] = []
    resolve(arguments, lambda name: found.append(name))
    return found


def _each(value: Any, function: Any) -> Any:
    """The function of every leaf of nested lists and tables."""
    if isinstance(value, dict):
        return {k: _each(v, function) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_each(v, function) for v in value]
    return function(value)


def _flows(arguments: Any) -> list[Flow]:
    """In order, each once."""
    found: dict[int, Flow] = {}
    _each(arguments, lambda v: found.setdefault(id(v), v) if isinstance(v, Flow) else None)
    return list(found.values())


def _has(arguments: Any, kind: type) -> bool:
    found: list[bool] = []
    _each(arguments, lambda v: found.append(isinstance(v, kind)))
    return any(found)


def _at(k: int) -> Any:
    """Of batch-dependent leaves, what they are at the k-th batch size."""

    def at(value: Any) -> Any:
        if isinstance(value, PerBatch):
            return value.values[k]
        return value.seen[k] if isinstance(value, Flow) else value

    return at


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    return torch.device("meta") if isinstance(value, torch.device) else value


def _to_zeros(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_meta:
        return torch.zeros(value.shape, dtype=value.dtype)
    return _on_cpu(value)


def _on_cpu(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _by_frames(value: Any, batches: tuple[int, ...]) -> Any:
    """A number that depends on the batch, as the line through its values: (value at none, growth with each frame)."""
    if not isinstance(value, PerBatch):
        return value
    growth = (value.values[1] - value.values[0]) / (batches[1] - batches[0])
    return OfFrames(value.values[0] - growth * batches[0], growth)


def _check_size(node: Node, result: Any, frames: int) -> None:
    def check(value: Any) -> None:
        if isinstance(value, Tensor) and value.numel() > LARGEST * frames:
            raise ExplainError(
                f"layer {node.layer} puts out {value.numel() // frames:,} numbers for one picture, which is too many"
            )

    _each(result, check)
