"""The mask laid over the picture: the paper's red, or a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image

STYLES = ("paper", "heat")


@dataclass(frozen=True)
class Rect:
    """A rectangle of whole pixels in a frame: left x, top y, width, height."""

    x: int
    y: int
    width: int
    height: int


def blend(
    image: Image,
    mask: NDArray[np.float32],
    rect: Rect | None = None,
    style: str = "paper",
    opacity: float = 1.0,
    gain: float = 1.0,
) -> Image:
    """A copy of `image` (H, W, 3 uint8 RGB) with `mask` (h, w) float32 laid over `rect` of it (default: all).

    style "paper": R = I + m, G = B = I - m, clamped (the authors' code), m scaled by `opacity` 0..1;
    where a signed mask (-1..1) is negative, in blue: B = I + |m|, R = G = I - |m|. style "heat": the mask through a colour map, as
    opaque as it is strong; a signed mask is red where positive and blue where negative.
    gain: `mask` is multiplied with it first, and cut at 1. Raises ValueError for a style that does not exist.
    """
    if style not in STYLES:
        raise ValueError(f"overlay style {style!r} is not one of {', '.join(STYLES)}")
    out = image.copy()
    rect = rect or Rect(0, 0, image.shape[1], image.shape[0])
    region = out[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
    if region.size == 0:
        return out
    height, width = region.shape[:2]
    if gain != 1.0:
        mask = np.clip(mask * np.float32(gain), -1.0, 1.0)
    if mask.shape != (height, width):
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR).astype(
            np.float32, copy=False
        )
    region[:] = _paper(region, mask, opacity) if style == "paper" else _heat(region, mask, opacity)
    return out


def blend_both(
    image: Image,
    masks: Sequence[NDArray[np.float32]],
    rects: Sequence[Rect],
    colours: Sequence[tuple[int, int, int]],
    opacity: float = 1.0,
) -> Image:
    """Two masks (h, w) float32, 0..1, over one picture (H, W, 3) uint8, which is grey and dark so that three colours can be told.

    rects: which part of the picture each mask covers. colours: RGB of where only the first lies, only the second, and both.
    Where the masks are unlike strong, the colours mix.
    """
    ground = np.repeat((cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 2)[..., None], 3, axis=2)
    first, second = (_placed(mask, rect, image.shape[:2]) for mask, rect in zip(masks, rects, strict=True))
    both = np.minimum(first, second)
    parts = (first - both, second - both, both)
    paint = sum(
        part[..., None] * np.array(colour, np.float32) for part, colour in zip(parts, colours, strict=True)
    )
    seen = np.maximum(first, second)[..., None]
    full = paint / np.maximum(seen, 1e-6)
    alpha = np.sqrt(seen) * np.float32(opacity)
    return np.asarray(ground + (full - ground) * alpha + 0.5, dtype=np.uint8)


def _placed(mask: NDArray[np.float32], rect: Rect, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """|mask| over the whole picture; 0 beside it."""
    out = np.zeros(shape, np.float32)
    size = (rect.width, rect.height)
    if min(size) > 0:
        scaled = cv2.resize(np.abs(mask), size, interpolation=cv2.INTER_LINEAR)
        out[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width] = np.minimum(scaled, 1.0)
    return out


def _paper(region: Image, mask: NDArray[np.float32], opacity: float) -> Image:
    m = cv2.convertScaleAbs(mask, alpha=255.0 * opacity)  # |m|, rounded, saturated: one pass, no temporaries
    r, g, b = cv2.split(region)
    if not (mask < 0).any():
        return np.asarray(cv2.merge((cv2.add(r, m), cv2.subtract(g, m), cv2.subtract(b, m))), dtype=np.uint8)
    for_it = cv2.convertScaleAbs(np.maximum(mask, 0), alpha=255.0 * opacity)
    against = cv2.subtract(m, for_it)  # where one is, the other is not
    r, b = cv2.subtract(cv2.add(r, for_it), against), cv2.subtract(cv2.add(b, against), for_it)
    return np.asarray(cv2.merge((r, cv2.subtract(g, m), b)), dtype=np.uint8)


def _heat(region: Image, mask: NDArray[np.float32], opacity: float) -> Image:
    strength = np.minimum(np.abs(mask), 1.0)
    # Signed: two full colours, and the strength in the opacity alone, or weak relevance would vanish in white.
    signed = bool((mask < 0).any())
    colours = (
        np.where((mask > 0)[..., None], FOR, AGAINST) if signed else HEAT[(strength * 255).astype(np.uint8)]
    )
    alpha = (np.sqrt(strength) * opacity)[..., None]
    return np.asarray(region + (colours.astype(np.float32) - region) * alpha + 0.5, dtype=np.uint8)


def _lut(colormap: int) -> NDArray[np.uint8]:
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(ramp, colormap)[:, 0, ::-1], dtype=np.uint8)


HEAT = _lut(cv2.COLORMAP_INFERNO)
# Safe for the colour-blind: the ends of the RdBu scale, a little brighter.
FOR = np.array([214, 40, 55], dtype=np.uint8)
AGAINST = np.array([40, 120, 200], dtype=np.uint8)


def grey_to_rgb(grey: NDArray[np.uint8]) -> Image:
    """(h, w) or (h, w, 3) uint8 -> (h, w, 3) uint8."""
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)
