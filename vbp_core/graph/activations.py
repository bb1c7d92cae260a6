"""Functions of each number alone, other than ReLU, with their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vbp.graph.operations import Activation


@dataclass(frozen=True)
class Function:
    """run(x, *arguments) and slope(x, *arguments), its derivative, both shaped as x.

    seen: what VisualBackProp averages of what is put out, so that a map is never negative: "positive" (what is below
    zero is "off", as with ReLU) or "magnitude" (both ends say something).
    """

    run: Callable[..., Tensor]
    slope: Callable[..., Tensor]
    seen: str = "positive"


def _gelu_slope(x: Tensor) -> Tensor:
    """Phi(x) + x phi(x), of the normal distribution."""
    below = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return below + x * torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh_slope(x: Tensor) -> Tensor:
    c = math.sqrt(2 / math.pi)
    t = torch.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)


def _silu_slope(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 + x * (1 - s))


def _hardswish_slope(x: Tensor) -> Tensor:
    return torch.where(x <= -3, 0.0, torch.where(x >= 3, 1.0, x / 3 + 0.5)).to(x.dtype)


FUNCTIONS: dict[str, Function] = {
    "leaky_relu": Function(F.leaky_relu, lambda x, a=0.01: torch.where(x > 0, torch.ones_like(x), a)),
    "elu": Function(F.elu, lambda x, a=1.0: torch.where(x > 0, 1.0, a * torch.exp(x.clamp(max=0)))),
    "celu": Function(F.celu, lambda x, a=1.0: torch.where(x > 0, 1.0, torch.exp(x.clamp(max=0) / a))),
    "selu": Function(
        F.selu, lambda x: 1.0507009873554805 * torch.where(x > 0, 1.0, 1.6732632423543772 * x.clamp(max=0).exp())
    ),
    "relu6": Function(F.relu6, lambda x: ((x > 0) & (x < 6)).to(x.dtype)),
    "hardtanh": Function(
        F.hardtanh, lambda x, low=-1.0, high=1.0: ((x > low) & (x < high)).to(x.dtype), "magnitude"
    ),
    "silu": Function(F.silu, _silu_slope),
    "hardswish": Function(F.hardswish, _hardswish_slope),
    "gelu": Function(F.gelu, _gelu_slope),
    "gelu_tanh": Function(lambda x: F.gelu(x, approximate="tanh"), _gelu_tanh_slope),
    "softplus": Function(
        F.softplus,
        lambda x, beta=1.0, threshold=20.0: torch.where(x * beta > threshold, 1.0, torch.sigmoid(beta * x)),
    ),
    "mish": Function(
        F.mish,
        lambda x: torch.tanh(F.softplus(x)) + x * (1 - torch.tanh(F.softplus(x)) ** 2) * torch.sigmoid(x),
    ),
    "sigmoid": Function(torch.sigmoid, lambda x: torch.sigmoid(x) * (1 - torch.sigmoid(x))),
    "tanh": Function(torch.tanh, lambda x: 1 - torch.tanh(x) ** 2, "magnitude"),
    "softsign": Function(F.softsign, lambda x: 1 / (1 + x.abs()) ** 2, "magnitude"),
    "atan": Function(torch.atan, lambda x: 1 / (1 + x * x), "magnitude"),
    "abs": Function(torch.abs, torch.sign, "magnitude"),
}  # fmt: skip


def run(op: Activation, x: Tensor) -> Tensor:
    return FUNCTIONS[op.kind].run(x, *op.arguments)


def slope(op: Activation, x: Tensor) -> Tensor:
    """The derivative at x."""
    return FUNCTIONS[op.kind].slope(x, *op.arguments)


def seen(op: Activation, value: Tensor) -> Tensor:
    """What VisualBackProp averages of the activation's output."""
    return value.clamp_min(0) if FUNCTIONS[op.kind].seen == "positive" else value.abs()
