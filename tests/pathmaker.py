"""Small networks as the paper's multipartite graph (section 4), of which every path is walked, in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from netmaker import F64
from vbp.explain.chain import read_chain
from vbp.graph.trace import Trace, trace


def network(seed: int, stride: int = 1, bias: bool = True) -> tuple[Trace, Tensor]:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 2, bias=bias), nn.ReLU(),
        nn.Conv2d(2, 2, 2, stride, bias=bias), nn.ReLU(),
        nn.Conv2d(2, 2, (1, 2), bias=bias), nn.ReLU(),
        nn.Flatten(), nn.Linear({1: 2 * 3 * 3, 2: 2 * 2 * 1}[stride], 1),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1)  # enough of them alive
    images = torch.rand(2, 1, 5, 6, dtype=F64)
    return trace(read_chain(net).to("cpu", F64), images), images


class Graph:
    """The multipartite graph of section 4 for one frame: parts of neurons, and edges with their weights."""

    def __init__(self, done: Trace, n: int) -> None:
        self.value = {(0, i): v for i, v in enumerate(done.input[n].reshape(-1).tolist())}
        self.bias: dict[tuple[int, int], float] = {}
        self.edges: dict[tuple[int, int], list[tuple[tuple[int, int], float]]] = {}  # into a neuron
        self.parts = 0
        for stage, x, out in zip(done.stages, done.values[:-1], done.values[1:], strict=True):
            op = stage.op
            if type(op).__name__ != "Conv":
                break
            self.parts += 1
            (kh, kw), (sh, sw) = op.window.kernel, op.window.stride
            maps, rows, columns = out[n].shape
            for k in range(maps):
                for y in range(rows):
                    for z in range(columns):
                        v = (self.parts, (k * rows + y) * columns + z)
                        self.value[v] = float(out[n, k, y, z])
                        self.bias[v] = float(op.bias[k])
                        self.edges[v] = [
                            (
                                (self.parts - 1, (c * x.shape[2] + y * sh + i) * x.shape[3] + z * sw + j),
                                float(op.weight[k, c, i, j]),
                            )
                            for c in range(op.weight.shape[1])
                            for i in range(kh)
                            for j in range(kw)
                        ]

    def gamma(self, v: tuple[int, int]) -> float:
        """The input flow of v: what its edges bring, without its bias."""
        return sum(w * self.value[u] for u, w in self.edges[v])

    def known(self, v: tuple[int, int]) -> float:
        """How much of it is handed down: nothing up to 1e-3 of the flow's size, from 1e-2 on all, evenly between."""
        size = sum(abs(w * self.value[u]) for u, w in self.edges[v])
        return min(max((abs(self.gamma(v)) / size - 1e-3) / 9e-3, 0.0), 1.0)

    def paths(self, factor: Callable[[tuple[int, int], float], float], pixels: bool = True) -> Tensor:
        """(pixels,): of each pixel, the sum over all paths from it to the last convolution of the products of `factor`(v, w)
        over the edges, of weight w, into v; times the pixel's value where `pixels`. Each is walked from its end."""
        found = [0.0] * sum(part == 0 for part, _ in self.value)
        self.count = 0

        def walk(v: tuple[int, int], product: float) -> None:
            if v[0] == 0:
                self.count += 1
                found[v[1]] += product * (self.value[v] if pixels else 1.0)  # gamma(X) is the pixel's value
                return
            if self.value[v] == 0:  # a dead node is no part of the graph
                return
            for u, w in self.edges[v]:
                walk(u, product * factor(v, w))

        for v in self.value:
            if v[0] == self.parts:
                walk(v, 1.0)
        return torch.tensor(found, dtype=F64)

    def lemma_3(self, v: tuple[int, int], w: float) -> float:
        """w a / (a + b), Eq. 3."""
        return self.known(v) * w * self.value[v] / self.gamma(v)
