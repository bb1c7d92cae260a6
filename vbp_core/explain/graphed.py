"""Forward pass and mask on a graphics card, recorded once and replayed: some two hundred launches cost as much as one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from vbp.explain.visualbackprop import visualbackprop
from vbp.graph.operations import Graph, Opaque
from vbp.graph.trace import trace
from vbp.models.spec import NetworkSpec
from vbp.preprocess import as_images

log = logging.getLogger(__name__)
WARM_UP = 3  # passes before recording, in which libraries choose their kernels and take their memory

Pass: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]


class Recorded:
    """A function of one tensor on a card, which waits for nothing, recorded as a CUDA graph (PyTorch's notes on CUDA: CUDA graphs).

    The tensors that a call returns are written over by the next. Raises RuntimeError where it cannot be recorded.
    """

    def __init__(self, function: Pass, example: Tensor) -> None:
        with torch.cuda.device(example.device), torch.inference_mode(False):
            self._input = example.clone()
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    function(self._input)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may use the card meanwhile, as the one that explains earlier frames does.
            with torch.cuda.graph(self._graph, stream=aside, capture_error_mode="thread_local"):
                self._outputs = function(self._input)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self._input.copy_(x, non_blocking=True)
        self._graph.replay()
        return self._outputs


class GraphedMask:
    """Outputs (N, outputs) and VisualBackProp's masks (N, h, w) of prepared uint8 inputs on a card, by a recording for each of the first sizes of batch.

    None of a further size, of a network with operations that a graph has no word for, and where recording fails, which is
    logged as a warning; what is asked for can then be launched as usual. It belongs to one thread.
    """

    MOST = 4

    def __init__(self, graph: Graph, spec: NetworkSpec) -> None:
        self._graph, self._spec = graph, spec
        self._recorded: dict[torch.Size, Recorded] = {}
        self._usable = not any(isinstance(stage.op, Opaque) for stage in graph.stages)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor] | None:
        """inputs: (N, h, w) or (N, h, w, 3). What is returned is the caller's."""
        found = self._recorded.get(inputs.shape)
        if found is None:
            if not self._usable or len(self._recorded) >= self.MOST:
                return None
            try:
                found = self._recorded[inputs.shape] = Recorded(self.run, inputs)
            except RuntimeError as error:
                self._usable = False
                reason = str(error).splitlines()[0]
                log.warning("%s runs without a CUDA graph, which is slower: %s", self._spec.name, reason)
                return None
        output, mask = found(inputs)
        return output.clone(), mask.clone()

    def run(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The same, launched one by one; what is recorded."""
        with torch.inference_mode():
            done = trace(self._graph, as_images(inputs, self._spec))
            return done.output, visualbackprop(done)
