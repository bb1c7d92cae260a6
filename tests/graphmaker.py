"""Random networks with skips, branches and concatenations, as stages and as a module of torch's own layers."""

from __future__ import annotations

import random

import torch
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, nn

from netmaker import F64, scaled
from vbp.graph.folding import fold
from vbp.graph.operations import (
    Activation,
    Add,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Graph,
    Identity,
    MaxPool,
    Op,
    Pad,
    Pair,
    Stage,
    Window,
)
from vbp.graph.trace import Trace, trace

ACTIVATIONS: dict[str, nn.Module] = {
    "leaky_relu": nn.LeakyReLU(0.01),
    "elu": nn.ELU(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(),
    "hardswish": nn.Hardswish(),
    "mish": nn.Mish(),
    "softsign": nn.Softsign(),
    "selu": nn.SELU(),
    "celu": nn.CELU(),
}


class GraphModule(nn.Module):
    """The same network of torch's own layers, each ReLU and each sum a module of its own; shares no code with the walk."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        super().__init__()
        self.ops = [stage.op for stage in stages]
        self.sources = [stage.inputs or (i,) for i, stage in enumerate(stages)]
        # captum's LRP has no rule for layers that do nothing.
        real = {i: op for i, op in enumerate(self.ops) if not isinstance(op, Flatten | Identity)}
        self.layers = nn.ModuleDict({str(i): layer_of(op) for i, op in real.items()})
        self.relus = nn.ModuleDict({str(i): nn.ReLU() for i, stage in enumerate(stages) if stage.relu})
        self.double().eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.values(images)[-1]

    def values(self, images: Tensor) -> list[Tensor]:
        values = [images]
        for i, taken in enumerate(self.sources):
            out = self.compute(i, *(values[k] for k in taken))
            values.append(self.relus[str(i)](out) if str(i) in self.relus else out)
        return values

    def compute(self, i: int, *taken: Tensor) -> Tensor:
        """What stage `i` puts out before its ReLU."""
        if isinstance(self.ops[i], Flatten):
            return taken[0].flatten(1)
        if isinstance(self.ops[i], Identity):
            return taken[0] * 1.0  # captum hooks the tensor that a ReLU takes, which others may take too
        layer = self.layers[str(i)]
        if isinstance(self.ops[i], Concat):
            return layer(torch.cat(taken, 1))
        if len(taken) == 1:
            return layer(taken[0])
        first, second, *rest = taken
        out = layer(first, second)
        for more in rest:
            out = out + more
        return out

    def last(self, value: int) -> nn.Module:
        """The module that puts out value number `value`."""
        i = str(value - 1)
        return self.relus[i] if i in self.relus else self.layers[i]


def layer_of(op: Op) -> nn.Module:
    if isinstance(op, Conv):
        out, per_group = op.weight.shape[:2]
        w = op.window
        layer: nn.Module = nn.Conv2d(
            per_group * op.groups, out, w.kernel, w.stride, w.padding, w.dilation, op.groups
        )
        layer.weight, layer.bias = nn.Parameter(op.weight.clone()), nn.Parameter(op.bias.clone())
        return layer
    if isinstance(op, Dense):
        layer = nn.Linear(op.weight.shape[1], op.weight.shape[0])
        layer.weight, layer.bias = nn.Parameter(op.weight.clone()), nn.Parameter(op.bias.clone())
        return layer
    if isinstance(op, Affine):
        layer = nn.BatchNorm2d(len(op.scale), eps=0.0)
        layer.weight, layer.bias = nn.Parameter(op.scale.clone()), nn.Parameter(op.shift.clone())
        return layer
    if isinstance(op, MaxPool):
        return nn.MaxPool2d(op.window.kernel, op.window.stride, op.window.padding, op.window.dilation)
    if isinstance(op, AvgPool):
        return nn.AvgPool2d(op.window.kernel, op.window.stride, op.window.padding)
    if isinstance(op, Pad):
        return nn.ZeroPad2d((op.left, op.right, op.top, op.bottom))
    if isinstance(op, Activation):
        return ACTIVATIONS[op.kind]
    if isinstance(op, Add):
        return Addition_Module()
    assert isinstance(op, Concat), op
    return nn.Identity()


class Maker:
    """Stages one after another, with random weights, and the shape (C, H, W) of every value."""

    def __init__(self, seed: int, channels: int, height: int, width: int) -> None:
        self.rng = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.stages: list[Stage] = []
        self.shapes: list[tuple[int, ...]] = [(channels, height, width)]

    def randn(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, dtype=F64, generator=self.generator) * scale

    def add(self, op: Op, *inputs: int, shape: tuple[int, ...], relu: bool = False) -> int:
        self.stages.append(Stage(f"layer{len(self.stages)}", op, relu, inputs))
        self.shapes.append(shape)
        return len(self.stages)

    def conv(
        self,
        k: int,
        maps: int,
        kernel: Pair = (3, 3),
        stride: Pair = (1, 1),
        padding: Pair = (1, 1),
        dilation: Pair = (1, 1),
        groups: int = 1,
        bias: float = 0.3,
        relu: bool = False,
    ) -> int:
        c, *size = self.shapes[k]
        rows, columns = (
            (n + 2 * p - d * (q - 1) - 1) // s + 1
            for n, p, d, q, s in zip(size, padding, dilation, kernel, stride, strict=True)
        )
        fan = c // groups * kernel[0] * kernel[1]
        weight = self.randn(maps, c // groups, *kernel, scale=(1.5 / fan) ** 0.5)
        op = Conv(weight, self.randn(maps, scale=bias), Window(kernel, stride, padding, dilation), groups)
        return self.add(op, k, shape=(maps, rows, columns), relu=relu)

    def norm(self, k: int, relu: bool = False) -> int:
        c = self.shapes[k][0]
        scale = torch.rand(c, dtype=F64, generator=self.generator) + 0.5
        return self.add(Affine(scale, self.randn(c, scale=0.3)), k, shape=self.shapes[k], relu=relu)

    def relu(self, k: int) -> int:
        return self.add(Identity(), k, shape=self.shapes[k], relu=True)

    def activation(self, k: int, kind: str) -> int:
        return self.add(Activation(kind), k, shape=self.shapes[k])

    def pool(
        self, k: int, kind: type[MaxPool] | type[AvgPool], kernel: int, stride: int, padding: int
    ) -> int:
        c, *size = self.shapes[k]
        rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in size)
        window = Window((kernel, kernel), (stride, stride), (padding, padding))
        return self.add(kind(window), k, shape=(c, rows, columns))

    def sum(self, *values: int, relu: bool = False) -> int:
        return self.add(Add(), *values, shape=self.shapes[values[0]], relu=relu)

    def cat(self, *values: int) -> int:
        maps = sum(self.shapes[k][0] for k in values)
        return self.add(Concat(), *values, shape=(maps, *self.shapes[values[0]][1:]))

    def head(self, k: int, hidden: int = 5, outputs: int = 2, bias: float = 0.3) -> Graph:
        c, h, w = self.shapes[k]
        flat = self.add(Flatten(), k, shape=(c * h * w,))
        first = Dense(
            self.randn(hidden, c * h * w, scale=(c * h * w) ** -0.5), self.randn(hidden, scale=bias)
        )
        dense = self.add(first, flat, shape=(hidden,), relu=True)
        last = Dense(self.randn(outputs, hidden), self.randn(outputs, scale=bias))
        self.add(last, dense, shape=(outputs,))
        return Graph(tuple(self.stages))

    def images(self, frames: int = 2) -> Tensor:
        return torch.rand(frames, *self.shapes[0], dtype=F64, generator=self.generator)


def random_graph(seed: int, steps: int = 9, largest: int = 11) -> tuple[Graph, Tensor]:
    """A network in which any value may be taken again, and images of up to `largest` rows and columns for it."""
    rng = random.Random(seed)
    maker = Maker(seed, rng.randint(1, 3), rng.randint(5, largest), rng.randint(5, largest))
    maker.conv(0, 4)
    for _ in range(steps):
        _grow(maker, rng)
    # Everything that nobody has taken yet and that fits goes into the end, so that little is dead.
    last = len(maker.stages)
    taken = {k for stage in maker.stages for k in stage.inputs}
    loose = [k for k in range(1, last) if k not in taken and maker.shapes[k][1:] == maker.shapes[last][1:]]
    if loose:
        last = maker.cat(last, *loose)
    return maker.head(last), maker.images()


def _grow(maker: Maker, rng: random.Random) -> None:
    values = list(range(1, len(maker.shapes)))
    k = rng.choice(values[-3:])
    _, rows, columns = maker.shapes[k]
    alike = [v for v in values if maker.shapes[v] == maker.shapes[k] and v != k]
    beside = [v for v in values if maker.shapes[v][1:] == (rows, columns) and v != k]
    choice = rng.choice(
        ["conv", "block", "conv", "norm", "relu", "sum", "sum", "cat", "max", "average", "pad", "smooth"]
    )
    if choice == "conv" and min(rows, columns) > 4:
        kernel = (rng.randint(1, 3), rng.randint(1, 3))
        padding = (rng.randint(0, kernel[0] // 2), rng.randint(0, kernel[1] // 2))
        stride = (rng.choice([1, 1, 2]), rng.choice([1, 1, 2]))
        groups = rng.choice([1, maker.shapes[k][0]])
        maps = maker.shapes[k][0] * rng.choice([1, 2]) if groups > 1 else rng.randint(2, 5)
        maker.conv(k, min(maps, 8) if groups == 1 else maps, kernel, stride, padding, groups=groups)
        if rng.random() < 0.5:
            maker.norm(len(maker.stages), relu=rng.random() < 0.7)
    elif choice == "norm":
        maker.norm(k, relu=rng.random() < 0.5)
    elif choice == "relu":
        maker.relu(k)
    elif choice == "sum" and alike:
        maker.sum(k, *rng.sample(alike, min(len(alike), rng.choice([1, 1, 2]))), relu=rng.random() < 0.5)
    elif choice == "cat" and beside and maker.shapes[k][0] < 12:
        maker.cat(k, rng.choice(beside))
    elif choice in ("max", "average") and min(rows, columns) > 4:
        kind = MaxPool if choice == "max" else AvgPool
        maker.pool(k, kind, rng.randint(2, 3), rng.randint(1, 2), rng.randint(0, 1))
    elif choice == "pad" and max(rows, columns) < 12:
        left, right, top, bottom = (rng.randint(-1, 2) for _ in range(4))
        shape = (maker.shapes[k][0], rows + top + bottom, columns + left + right)
        maker.add(Pad(left, right, top, bottom), k, shape=shape)
    elif choice == "smooth":
        maker.activation(k, rng.choice(list(ACTIVATIONS)))
    else:  # a residual block
        maps = maker.shapes[k][0]
        inner = maker.norm(maker.conv(k, maps), relu=True)
        maker.sum(maker.conv(inner, maps), k, relu=rng.random() < 0.7)


def make(seed: int, steps: int = 9, largest: int = 11) -> tuple[Trace, GraphModule, Tensor]:
    """A random network's trace, folded, the same as a module, and its images."""
    graph, images = random_graph(seed, steps, largest)
    folded = tuple(fold(graph.stages))
    return trace(Graph(folded), images), GraphModule(folded), images


def gradients(module: nn.Module, images: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Saliency and gradient x input by autograd."""
    images = images.clone().requires_grad_()
    (grad,) = torch.autograd.grad(module(images)[:, target].sum(), images)
    return scaled(grad.abs().amax(1)), scaled((grad * images).sum(1)).detach()


def residual(seed: int, maps: int = 3, frames: int = 2, bias: float = 0.3) -> tuple[Graph, Tensor]:
    """Two residual blocks, the second with a convolution on its skip, as ResNets have them; ReLU after the sums."""
    maker = Maker(seed, 2, 9, 11)
    x = maker.conv(0, maps, bias=bias, relu=True)
    inner = maker.conv(x, maps, bias=bias, relu=True)
    x = maker.sum(maker.conv(inner, maps, bias=bias), x, relu=True)
    inner = maker.conv(x, maps, stride=(2, 2), bias=bias, relu=True)
    skip = maker.conv(x, 2 * maps, (1, 1), (2, 2), (0, 0), bias=bias)
    x = maker.sum(maker.conv(inner, 2 * maps, bias=bias), skip, relu=True)
    return maker.head(x, bias=bias), maker.images(frames)
