"""Batches changed at random in ways that leave the right angle known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vbp.devices import to_device
from vbp.training.recipe import Recipe

Uniform = NDArray[np.float32]


@dataclass(frozen=True)
class Draws:
    """The random numbers of one batch: `flip` (N,) bool, `values` (N, 32) uniform in [0, 1)."""

    flip: NDArray[np.bool_]
    values: Uniform

    def part(self, rows: slice) -> Draws:
        """Those of one process's share of the batch."""
        return Draws(self.flip[rows], self.values[rows])


def draw(recipe: Recipe, count: int, epoch: int, step: int) -> Draws:
    """A pure function of seed, epoch and step: a resumed run draws what an uninterrupted one would."""
    rng = np.random.default_rng([recipe.seed, epoch, step, 1])
    values = rng.random((count, 32), dtype=np.float32)
    return Draws(values[:, 0] < 0.5, values)


def augment(images: Tensor, angles: Tensor, recipe: Recipe, draws: Draws) -> tuple[Tensor, Tensor]:
    """images (N, C, h, w) float32 in [0, 1], angles (N,) rad -> the same, changed as the recipe says.

    Noise comes from torch's global generator, which the training loop seeds for each step.
    """
    names = set(recipe.augment)
    values = to_device(draws.values, images.device)
    if "flip" in names:
        turned = to_device(draws.flip, images.device)
        images = torch.where(turned[:, None, None, None], images.flip(3), images)
        angles = torch.where(turned, -angles, angles)
    if "shift" in names:
        images, angles = shift(images, angles, values[:, 1:4], recipe)
    if "light" in names:
        images = light(images, values[:, 4:7])
    if "shadow" in names:
        images = _some(images, draws.values[:, 7] < 0.3, lambda x, rows: shadow(x, values[rows, 8:15]))
    if "blur" in names:
        images = _some(images, draws.values[:, 15] < 0.25, lambda x, rows: blur(x, values[rows, 16]))
    if "erase" in names:
        images = _some(images, draws.values[:, 17] < 0.3, lambda x, rows: erase(x, values[rows, 18:23]))
    if "noise" in names:
        images = _some(images, draws.values[:, 23] < 0.3, lambda x, rows: noise(x, values[rows, 24]))
    return images, angles


def shift(images: Tensor, angles: Tensor, values: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Moves the picture sideways, by more or less at the bottom than at the top, and a little up or down.

    As if the car headed or stood otherwise. Where the picture moves right the car points to the left of
    its way, and has to steer right: the angle falls by `shift_angle` times the share of the width.
    values: (N, 3) in [0, 1): sideways, shear, upward.
    """
    across, shear, up = ((values * 2 - 1) * recipe.shift).unbind(1)
    height, width = images.shape[2:]
    zero, one = torch.zeros_like(across), torch.ones_like(across)
    # affine_grid's coordinates run from -1 to 1: a share of the width is twice as much there.
    theta = torch.stack(
        [
            torch.stack([one, -shear, -2 * across], 1),
            torch.stack([zero, one, -up * width / height], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, "bilinear", "border", align_corners=False)
    return moved, angles - across * recipe.shift_angle


def light(images: Tensor, values: Tensor) -> Tensor:
    """Gamma 0.6 to 1.7, contrast 0.6 to 1.4, brightness -0.2 to 0.2; values (N, 3) in [0, 1)."""
    gamma, contrast, bright = (values * 2 - 1)[:, :, None, None, None].unbind(1)
    changed = images.pow((gamma * 0.5).exp())
    return ((changed - 0.5) * (1 + 0.4 * contrast) + 0.5 + 0.2 * bright).clamp_(0, 1)


def shadow(images: Tensor, values: Tensor) -> Tensor:
    """A darker polygon with soft edges: what lies between two lines; values (N, 7) in [0, 1)."""
    height, width = images.shape[2:]
    x = torch.linspace(-1, 1, width, device=images.device)[None, None, :]
    y = torch.linspace(-1, 1, height, device=images.device)[None, :, None] * (height / width)
    soft = 10 + 90 * values[:, 0, None, None]
    inside = torch.ones((), device=images.device)
    for n, side in ((1, 1.0), (4, -1.0)):
        turn, dx, dy = values[:, n : n + 3].unbind(1)
        angle = (turn * 2 - 1)[:, None, None] * (torch.pi / 2)
        distance = (x - (dx * 2 - 1)[:, None, None]) * angle.cos() + (
            y - (dy * 2 - 1)[:, None, None]
        ) * angle.sin()
        inside = inside * torch.sigmoid(side * soft * distance)
    # The softness says also how dark: a low sun makes sharp and deep shadows.
    depth = 0.25 + 0.4 * values[:, 0, None, None]
    return images * (1 - depth * inside)[:, None]


def blur(images: Tensor, values: Tensor) -> Tensor:
    """Between the picture and its mean over 5x5 pixels; values (N,) in [0, 1)."""
    smooth = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return torch.lerp(images, smooth, values[:, None, None, None])


def erase(images: Tensor, values: Tensor) -> Tensor:
    """A rectangle of one grey, up to half the width and height: no single cue can be leant on; values (N, 5)."""
    height, width = images.shape[2:]
    x = torch.linspace(0, 1, width, device=images.device)[None, None, :]
    y = torch.linspace(0, 1, height, device=images.device)[None, :, None]
    left, top, wide, high, grey = (v[:, None, None] for v in values.unbind(1))
    hole = ((x - left).abs() < wide / 4) & ((y - top).abs() < high / 4)
    return torch.where(hole[:, None], grey[:, None], images)


def noise(images: Tensor, values: Tensor) -> Tensor:
    """Gaussian, of a standard deviation up to 0.04; values (N,) in [0, 1)."""
    spread = 0.04 * values[:, None, None, None]
    return (images + spread * torch.randn_like(images)).clamp_(0, 1)


def _some(images: Tensor, which: NDArray[np.bool_], change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`change(images[rows], rows)` for the rows that `which` (N,) names: on the host, where no device is waited for."""
    if not which.any():
        return images
    rows = to_device(np.flatnonzero(which), images.device)
    return images.index_copy(0, rows, change(images[rows], rows))
