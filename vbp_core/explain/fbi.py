"""Forward-Backward Interpretability: the network turned round, masked by what it saw on the way forward."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vbp.errors import ExplainError
from vbp.explain import target as targets
from vbp.explain.target import Target, TargetLike, as_target
from vbp.explain.visualbackprop import scale_up
from vbp.graph.adjoint import adjoint, divide_, gradient_to_inputs, normalise, propagate
from vbp.graph.operations import AvgPool, Conv, Dense, MaxPool, Stage, Window, sources
from vbp.graph.strength import Strength
from vbp.graph.trace import Trace

TAU, KEEP = 10.0, 0.5


def fbi(
    trace: Trace,
    target: TargetLike = None,
    tau: float = TAU,
    keep: float = KEEP,
    every: bool = True,
    relative: bool = True,
    mask: bool = True,
    strength: Strength | None = None,
) -> Tensor:
    """The adjoint's values (N, H, W) at the input, summed over channels, scaled to max |r| = 1.

    With a the activations forward, b_hat those backward, from the output to the input:
    - softmax: z_hat_i = max(z) for the class i = c, min(z) else ("class" targets). For a regression, of which the paper
      says nothing, z_hat - bias of the last layer with weights is what it put out, without its bias, times the side to
      which each output moves the `target`; what comes of it at the layer's input is made as large as the activations
      there (Euclidean norm), so that an angle in degrees and one in radians have the same map;
    - ReLU: ReLU. Dense: a_hat = W^T (z_hat - bias). Convolution: with the flipped filter, no bias;
    - mask: a_hat is kept where a_hat a > tau, in every hidden layer (the input itself is not masked); `mask` False: all
      of it, "no pointwise thresholding", which with all maps (`keep` 1) comes close to DeconvNet, as the paper says;
    - maps: of the backward maps that a convolution put out, the share `keep` with the largest totals is kept (at
      least one). `every` True: at each convolution, as in the paper's experiments; False: at the last one alone, as its
      method says;
    - pooling: each value is replicated over its window, averaged where windows overlap, then
      min(a, a_hat) with a the map before pooling;
    - where skips join (of which the paper says nothing): as the gradient does.
    The paper's tau = 10 is an absolute number, for VGG-16 on inputs of 0 to 255; where activations are of the order
    of 1 and the output is a tenth of a radian, no product reaches it. `relative` True therefore takes tau as
    thousandths of the largest product of each layer and frame; False is the paper's threshold.
    Raises ExplainError for a tau below 0, a keep outside (0, 1], or an output that is not there.
    """
    if not 0 <= tau < math.inf:
        raise ExplainError(f"FBI needs a tau of 0 or more, not {tau:g}")
    if not 0 < keep <= 1:
        raise ExplainError(f"FBI keeps a share of the maps above 0 and up to 1, not {keep:g}")
    chosen = as_target(target)
    of_class = chosen.kind == "class"
    ends, above = _head(trace.stages)
    if of_class:
        ends = frozenset()  # the paper says how a class starts
    last = max((i for i, stage in enumerate(trace.stages) if isinstance(stage.op, Conv)), default=-1)
    with torch.inference_mode():
        start = _of_class(trace.output, chosen) if of_class else targets.gradient(trace.output, chosen)

        def masked(back: Tensor, x: Tensor) -> Tensor:
            return _masked(back, x, tau, relative) if mask else back

        def rule(stage: Stage, x: Tensor, out: Tensor, back: Tensor) -> Tensor:
            head = id(stage) in ends or id(stage) in above
            if stage.relu:
                back = back.where(out > 0, 0.0) if head and not of_class else back.relu()
            if isinstance(stage.op, Conv) and (every or stage is trace.stages[last]):
                back = _strongest_maps(back, keep)
            if id(stage) in ends:
                back = _as_large_as(adjoint(stage.op, x, _put_out(stage, out, back)), x)
            elif isinstance(stage.op, Dense):
                # Where nothing came back, as from a dead layer, the bias alone would make something of it.
                back = torch.where(back.any(1, keepdim=True), back - stage.op.bias, back)
                back = adjoint(stage.op, x, back)
            elif isinstance(stage.op, MaxPool | AvgPool):
                back = torch.minimum(x, _replicate(back, stage.op.window, x))
            else:
                back = adjoint(stage.op, x, back)
            return back if x is trace.input or id(stage) in above else masked(back, x)

        def share(stage: Stage, inputs: tuple[Tensor, ...], out: Tensor, back: Tensor) -> list[Tensor]:
            parts = gradient_to_inputs(stage, inputs, out, back.relu() if stage.relu else back)
            return [masked(part, x) for part, x in zip(parts, inputs, strict=True)]

        # Its thresholds and biases are absolute: nothing may be scaled on the way.
        found = propagate(trace, start, rule, share, scale=lambda back: back)
        return normalise(found.sum(1), strength)


def _of_class(output: Tensor, target: Target) -> Tensor:
    low, high = output.amin(1, keepdim=True), output.amax(1, keepdim=True)
    return low.expand_as(output).scatter(1, targets.index_of(output, target), high)


def _head(stages: tuple[Stage, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """The ids of the layers with weights from which a way leads to the output without another one; of what is on those ways."""
    reached, ends, above = {len(stages)}, set(), set()
    for i in reversed(range(len(stages))):
        if i + 1 in reached:
            if isinstance(stages[i].op, Conv | Dense):
                ends.add(id(stages[i]))
            else:
                above.add(id(stages[i]))
                reached.update(sources(stages, i))
    return frozenset(ends), frozenset(above)


def _put_out(stage: Stage, out: Tensor, gradient: Tensor) -> Tensor:
    """What an end put out without its bias, by its part and side in the gradient; shaped as `out`."""
    return normalise(gradient) * (out - stage.op.bias if isinstance(stage.op, Dense) else out)


def _as_large_as(back: Tensor, x: Tensor) -> Tensor:
    axes = tuple(range(1, x.dim()))
    size, wanted = (torch.linalg.vector_norm(v, dim=axes, keepdim=True) for v in (back, x))
    return back * divide_(wanted, size)


def _masked(back: Tensor, x: Tensor, tau: float, relative: bool) -> Tensor:
    """back where its product with the forward activation x is above tau, else 0."""
    product = back * x
    if not relative:
        return back.where(product > tau, 0.0)
    largest = product.amax(tuple(range(1, product.dim())), keepdim=True).clamp_min_(0.0)
    return back.where(product > largest * (tau / 1000), 0.0)


def _strongest_maps(back: Tensor, keep: float) -> Tensor:
    """back (N, C, h, w) with all but the share `keep` of its maps, by their totals, set to zero."""
    totals = back.sum((2, 3))
    count = max(1, math.ceil(keep * totals.shape[1] - 1e-9))
    if count == totals.shape[1]:
        return back
    kept = torch.zeros_like(totals).scatter_(1, totals.topk(count, 1).indices, 1.0)
    return back * kept[:, :, None, None]


def _replicate(back: Tensor, window: Window, x: Tensor) -> Tensor:
    """Each value over its window, averaged where windows overlap; 0 where none reaches. Shaped as x."""
    height, width = x.shape[2:]
    flat = back.reshape(-1, *back.shape[2:])
    summed = scale_up(flat, window, height, width)
    counts = scale_up(torch.ones_like(flat[:1]), window, height, width)
    return (summed / counts.clamp_min(1.0)).view(x.shape)
