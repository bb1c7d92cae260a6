"""A list of ATen operations read into a graph of stages."""

from __future__ import annotations

import math
from typing import Any

import torch

from vbp.errors import ExplainError
from vbp.explain.aten.builder import Builder, check_size, on_cpu, to_meta
from vbp.explain.aten.flow import Flow, PerBatch, at_batch, each, flows_in, has
from vbp.explain.aten.rules import RULES, VIEWS
from vbp.graph.folding import fold
from vbp.graph.operations import Concat, Flatten, Graph, Identity, Opaque
from vbp.models.program import CHECKS, NUMBERS, Node, Program, call, resolve, with_defaults

BATCHES = (2, 3)  # a program of any batch size is followed with both: what differs depends on it


class WritesIntoPartError(ExplainError):
    """An operation in place changes a part of a tensor that is used again as a whole."""


def read_program(
    program: Program,
    input_shape: tuple[int, int, int],
    dtype: torch.dtype = torch.float32,
    scores: bool = True,
) -> Graph:
    """The graph of a program, as `exported.read_network` says. Raises ExplainError."""
    try:
        return Reader(program, input_shape, scores).read().to("cpu", dtype)
    except ExplainError:
        raise
    except Exception as error:  # what a damaged file makes of a program that is none
        raise ExplainError(
            f"the network cannot be followed: {type(error).__name__}: {error}"[:240]
        ) from error


class Reader:
    """Follows a program with tensors that have sizes and no data; each node becomes a stage, or nothing."""

    def __init__(self, program: Program, input_shape: tuple[int, int, int], scores: bool) -> None:
        self.program, self.scores = program, scores
        declared = program.input_shape
        batch = declared[0] if declared else None
        batches = BATCHES if batch is None else (batch,)
        if len(declared) != 4 or any(
            d not in (None, n) for d, n in zip(declared[1:], input_shape, strict=True)
        ):
            wanted = "x".join("any" if d is None else str(d) for d in declared[1:])
            raise ExplainError(
                f"the network takes an input of {wanted}, and its specification says {'x'.join(map(str, input_shape))}"
            )
        kind = next((t.dtype for t in program.tensors.values() if t.is_floating_point()), torch.float32)
        self.builder = Builder(input_shape, batches, kind)
        self.values: dict[str, Any] = {**program.tensors, program.input_name: self.builder.input}

    def read(self) -> Graph:
        last_use = {
            ref: i for i, node in enumerate(self.program.nodes) for ref in _refs(node.arguments)
        } | dict.fromkeys(self.program.outputs, len(self.program.nodes))
        for i, node in enumerate(self.program.nodes):
            if node.kind in CHECKS:
                continue
            result, replaced = self._result(node)
            if replaced is not None:
                self._replace(node, replaced, result, i, last_use)
            found = tuple(result) if node.many else (result,)
            self.values.update(zip(node.outputs, found, strict=False))
        self._finish()
        return Graph(tuple(fold(self.builder.stages)))

    def _result(self, node: Node) -> tuple[Any, Flow | None]:
        """What a node puts out, and the flow that it writes over, if any."""
        try:
            given = resolve(node.arguments, self.values.__getitem__)
            arguments = with_defaults(node.op, given)
        except (KeyError, AttributeError, ValueError, TypeError) as error:
            raise ExplainError(f"layer {node.layer} calls {node.op}, which is not known here") from error
        flows = flows_in(arguments)
        if not flows and not has(arguments, PerBatch):
            return self._constant(node, given), None
        if node.kind == "sym_size" and flows:
            sizes = tuple(meta.shape[arguments["dim"]] for meta in flows[0].meta)
            return sizes[0] if len(set(sizes)) == 1 else PerBatch(sizes), None
        if node.op in NUMBERS or (not flows and node.kind.startswith("sym_")):
            return self._number(node, given), None
        # Complex numbers are run as they are: the graph's own operations are of real ones.
        rule = RULES.get(node.kind) if not any(flow.meta[0].is_complex() for flow in flows) else None
        try:
            result = rule(self.builder, node, arguments) if rule is not None and flows else None
            if result is None:
                result = self.builder.opaque(node, given)
        except ExplainError:
            raise
        except Exception as error:  # arguments that the operation does not take, of a file that is damaged
            raise ExplainError(
                f"layer {node.layer} ({node.op}) cannot be read: {str(error).splitlines()[:1]}"
            ) from error
        if node.kind in VIEWS and flows and not node.many and result is not flows[0]:
            result.storage = flows[0].storage
        return result, flows[0] if node.in_place and flows else None

    def _constant(self, node: Node, arguments: dict[str, Any]) -> Any:
        """What does not depend on the picture is computed now."""
        try:
            if node.op not in NUMBERS:
                size = call(node.op, each(arguments, to_meta))
                check_size(node, size, 1)
        except (NotImplementedError, RuntimeError):
            pass  # it says more with data
        try:
            with torch.no_grad():
                return call(node.op, each(arguments, on_cpu))
        except Exception as error:
            raise ExplainError(f"layer {node.layer} ({node.op}) cannot be computed: {error}") from error

    def _number(self, node: Node, arguments: dict[str, Any]) -> Any:
        try:
            values = tuple(
                call(node.op, each(arguments, at_batch(k))) for k in range(len(self.builder.batches))
            )
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ExplainError(f"layer {node.layer} ({node.op}) cannot be computed: {error}") from error
        return values[0] if len(set(values)) == 1 else PerBatch(values)

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
            self.builder.stage(node, Concat(), *vectors, meta=vectors[0].meta)
        else:
            self.builder.stage(node, Identity(), vectors[0], meta=vectors[0].meta)

    def _vector(self, node: Node, flow: Flow) -> Flow | None:
        """An output as (N, outputs) in the graph; None for maps."""
        if self.scores and flow.number in self.builder.before_softmax:
            flow = self.builder.before_softmax[flow.number]
        of_frames = bool(flow.shape) and [meta.shape[0] for meta in flow.meta] == list(self.builder.batches)
        if of_frames and (flow.squeezed or len(flow.shape) == 2):
            return flow
        rest = flow.shape[1:]
        if not of_frames:
            raise ExplainError(
                f"the network puts out {'x'.join(map(str, flow.shape)) or 'one number'} for {self.builder.batches[0]} "
                "pictures; (N,) or (N, outputs) is wanted"
            )
        if not rest:
            run = Opaque(lambda x: x.unsqueeze(1), "unsqueeze")
            return self.builder.stage(node, run, flow, meta=flow.meta)
        if max(rest) == math.prod(rest):
            return self.builder.stage(node, Flatten(), flow, meta=flow.meta)
        return None


def _refs(arguments: Any) -> list[str]:
    found: list[str] = []
    resolve(arguments, lambda name: found.append(name))
    return found
