"""What each ATen operation is in a graph. A rule that returns None leaves the operation to be run as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from models.program import Node
from vbp_core.explain.aten import Flow, Reader
from vbp_core.explain.graph import (
    Activation,
    AdaptiveAvgPool,
    Add,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Identity,
    MaxPool,
    Op,
    Pad,
    Pair,
    Window,
)

Arguments: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Reader, Node, Arguments], Any]  # a Flow, of several outputs a list, or None


def _input(a: Arguments) -> Any:
    return a["self"] if "self" in a else a["input"]


def _elementwise(r: Reader, node: Node, x: Flow, op: Op, relu: bool = False) -> Flow:
    """Shapes stay as they are."""
    out = r.stage(node, op, x, seen=x.seen, relu=relu)
    out.squeezed = x.squeezed
    return out


def _whole(*tensors: Any) -> bool:
    """Weights that do not depend on the picture."""
    return all(t is None or isinstance(t, Tensor) for t in tensors)


def _double(t: Tensor) -> Tensor:
    return t.detach().double().cpu()


def _bias(bias: Tensor | None, size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.float64) if bias is None else _double(bias)


def _pair(value: Any) -> Pair:
    """PyTorch's lists of one or two numbers."""
    numbers = [int(v) for v in (value if isinstance(value, list | tuple) else [value])]
    return (numbers[0], numbers[-1])


# Linear layers


