"""From light to the picture that the camera delivers: vignetting, blur, noise, tone curve."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.simulate.noise import Array, stream

_BANK = 3  # frames' worth of noise; each frame takes a random window of it
_STEPS = 4096


class Lens:
    """One camera's faults, the same for the whole drive."""

    def __init__(self, seed: int, height: int, width: int) -> None:
        rng = stream(seed, "lens")
        self.sigma = float(rng.uniform(0.5, 0.85))  # of the blur, pixels
        self.noise = float(rng.uniform(0.3, 0.8))  # of 255, at an exposure of 1
        self.vignetting = float(rng.uniform(0.10, 0.28))
        gamma = float(rng.uniform(1.9, 2.3))
        contrast = float(rng.uniform(0.3, 1.4))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        r2 = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width / 2) ** 2
        self.falloff = (1.0 - self.vignetting * r2 / 1.56).astype(np.float32)
        white = rng.standard_normal((_BANK * height, width + 64, 3), dtype=np.float32)
        # one for each step of the exposure: a darker scene is amplified more
        self.banks = [np.rint(white * self.noise * 2.0 ** (0.5 * k)).astype(np.int8) for k in range(4)]
        linear = np.linspace(0.0, 1.0, _STEPS)
        tone = linear ** (1 / gamma)
        # a mild S: blacks sink, whites run out, as in the recordings
        tone = tone + contrast * 0.35 * tone * (1 - tone) * (2 * tone - 1) * 2
        self.curve = np.clip(np.rint(255 * tone), 0, 255).astype(np.uint8)

    def expose(self, rgb: list[Array], gain: float, seed: int, frame: int) -> NDArray[np.uint8]:
        """Three (H, W) arrays of linear light -> uint8 RGB (H, W, 3)."""
        rng = stream(seed, "noise", frame)
        height, width = rgb[0].shape
        scale = self.falloff * np.float32(gain * (_STEPS - 1))
        light = cv2.merge([rgb[0] * scale, rgb[1] * scale, rgb[2] * scale])
        # what is far too bright spreads no further than what is too bright
        np.minimum(light, np.float32(1.5 * _STEPS), out=light)
        light = cv2.GaussianBlur(light, (5, 5), self.sigma)
        np.clip(light, 0.0, _STEPS - 1, out=light)
        picture = self.curve[light.astype(np.uint16)]
        # shot noise is about the same in all tones once they are gamma-coded
        top, left = int(rng.integers(0, (_BANK - 1) * height)), int(rng.integers(0, 64))
        bank = self.banks[int(np.clip(round(2 * np.log2(max(gain, 1.0))), 0, len(self.banks) - 1))]
        grain = bank[top : top + height, left : left + width]
        return np.asarray(cv2.add(picture, grain, dtype=cv2.CV_8U))
