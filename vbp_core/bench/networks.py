"""One network, stage by stage: the forward pass, the mask, LRP, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from vbp.bench.others import captum_lrp, zennit_lrp
from vbp.bench.timing import Estimate, Rounds, interleaved
from vbp.drives.base import Image
from vbp.engine import Engine
from vbp.explain.chain import read_chain
from vbp.explain.graphed import Recorded
from vbp.explain.registry import explain
from vbp.graph.operations import Conv, Dense, Pad
from vbp.graph.trace import Trace
from vbp.models.network import Network
from vbp.preprocess import as_images, prepare, to_tensor

FORWARD, PLAIN, MASK, LRP = "forward", "plain forward", "mask", "LRP"
NAIVE, CAPTUM, ZENNIT, PAIR = "mask, transposed convolutions", "captum LRP", "zennit LRP", "forward + mask"
GRAPHED, GRAPHED_FORWARD = "forward + mask, CUDA graph", "forward, CUDA graph"
GRAPHED_MASK = "mask, CUDA graph"
COMPILED = "forward, torch.compile"
STEPS = "mask, after the pass"  # the part of it that is not computed in the pass itself

OF_MASK, OF_MASK_BY_GRAPH = "mask / forward", "mask / forward, CUDA graph"
# (what, stage above the line, stage below it)
RATIOS = (
    (OF_MASK, MASK, FORWARD),
    ("plain forward / forward", PLAIN, FORWARD),
    (OF_MASK_BY_GRAPH, GRAPHED_MASK, GRAPHED_FORWARD),
    ("forward by torch.compile / forward, CUDA graph", COMPILED, GRAPHED_FORWARD),
    ("mask by transposed convolutions / mask", NAIVE, MASK),
    ("LRP / mask", LRP, MASK),
    ("LRP / forward", LRP, FORWARD),
    ("captum LRP / mask", CAPTUM, MASK),
    ("captum LRP / LRP", CAPTUM, LRP),
    ("zennit LRP / LRP", ZENNIT, LRP),
)


@dataclass(frozen=True)
class Work:
    """What a stage cannot do without: operations (a multiply-add is two) and bytes read and written once."""

    operations: float
    bytes: float


@dataclass
class NetworkResult:
    """timings: milliseconds by stage. ratios: by their words, of rounds in which both stages ran. works: of the stages that
    are counted. notes: what could not be run, and why."""

    name: str
    input: tuple[int, ...]
    batch: int
    path: str  # of the forward pass
    timings: dict[str, Estimate]
    ratios: dict[str, Estimate]
    works: dict[str, Work]
    mask_difference: float  # largest, from the transposed convolutions
    notes: list[str] = field(default_factory=list)


def measure_network(
    network: Network, picture: Image, device: str, batch: int, seconds: float, others: bool = True
) -> NetworkResult:
    """Every stage on `batch` copies of one frame. others: with captum and zennit where they are."""
    engine = Engine(network, device)
    spec = engine.spec
    inputs = np.repeat(prepare(picture, spec)[0][None], batch, axis=0)
    where = torch.device(engine.device)
    images = to_tensor(inputs, spec, where)
    engine.forward(images)
    engine.wait_until_tuned()
    trace = engine.forward(images)
    passed = [trace]
    chain = read_chain(network.module).to(where, torch.float32)
    module = network.module.to(where, torch.float32).eval()
    notes: list[str] = []

    def pass_anew() -> None:
        passed[0] = engine.forward(images)

    def pair() -> Tensor:
        return explain(engine.forward(images), "visualbackprop")

    tasks: dict[str, Callable[[], object]] = {
        FORWARD: lambda: engine.forward(images, means=False),
        PLAIN: partial(_without_gradients, module, images),
        STEPS: lambda: explain(passed[0], "visualbackprop"),
        PAIR: pair,
        NAIVE: lambda: transposed_mask(passed[0]),
        LRP: lambda: explain(passed[0], "lrp"),
    }
    differences = {MASK: (PAIR, FORWARD)}
    if where.type == "cuda":
        found, told = card_tasks(engine, module, inputs, images)
        tasks |= found
        notes += told
        if GRAPHED in tasks:
            differences[GRAPHED_MASK] = (GRAPHED, GRAPHED_FORWARD)
    # As in use: what explains a pass runs right after it, and finds the maps where they have just been written.
    before = dict.fromkeys((STEPS, NAIVE, LRP), pass_anew)
    # The means over the channels may be made in the pass: what the mask costs is all that it adds.
    rounds = interleaved(tasks, seconds, _synchronizer(where), before=before, differences=differences)
    timings = {name: rounds.estimate(name) for name in rounds.laps_ms}
    ratios = ratios_of(rounds)
    if others:
        # Apart from the others: each lasts as long as all of them together, and fills their caches. What it is compared with
        # runs in the same rounds, after a pass that fills them again.
        ours = (FORWARD, PAIR, LRP)
        for title, make in ((CAPTUM, captum_lrp), (ZENNIT, zennit_lrp)):
            try:
                run = make(chain, images)
            except ImportError:
                notes.append(f"{title.split()[0]} is not installed")
                continue
            beside = {title: run} | {name: tasks[name] for name in ours}
            fresh = dict.fromkeys(ours, pass_anew)
            rounds = interleaved(
                beside, seconds / 2, _synchronizer(where), before=fresh, differences={MASK: differences[MASK]}
            )
            timings[title] = rounds.estimate(title)
            ratios |= {w: r for w, r in ratios_of(rounds).items() if w not in ratios}
    difference = float((explain(trace, "visualbackprop") - transposed_mask(trace)).abs().max())
    return NetworkResult(
        spec.name,
        tuple(images.shape),
        batch,
        engine.path_text,
        timings,
        ratios,
        {FORWARD: forward_work(trace), MASK: mask_work(trace), LRP: lrp_work(trace)},
        difference,
        notes,
    )


def ratios_of(rounds: Rounds) -> dict[str, Estimate]:
    """Those of RATIOS whose stages both ran."""
    return {
        words: rounds.ratio(above, below)
        for words, above, below in RATIOS
        if above in rounds.laps_ms and below in rounds.laps_ms
    }


def title_of(network: Mapping[str, Any]) -> str:
    """Of a NetworkResult as plain data."""
    return str(network["name"]) + (f", batch {network['batch']}" if network["batch"] > 1 else "")


def card_tasks(
    engine: Engine, module: nn.Module, inputs: NDArray[np.uint8], images: Tensor
) -> tuple[dict[str, Callable[[], object]], list[str]]:
    """What only a graphics card has: CUDA graphs and compiled networks, each made ready; and why one is missing."""
    found: dict[str, Callable[[], object]] = {}
    notes = []
    there = torch.from_numpy(inputs).to(images.device)
    graphed = engine.graphed
    if graphed is not None and graphed(there) is not None:

        def forward(x: Tensor) -> tuple[Tensor, Tensor]:
            output = engine.forward(as_images(x, engine.spec)).output
            return output, output

        forward_alone = Recorded(forward, there)
        found |= {GRAPHED: lambda: graphed(there), GRAPHED_FORWARD: lambda: forward_alone(there)}
    else:
        notes.append(f"{engine.name}: no CUDA graph of it can be made")
    try:
        compiled = torch.compile(module, mode="reduce-overhead")
        run = partial(_without_gradients, compiled, images)
        for _ in range(3):
            run()
        found[COMPILED] = run
    except Exception as error:  # of many kinds, by what of its tools is missing here
        notes.append(f"{engine.name}: torch.compile: {str(error).strip().splitlines()[0]}")
    return found, notes


def _without_gradients(module: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with torch.inference_mode():
        return module(images)


def _synchronizer(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


def transposed_mask(trace: Trace) -> Tensor:
    """VisualBackProp as the paper words it: averages, transposed convolutions of ones, products. (N, H, W)."""
    mask: Tensor | None = None
    with torch.inference_mode():
        for i in range(len(trace.stages) - 1, -1, -1):
            stage, value = trace.stages[i], trace.values[i + 1]
            if value.dim() != 4:
                continue
            if stage.relu:
                average = value.mean(1, keepdim=True)
                average = average / average.amax((2, 3), keepdim=True).clamp_min(1e-30)
                mask = average if mask is None else mask * average
            op = stage.op
            if mask is not None and isinstance(op, Conv):
                window = op.window
                ones = mask.new_ones((1, 1, *window.kernel))
                size = trace.values[i].shape[2:]
                base = [
                    (mask.shape[2 + k] - 1) * window.stride[k]
                    - 2 * window.padding[k]
                    + window.dilation[k] * (window.kernel[k] - 1)
                    + 1
                    for k in (0, 1)
                ]
                extra = [size[0] - base[0], size[1] - base[1]]
                mask = F.conv_transpose2d(
                    mask, ones, None, window.stride, window.padding, extra, 1, window.dilation
                )
            elif mask is not None and isinstance(op, Pad):
                mask = F.pad(mask, (-op.left, -op.right, -op.top, -op.bottom))
    if mask is None:
        raise ValueError("no convolution is followed by a ReLU")
    mask = mask[:, 0]
    low, high = mask.amin((1, 2), keepdim=True), mask.amax((1, 2), keepdim=True)
    return (mask - low) / (high - low).clamp_min(1e-30)


def forward_work(trace: Trace) -> Work:
    """Weights and every activation once, float32."""
    operations = moved = 0.0
    for stage, before, after in zip(trace.stages, trace.values, trace.values[1:], strict=False):
        op = stage.op
        if isinstance(op, Conv):
            operations += 2.0 * after.numel() * op.weight[0].numel()
        elif isinstance(op, Dense):
            operations += 2.0 * after.numel() * op.weight.shape[1]
        else:
            continue
        moved += 4.0 * (before.numel() + after.numel() + op.weight.numel())
    return Work(operations, moved)


def mask_work(trace: Trace) -> Work:
    """The feature maps read once, and a one-channel map written and read at each layer and at the input.

    Where the pass has made the means (`Trace.means`), it had the maps at hand: no memory is read for them.
    """
    operations = moved = 0.0
    for i, stage in enumerate(trace.stages):
        value = trace.values[i + 1]
        if value.dim() == 4 and stage.relu:
            plane = value[:, 0].numel()
            operations += value.numel() + 2.0 * plane
            in_the_pass = bool(trace.means) and trace.means[i + 1] is not None
            moved += 4.0 * ((2.0 * plane if in_the_pass else value.numel()) + 2.0 * plane)
        if isinstance(stage.op, Conv) and trace.values[i].dim() == 4:
            plane = trace.values[i][:, 0].numel()
            operations += (
                plane * float(np.prod(stage.op.window.kernel)) / float(np.prod(stage.op.window.stride))
            )
            moved += 8.0 * plane
    return Work(operations, moved)


def lrp_work(trace: Trace) -> Work:
    """The weights and every activation once, and the relevance of each written once and read once."""
    forward = forward_work(trace)
    operations, moved = forward.operations, 0.0
    for i, stage in enumerate(trace.stages):
        if isinstance(stage.op, Conv | Dense):
            before, after = trace.values[i].numel(), trace.values[i + 1].numel()
            operations += before + 2.0 * after  # times x; plus eps, divided by
            moved += 4.0 * (stage.op.weight.numel() + after + 2.0 * before)
    return Work(operations, moved)
