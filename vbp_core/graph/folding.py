"""BatchNorm folded into the layers beside it, ReLUs into the stage before them, where that is exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from vbp.graph.operations import Affine, Conv, Dense, Flatten, Identity, Op, Stage, sources


@dataclass(eq=False)
class _Node:
    """A stage that knows its sources, not their numbers. None is the network's input."""

    name: str
    op: Op
    relu: bool
    inputs: list[_Node | None]


def fold(stages: Sequence[Stage]) -> list[Stage]:
    """The same network with fewer stages; the last stage's output stays the network's.

    Each Affine is absorbed by the linear layer before it, or else after it; a ReLU by the stage before it; what
    nobody uses is dropped. Where several stages take a value, it stays as it is.
    """
    nodes = _linked(stages)
    nodes = _leading_to(nodes[-1], nodes)
    uses = Counter(id(source) for node in nodes for source in node.inputs)
    uses[id(nodes[-1])] += 1  # by whoever reads the output
    instead: dict[int, _Node | None] = {}
    kept: list[_Node] = []
    for node in nodes:
        node.inputs = [instead.get(id(source), source) for source in node.inputs]
        source = node.inputs[0]
        nothing = isinstance(node.op, Identity) and source is not None and (source.relu or not node.relu)
        if nothing and source is not None:
            uses[id(source)] += uses[id(node)] - 1
            instead[id(node)] = source
        elif source is not None and uses[id(source)] == 1 and _absorb(source, node):
            uses[id(source)] = uses[id(node)]
            instead[id(node)] = source
        else:
            kept.append(node)
            taken = _take_in(node, uses)
            if taken is not None:
                kept.remove(taken)
    last = instead.get(id(nodes[-1]), nodes[-1])
    assert last is not None
    return _numbered(kept, last)


def batch_norm(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Affine:
    """A BatchNorm by its running statistics, in float64 on the CPU."""
    scale = (_double(variance) + eps).rsqrt()
    if weight is not None:
        scale = scale * _double(weight)
    shift = -_double(mean) * scale
    return Affine(scale, shift if bias is None else shift + _double(bias))


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().double().cpu()


def _linked(stages: Sequence[Stage]) -> list[_Node]:
    every = tuple(stages)
    values: list[_Node | None] = [None]
    nodes = []
    for i, stage in enumerate(every):
        node = _Node(stage.name, stage.op, stage.relu, [values[k] for k in sources(every, i)])
        nodes.append(node)
        values.append(node)
    return nodes


def _leading_to(last: _Node, nodes: list[_Node]) -> list[_Node]:
    """Those of the nodes without which there would be no `last`."""
    wanted = {id(last)}
    for node in reversed(nodes):
        if id(node) in wanted:
            wanted |= {id(source) for source in node.inputs}
    return [node for node in nodes if id(node) in wanted]


def _numbered(nodes: list[_Node], last: _Node) -> list[Stage]:
    numbers: dict[int, int] = {id(None): 0}
    stages: list[Stage] = []
    for node in _leading_to(last, nodes):
        inputs = tuple(numbers[id(source)] for source in node.inputs)
        stages.append(Stage(node.name, node.op, node.relu, () if inputs == (len(stages),) else inputs))
        numbers[id(node)] = len(stages)
    return stages


def _absorb(source: _Node, node: _Node) -> bool:
    """Make `node` a part of its only source, of which it is the only user, where that is exact."""
    if source.relu:
        return False
    if isinstance(node.op, Identity) and node.relu and not isinstance(source.op, Flatten):
        source.relu = True
        return True
    if isinstance(node.op, Affine) and isinstance(source.op, Conv | Dense | Affine):
        source.op, source.relu = _fold_after(source.op, node.op), node.relu
        return True
    return False


def _take_in(node: _Node, uses: Counter[int]) -> _Node | None:
    """Fold an Affine right before a linear layer into it; before Flatten + Dense, into the Dense. What vanished."""
    user, norm = node, node.inputs[0]
    if isinstance(node.op, Dense) and norm is not None and isinstance(norm.op, Flatten):
        if norm.relu or uses[id(norm)] > 1:
            return None
        user, norm = norm, norm.inputs[0]
    if norm is None or norm.relu or uses[id(norm)] > 1 or not isinstance(norm.op, Affine):
        return None
    folded = _fold_before(node.op, norm.op)
    if folded is None:
        return None
    node.op = folded
    user.inputs = norm.inputs
    return norm


def _fold_after(op: Conv | Dense | Affine, norm: Affine) -> Op:
    if isinstance(op, Affine):
        return Affine(op.scale * norm.scale, op.shift * norm.scale + norm.shift)
    shape = (-1,) + (1,) * (op.weight.dim() - 1)
    return replace(op, weight=op.weight * norm.scale.view(shape), bias=op.bias * norm.scale + norm.shift)


def _fold_before(op: Op, norm: Affine) -> Op | None:
    if isinstance(op, Dense):
        repeats, rest = divmod(op.weight.shape[1], len(norm.scale))
        if rest:
            return None
        scale, shift = norm.scale.repeat_interleave(repeats), norm.shift.repeat_interleave(repeats)
        return replace(op, weight=op.weight * scale, bias=op.bias + op.weight.to(shift.dtype) @ shift)
    if isinstance(op, Conv) and (op.window.padding == (0, 0) or not bool(norm.shift.any())):
        # With padding the border sees zeros instead of `shift`: exact only without a shift.
        scale, shift = (_per_input(t, op) for t in (norm.scale, norm.shift))
        return replace(op, weight=op.weight * scale, bias=op.bias + (op.weight * shift).sum((1, 2, 3)))
    return None


def _per_input(vector: Tensor, op: Conv) -> Tensor:
    """(channels,) or (1,) -> (out, in / groups, 1, 1): what each output of the convolution sees of it."""
    outputs, per_group = op.weight.shape[:2]
    each = vector.expand(op.groups * per_group).view(op.groups, 1, per_group)
    return each.expand(-1, outputs // op.groups, -1).reshape(outputs, per_group, 1, 1)
