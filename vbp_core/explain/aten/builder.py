"""The stages of a graph as a program of ATen operations is followed: what the rules for the operations ask for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain.aten.flow import Flow, PerBatch, at_batch, each, flows_in, has
from vbp.explain.aten.opaque import Call, Grouped, OfFrames, Slot
from vbp.graph.operations import Op, Opaque, Stage
from vbp.models.program import Node, call

LARGEST = 2**28  # values of one frame's map, or of a constant; more fits into no memory


class Builder:
    """Collects stages, and follows sizes by tensors without data.

    batches: the batch sizes that the program is followed with. kind: the dtype of its input. input: the picture.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], batches: tuple[int, ...], kind: torch.dtype
    ) -> None:
        self.batches = batches
        self.stages: list[Stage] = []
        self.before_softmax: dict[int, Flow] = {}  # a softmax's number: what it took
        self._storages = 1
        empty = (torch.empty((n, *input_shape), dtype=kind, device="meta") for n in batches)
        self.input = Flow(0, tuple(empty), 0)

    def stage(
        self, node: Node, op: Op, *inputs: Flow, meta: tuple[Tensor, ...], relu: bool = False, name: str = ""
    ) -> Flow:
        """One more stage; meta: what the program takes its output for, as in `Flow`."""
        self.stages.append(Stage(name or node.layer, op, relu, tuple(flow.number for flow in inputs)))
        return Flow(len(self.stages), meta, self.new_storage())

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
        return self.stage(node, Opaque(lambda x: x.squeeze(1), "squeeze"), flow, meta=flow.meta)

    def opaque(self, node: Node, arguments: dict[str, Any]) -> Any:
        """A stage that runs the node as it is, by the arguments that were given. Several outputs are as many stages."""
        given = {k: v for k, v in arguments.items() if k in node.arguments}
        arguments = each(given, lambda v: self.plain(node, v) if isinstance(v, Flow) else v)
        flows = flows_in(arguments)
        results = self.follow(node, arguments)
        counted = next((i for i, flow in enumerate(flows) if self._of_frames(flow)), None)
        if counted is None and (not flows or has(arguments, PerBatch)):
            counted = len(flows)
            flows.append(self.input)  # only for how many frames there are
        slots = {id(flow): Slot(i) for i, flow in enumerate(flows)}
        template = each(
            arguments,
            lambda v: slots[id(v)] if isinstance(v, Flow) else _by_frames(v, self.batches),
        )
        if not all(isinstance(t, Tensor) for r in results for t in (r if node.many else [r])):
            raise ExplainError(
                f"layer {node.layer} ({node.op}) turns what it sees into a number of Python's, which cannot be followed"
            )
        rows = 0 if counted is None else flows[counted].shape[0]
        fixed = len(self.batches) == 1 and all(f.shape[:1] == (self.batches[0],) for f in flows)
        outputs = []
        for i in range(len(results[0]) if node.many else 1):
            meta = tuple(r[i] for r in results) if node.many else results
            run: Any = Call(node.op, template, counted or 0, rows, self.batches[0], i if node.many else None)
            if fixed:
                run = Grouped(run, self.batches[0])
            outputs.append(self.stage(node, Opaque(run, node.op.rsplit(".", 1)[0]), *flows, meta=meta))
        return outputs if node.many else outputs[0]

    def _of_frames(self, flow: Flow) -> bool:
        """Whether its first axis grows with the number of frames."""
        sizes = [meta.shape[0] if meta.dim() else 0 for meta in flow.meta]
        first = self.batches[0]
        return all(
            n and n * first == sizes[0] * frames for n, frames in zip(sizes, self.batches, strict=True)
        )

    def _without_data(self, node: Node, arguments: dict[str, Any], k: int) -> Any:
        at = each(arguments, at_batch(k))
        try:
            with torch.no_grad():
                result = call(node.op, each(at, to_meta))
        except (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError) as first:
            try:  # some operations need data
                with torch.no_grad():
                    result = call(node.op, each(at, _to_zeros))
            except Exception:
                raise ExplainError(
                    f"layer {node.layer} ({node.op}) cannot take its input: {str(first).splitlines()[0]}"
                ) from first
            result = each(result, to_meta)
        check_size(node, result, self.batches[k])
        return result


def to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    return torch.device("meta") if isinstance(value, torch.device) else value


def _to_zeros(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_meta:
        return torch.zeros(value.shape, dtype=value.dtype)
    return on_cpu(value)


def on_cpu(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _by_frames(value: Any, batches: tuple[int, ...]) -> Any:
    """A number that depends on the batch, as the line through its values: (value at none, growth with each frame)."""
    if not isinstance(value, PerBatch):
        return value
    growth = (value.values[1] - value.values[0]) / (batches[1] - batches[0])
    return OfFrames(value.values[0] - growth * batches[0], growth)


def check_size(node: Node, result: Any, frames: int) -> None:
    def check(value: Any) -> None:
        if isinstance(value, Tensor) and value.numel() > LARGEST * frames:
            raise ExplainError(
                f"layer {node.layer} puts out {value.numel() // frames:,} numbers for one picture, which is too many"
            )

    each(result, check)
