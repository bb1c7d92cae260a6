"""Small networks with one layer of a kind each between two convolutions; and how LRP sees that layer, written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPE = (3, 17, 21)  # (8, 8, 10) in the middle
Function = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Kind:
    """run: what stands in the middle, of a module with `parts`.

    seen: the same with all that LRP takes for weights detached, so that gradient x input of a network without biases is LRP
    with eps = 0; None where the layer is linear, or piecewise. stop: what LRP says that it cannot pass, "" where it can.
    """

    run: Function
    parts: Callable[[], dict[str, nn.Module]] = field(default=dict)
    seen: Function | None = None
    stop: str = ""


class Middle(nn.Module):
    """Convolution, ReLU, the layer, convolution, ReLU, dense; no biases but the layer's own."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.kind = nn.Conv2d(3, 8, 3, 2, bias=False), kind
        for name, part in kind.parts().items():
            self.add_module(name, part)
        self.eval()
        with torch.no_grad():
            shape = kind.run(self, torch.rand(2, 8, 8, 10)).shape
        self.second = nn.Conv2d(shape[1], 6, 3, padding=1, bias=False) if len(shape) == 4 else nn.Identity()
        with torch.no_grad():
            self.head = nn.Linear(self.second(torch.rand(shape)).flatten(1).shape[1], 2, bias=False)
        self.eval()

    def forward(self, x: Tensor, seen: bool = False) -> Tensor:
        run = self.kind.seen if seen and self.kind.seen is not None else self.kind.run
        return self.head(F.relu(self.second(run(self, F.relu(self.first(x))))).flatten(1))


def through(function: Callable[[Tensor], Tensor]) -> Kind:
    """A function of each number alone: all of the relevance passes, as if it were a gate on the number."""

    def seen(s: nn.Module, x: Tensor) -> Tensor:
        return x * (function(x) / torch.where(x == 0, 1.0, x)).detach()

    return Kind(lambda s, x: function(x), seen=seen)


def layer(make: Callable[[], nn.Module], seen: Function | None = None, stop: str = "") -> Kind:
    return Kind(lambda s, x: s.part(x), lambda: {"part": make()}, seen, stop)


def plain(function: Callable[[Tensor], Tensor], seen: Function | None = None, stop: str = "") -> Kind:
    return Kind(lambda s, x: function(x), seen=seen, stop=stop)


def normalised(groups: int) -> Function:
    """Ali et al. 2022: the mean is linear, the deviation a constant."""

    def seen(s: nn.Module, x: Tensor) -> Tensor:
        g = x.view(x.shape[0], groups, -1)
        centred = g - g.mean(2, keepdim=True)
        return (centred / (g.var(2, keepdim=True, unbiased=False) + 1e-5).sqrt().detach()).view(x.shape)

    return seen


def over_columns(function: Function) -> Function:
    """In a sequence (N, T, C) of three columns, and back."""

    def run(s: nn.Module, x: Tensor) -> Tensor:
        return function(s, x[:, :, :, ::4].mean(2).transpose(1, 2)).transpose(1, 2)[:, :, None]

    return run


def squeezed(s: nn.Module, x: Tensor) -> Tensor:
    return torch.sigmoid(s.up(F.relu(s.down(x.mean((2, 3), keepdim=True)))))


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.transpose(1, 2) / 3, 2) @ v


