"""The network as it is trained: the same function of the same weights, at less cost."""

from __future__ import annotations

import ctypes
import sys
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Trainable(nn.Module):
    """A network's own modules, run in an order that is cheaper to differentiate.

    Two identities of a BatchNorm, convolution, ReLU, BatchNorm, ... chain, exact up to rounding:
    columns trimmed after an unpadded convolution of stride s need not be computed, so s times as many are
    left out before it, where there are fewer maps; and the scale and shift of the first BatchNorm are folded
    into the first convolution, so that no gradient has to be taken back to the picture. `dropout` acts on
    the input of every fully connected layer. A network of another kind is run as it is.
    Input (N, C, h, w) float32; outputs (N, K) float32.
    """

    def __init__(self, module: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.module = module
        self.dropout = dropout
        self._chain = _flat(module)
        self._head = _fold_from(self._chain)

    def forward(self, images: Tensor) -> Tensor:
        if self._chain is None:
            return all_outputs(self.module(images))
        x = images
        for n, layer in enumerate(self._chain[self._head :]):
            if n == 0 and self._head:
                x = _folded(x, self._chain[: self._head], layer)
            elif isinstance(layer, nn.Linear) and self.dropout:
                x = layer(F.dropout(x, self.dropout, self.training))
            else:
                x = layer(x)
        return all_outputs(x)


def all_outputs(x: Tensor) -> Tensor:
    """A network's output, however it is shaped, as (N, K) float32."""
    return x.reshape(len(x), -1).float()


def _flat(module: nn.Module) -> list[nn.Module] | None:
    """The layers of nested Sequentials in order, trims moved forward; None for a network of another kind."""
    if not isinstance(module, nn.Sequential):
        return None
    layers: list[nn.Module] = []
    for child in module:
        layers += _flat(child) or [child]
    return _early_trims(layers)


def _early_trims(layers: list[nn.Module]) -> list[nn.Module]:
    out = list(layers)
    for n in range(2, len(out)):
        trim, conv = out[n], out[n - 2]
        if (
            isinstance(trim, nn.ZeroPad2d)
            and trim.padding[0] == trim.padding[2] == trim.padding[3] == 0 > trim.padding[1]
            and isinstance(out[n - 1], nn.ReLU)
            and isinstance(conv, nn.Conv2d)
            and conv.padding == (0, 0)
        ):
            moved = nn.ZeroPad2d((0, trim.padding[1] * conv.stride[1], 0, 0))
            out[n - 2 : n + 1] = [moved, conv, out[n - 1]]
    return out


def _fold_from(layers: list[nn.Module] | None) -> int:
    """How many layers (the first BatchNorm and trims) go into the first convolution; 0: none."""
    for n, layer in enumerate(layers or []):
        if isinstance(layer, nn.Conv2d):
            return n if n and layer.padding == (0, 0) and layer.groups == 1 else 0
        if not isinstance(layer, nn.BatchNorm2d if n == 0 else nn.ZeroPad2d):
            return 0
    return 0


def _folded(x: Tensor, before: list[nn.Module], conv: nn.Module) -> Tensor:
    norm = before[0]
    assert isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d)
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    momentum = 0.1 if norm.momentum is None else norm.momentum
    x = F.batch_norm(x, norm.running_mean, norm.running_var, None, None, norm.training, momentum, norm.eps)
    for trim in before[1:]:
        x = trim(x)
    scale, offset = norm.weight.view(1, -1, 1, 1), norm.bias.view(1, -1, 1, 1)
    bias = (conv.weight * offset).sum((1, 2, 3))
    if conv.bias is not None:
        bias = bias + conv.bias
    return F.conv2d(x, conv.weight * scale, bias, conv.stride, dilation=conv.dilation)


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capability.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Multiplications in bfloat16, weights and sums in float32; or nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def keep_memory() -> None:
    """Let the C library keep large blocks instead of giving them back after each step.

    glibc maps blocks of this size anew each time and the system clears every page of them: a third of the
    time of a step on the CPU. Other systems are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    m_trim_threshold, m_mmap_max = -1, -4
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)
