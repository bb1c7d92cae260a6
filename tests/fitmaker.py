"""A drive and a network that go together by one preparation of the pictures alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from labelmaker import Made
from vbp.models.network import Network
from vbp.models.spec import CropRule, NetworkSpec

HEIGHT, WIDTH, ROWS = 48, 64, 16
TRUTH = {
    "colour": "bgr",
    "mean": 0.5,
    "std": 0.5,
    "crop": CropRule("pixels", rect=(0, 32, 64, 16), of_width=64, of_height=48),
}


class Spots(Made):
    """A red spot in the bottom 16 rows stands where the wheel is turned to; red ones above and blue ones beside it mean nothing."""

    def __init__(self, frames=60, seed=0, lag=0):
        rng = np.random.default_rng(seed)
        self.at = np.clip(np.cumsum(rng.normal(0, 0.35, frames + lag)) * 0.5, -3, 3) / 3.5
        self.other = rng.uniform(-0.85, 0.85, (frames, 2))
        self.noise = rng.integers(60, 140, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
        self.lag = lag
        super().__init__(-25 * self.at[:frames], fps=5.0, unit="unit:25")

    def _decode(self, i):
        image = self.noise[i % 4].copy()
        for row, at, colour in (
            (38, self.at[i + self.lag], 0),
            (42, self.other[i, 0], 2),
            (20, self.other[i, 1], 0),
        ):
            column = round((at + 1) / 2 * (WIDTH - 1))
            image[row - 5 : row + 6, max(0, column - 3) : column + 4] = 20
            image[row - 5 : row + 6, max(0, column - 3) : column + 4, colour] = 250
        return image


class Seeker(nn.Module):
    """Where, from -1 to 1, its third channel is above the others by about 1.8; of two outputs the first is how much of that there is."""

    def __init__(self, outputs=1):
        super().__init__()
        self.outputs = outputs
        self.register_buffer("columns", torch.linspace(-1, 1, WIDTH))

    def forward(self, x):
        above = x[:, 2] - (x[:, 0] + x[:, 1]) / 2
        seen = torch.sigmoid(40 * (above - 1.7)) * torch.sigmoid(40 * (2.0 - above)) + 1e-4
        found = (seen.sum(1) @ self.columns / seen.sum((1, 2)))[:, None]
        return found if self.outputs == 1 else torch.cat([seen.mean((1, 2))[:, None], found], 1)


def network(outputs=1, **changes):
    fields = {"input_height": ROWS, "input_width": WIDTH, "channels": 3, "output_unit": "deg", **changes}
    return Network(NetworkSpec("seeker", "", {}, **fields), Seeker(outputs).eval())


class Blind(nn.Module):
    """Of random weights, which nobody trained."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, 2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 2 * 14, 10),
            nn.ReLU(),
            nn.Linear(10, 1),
        )

    def forward(self, x):
        return self.layers(x)
