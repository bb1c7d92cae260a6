"""How widely a map spreads: the share of what the network sees that holds half of it, as it can be read off a Lorenz curve."""

from __future__ import annotations

import torch
from torch import Tensor

from vbp.native.library import loaded_kernels

# Values are told apart as in native/c/spread.h: below WEAKEST all are one, as they hold next to nothing of a map whose largest is 1.
WEAKEST, STRONGEST = 95 << 7, 127 << 7


def half_share(maps: Tensor) -> Tensor:
    """(N, H, W) maps with a largest magnitude of 1 -> (N,) float64 on the CPU, in 0..1: the smallest share of the pixels with half of the
    sum of |values|, right to 1 % of itself. NaN of a map that is all zero, and of one with what is no number.
    """
    values = (
        maps.float().abs().flatten(1).cpu()
    )  # where the maps are wanted anyway, and every device has float64
    count, size = values.shape
    kernels = loaded_kernels()
    if kernels is None or not size:
        return _half_share(values)
    found = torch.empty(count, dtype=torch.float64)
    values = values.contiguous()
    kernels.halves(values.data_ptr(), count, size, found.data_ptr(), torch.get_num_threads())
    return found / size


def _half_share(values: Tensor) -> Tensor:
    """The same by torch."""
    count, size = values.shape
    classes = STRONGEST - WEAKEST + 1
    broken = ~(values <= 1.001).all(1)
    kind = ((values.view(torch.int32) >> 16) - WEAKEST).clamp(0, classes - 1).long()
    kind = (kind + classes * torch.arange(count)[:, None]).flatten()
    sums, counts = (
        torch.bincount(kind, weights, classes * count).double().reshape(count, classes).flip(1)
        for weights in (values.flatten().double(), None)
    )
    upto = sums.cumsum(1)
    half = upto[:, -1:] / 2
    at = (upto < half).sum(1, keepdim=True).clamp(max=classes - 1)  # the class in which half is reached
    part = (half - upto.gather(1, at) + sums.gather(1, at)) / sums.gather(1, at)
    found = counts.cumsum(1).gather(1, at) - (1 - part) * counts.gather(1, at)
    found = found[:, 0] / size
    return found.masked_fill(broken | (half[:, 0] == 0), torch.nan)
