"""ATen operations that keep the numbers and change their places: reshaping, padding, cutting, choosing, joining."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vbp.explain.aten.builder import Builder
from vbp.explain.aten.common import Arguments, Rule, affine, view
from vbp.explain.aten.flow import Flow
from vbp.graph.operations import Concat, Conv, Dense, Flatten, Pad, Window
from vbp.models.program import Node


def _reshape(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """Whatever keeps the order of numbers: nothing, or a flattening; (N, 1) and (N,) are the same to a graph."""
    x = a["self"]
    meta = r.follow(node, a)
    before, after = [s.shape for s in x.meta], [s.shape for s in meta]
    vector = all(len(s) == 2 and s[0] == n for s, n in zip(after, r.batches, strict=True))
    if before == after:
        return view(x, x.squeezed, meta)
    if x.squeezed:
        return view(x, False, meta) if vector else None
    if any(len(s) < 2 or s[0] != n for s, n in zip(before, r.batches, strict=True)):
        return None
    if vector and all(s[1] == math.prod(b[1:]) for s, b in zip(after, before, strict=True)):
        return r.stage(node, Flatten(), x, meta=meta)
    if len(before[0]) == 2 and all(tuple(s) in ((n,), ()) for s, n in zip(after, r.batches, strict=True)):
        # () is what a batch of one becomes, if a program squeezes without saying which axis
        ones = tuple(
            torch.empty((n,), dtype=s.dtype, device="meta") for n, s in zip(r.batches, meta, strict=True)
        )
        return view(x, True, ones)
    return None


def _pad(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, sides, value = a["self"], list(a["pad"]), a.get("value") or 0
    if (
        a.get("mode", "constant") != "constant"
        or len(x.shape) != 4
        or not all(isinstance(n, int) for n in sides)
    ):
        return None
    sides += [0] * (8 - len(sides))
    if any(sides[4:]) or not isinstance(value, int | float):
        return None
    meta = r.follow(node, a)
    op = Pad(*sides[:4])
    if value == 0:
        return r.stage(node, op, x, meta=meta)
    lowered = affine(r, node, x, shift=-value)  # zeros around what is lowered, then all of it raised again
    if lowered is None:
        return None
    return affine(r, node, r.stage(node, op, lowered, meta=meta, name=f"{node.layer}.pad"), shift=value)


def _slice(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, axis, step = a["self"], a["dim"] % max(len(a["self"].shape), 1), a["step"]
    meta = r.follow(node, a)
    if [s.shape for s in meta] == [s.shape for s in x.meta]:
        return view(x, x.squeezed, meta)
    size = x.shape[axis]
    if axis == 0 or x.squeezed or not all(isinstance(a[k], int | None) for k in ("start", "end")):
        return None
    start, end, _ = slice(a["start"], a["end"]).indices(size)
    if axis == 1:
        return _choose(r, node, x, list(range(start, end, step)), meta)
    if len(x.shape) != 4 or step != 1:
        return None
    far = end - size
    return r.stage(node, Pad(0, 0, -start, far) if axis == 2 else Pad(-start, far, 0, 0), x, meta=meta)


def _choose(r: Builder, node: Node, x: Flow, channels: list[int], meta: tuple[Tensor, ...]) -> Flow | None:
    """Some of the channels, in this order: a linear layer of ones and zeros."""
    if len(x.shape) not in (2, 4) or x.squeezed or not channels:
        return None
    weight = torch.zeros((len(channels), x.shape[1]), dtype=torch.float64)
    weight[range(len(channels)), channels] = 1
    bias = torch.zeros(len(channels), dtype=torch.float64)
    if len(x.shape) == 2:
        return r.stage(node, Dense(weight, bias), x, meta=meta)
    window = Window((1, 1), (1, 1), (0, 0))
    return r.stage(node, Conv(weight[:, :, None, None], bias, window), x, meta=meta)


def _select(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """One output: (N, outputs) -> (N,)."""
    x, index = a["self"], a["index"]
    if len(x.shape) != 2 or a["dim"] not in (1, -1) or not isinstance(index, int):
        return None
    meta = r.follow(node, a)
    chosen = x if x.shape[1] == 1 else _choose(r, node, x, [index % x.shape[1]], meta)
    return None if chosen is None else view(chosen, True, meta)


def _index_select(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, index = a["self"], a["index"]
    if not isinstance(index, Tensor) or len(x.shape) < 2 or a["dim"] % len(x.shape) != 1:
        return None
    return _choose(r, node, x, [int(i) for i in index], r.follow(node, a))


def _index(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x, indices = a["self"], a["indices"]
    if len(indices) != 2 or indices[0] is not None or not isinstance(indices[1], Tensor):
        return None
    index = indices[1]
    if index.dim() != 1 or index.dtype not in (torch.int64, torch.int32):
        return None
    meta = r.follow(node, a)
    return _choose(r, node, x, [int(i) % x.shape[1] for i in index], meta)


def _flip(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    if len(x.shape) < 2 or [d % len(x.shape) for d in a["dims"]] != [1]:
        return None
    return _choose(r, node, x, list(range(x.shape[1]))[::-1], r.follow(node, a))


def _cat(r: Builder, node: Node, a: Arguments) -> Flow | None:
    flows = a["tensors"]
    if not all(isinstance(f, Flow) and len(f.shape) in (2, 4) and not f.squeezed for f in flows):
        return None
    axes = len(flows[0].shape)
    if a["dim"] % axes != 1 or any(len(f.shape) != axes for f in flows):
        return None
    return r.stage(node, Concat(), *flows, meta=r.follow(node, a)) if len(flows) > 1 else flows[0]


def _split(r: Builder, node: Node, a: Arguments) -> Any:
    """Parts of the channels."""
    x = a["self"]
    if len(x.shape) < 2 or x.squeezed or a.get("dim", 0) % len(x.shape) != 1 or not node.many:
        return None
    parts = [tuple(s[i] for s in r.follow(node, a)) for i in range(len(node.outputs))]
    first, found = 0, []
    for part in parts:
        if part[0].dim() != len(x.shape):
            return None
        count = part[0].shape[1]
        found.append(_choose(r, node, x, list(range(first, first + count)), part))
        first += count
    return None if None in found or first != x.shape[1] else found


def _narrow(r: Builder, node: Node, a: Arguments) -> Flow | None:
    start, length = a["start"], a["length"]
    if not isinstance(start, int) or not isinstance(length, int):
        return None
    size = a["self"].shape[a["dim"]]
    first = start % size if start < 0 else start
    given = {"self": a["self"], "dim": a["dim"], "start": first, "end": first + length, "step": 1}
    return _slice(r, replace(node, op="aten.slice.Tensor"), given)


def _stack(r: Builder, node: Node, a: Arguments) -> Flow | None:
    """Several outputs (N,) as (N, outputs)."""
    flows = a["tensors"]
    if a["dim"] not in (1, -1) or not all(isinstance(f, Flow) and f.squeezed for f in flows):
        return None
    meta = r.follow(node, a)
    return r.stage(node, Concat(), *flows, meta=meta) if len(flows) > 1 else view(flows[0], False, meta)


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "view_as", "reshape_as"), _reshape
    ),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "slice": _slice,
    "select": _select,
    "index_select": _index_select,
    "index": _index,
    "flip": _flip,
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "stack": _stack,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split"), _split),
    "narrow": _narrow,
}  # fmt: skip
