"""The optimizer, the running mean of the weights, and both as plain tensors to store."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from vbp.training.recipe import Recipe


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW. Weight decay falls on weights, not on biases or BatchNorm's scales."""
    weights = [p for p in module.parameters() if p.dim() > 1]
    others = [p for p in module.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def optimizer_tensors(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """What the optimizer remembers, as "parameter/key" -> tensor."""
    out = {}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                out[f"{name}/{key}"] = value.detach().cpu().contiguous()
    return out


def restore_optimizer(
    optimizer: torch.optim.Optimizer, module: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """The inverse of `optimizer_tensors`, in the parameters' own memory layout: sums then round alike."""
    for name, parameter in module.named_parameters():
        prefix = f"{name}/"
        for full, value in tensors.items():
            if not full.startswith(prefix):
                continue
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter).detach().copy_(value)
            optimizer.state[parameter][full[len(prefix) :]] = value


class RunningMean:
    """An exponential mean of a module's weights and of BatchNorm's statistics (Polyak averaging).

    The decay grows from 0.1 to `decay` over the first steps, so that the fresh weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """After step number `step`, counted from 0."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        values = module.state_dict()
        for name, mean in self.module.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(values[name], weight)
            else:
                mean.copy_(values[name])
