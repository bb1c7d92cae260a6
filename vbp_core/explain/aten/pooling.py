"""ATen operations that pool: over windows, over parts of equal size, over the whole map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vbp.explain.aten.builder import Builder
from vbp.explain.aten.common import Arguments, Rule, affine, pair
from vbp.explain.aten.flow import Flow
from vbp.graph.operations import AdaptiveAvgPool, AvgPool, Flatten, MaxPool, Op, Pair, Window
from vbp.models.program import Node


def _max_pool(r: Builder, node: Node, a: Arguments) -> Any:
    x = a["self"]
    if len(x.shape) != 4:
        return None
    window = _pool_window(a, pair(a["dilation"]))
    meta = r.follow(node, a)
    if not node.many:
        return r.stage(node, MaxPool(window, bool(a["ceil_mode"])), x, meta=meta)
    maxima = r.stage(node, MaxPool(window, bool(a["ceil_mode"])), x, meta=tuple(s[0] for s in meta))
    return [maxima, *r.opaque(node, a)[1:]]


def _avg_pool(r: Builder, node: Node, a: Arguments) -> Flow | None:
    if len(a["self"].shape) != 4 or a["divisor_override"]:
        return None
    op = AvgPool(_pool_window(a), bool(a["ceil_mode"]), bool(a["count_include_pad"]))
    return r.stage(node, op, a["self"], meta=r.follow(node, a))


def _pool_window(a: Arguments, dilation: Pair = (1, 1)) -> Window:
    kernel = pair(a["kernel_size"])
    return Window(kernel, pair(a["stride"]) if a["stride"] else kernel, pair(a["padding"]), dilation)


def _adaptive_avg(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    meta = r.follow(node, a)
    if len(x.shape) != 4 or _uneven(x.shape[2:], meta[0].shape[2:]):
        return None
    return r.stage(node, AdaptiveAvgPool((meta[0].shape[2], meta[0].shape[3])), x, meta=meta)


def _uneven(sizes: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return any(not w or s % w for s, w in zip(sizes, wanted, strict=True))


def _adaptive_max(r: Builder, node: Node, a: Arguments) -> Any:
    x = a["self"]
    meta = r.follow(node, a)
    maxima = tuple(s[0] for s in meta)
    sizes, wanted = x.shape[2:], tuple(maxima[0].shape[2:])
    if len(x.shape) != 4 or _uneven(sizes, wanted):
        return None
    kernel = (sizes[0] // wanted[0], sizes[1] // wanted[1])
    pooled = r.stage(node, MaxPool(Window(kernel, kernel, (0, 0))), x, meta=maxima)
    return [pooled, *r.opaque(node, a)[1:]]


def _mean(r: Builder, node: Node, a: Arguments) -> Flow | None:
    return _pooled(r, node, a, lambda x: AdaptiveAvgPool((1, 1)))


def _total(r: Builder, node: Node, a: Arguments) -> Flow | None:
    x = a["self"]
    pooled = _pooled(r, node, a, lambda x: AdaptiveAvgPool((1, 1)))
    return None if pooled is None else affine(r, node, pooled, scale=float(x.shape[2] * x.shape[3]))


def _largest(r: Builder, node: Node, a: Arguments) -> Flow | None:
    def whole(x: Flow) -> Op:
        kernel = (x.shape[2], x.shape[3])
        return MaxPool(Window(kernel, kernel, (0, 0)))

    return _pooled(r, node, a, whole)


def _pooled(r: Builder, node: Node, a: Arguments, op: Callable[[Flow], Op]) -> Flow | None:
    """A reduction over rows and columns."""
    x, axes = a["self"], a.get("dim")
    if len(x.shape) != 4 or not axes or a.get("dtype") is not None or {d % 4 for d in axes} != {2, 3}:
        return None
    small = tuple(s.amax((2, 3), keepdim=True) for s in x.meta)
    pooled = r.stage(node, op(x), x, meta=small)
    if a["keepdim"]:
        return pooled
    return r.stage(
        node, Flatten(), pooled, meta=tuple(s.flatten(1) for s in small), name=f"{node.layer}.flatten"
    )


RULES: dict[str, Rule] = {
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), _max_pool),
    "avg_pool2d": _avg_pool,
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive_avg),
    "adaptive_max_pool2d": _adaptive_max,
    "mean": _mean,
    "sum": _total,
    "amax": _largest,
}  # fmt: skip
