"""ONNX operators that keep the numbers and change their places, and those that compute with sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vbp.errors import ModelError
from vbp.models.onnx_node import OnnxNode, Rule
from vbp.models.onnx_norms import regrouped
from vbp.models.onnx_resize import resize
from vbp.models.onnx_values import Builder, Data, Known, Value, known, numbers, raw, sequence


def reshaped(b: Builder, x: Value, sizes: Sequence[Sequence[int]]) -> Value:
    """x with these sizes at each batch size, which are no longer -1 or 0."""
    if isinstance(x, Known):
        return Known(tuple(v.reshape(list(s)) for v, s in zip(x.values, sizes, strict=True)))
    before = x.shapes
    if [tuple(s) for s in sizes] == list(before):
        return x
    rows = all(len(s) == 2 and s[0] == old[0] for s, old in zip(sizes, before, strict=True))
    if rows and x.order is None and x.axes[0] == 0 and not x.plain:
        # The numbers of one picture in a row: they stay where they lie, and it is noted where each is.
        raw = Data(x.name, x.meta, tuple(range(len(x.axes))))
        flat: Data = b.call(
            "reshape.default", self=raw, shape=[-1 if len(b.batches) > 1 else sizes[0][0], sizes[0][1]]
        )
        places = torch.arange(sizes[0][1]).reshape(x.meta[0].shape[1:])
        order = places.permute([a - 1 for a in x.axes[1:]]).reshape(-1)
        moved = None if bool((order == torch.arange(len(order))).all()) else order
        return Data(flat.name, flat.meta, flat.axes, moved)
    result: Value = b.call("reshape.default", self=b.materialised(x), shape=sequence(sizes))
    return result


def _reshape(b: Builder, n: OnnxNode) -> Value:
    x, wanted = n.value(0), n.value(1)
    if not isinstance(wanted, Known):
        raise ModelError("takes a shape that depends on the picture, which cannot be followed")
    keep_zero = bool(n.attribute("allowzero", 0))
    found = []
    for old, target in zip(x.shapes, wanted.values, strict=True):
        new = [int(v) for v in target.tolist()]
        if not keep_zero:
            new = [old[i] if v == 0 and i < len(old) else v for i, v in enumerate(new)]
        if new.count(-1) == 1:
            rest = math.prod(v for v in new if v != -1)
            new[new.index(-1)] = math.prod(old) // rest if rest else 0
        if math.prod(new) != math.prod(old) or min(new, default=0) < 0:
            raise ModelError(f"cannot make {_text(old)} numbers into {_text(new)}")
        found.append(new)
    normed = regrouped(b, x, found) if isinstance(x, Data) and x.plain else None
    return reshaped(b, x, found) if normed is None else normed


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one"


def _flatten(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    axis = int(n.attribute("axis", 1))
    found = []
    for shape in x.shapes:
        at = axis + len(shape) if axis < 0 else axis
        found.append([math.prod(shape[:at]), math.prod(shape[at:])])
    return reshaped(b, x, found)


def axes_of(n: OnnxNode, position: int, rank: int) -> list[int] | None:
    """The axes that are an attribute in old files and an input in newer ones; None where none are given."""
    given = n.attribute("axes")
    if given is None and n.optional(position) is not None:
        given = numbers(n.optional(position))
    if given is None:
        return None
    if any(not -rank <= a < rank for a in given):
        raise ModelError(f"names the axes {given} of a tensor with {rank}")
    return sorted(a % rank for a in given) if rank else []


def _squeeze(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    axes = axes_of(n, 1, len(x.shapes[0]))
    found = []
    for shape in x.shapes:
        if axes is not None and any(shape[a] != 1 for a in axes):
            raise ModelError(f"drops axes of {_text(shape)} that are longer than 1")
        found.append([v for i, v in enumerate(shape) if not (v == 1 if axes is None else i in axes)])
    return reshaped(b, x, found)


def _unsqueeze(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    given = n.attribute("axes")
    added = list(given) if given is not None else numbers(n.value(1))
    axes = axes_of_result(added, len(x.shapes[0]) + len(added))
    found = []
    for shape in x.shapes:
        rest = iter(shape)
        found.append([1 if i in axes else next(rest) for i in range(len(shape) + len(axes))])
    return reshaped(b, x, found)


def axes_of_result(axes: list[int], rank: int) -> set[int]:
    places = {a % rank for a in axes if -rank <= a < rank}
    if len(places) != len(axes):
        raise ModelError(f"adds the axes {axes} to make {rank}")
    return places


def _transpose(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    rank = len(x.shapes[0])
    order = list(n.attribute("perm") or range(rank)[::-1])
    if sorted(order) != list(range(rank)):
        raise ModelError(f"puts the axes of a tensor with {rank} in the order {order}")
    if isinstance(x, Known):
        return Known(tuple(v.permute(order).contiguous() for v in x.values))
    if x.order is not None:
        x = b.materialised(x)
    assert isinstance(x, Data)
    return Data(x.name, x.meta, tuple(x.axes[a] for a in order))


def _concat(b: Builder, n: OnnxNode) -> Value:
    values = [v for v in n.inputs if v is not None]
    if not values:
        raise ModelError("joins nothing")
    rank = len(values[0].shapes[0])
    axis = int(n.attribute("axis", 1)) % max(rank, 1)
    if all(isinstance(v, Known) for v in values):
        joined: Value = b.call("cat.default", tensors=values, dim=axis)
        return joined
    first = next(v for v in values if isinstance(v, Data))
    if all(isinstance(v, Data) and v.axes == first.axes and v.order is None for v in values):
        raw = [Data(v.name, v.meta, tuple(range(rank))) for v in values if isinstance(v, Data)]
        out: Data = b.call("cat.default", like=first, tensors=raw, dim=first.axes[axis])
        return out
    result: Value = b.call("cat.default", tensors=[b.materialised(v) for v in values], dim=axis)
    return result


def along(b: Builder, x: Value, axis: int) -> tuple[Value, int, Data | None]:
    """What an operation along one axis works on, that axis there, and whose layout the result has."""
    x = b.materialised(x) if isinstance(x, Data) and x.order is not None else x
    rank = len(x.shapes[0])
    if not -rank <= axis < rank:
        raise ModelError(f"works along axis {axis} of a tensor with {rank}")
    if isinstance(x, Known):
        return x, axis % rank, None
    return raw(x), x.axes[axis % rank], x


def _split(b: Builder, n: OnnxNode) -> tuple[Value, ...]:
    x, axis, like = along(b, n.value(0), int(n.attribute("axis", 0)))
    size = x.shapes[0][axis]
    given = n.attribute("split")
    if given is None and n.optional(1) is not None:
        given = numbers(n.optional(1))
    if given is None:
        parts = int(n.attribute("num_outputs", len(n.outputs)))
        each = -(-size // max(parts, 1))
        given = [min(each, size - i * each) for i in range(parts)]
    if sum(given) != size or min(given, default=0) < 0:
        raise ModelError(f"cuts {size} into {list(given)}")
    out: tuple[Value, ...] = b.call(
        "split_with_sizes.default", like=like, self=x, split_sizes=list(given), dim=axis
    )
    return out


def _slice(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    if n.attribute("starts") is not None:
        starts, ends = list(n.attribute("starts")), list(n.attribute("ends"))
        axes, steps = list(n.attribute("axes") or range(len(starts))), [1] * len(starts)
    else:
        if isinstance(x, Known):
            return _slice_of_sizes(n, x)
        starts, ends = numbers(n.value(1)), numbers(n.value(2))
        axes = numbers(n.optional(3)) if n.optional(3) is not None else list(range(len(starts)))
        steps = numbers(n.optional(4)) if n.optional(4) is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        value, at, like = along(b, x, axis)
        size = value.shapes[0][at]
        if step < 0:
            picked = torch.tensor(range(size)[slice(start, None if end <= -size - 1 else end, step)])
            x = b.call("index_select.default", like=like, self=value, dim=at, index=picked)
        elif start == 0 and end >= size and step == 1:
            continue
        else:
            x = b.call(
                "slice.Tensor", like=like, self=value, dim=at, start=start, end=min(end, 2**31), step=step
            )
    return x


def _slice_of_sizes(n: OnnxNode, x: Known) -> Known:
    """Of a constant, where all may depend on the batch."""
    rest = [n.optional(i) for i in range(1, 5)]
    if any(v is not None and not isinstance(v, Known) for v in rest):
        raise ModelError("cuts at places that depend on the picture, which cannot be followed")
    found = []
    for k, value in enumerate(x.values):
        lists = [v.values[k].reshape(-1).tolist() if isinstance(v, Known) else None for v in rest]
        starts, ends = lists[0] or [], lists[1] or []
        axes = lists[2] or list(range(len(starts)))
        for start, end, axis, step in zip(starts, ends, axes, lists[3] or [1] * len(starts), strict=True):
            size = value.shape[int(axis)]
            stop = None if step < 0 and end <= -size - 1 else int(end)
            places = range(size)[slice(int(start), stop, int(step))]
            value = value.index_select(int(axis), torch.tensor(places, dtype=torch.int64))
        found.append(value)
    return Known(tuple(found))


def _gather(b: Builder, n: OnnxNode) -> Value:
    x, index = n.value(0), n.value(1)
    axis = int(n.attribute("axis", 0))
    if not isinstance(index, Known):
        raise ModelError("chooses by numbers that depend on the picture, which cannot be followed")
    if isinstance(x, Known):
        found = []
        for value, places in zip(x.values, index.values, strict=True):
            at = axis % max(value.dim(), 1)
            flat = value.index_select(at, places.reshape(-1).long() % max(value.shape[at], 1))
            found.append(flat.reshape([*value.shape[:at], *places.shape, *value.shape[at + 1 :]]))
        return Known(tuple(found))
    chosen = index.fixed
    if chosen.dim() > 1:
        raise ModelError("chooses by a table of places, which is not read")
    if chosen.dim() == 0:
        one: Value = b.call("select.int", self=b.materialised(x), dim=axis, index=int(chosen))
        return one
    lying, at, like = along(b, x, axis)
    picked: Value = b.call(
        "index_select.default", like=like, self=lying, dim=at, index=chosen.long() % lying.shapes[0][at]
    )
    return picked


def _shape(b: Builder, n: OnnxNode) -> Value:
    first, last = int(n.attribute("start", 0)), n.attribute("end")
    return Known(
        tuple(
            torch.tensor(shape[first : None if last is None else int(last)], dtype=torch.int64)
            for shape in n.value(0).shapes
        )
    )


def _size(b: Builder, n: OnnxNode) -> Value:
    return Known(tuple(torch.tensor(math.prod(shape)) for shape in n.value(0).shapes))


def pads_of(n: OnnxNode, given: list[int], axes: list[int] | None, rank: int) -> list[tuple[int, int]]:
    """How much is added at the near and the far end of each axis."""
    where = axes if axes is not None else list(range(rank))
    if len(given) != 2 * len(where):
        raise ModelError(f"pads by {given}, which is not two numbers for each axis")
    found = [(0, 0)] * rank
    for i, axis in enumerate(where):
        found[axis % rank] = (given[i], given[i + len(where)])
    return found


def padded(b: Builder, x: Value, sides: list[tuple[int, int]], mode: str, value: float) -> Value:
    """sides: of each of the file's own axes."""
    if not any(any(side) for side in sides):
        return x
    like = x if isinstance(x, Data) and x.order is None else None
    plain = raw(x) if isinstance(x, Data) and like is not None else b.materialised(x)
    placed = list(sides)
    if like is not None:
        for axis, at in enumerate(like.axes):
            placed[at] = sides[axis]
    while len(placed) > 1 and placed[0] == (0, 0) and (mode == "constant" or len(placed) > 2):
        placed = placed[1:]
    flat = [n for side in reversed(placed) for n in side]
    if mode == "constant":
        out: Value = b.call("constant_pad_nd.default", like=like, self=plain, pad=flat, value=value)
        return out
    names = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in names:
        raise ModelError(f"pads by the mode {mode!r}, which is not known")
    out = b.call("pad.default", like=like, self=plain, pad=flat, mode=names[mode], value=None)
    return out