def weighed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Its weights are constants."""
    return torch.softmax(q @ k.transpose(1, 2) / 3, 2).detach() @ v


def tokens(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Function:
    def run(s: nn.Module, x: Tensor) -> Tensor:
        flat = x.flatten(2).transpose(1, 2)
        return function(s.q(flat), s.k(flat), s.v(flat)).transpose(1, 2).reshape(x.shape)

    return run


def heads(s: nn.Module, x: Tensor) -> Tensor:
    """Four heads by hand, their weights constants."""
    flat = x.flatten(2).transpose(1, 2)
    q, k, v = (
        t.unflatten(2, (4, 2)).transpose(1, 2) for t in F.linear(flat, s.part.in_proj_weight).chunk(3, 2)
    )
    weights = torch.softmax(q @ k.transpose(2, 3) / 2**0.5, 3).detach()
    out = (weights @ v).transpose(1, 2).flatten(2)
    return F.linear(out, s.part.out_proj.weight).transpose(1, 2).reshape(x.shape)


def multihead(s: nn.Module, x: Tensor) -> Tensor:
    flat = x.flatten(2).transpose(1, 2)
    return s.part(flat, flat, flat, need_weights=False)[0].transpose(1, 2).reshape(x.shape)


def uniform(a: Tensor, b: Tensor) -> Tensor:
    """A product of which each side takes half."""
    return (a * b.detach() + a.detach() * b) / 2


GRID = F.affine_grid(torch.tensor([[[0.9, 0.2, 0.0], [-0.1, 0.8, 0.1]]]), (1, 8, 8, 10), align_corners=False)
PLACES = torch.stack(torch.meshgrid(torch.linspace(-1, 1, 8), torch.linspace(-1, 1, 10), indexing="ij"))


def sampled(s: nn.Module, x: Tensor, detach: bool = False) -> Tensor:
    """Deformable: the picture says where it is looked at."""
    moved = s.part(x).permute(0, 2, 3, 1) * 0.05
    grid = GRID.to(x).expand(len(x), -1, -1, -1) + (moved.detach() if detach else moved)
    return F.grid_sample(x, grid, align_corners=False)


def spatial_softmax(s: nn.Module, x: Tensor) -> Tensor:
    """Where each channel's maximum is, on average: (N, 2C)."""
    shares = torch.softmax(x.flatten(2), 2)
    return (shares @ PLACES.to(x).flatten(1).T).flatten(1)


def recurrent(kind: type[nn.Module]) -> Kind:
    return Kind(
        over_columns(lambda s, x: s.part(x)[0]), lambda: {"part": kind(8, 5, batch_first=True, bias=False)}
    )


def lstm_by_hand(s: nn.Module, x: Tensor) -> Tensor:
    """Arras et al. 2017: gates are constants, tanh passes what it gets."""
    taken, inner = s.part.weight_ih_l0, s.part.weight_hh_l0
    h = c = x.new_zeros((len(x), 5))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = (F.linear(x[:, t], taken) + F.linear(h, inner)).chunk(4, 1)
        i, f, o = (torch.sigmoid(v).detach() for v in (i, f, o))
        c = f * c + i * passed(g)
        h = o * passed(c)
        out.append(h)
    return torch.stack(out, 1)


def gru_by_hand(s: nn.Module, x: Tensor) -> Tensor:
    taken, inner = s.part.weight_ih_l0, s.part.weight_hh_l0
    h = x.new_zeros((len(x), 5))
    out = []
    for t in range(x.shape[1]):
        a, b = F.linear(x[:, t], taken).chunk(3, 1), F.linear(h, inner).chunk(3, 1)
        r, z = (torch.sigmoid(a[k] + b[k]).detach() for k in (0, 1))
        n = passed(a[2] + r * b[2])
        h = (1 - z) * n + z * h
        out.append(h)
    return torch.stack(out, 1)


def passed(x: Tensor, function: Callable[[Tensor], Tensor] = torch.tanh) -> Tensor:
    return x * (function(x) / torch.where(x == 0, 1.0, x)).detach()


def conv(inputs: int, outputs: int, kernel: int = 3, **more: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **more)


def qkv() -> dict[str, nn.Module]:
    return {name: nn.Linear(8, 8, bias=False) for name in "qkv"}


class RootMeanSquare(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6)


