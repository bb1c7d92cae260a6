"""What PIL's Image.resize makes of an 8 bit picture, without PIL: to the bit, across first and then down.

Pillow up to 12 always goes that way. Pillow 13 goes down first where that shrinks far more, which rounds once in
between elsewhere; networks were trained with pictures by the older ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BITS = 22  # of the fixed point numbers that it weighs pixels with


def _bicubic(x: Floats) -> Floats:
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((x - 5) * x + 8) * x * -0.5 + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _sinc(x: Floats) -> Floats:
    """By the C library's sine, as PIL: NumPy's own may differ in the last bit."""
    return np.array([math.sin(v) / v if v else 1.0 for v in (x * math.pi).tolist()])


# Its two numbers are single precision there.
HAMMING = float(np.float32(0.54)), float(np.float32(0.46))


def _hamming(x: Floats) -> Floats:
    x = np.abs(x)
    cosine = np.array([math.cos(v) for v in (x * math.pi).tolist()])
    return np.where(x < 1, np.where(x == 0, 1.0, _sinc(x) * (HAMMING[0] + HAMMING[1] * cosine)), 0.0)


def _lanczos(x: Floats) -> Floats:
    return np.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), 0.0)


# How far each reaches, and its weights by distance, in pixels of the smaller of the two pictures.
FILTERS: dict[str, tuple[float, Callable[[Floats], Floats]]] = {
    "box": (0.5, lambda x: ((x > -0.5) & (x <= 0.5)).astype(float)),
    "bilinear": (1.0, lambda x: np.maximum(0.0, 1 - np.abs(x))),
    "hamming": (1.0, _hamming),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}


def resize_as_pil(image: NDArray[np.uint8], size: tuple[int, int], name: str) -> NDArray[np.uint8]:
    """image (H, W) or (H, W, C) -> `size` (width, height), by a filter of FILTERS or "nearest", as PIL's 8 bit pictures."""
    height, width = image.shape[:2]
    if name == "nearest":
        return image[_nearest(height, size[1])[:, None], _nearest(width, size[0])]
    found = image if image.ndim == 3 else image[:, :, None]
    if size[0] != width:  # first across, as it does
        found = _along_rows(found.transpose(1, 0, 2), size[0], name).transpose(1, 0, 2)
    if size[1] != height:
        found = _along_rows(found, size[1], name)
    return found if image.ndim == 3 else found[:, :, 0]


def _nearest(old: int, new: int) -> NDArray[np.int64]:
    """It adds the step up, with what is lost in that."""
    step = old / new
    steps = np.full(new, step)
    steps[0] = step / 2
    found: NDArray[np.int64] = np.floor(np.cumsum(steps)).astype(np.int64)
    return np.minimum(found, old - 1)


def _along_rows(image: NDArray[np.uint8], new: int, name: str) -> NDArray[np.uint8]:
    rows = image.reshape(len(image), -1).astype(np.float64)
    # Whole numbers below 2**53, which float64 adds without loss
    summed = _weights(len(image), new, name) @ rows
    rounded = np.floor((summed + 2.0 ** (BITS - 1)) / 2.0**BITS)
    return rounded.clip(0, 255).astype(np.uint8).reshape(new, *image.shape[1:])


@lru_cache(maxsize=32)
def _weights(old: int, new: int, name: str) -> Floats:
    """(new, old): how much of each pixel, in 2**-22."""
    reach, weight = FILTERS[name]
    scale = old / new
    wider = max(scale, 1.0)
    found = np.zeros((new, old))
    for i in range(new):
        centre = (i + 0.5) * scale
        first = max(0, int(centre - reach * wider + 0.5))
        last = min(old, int(centre + reach * wider + 0.5))
        weights = weight((np.arange(first, last, dtype=np.float64) - centre + 0.5) / wider)
        total = float(np.cumsum(weights)[-1])  # one after the other, as it does
        found[i, first:last] = weights / total if total else weights
    return np.trunc(found * 2.0**BITS + np.copysign(0.5, found))