def _pad(b: Builder, n: OnnxNode) -> Value:
    x = n.value(0)
    rank = len(x.shapes[0])
    given = n.attribute("pads")
    amount = list(given) if given is not None else numbers(n.value(1))
    value = float(n.attribute("value", 0.0))
    if n.optional(2) is not None:
        value = float(known(n.optional(2), "a value"))
    axes = numbers(n.optional(3)) if n.optional(3) is not None else None
    return padded(b, x, pads_of(n, amount, axes, rank), n.attribute("mode", "constant"), value)


def _expand(b: Builder, n: OnnxNode) -> Value:
    x, wanted = n.value(0), n.value(1)
    if not isinstance(wanted, Known):
        raise ModelError("takes a shape that depends on the picture, which cannot be followed")
    sizes = [
        list(np.broadcast_shapes(old, tuple(int(v) for v in target.tolist())))
        for old, target in zip(x.shapes, wanted.values, strict=True)
    ]
    if isinstance(x, Known):
        for size in sizes:
            _check_size(size)
        return Known(tuple(v.expand(s) for v, s in zip(x.values, sizes, strict=True)))
    if [tuple(s) for s in sizes] == list(x.shapes):
        return x
    out: Value = b.call("expand.default", self=b.materialised(x), size=sequence(sizes))
    return out