def _conv2d(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, weight, bias = _input(a), a["weight"], a.get("bias")
    if not _whole(weight, bias) or not isinstance(x, Flow) or len(x.shape) != 4 or weight.dim() != 4:
        return None
    if a.get("transposed"):
        return None
    seen = r.follow(node, a)
    kernel, stride, dilation = (weight.shape[2], weight.shape[3]), _pair(a["stride"]), _pair(a["dilation"])
    padding = a["padding"]
    if isinstance(padding, str):
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
        padding = [t // 2 for t in total]
        if any(t % 2 for t in total):  # one row or column more at the far side
            far = Pad(0, total[1] % 2, 0, total[0] % 2)
            x = r.stage(node, far, x, seen=x.seen, name=f"{node.layer}.pad")
    window = Window(kernel, stride, _pair(padding), dilation)
    op = Conv(_double(weight), _bias(bias, weight.shape[0]), window, int(a["groups"]))
    return r.stage(node, op, x, seen=seen)


def _linear(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, weight, bias = _input(a), a["weight"], a.get("bias")
    if not _whole(weight, bias) or not isinstance(x, Flow) or len(x.shape) != 2 or weight.dim() != 2:
        return None
    op = Dense(_double(weight), _bias(bias, weight.shape[0]))
    return r.stage(node, op, x, seen=r.follow(node, a))


def _addmm(r: Reader, node: Node, a: Arguments) -> Flow | None:
    bias, x, weight = a["self"], a["mat1"], a["mat2"]
    if not isinstance(x, Flow) or not _whole(bias, weight) or bias.dim() != 1:
        return None
    op = Dense(
        _double(weight).T.contiguous() * float(a["alpha"]),
        _double(bias).expand(weight.shape[1]).clone() * float(a["beta"]),
    )
    return r.stage(node, op, x, seen=r.follow(node, a))


def _matmul(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, weight = a["self"], a["mat2"] if "mat2" in a else a["other"]
    if not (isinstance(x, Flow) and isinstance(weight, Tensor) and len(x.shape) == weight.dim() == 2):
        return None
    op = Dense(_double(weight).T.contiguous(), _bias(None, weight.shape[1]))
    return r.stage(node, op, x, seen=r.follow(node, a))


def _batch_norm(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """By its running statistics, also in a program that was exported without .eval()."""
    x, mean, variance = _input(a), a["running_mean"], a["running_var"]
    weight, bias = a["weight"], a["bias"]
    if not isinstance(x, Flow) or mean is None or variance is None:
        return None
    if not _whole(mean, variance, weight, bias):
        return None
    r.follow(node, a)
    scale = (_double(variance) + float(a["eps"])).rsqrt()
    if weight is not None:
        scale = scale * _double(weight)
    shift = -_double(mean) * scale
    if bias is not None:
        shift = shift + _double(bias)
    return r.stage(node, Affine(scale, shift), x, seen=x.seen)


# Arithmetic


def _per_channel(value: Any, x: Flow) -> Tensor | None:
    """A number or a tensor that is one number for each channel of x, as float64 (channels,); None where it is not."""
    channels = 1 if x.squeezed else x.shape[1] if len(x.shape) > 1 else 0
    if isinstance(value, bool) or not channels:
        return None
    if isinstance(value, int | float):
        return torch.full((channels,), float(value), dtype=torch.float64)
    if not isinstance(value, Tensor) or value.is_complex() or value.dim() > len(x.shape):
        return None
    number = _double(value)
    if number.numel() == 1:
        return number.reshape(1).expand(channels).clone()
    shape = (1,) * (len(x.shape) - number.dim()) + tuple(number.shape)
    if len(shape) < 2 or shape[1] != channels or number.numel() != channels:
        return None
    return number.reshape(channels).clone()


def _affine(r: Reader, node: Node, x: Flow, scale: Any = 1.0, shift: Any = 0.0) -> Flow | None:
    times, plus = _per_channel(scale, x), _per_channel(shift, x)
    if times is None or plus is None:
        return None
    return _elementwise(r, node, x, Affine(times, plus))


def _same(x: Flow, y: Flow) -> bool:
    return [s.shape for s in x.seen] == [s.shape for s in y.seen] and x.squeezed == y.squeezed


def _times(value: Any, by: float) -> Any:
    return value if by == 1 else value * by


def _sum(r: Reader, node: Node, x: Any, y: Any) -> Flow | None:
    """x + y, one of which depends on the picture."""
    if isinstance(x, Flow) and isinstance(y, Flow):
        if not _same(x, y):
            return None
        out = r.stage(node, Add(), x, y, seen=x.seen)
        out.squeezed = x.squeezed
        return out
    flow, other = (x, y) if isinstance(x, Flow) else (y, x)
    return _affine(r, node, flow, shift=other)


def _add(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, y, alpha = a["self"], a["other"], a.get("alpha", 1)
    if not isinstance(alpha, int | float):
        return None
    if isinstance(y, Flow) and alpha != 1:
        scaled = _affine(r, node, y, scale=alpha)
        return None if scaled is None else _sum(r, node, x, scaled)
    return _sum(r, node, x, y if isinstance(y, Flow) else _times(y, alpha))


def _sub(r: Reader, node: Node, a: Arguments) -> Flow | None:
    return _add(r, node, {**a, "alpha": -a.get("alpha", 1)})


def _rsub(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, alpha = a["self"], a.get("alpha", 1)
    if not isinstance(x, Flow) or isinstance(a["other"], Flow):
        return None
    return _affine(r, node, x, scale=-alpha, shift=a["other"])


def _mul(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, y = a["self"], a["other"]
    if isinstance(x, Flow) and isinstance(y, Flow):
        return None
    return _affine(r, node, x, scale=y) if isinstance(x, Flow) else _affine(r, node, y, scale=x)


def _div(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, y = a["self"], a["other"]
    if not isinstance(x, Flow) or isinstance(y, Flow) or a.get("rounding_mode") is not None:
        return None
    by = _double(y) if isinstance(y, Tensor) else torch.tensor(float(y), dtype=torch.float64)
    return None if bool((by == 0).any()) else _affine(r, node, x, scale=1 / by)


def _neg(r: Reader, node: Node, a: Arguments) -> Flow | None:
    return _affine(r, node, a["self"], scale=-1.0)


# Functions of each number


def _relu(r: Reader, node: Node, a: Arguments) -> Flow | None:
    return _elementwise(r, node, a["self"], Identity(), relu=True)


def _clamp(r: Reader, node: Node, a: Arguments) -> Flow | None:
    low, high = a.get("min"), a.get("max")
    if low == 0 and high is None:
        return _relu(r, node, a)
    if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
        kind = Activation("relu6") if (low, high) == (0, 6) else Activation("hardtanh", (low, high))
        return _elementwise(r, node, a["self"], kind)
    return None


def _threshold(r: Reader, node: Node, a: Arguments) -> Flow | None:
    return _relu(r, node, a) if a["threshold"] == 0 and a["value"] == 0 else None


def _hardtanh(r: Reader, node: Node, a: Arguments) -> Flow | None:
    return _clamp(r, node, {"self": a["self"], "min": a["min_val"], "max": a["max_val"]})


def _function(kind: str, *names: str) -> Rule:
    def rule(r: Reader, node: Node, a: Arguments) -> Flow | None:
        arguments = tuple(a[name] for name in names)
        if not all(isinstance(v, int | float) for v in arguments):
            return None
        return _elementwise(r, node, a["self"], Activation(kind, tuple(map(float, arguments))))

    return rule


def _elu(r: Reader, node: Node, a: Arguments) -> Flow | None:
    alpha, scale, inner = float(a["alpha"]), float(a["scale"]), float(a["input_scale"])
    if inner != 1 or scale != 1:
        return None
    return _elementwise(r, node, a["self"], Activation("elu", (alpha,)))


def _gelu(r: Reader, node: Node, a: Arguments) -> Flow | None:
    kind = {"none": "gelu", "tanh": "gelu_tanh"}.get(a["approximate"])
    return None if kind is None else _elementwise(r, node, a["self"], Activation(kind))


def _prelu(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """relu(x) (1 - a) + a x, with a number a for each channel."""
    x, weight = a["self"], a["weight"]
    if not isinstance(weight, Tensor) or not isinstance(x, Flow):
        return None
    if weight.numel() == 1:
        return _elementwise(r, node, x, Activation("leaky_relu", (float(weight),)))
    slope = _double(weight).reshape(-1)
    if len(x.shape) < 2 or x.shape[1] != slope.numel():
        return None
    rest = r.stage(
        node, Affine(1 - slope, 0 * slope), _relu(r, node, a) or x, seen=x.seen, name=f"{node.layer}.positive"
    )
    leak = r.stage(node, Affine(slope, 0 * slope), x, seen=x.seen, name=f"{node.layer}.leak")
    return r.stage(node, Add(), rest, leak, seen=x.seen)


def _nothing(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """The same tensor."""
    flow: Flow = _input(a)
    return flow


def _copy(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """The same numbers in a tensor of their own."""
    flow: Flow = _input(a)
    return replace(flow, storage=r.new_storage())


def _dropout(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """Nothing, also in a program that was exported without .eval(): a network drives as in eval mode."""
    return _nothing(r, node, a)


def _to(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """To another device, or another floating type: nothing, as a graph has one of each."""
    x = a["self"]
    dtype = a.get("dtype")
    if dtype is None and isinstance(a.get("other"), Flow | Tensor):
        other = a["other"]
        dtype = other.seen[0].dtype if isinstance(other, Flow) else other.dtype
    if not x.seen[0].is_floating_point() or (dtype is not None and not dtype.is_floating_point):
        return None
    return _copy(r, node, a) if a.get("copy") else _nothing(r, node, a)


def _softmax(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    if len(x.shape) != 2 or x.squeezed or a["dim"] not in (1, -1):
        return None
    out: Flow = r.opaque(node, {k: v for k, v in a.items() if k in node.arguments})
    r.before_softmax[out.number] = x
    return out


# Pooling


def _max_pool(r: Reader, node: Node, a: Arguments) -> Any:
    x = a["self"]
    if len(x.shape) != 4:
        return None
    window = _pool_window(a, _pair(a["dilation"]))
    seen = r.follow(node, a)
    if not node.many:
        return r.stage(node, MaxPool(window, bool(a["ceil_mode"])), x, seen=seen)
    maxima = r.stage(node, MaxPool(window, bool(a["ceil_mode"])), x, seen=tuple(s[0] for s in seen))
    given = {k: v for k, v in a.items() if k in node.arguments}
    return [maxima, *r.opaque(node, given)[1:]]


def _avg_pool(r: Reader, node: Node, a: Arguments) -> Flow | None:
    if len(a["self"].shape) != 4 or a["divisor_override"]:
        return None
    op = AvgPool(_pool_window(a), bool(a["ceil_mode"]), bool(a["count_include_pad"]))
    return r.stage(node, op, a["self"], seen=r.follow(node, a))


def _pool_window(a: Arguments, dilation: Pair = (1, 1)) -> Window:
    kernel = _pair(a["kernel_size"])
    return Window(kernel, _pair(a["stride"]) if a["stride"] else kernel, _pair(a["padding"]), dilation)


def _adaptive_avg(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    seen = r.follow(node, a)
    if len(x.shape) != 4 or _uneven(x.shape[2:], seen[0].shape[2:]):
        return None
    return r.stage(node, AdaptiveAvgPool((seen[0].shape[2], seen[0].shape[3])), x, seen=seen)


def _uneven(sizes: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return any(not w or s % w for s, w in zip(sizes, wanted, strict=True))


def _adaptive_max(r: Reader, node: Node, a: Arguments) -> Any:
    x = a["self"]
    seen = r.follow(node, a)
    maxima = tuple(s[0] for s in seen)
    sizes, wanted = x.shape[2:], tuple(maxima[0].shape[2:])
    if len(x.shape) != 4 or _uneven(sizes, wanted):
        return None
    kernel = (sizes[0] // wanted[0], sizes[1] // wanted[1])
    given = {k: v for k, v in a.items() if k in node.arguments}
    pooled = r.stage(node, MaxPool(Window(kernel, kernel, (0, 0))), x, seen=maxima)
    return [pooled, *r.opaque(node, given)[1:]]


def _mean(r: Reader, node: Node, a: Arguments) -> Flow | None:
    return _pooled(r, node, a, lambda x: AdaptiveAvgPool((1, 1)))


def _total(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    pooled = _pooled(r, node, a, lambda x: AdaptiveAvgPool((1, 1)))
    return None if pooled is None else _affine(r, node, pooled, scale=float(x.shape[2] * x.shape[3]))


def _largest(r: Reader, node: Node, a: Arguments) -> Flow | None:
    def whole(x: Flow) -> Op:
        kernel = (x.shape[2], x.shape[3])
        return MaxPool(Window(kernel, kernel, (0, 0)))

    return _pooled(r, node, a, whole)


def _pooled(r: Reader, node: Node, a: Arguments, op: Callable[[Flow], Op]) -> Flow | None:
    """A reduction over rows and columns."""
    x, axes = a["self"], a.get("dim")
    if len(x.shape) != 4 or not axes or a.get("dtype") is not None or {d % 4 for d in axes} != {2, 3}:
        return None
    small = tuple(s.amax((2, 3), keepdim=True) for s in x.seen)
    pooled = r.stage(node, op(x), x, seen=small)
    if a["keepdim"]:
        return pooled
    return r.stage(
        node, Flatten(), pooled, seen=tuple(s.flatten(1) for s in small), name=f"{node.layer}.flatten"
    )


# Shapes


def _reshape(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """Whatever keeps the order of numbers: nothing, or a flattening; (N, 1) and (N,) are the same to a graph."""
    x = a["self"]
    seen = r.follow(node, a)
    before, after = [s.shape for s in x.seen], [s.shape for s in seen]
    vector = all(len(s) == 2 and s[0] == n for s, n in zip(after, r.batches, strict=True))
    if before == after:
        return _view(x, x.squeezed, seen)
    if x.squeezed:
        return _view(x, False, seen) if vector else None
    if any(len(s) < 2 or s[0] != n for s, n in zip(before, r.batches, strict=True)):
        return None
    if vector and all(s[1] == math.prod(b[1:]) for s, b in zip(after, before, strict=True)):
        return r.stage(node, Flatten(), x, seen=seen)
    if len(before[0]) == 2 and all(tuple(s) in ((n,), ()) for s, n in zip(after, r.batches, strict=True)):
        # () is what a batch of one becomes, if a program squeezes without saying which axis
        ones = tuple(
            torch.empty((n,), dtype=s.dtype, device="meta") for n, s in zip(r.batches, seen, strict=True)
        )
        return _view(x, True, ones)
    return None


def _view(x: Flow, squeezed: bool, seen: tuple[Tensor, ...]) -> Flow:
    return Flow(x.number, seen, x.storage, squeezed)


def _pad(r: Reader, node: Node, a: Arguments) -> Flow | None:
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
    seen = r.follow(node, a)
    op = Pad(*sides[:4])
    if value == 0:
        return r.stage(node, op, x, seen=seen)
    lowered = _affine(r, node, x, shift=-value)  # zeros around what is lowered, then all of it raised again
    if lowered is None:
        return None
    return _affine(r, node, r.stage(node, op, lowered, seen=seen, name=f"{node.layer}.pad"), shift=value)


def _slice(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, axis, step = a["self"], a["dim"] % max(len(a["self"].shape), 1), a["step"]
    seen = r.follow(node, a)
    if [s.shape for s in seen] == [s.shape for s in x.seen]:
        return _view(x, x.squeezed, seen)
    size = x.shape[axis]
    if axis == 0 or x.squeezed or not all(isinstance(a[k], int | None) for k in ("start", "end")):
        return None
    start, end, _ = slice(a["start"], a["end"]).indices(size)
    if axis == 1:
        return _choose(r, node, x, list(range(start, end, step)), seen)
    if len(x.shape) != 4 or step != 1:
        return None
    far = end - size
    return r.stage(node, Pad(0, 0, -start, far) if axis == 2 else Pad(-start, far, 0, 0), x, seen=seen)


def _choose(r: Reader, node: Node, x: Flow, channels: list[int], seen: tuple[Tensor, ...]) -> Flow | None:
    """Some of the channels, in this order: a linear layer of ones and zeros."""
    if len(x.shape) not in (2, 4) or x.squeezed or not channels:
        return None
    weight = torch.zeros((len(channels), x.shape[1]), dtype=torch.float64)
    weight[range(len(channels)), channels] = 1
    bias = torch.zeros(len(channels), dtype=torch.float64)
    if len(x.shape) == 2:
        return r.stage(node, Dense(weight, bias), x, seen=seen)
    window = Window((1, 1), (1, 1), (0, 0))
    return r.stage(node, Conv(weight[:, :, None, None], bias, window), x, seen=seen)


def _select(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """One output: (N, outputs) -> (N,)."""
    x, index = a["self"], a["index"]
    if len(x.shape) != 2 or a["dim"] not in (1, -1) or not isinstance(index, int):
        return None
    seen = r.follow(node, a)
    chosen = x if x.shape[1] == 1 else _choose(r, node, x, [index % x.shape[1]], seen)
    return None if chosen is None else _view(chosen, True, seen)


def _index_select(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, index = a["self"], a["index"]
    if not isinstance(index, Tensor) or len(x.shape) < 2 or a["dim"] % len(x.shape) != 1:
        return None
    return _choose(r, node, x, [int(i) for i in index], r.follow(node, a))


def _index(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x, indices = a["self"], a["indices"]
    if len(indices) != 2 or indices[0] is not None or not isinstance(indices[1], Tensor):
        return None
    index = indices[1]
    if index.dim() != 1 or index.dtype not in (torch.int64, torch.int32):
        return None
    seen = r.follow(node, a)
    return _choose(r, node, x, [int(i) % x.shape[1] for i in index], seen)


def _flip(r: Reader, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    if len(x.shape) < 2 or [d % len(x.shape) for d in a["dims"]] != [1]:
        return None
    return _choose(r, node, x, list(range(x.shape[1]))[::-1], r.follow(node, a))


def _cat(r: Reader, node: Node, a: Arguments) -> Flow | None:
    flows = a["tensors"]
    if not all(isinstance(f, Flow) and len(f.shape) in (2, 4) and not f.squeezed for f in flows):
        return None
    axes = len(flows[0].shape)
    if a["dim"] % axes != 1 or any(len(f.shape) != axes for f in flows):
        return None
    return r.stage(node, Concat(), *flows, seen=r.follow(node, a)) if len(flows) > 1 else flows[0]


def _split(r: Reader, node: Node, a: Arguments) -> Any:
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


def _narrow(r: Reader, node: Node, a: Arguments) -> Flow | None:
    start, length = a["start"], a["length"]
    if not isinstance(start, int) or not isinstance(length, int):
        return None
    size = a["self"].shape[a["dim"]]
    first = start % size if start < 0 else start
    given = {"self": a["self"], "dim": a["dim"], "start": first, "end": first + length, "step": 1}
    return _slice(r, replace(node, op="aten.slice.Tensor"), given)


def _hardsigmoid(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """x / 6 + 1/2, held between 0 and 1."""
    line = _affine(r, node, a["self"], scale=1 / 6, shift=0.5)
    return None if line is None else _elementwise(r, node, line, Activation("hardtanh", (0.0, 1.0)))


def _stack(r: Reader, node: Node, a: Arguments) -> Flow | None:
    """Several outputs (N,) as (N, outputs)."""
    flows = a["tensors"]
    if a["dim"] not in (1, -1) or not all(isinstance(f, Flow) and f.squeezed for f in flows):
        return None
    seen = r.follow(node, a)
    return r.stage(node, Concat(), *flows, seen=seen) if len(flows) > 1 else _view(flows[0], False, seen)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("conv2d", "convolution", "_convolution"), _conv2d),
    "linear": _linear,
    "addmm": _addmm,
    **dict.fromkeys(("mm", "matmul"), _matmul),
    "batch_norm": _batch_norm,
    "add": _add,
    "sub": _sub,
    "subtract": _sub,
    "rsub": _rsub,
    **dict.fromkeys(("mul", "multiply"), _mul),
    **dict.fromkeys(("div", "divide", "true_divide"), _div),
    **dict.fromkeys(("neg", "negative"), _neg),
    "relu": _relu,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clip": _clamp,
    "threshold": _threshold,
    "relu6": _function("relu6"),
    "hardtanh": _hardtanh,
    "leaky_relu": _function("leaky_relu", "negative_slope"),
    "elu": _elu,
    "celu": _function("celu", "alpha"),
    "selu": _function("selu"),
    **{
        kind: _function(kind)
        for kind in ("silu", "hardswish", "mish", "sigmoid", "tanh", "softsign", "atan", "abs")
    },
    "softplus": _function("softplus", "beta", "threshold"),
    "gelu": _gelu,
    **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _dropout),
    **dict.fromkeys(("contiguous", "detach", "alias", "lift", "lift_fresh", "positive", "item"), _nothing),
    **dict.fromkeys(("clone", "lift_fresh_copy"), _copy),
    **dict.fromkeys(("to", "_to_copy", "type_as"), _to),
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), _max_pool),
    "avg_pool2d": _avg_pool,
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive_avg),
    "adaptive_max_pool2d": _adaptive_max,
    "mean": _mean,
    "sum": _total,
    "amax": _largest,
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
    "hardsigmoid": _hardsigmoid,
}  # fmt: skip

# Operations whose result may lie in the memory of what they took.
VIEWS = frozenset({
    *("view", "reshape", "flatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "unflatten", "expand"),
    *("slice", "narrow", "select", "diagonal", "unfold", "as_strided", "alias", "detach", "expand_as"),
    *("transpose", "permute", "t", "swapaxes", "movedim", "numpy_T", "mT"),
})  # fmt: skip