KINDS: dict[str, Kind] = {
    # gates and products
    "squeeze and excitation": Kind(
        lambda s, x: x * squeezed(s, x),
        lambda: {"down": conv(8, 2, 1), "up": conv(2, 8, 1)},
        lambda s, x: x * squeezed(s, x).detach(),
    ),
    "gate of each place": Kind(
        lambda s, x: torch.tanh(s.a(x)) * torch.sigmoid(s.b(x)),
        lambda: {"a": conv(8, 8, padding=1), "b": conv(8, 8, padding=1)},
        lambda s, x: passed(s.a(x)) * torch.sigmoid(s.b(x)).detach(),
    ),
    "GLU": plain(lambda x: F.glu(x, 1), lambda s, x: x[:, :4] * torch.sigmoid(x[:, 4:]).detach()),
    "product of two signals": Kind(
        lambda s, x: s.a(x) * s.b(x),
        lambda: {"a": conv(8, 8), "b": conv(8, 8)},
        lambda s, x: uniform(s.a(x), s.b(x)),
    ),
    "attention by hand": Kind(tokens(attention), qkv, tokens(weighed)),
    "scaled dot product attention": Kind(
        tokens(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=1 / 3)), qkv, tokens(weighed)
    ),
    "multi-head attention": Kind(multihead, lambda: {"part": nn.MultiheadAttention(8, 4, bias=False, batch_first=True)}, heads),
    "spatial softmax": Kind(spatial_softmax),
    "Softmax2d": layer(nn.Softmax2d),
    "LSTM over columns": Kind(
        recurrent(nn.LSTM).run, recurrent(nn.LSTM).parts, over_columns(lstm_by_hand)
    ),
    "GRU over columns": Kind(
        recurrent(nn.GRU).run, recurrent(nn.GRU).parts, over_columns(gru_by_hand)
    ),
    # normalisation
    "GroupNorm": layer(lambda: nn.GroupNorm(4, 8), normalised(4)),
    "InstanceNorm": layer(lambda: nn.InstanceNorm2d(8), normalised(8)),
    "LayerNorm of all": layer(lambda: nn.LayerNorm((8, 8, 10)), normalised(1)),
    "LayerNorm of channels": Kind(
        lambda s, x: F.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2),
        seen=lambda s, x: (x - x.mean(1, keepdim=True))
        / (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt().detach(),
    ),
    "RMSNorm": Kind(
        lambda s, x: s.part(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        lambda: {"part": nn.RMSNorm(8, eps=1e-6)},
        lambda s, x: x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6).detach(),
    ),
    "RMSNorm by hand": layer(
        RootMeanSquare, lambda s, x: x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6).detach()
    ),
    "local response norm": plain(
        lambda x: F.local_response_norm(x, 3, alpha=0.5),
        lambda s, x: x * (F.local_response_norm(x, 3, alpha=0.5) / torch.where(x == 0, 1.0, x)).detach(),
    ),
    "unit length": plain(
        lambda x: F.normalize(x, dim=1), lambda s, x: x / x.norm(dim=1, keepdim=True).clamp_min(1e-12).detach()
    ),
    "cosine": plain(
        lambda x: F.cosine_similarity(x[:, :4], x[:, 4:], 1)[:, None],
        lambda s, x: uniform(
            x[:, :4] / x[:, :4].norm(dim=1, keepdim=True).clamp_min(1e-8).detach(),
            x[:, 4:] / x[:, 4:].norm(dim=1, keepdim=True).clamp_min(1e-8).detach(),
        ).sum(1, keepdim=True),
    ),
    "weight norm": layer(lambda: nn.utils.parametrizations.weight_norm(conv(8, 6))),
    "spectral norm": layer(lambda: nn.utils.parametrizations.spectral_norm(conv(8, 6))),
    # convolutions and dense layers
    "transposed convolution": layer(lambda: nn.ConvTranspose2d(8, 6, 4, 3, 1, bias=False)),
    "depthwise": layer(lambda: conv(8, 8, groups=8, padding=1)),
    "dilated": layer(lambda: conv(8, 6, dilation=2)),
    "grouped, stride above kernel": layer(lambda: conv(8, 6, 2, groups=2, stride=3)),
    "convolution that reflects": layer(lambda: nn.Conv2d(8, 6, 3, padding=1, padding_mode="reflect", bias=False)),
    "circular convolution": layer(lambda: nn.Conv2d(8, 6, 3, padding=1, padding_mode="circular", bias=False)),
    "convolution over time": Kind(over_columns(lambda s, x: s.part(x.transpose(1, 2)).transpose(1, 2)), lambda: {"part": nn.Conv1d(8, 6, 3, bias=False)}),
    "dense of channels": Kind(
        lambda s, x: s.part(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), lambda: {"part": nn.Linear(8, 6, bias=False)}
    ),
    "einsum": Kind(lambda s, x: torch.einsum("nchw,dc->ndhw", x, s.part.weight), lambda: {"part": nn.Linear(8, 6, bias=False)}),
    "bilinear": Kind(
        lambda s, x: s.part(x[:, :4].mean((2, 3)), x[:, 4:].mean((2, 3))),
        lambda: {"part": nn.Bilinear(4, 4, 6, bias=False)},
        lambda s, x: (
            s.part(x[:, :4].mean((2, 3)), x[:, 4:].mean((2, 3)).detach())
            + s.part(x[:, :4].mean((2, 3)).detach(), x[:, 4:].mean((2, 3)))
        )
        / 2,
    ),
    "places as channels": plain(lambda x: torch.cat([x, PLACES.to(x).expand(len(x), -1, -1, -1)], 1)),
    # resampling, padding, pooling
    "nearest": layer(lambda: nn.Upsample(scale_factor=2)),
    "bilinear upsampling": layer(lambda: nn.Upsample(scale_factor=1.5, mode="bilinear")),
    "bicubic upsampling": layer(lambda: nn.Upsample(scale_factor=1.5, mode="bicubic")),
    "reflection": layer(lambda: nn.ReflectionPad2d((2, 1, 3, 0))),
    "replication": layer(lambda: nn.ReplicationPad2d(2)),
    "adaptive average": layer(lambda: nn.AdaptiveAvgPool2d((3, 4))),
    "adaptive maximum": layer(lambda: nn.AdaptiveMaxPool2d((3, 4))),
    "average, rounded up": layer(lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)),
    "mean power": Kind(
        lambda s, x: F.lp_pool2d(x, 2, 3, 2),
        seen=lambda s, x: passed(F.avg_pool2d(passed(x, torch.square), 3, 2) * 9, torch.sqrt),
    ),
    "sampled where it says": Kind(sampled, lambda: {"part": conv(8, 2, 1)}, lambda s, x: sampled(s, x, True)),
    "pixel shuffle": layer(lambda: nn.PixelShuffle(2)),
    "pixel unshuffle": layer(lambda: nn.PixelUnshuffle(2)),
    "unfold": plain(lambda x: F.unfold(x, 2).unflatten(2, (7, 9))),
    "unfold and fold": plain(lambda x: F.fold(F.unfold(x, 3), (8, 10), 3)),
    # numbers that move
    "channel shuffle": layer(lambda: nn.ChannelShuffle(4)),
    "turned": plain(lambda x: x.permute(0, 1, 3, 2).flip(2)),
    "rolled": plain(lambda x: x.roll((1, -2), (2, 3))),
    "split and joined": plain(lambda x: torch.cat(x.chunk(4, 1)[::-1], 1)),
    "running sum": plain(lambda x: x.cumsum(3)),
    "maxout": plain(lambda x: x.unflatten(1, (4, 2)).amax(2)),
    "frequencies": plain(lambda x: torch.fft.rfft2(x).abs(), stop="fft"),
    # functions of each number
    "PReLU": layer(
        lambda: nn.PReLU(8, 0.2),
    ),
    "GELU": through(F.gelu),
    "SiLU": through(F.silu),
    "Mish": through(F.mish),
    "Hardswish": through(F.hardswish),
    "soft shrinkage": through(lambda x: F.softshrink(x, 0.1)),
    "dropout": layer(lambda: nn.Dropout2d(0.5)),
    "stochastic depth": Kind(lambda s, x: x + F.dropout(s.part(x), 0.5, s.training), lambda: {"part": conv(8, 8, padding=1)}),
}  # fmt: skip
