"""The fastest forward pass at hand that still yields every activation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vbp.graph.operations import Conv, Graph, Stage
from vbp.graph.trace import Trace, trace
from vbp.native.tuning import Tuning

MAX_SHAPES = 4  # one frame, a batch, and a rest are the sizes that occur together


class Forward:
    """`Forward(graph)(images) -> Trace`, equal to `trace(graph, images)` up to rounding.

    On a CPU, in float32, three ways to run the convolutions: by our own kernels ("native": the ReLUs and the means over the
    channels in the same pass), which are checked on the first picture and timed in the background from then on; where they
    are missing, wrong or slower, by oneDNN with weights laid out once and ReLUs fused ("onednn"); and as PyTorch does
    ("plain"). `path` says how the last pass was run, `instructions` by which of the processor the kernels are, and
    `unavailable_reason` why it was not by them.

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
        self._torch_path = "onednn" if fused else "plain"
        self.path = self._torch_path
        self.instructions = ""
        self._packed: dict[torch.Size, list[Tensor | None]] = {}
        self._tunings: dict[torch.Size, Tuning] = {}  # by the shape of one picture, as is
        self._caches: dict[torch.Size, dict[str, object]] = {}

    def __call__(self, images: Tensor, means: bool = True) -> Trace:
        """means: False leaves out what only VisualBackProp takes, to measure what it costs."""
        tuning = self._tunings.get(images.shape[1:])
        if tuning is None and self._usable and len(images) and len(self._tunings) < MAX_SHAPES:
            tuning = Tuning(self.graph, self._run_by_torch, images[:1])
            self._tunings[images.shape[1:]] = tuning
        native = tuning.native if tuning is not None else None
        if native is not None:
            self.path, self.instructions = "native", native.name
            return replace(native(images, means), cache=self._cache_for(images))
        result = replace(self._run_by_torch(images), cache=self._cache_for(images))
        self.path = self._torch_path
        return result

    def _cache_for(self, images: Tensor) -> dict[str, object]:
        """What methods compute once for all passes of this size of picture."""
        size = images.shape[1:]
        if size not in self._caches and len(self._caches) >= MAX_SHAPES:
            self._caches.pop(next(iter(self._caches)))
        return self._caches.setdefault(size, {})

    @property
    def unavailable_reason(self) -> str:
        """Why the kernels are not used, in words that follow "because"; "" where they are, or that is not yet known."""
        reasons = (tuning.unavailable_reason for tuning in self._tunings.values())
        return next((reason for reason in reasons if reason), "")

    def wait_until_tuned(self) -> None:
        """Wait until it is known how the sizes that have occurred are run fastest."""
        for tuning in list(self._tunings.values()):
            tuning.wait()

    def close(self) -> None:
        """End what runs in the background, and wait for it."""
        for tuning in self._tunings.values():
            tuning.stop()
        self.wait_until_tuned()

    def _run_by_torch(self, images: Tensor) -> Trace:
        if self._torch_path == "plain":
            return trace(self.graph, images)
        try:
            return self._run_packed(images)
        except (RuntimeError, NotImplementedError):
            # An odd shape, or a build without the kernel: the plain path either works or says why not.
            self._torch_path = "plain"
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
