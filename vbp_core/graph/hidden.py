"""What a network's last hidden layer puts out: where two frames are alike to it."""

from __future__ import annotations

from torch import Tensor

from vbp.graph.operations import Dense, sources
from vbp.graph.trace import Trace


def last_hidden(trace: Trace) -> Tensor:
    """(N, units): what the last dense layer takes; of a network without one, the means of its last maps, or its output."""
    dense = [i for i, stage in enumerate(trace.stages) if isinstance(stage.op, Dense)]
    if dense:
        return trace.values[sources(trace.stages, dense[-1])[0]].flatten(1)
    maps = trace.last_maps()
    return trace.output.flatten(1) if maps is None else trace.values[maps].flatten(2).mean(2)
