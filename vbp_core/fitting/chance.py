"""Whether the best of many tried is better than chance would make it."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray

from vbp.fitting.agreement import correlation
from vbp.models.network import Network

Floats = NDArray[np.float64]
NEAREST = 0.1  # of the frames: angles shifted by less are still like those of their own frame
MIRRORED = 0.5  # from here on, a network turns round with its picture as one does that steers


def chance_of(outputs: Floats, angles: Floats) -> tuple[float, float]:
    """How likely angles that belong to other frames reach the best |correlation| of outputs (K, N), and what 1 in 20 reach.

    The angles (N,) are shifted round the drive, also backwards, so that they stay as smooth as they are; of each shift, the
    best of all K counts, as it does for the real ones.
    """
    count = len(angles)
    near = max(3, round(NEAREST * count))
    shifted = [np.roll(angles, k) for k in range(near, count - near + 1)]
    shifted += [np.roll(angles[::-1], k) for k in range(count)]
    rows = _standard(outputs)
    best = np.abs(rows @ _standard(angles[None])[0]).max()
    others = np.abs(rows @ _standard(np.stack(shifted)).T).max(0)
    return (1 + int((others >= best).sum())) / (1 + len(others)), float(np.quantile(others, 0.95))


def _standard(rows: Floats) -> Floats:
    """(K, N) with mean 0 and length 1; a constant row is 0."""
    centred = rows - rows.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    small = length <= 1e-12 * np.maximum(np.abs(rows).max(1, keepdims=True), 1e-300)
    return np.where(small, 0.0, centred / np.where(small, 1.0, length))


def shuffled(network: Network, seed: int) -> Network:
    """The same network with the numbers of each weight in another order: as large as they were, and without what was learnt."""
    module = copy.deepcopy(network.module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point() and tensor.dim() and tensor.numel() > 1:
                order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
                tensor.copy_(tensor.detach().flatten()[order].view_as(tensor).clone())
    return Network(network.spec, module, network.path, trained=False)


def turned(outputs: Floats, mirrored: Floats) -> float:
    """How far one number (N,) a frame turns round with a mirrored picture: 1 where it becomes its negative."""
    return float(-correlation(outputs[None], mirrored)[0])


def clearly_above(found: float, chance: float, independent: int) -> bool:
    """A correlation lies two standard errors, of so many independent frames, above another (Fisher's z)."""
    edge = 1 - 1e-9
    apart = math.atanh(min(abs(found), edge)) - math.atanh(min(abs(chance), edge))
    return apart > 2 / math.sqrt(max(independent - 3, 1))
