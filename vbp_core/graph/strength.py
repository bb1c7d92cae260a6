"""How much a map was before it was scaled to its own maximum: as a logarithm, as the number itself leaves any range."""

from __future__ import annotations

import torch
from torch import Tensor


class Strength:
    """Given to a method, it is told by what the method divides on its way; `log10` is of the largest |value| before that.

    A float32 map is divided by its largest after every layer, so that neither it nor the product of all these
    leaves the range of numbers: their logarithms are added in float64.
    """

    def __init__(self) -> None:
        self._divisors: list[Tensor] = []
        self._weights: list[float] = []
        self._sum: Tensor | None = None

    def divided(self, by: Tensor, weight: float = 1.0) -> None:
        """Each frame was divided by its one number of `by`, (N, 1, ...) and not negative; weight: so many times."""
        self._divisors.append(by.reshape(-1))
        self._weights.append(weight)

    def add(self, log10: Tensor) -> None:
        """The logarithms (N,) of further divisors."""
        self._sum = log10 if self._sum is None else self._sum + log10

    def log10(self) -> Tensor:
        """(N,) float64 on the CPU; -inf of a map that is all zero, NaN of one that is no number, and where nothing was told."""
        found = self._sum.double().cpu() if self._sum is not None else torch.zeros((), dtype=torch.float64)
        if not self._divisors:
            return found if self._sum is not None else found.fill_(torch.nan)
        logs = torch.stack(self._divisors).cpu().double().log10()  # a device may have none
        weights = torch.tensor(self._weights, dtype=torch.float64)[:, None]
        return found + (logs * weights).sum(0)