def _check_size(size: Sequence[int]) -> None:
    if math.prod(size) > 2**26:
        raise ModelError(f"makes a constant of {math.prod(size):,} numbers, which is too many")


def _tile(b: Builder, n: OnnxNode) -> Value:
    out: Value = b.call("repeat.default", self=b.materialised(n.value(0)), repeats=numbers(n.value(1)))
    return out


def _constant_of_shape(b: Builder, n: OnnxNode) -> Value:
    value = n.attribute("value")
    fill = torch.zeros(1) if value is None else value
    shape = n.value(0)
    if not isinstance(shape, Known):
        raise ModelError("takes a shape that depends on the picture, which cannot be followed")
    found: list[Tensor] = []
    for wanted in shape.values:
        size = [int(v) for v in wanted.tolist()]
        _check_size(size)
        found.append(fill.reshape(()).expand(size).clone())
    return Known(tuple(found))


def _range(b: Builder, n: OnnxNode) -> Value:
    limits = [n.value(i) for i in range(3)]
    if not all(isinstance(v, Known) for v in limits):
        raise ModelError("counts to a number that depends on the picture, which cannot be followed")
    found = []
    for k in range(len(b.batches)):
        start, end, step = (v.values[k] for v in limits if isinstance(v, Known))
        _check_size([max(0, math.ceil((float(end) - float(start)) / float(step)))])
        found.append(torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype))
    return Known(tuple(found))


def _depth_to_space(b: Builder, n: OnnxNode) -> Value:
    if n.attribute("mode", "DCR") != "CRD":
        raise ModelError("has mode DCR, and CRD (PyTorch's pixel shuffle) is read")
    out: Value = b.call(
        "pixel_shuffle.default", self=b.materialised(n.value(0)), upscale_factor=int(n.attribute("blocksize"))
    )
    return out


RULES: dict[str, Rule] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Shape": _shape,
    "Size": _size,
    "Pad": _pad,
    "Expand": _expand,
    "Tile": _tile,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "DepthToSpace": _depth_to_space,
    "Resize": resize,
    "Upsample": resize,
}
