"""The fastest forward pass at hand that still yields every activation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vbp.graph.operations import Conv, Graph, Stage
from vbp.graph.trace import Trace, trace
from vbp.native.trial import Trial

MAX_SHAPES = 4  # one frame, a batch, and a rest are the sizes that occur together


class Forward:
    """`Forward(graph)(images) -> Trace`, equal to `trace(graph, images)` up to rounding.

    On a CPU, in float32, three ways to run the convolutions: by our own kernels where there is a compiler
    ("native": the ReLUs and the means over the channels in the same go), which is found out and tried in the background
    while the next way serves; by oneDNN with weights laid out once and ReLUs fused ("onednn"); and as PyTorch does
    ("plain"). `path` says how the last pass was run, `why` what speaks against the kernels.

    The thread in the background runs some passes of its own beside those that are asked for; they share nothing but weights.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        first = next((s.op for s in graph.stages if isinstance(s.op, Conv)), None)
        self._usable = (
            first is not None and first.weight.device.type == "cpu" and first.weight.dtype == torch.float32
        )
        fused = (
            self._usable
            and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
            and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        )
        self._other = "onednn" if fused else "plain"
        self.path = self._other
        self._packed: dict[torch.Size, list[Tensor | None]] = {}
        self._trials: dict[torch.Size, Trial] = {}  # by the shape of one picture, as is
        self._kept: dict[torch.Size, dict[str, object]] = {}

    def __call__(self, images: Tensor, means: bool = True) -> Trace:
        """means: False leaves out what only VisualBackProp takes, to tell what it costs."""
        trial = self._trials.get(images.shape[1:])
        if trial is not None and trial.found is not None:
            self.path = "native"
            return replace(trial.found(images, means), kept=self._keep(images))
        done = replace(self._otherwise(images), kept=self._keep(images))
        self.path = self._other
        if trial is None and self._usable and len(images) and len(self._trials) < MAX_SHAPES:
            self._trials[images.shape[1:]] = Trial(self.graph, self._otherwise, images[:1])
        return done

    def _keep(self, images: Tensor) -> dict[str, object]:
        """What methods keep from pass to pass at this size of picture."""
        size = images.shape[1:]
        if size not in self._kept and len(self._kept) >= MAX_SHAPES:
            self._kept.pop(next(iter(self._kept)))
        return self._kept.setdefault(size, {})

    @property
    def why(self) -> str:
        """Why the kernels do not serve, in words that follow "because"; "" where they do, or that is not yet known."""
        return next((trial.why for trial in self._trials.values() if trial.why), "")

    def settle(self) -> None:
        """Wait until it is known how the sizes that have occurred are run best."""
        for trial in list(self._trials.values()):
            trial.wait()

    def close(self) -> None:
        """End what runs in the background, and wait for it."""
        for trial in self._trials.values():
            trial.stop()
        self.settle()

    def _otherwise(self, images: Tensor) -> Trace:
        if self._other == "plain":
            return trace(self.graph, images)
        try:
            return self._run_packed(images)
        except (RuntimeError, NotImplementedError):
            # An odd shape, or a build without the kernel: the plain path either works or says why not.
            self._other = "plain"
            return trace(self.graph, images)

    def _run_packed(self, images: Tensor) -> Trace:
        packed = self._packed.get(images.shape)
        if packed is None:
            plain = trace(self.graph, images)
            if len(self._packed) >= MAX_SHAPES:
                self._packed.pop(next(iter(self._packed)))
            self._packed[images.shape] = packed = [
                _pack(stage.op, plain.inputs(i)[0].shape) if isinstance(stage.op, Conv) else None
                for i, stage in enumerate(plain.stages)
            ]
        return trace(self.graph, images, lambda i, stage, inputs: _fused(stage, packed[i], inputs))


def _pack(conv: Conv, shape: torch.Size) -> Tensor:
    w = conv.window
    reorder: Any = torch.ops.mkldnn._reorder_convolution_weight
    with torch.inference_mode():
        return reorder(  # type: ignore[no-any-return]
            conv.weight, list(w.padding), list(w.stride), list(w.dilation), conv.groups, list(shape)
        )


def _fused(stage: Stage, packed: Tensor | None, inputs: list[Tensor]) -> Tensor | None:
    conv = stage.op
    if not isinstance(conv, Conv):
        return None
    w = conv.window
    run: Any = torch.ops.mkldnn._convolution_pointwise
    sizes = (list(w.padding), list(w.stride), list(w.dilation), conv.groups)
    return run(  # type: ignore[no-any-return]
        inputs[0], packed, conv.bias, *sizes, "relu" if stage.relu else "none", [], ""
    )
