"""Seeded noise that tiles, and its smaller copies for distant ground."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def stream(seed: int, *names: int | str) -> np.random.Generator:
    """A generator of its own for each concern, so that a change in one leaves the others' numbers alone."""
    words = [seed & 0xFFFFFFFF, seed >> 32]
    for name in names:
        text = name if isinstance(name, str) else str(name)
        words.append(int.from_bytes(text.encode()[:8].ljust(8, b"\0"), "little"))
    return np.random.default_rng(words)


def blurred(values: Array, sigma_y: float, sigma_x: float) -> Array:
    """(H, W) blurred with wrapped borders, so that it still tiles."""
    if min(sigma_y, sigma_x) >= 8 and min(values.shape) >= 64:
        # what is this smooth can be blurred at a quarter of the size
        size = values.shape[1] // 4, values.shape[0] // 4
        small = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        small = np.pad(blurred(small, sigma_y / 4, sigma_x / 4), 2, mode="wrap")
        big = cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        return np.asarray(big[8:-8, 8:-8], dtype=np.float32)
    pad_y = min(values.shape[0], round(3 * sigma_y) + 1)
    pad_x = min(values.shape[1], round(3 * sigma_x) + 1)
    wide = np.pad(values, ((pad_y, pad_y), (pad_x, pad_x)), mode="wrap")
    out = cv2.GaussianBlur(wide, (0, 0), sigmaX=max(sigma_x, 1e-3), sigmaY=max(sigma_y, 1e-3))
    return np.asarray(out[pad_y:-pad_y, pad_x:-pad_x], dtype=np.float32)


def unit(values: Array) -> Array:
    """Mean 0, standard deviation 1."""
    centred = values - values.mean()
    return np.asarray(centred / max(float(centred.std()), 1e-9), dtype=np.float32)


def octaves(
    rng: np.random.Generator, height: int, width: int, sigmas: tuple[float, ...], stretch: float = 1.0
) -> Array:
    """(H, W) tiling noise, mean 0 and deviation 1: a sum of blurs of white noise, equal in power.

    stretch: how much longer the grain is along the first axis.
    """
    total = np.zeros((height, width), np.float32)
    for sigma in sigmas:
        white = rng.standard_normal((height, width), dtype=np.float32)
        total += unit(blurred(white, sigma * stretch, sigma)) if sigma > 0 else white
    return unit(total)


def smooth_track(rng: np.random.Generator, n: int, sigma: float) -> NDArray[np.float64]:
    """(n,) noise of mean 0 and deviation 1 with a correlation length of `sigma` samples."""
    reach = int(4 * sigma) + 1
    white = rng.standard_normal(n + 2 * reach)
    t = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (t / max(sigma, 1e-6)) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    # by FFT: a long drive's track has a hundred thousand samples
    size = len(white) + len(kernel) - 1
    out = np.fft.irfft(np.fft.rfft(white, size) * np.fft.rfft(kernel, size), size)
    start = 2 * reach
    return np.asarray(out[start : start + n])


class Tile:
    """A texture that repeats on the ground, in metres of (s, d), with copies filtered for distance.

    values (H, W): rows along s, columns along d. Seen at a grazing angle a pixel covers far more ground
    along s than across, so copies are filtered along s and d apart, by powers of two.
    """

    def __init__(self, values: Array, metres_s: float, metres_d: float, levels_s: int, levels_d: int) -> None:
        self.per_metre_s = values.shape[0] / metres_s
        self.per_metre_d = values.shape[1] / metres_d
        self.levels: list[list[Array]] = []
        along = values
        for i in range(levels_s):
            across = along
            row = []
            for j in range(levels_d):
                row.append(np.ascontiguousarray(np.pad(across, ((1, 2), (1, 2)), mode="wrap")))
                if j + 1 < levels_d:
                    across = 0.5 * (across[:, 0::2] + across[:, 1::2])
            self.levels.append(row)
            if i + 1 < levels_s:
                along = 0.5 * (along[0::2] + along[1::2])
        self.shape = values.shape

    def look(self, s: Array, d: Array, foot_s: Array, foot_d: Array) -> Array:
        """Values at s, d (R, C), metres. foot_s, foot_d (R,): how much ground a pixel of each row covers."""
        out = np.empty(s.shape, np.float32)
        with np.errstate(divide="ignore"):
            ls = np.log2(np.maximum(foot_s * self.per_metre_s, 1e-6))
            ld = np.log2(np.maximum(foot_d * self.per_metre_d, 1e-6))
        i = np.clip(np.rint(ls), 0, len(self.levels) - 1).astype(int)
        j = np.clip(np.rint(ld), 0, len(self.levels[0]) - 1).astype(int)
        code = i * 64 + j
        cuts = np.flatnonzero(np.diff(code)) + 1
        for a, b in zip([0, *cuts], [*cuts, len(code)], strict=True):
            if a < b:
                out[a:b] = self._level(s[a:b], d[a:b], int(i[a]), int(j[a]))
        return out

    def points(self, s: Array, d: Array, foot_s: float, foot_d: float) -> Array:
        """Values at any points s, d (P,), all seen with the same footprint."""
        n, columns = len(s), 512  # OpenCV looks up pictures, not lists
        rows = -(-n // columns)
        s2, d2 = np.zeros(rows * columns, np.float32), np.zeros(rows * columns, np.float32)
        s2[:n], d2[:n] = s, d
        feet = np.full(rows, foot_s, np.float32), np.full(rows, foot_d, np.float32)
        return self.look(s2.reshape(rows, columns), d2.reshape(rows, columns), *feet).ravel()[:n]

    def _level(self, s: Array, d: Array, i: int, j: int) -> Array:
        rows, cols = self.shape[0] >> i, self.shape[1] >> j
        y, x = _wrap(s, self.per_metre_s / 2**i, rows), _wrap(d, self.per_metre_d / 2**j, cols)
        return np.asarray(cv2.remap(self.levels[i][j], x, y, cv2.INTER_LINEAR))


def _wrap(metres: Array, per_metre: float, size: int) -> Array:
    """Cells of a padded tile: 1 for the wrapped border, less 0.5 because a value stands for its cell's middle."""
    turns = metres * np.float32(per_metre / size)
    turns -= np.floor(turns)
    turns *= np.float32(size)
    turns += np.float32(0.5)
    return turns
