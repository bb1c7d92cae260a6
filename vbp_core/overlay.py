"""The mask laid over the picture: the paper's red, or a heat map; and how, the same in the window and in every file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.errors import VbpError

STYLES = ("paper", "heat")
STYLE_TITLES = {"paper": "Paper's red", "heat": "Heat map"}
GROUNDS = {"picture": "the picture", "black": "black, the mask alone", "grey": "grey, the mask alone"}
GREY = 110
OUTLINED = 0.25  # of the largest: what is outlined where no threshold says what is marked
# Bright, as a thin line on a dark road has to be, and in CIELAB at least 45 from what roads and the red look like (test_overlay.py).
OUTLINE = (0, 255, 255)


@dataclass(frozen=True)
class Dial:
    """A number of `Overlay`: its range, and what it is for. log: a slider's steps are ratios."""

    title: str
    low: float
    high: float
    tip: str
    log: bool = False
    whole: bool = False


DIALS: dict[str, Dial] = {
    "opacity": Dial("Opacity", 0.0, 1.0, "how much of the mask is laid over the picture"),
    "gamma": Dial("Gamma", 0.2, 5.0, "the mask to the power of it: below 1 lifts what is weak", log=True),
    "threshold": Dial("Threshold", 0.0, 0.95, "below this share of full strength nothing is painted"),
    "brightness": Dial("Brightness", 0.25, 4.0, "of the picture below: above 1 lifts what is dark", log=True),
    "smooth": Dial("Smooth", 1, 25, "the mean of the masks of so many frames in a row", whole=True),
}


@dataclass(frozen=True)
class Overlay:
    """How masks are laid over pictures, wherever that is done. The numbers' ranges are in DIALS.

    ground: a key of GROUNDS, what the mask lies on. outline: a thin line around what is marked. smooth: frames whose
    masks are averaged (`vbp.frames.smoothing`). fade: masks that are weak in their drive. fixed: VisualBackProp on one scale for
    all frames of a drive. bar: says what full colour means.
    """

    style: str = "paper"
    opacity: float = 0.8
    shown: bool = True
    fade: bool = True
    fixed: bool = False
    gamma: float = 1.0
    threshold: float = 0.0
    ground: str = "picture"
    brightness: float = 1.0
    outline: bool = False
    smooth: int = 1
    bar: bool = True

    def check(self) -> None:
        """Raises VbpError for a name that does not exist, and for a number out of its range."""
        for what, name, known in (("overlay style", self.style, STYLES), ("ground", self.ground, GROUNDS)):
            if name not in known:
                raise VbpError(f"there is no {what} {name!r}; accepted: {', '.join(known)}")
        for name, dial in DIALS.items():
            value = getattr(self, name)
            if not dial.low <= value <= dial.high:
                a = "an" if name[0] in "aeio" else "a"
                raise VbpError(f"{a} {name} of {value:g} cannot be; it is {dial.low:g} to {dial.high:g}")


PAPER = Overlay(opacity=1.0)  # as the authors' code


@dataclass(frozen=True)
class Rect:
    """A rectangle of whole pixels in a frame: left x, top y, width, height."""

    x: int
    y: int
    width: int
    height: int


def lay(
    image: Image,
    mask: NDArray[np.float32] | None,
    rect: Rect | None = None,
    overlay: Overlay = PAPER,
    faded: float = 1.0,
    gain: float = 1.0,
) -> Image:
    """A copy of `image` (H, W, 3 uint8 RGB) as `overlay` shows it, with `mask` (h, w) float32, -1..1, over `rect` of it.

    mask: None where there is none. faded, gain: as `frames.strengths.weights` gives them; full strength is 1 after `gain`.
    What is below `threshold` there is not painted; then its size is taken to the power of `gamma`.
    """
    if not overlay.shown:
        return image.copy()
    ground = _ground(image, overlay)
    rect = rect or Rect(0, 0, image.shape[1], image.shape[0])
    part = image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
    if mask is None or part.size == 0:
        return ground.copy() if ground is image else ground
    mask, marked = _shaped(mask, part.shape[:2], overlay, gain)
    out = blend(ground, mask, rect, overlay.style, overlay.opacity * faded)
    if overlay.outline and overlay.opacity * faded > 0:
        _outline(out[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width], marked, faded)
    return out


def lay_both(
    image: Image,
    masks: Sequence[NDArray[np.float32]],
    rects: Sequence[Rect],
    colours: Sequence[tuple[int, int, int]],
    overlay: Overlay = PAPER,
    weighed: Sequence[tuple[float, float]] = ((1.0, 1.0), (1.0, 1.0)),
) -> Image:
    """A copy of `image` (H, W, 3 uint8 RGB) with two masks (h, w) float32, 0..1, each over its rect; as `lay`, but for the colours.

    colours: RGB of where only the first lies, only the second, and both; where the masks are unlike strong, they mix. So that three can be
    told the picture is grey and dark, and `overlay.style` has no say. weighed: of each mask `faded` and `gain`, see `lay`.
    """
    if not overlay.shown:
        return image.copy()
    ground = _ground(image, overlay)
    if overlay.ground == "picture":
        ground = np.repeat((cv2.cvtColor(ground, cv2.COLOR_RGB2GRAY) // 2)[..., None], 3, axis=2)
    placed, outlined = np.zeros((2, *image.shape[:2]), np.float32), np.zeros(image.shape[:2], np.bool_)
    for k, (mask, rect, (faded, gain)) in enumerate(zip(masks, rects, weighed, strict=True)):
        place = np.s_[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
        if min(shape := outlined[place].shape) > 0:
            shaped, marked = _shaped(np.abs(mask), shape, overlay, gain)
            placed[k][place] = np.minimum(shaped, 1.0) * np.float32(faded**2)  # of which the root is taken
            outlined[place] |= marked
    first, second = placed
    both = np.minimum(first, second)
    parts = zip((first - both, second - both, both), colours, strict=True)
    paint = sum(part[..., None] * np.array(colour, np.float32) for part, colour in parts)
    seen = np.maximum(first, second)[..., None]
    full = paint / np.maximum(seen, 1e-6)
    out = np.asarray(ground + (full - ground) * np.sqrt(seen) * np.float32(overlay.opacity) + 0.5, np.uint8)
    if overlay.outline and overlay.opacity > 0:
        _outline(out, outlined, max(faded for faded, _ in weighed))
    return out


def _shaped(
    mask: NDArray[np.float32], shape: tuple[int, ...], overlay: Overlay, gain: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mask as large as its place, as `overlay` has it; and what of it is to be outlined."""
    height, width = shape
    if gain != 1.0:
        mask = np.clip(mask * np.float32(gain), -1.0, 1.0)
    if mask.shape != (height, width):
        mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    size = np.abs(mask)
    marked = size >= (overlay.threshold or OUTLINED)
    if overlay.threshold > 0:
        mask = np.where(size >= overlay.threshold, mask, np.float32(0))
    if overlay.gamma != 1.0:
        mask = np.copysign(np.power(np.abs(mask), np.float32(overlay.gamma)), mask)
    return mask, marked


def _ground(image: Image, overlay: Overlay) -> Image:
    """What the mask lies on."""
    if overlay.ground != "picture":
        return np.full_like(image, GREY if overlay.ground == "grey" else 0)
    if overlay.brightness == 1.0:
        return image
    return np.asarray(cv2.LUT(image, _brighter(overlay.brightness)), dtype=np.uint8)


@lru_cache(maxsize=8)
def _brighter(brightness: float) -> NDArray[np.uint8]:
    """Black and white stay, what lies between is lifted: nothing is cut off."""
    ramp = (np.arange(256) / 255) ** (1 / brightness)
    return np.asarray(ramp * 255 + 0.5, dtype=np.uint8)


def _outline(region: Image, marked: NDArray[np.bool_], faded: float) -> None:
    """A line around what is `marked` (h, w), outside of it: thin in a frame of 480 rows, and as wide for its size in others."""
    wide = max(1, round(min(region.shape[:2]) / 480))
    kernel = np.ones((2 * wide + 1, 2 * wide + 1), dtype=np.uint8)
    inside = marked.astype(np.uint8)
    line = cv2.dilate(inside, kernel).astype(bool) & ~marked
    colour = np.array(OUTLINE, dtype=np.float32)
    region[line] = np.asarray(region[line] + (colour - region[line]) * np.float32(faded) + 0.5, np.uint8)


def sides(target: str, of_classes: bool) -> tuple[str, str]:
    """What negative and positive values of a signed map do, in words. target: as `parse_target` reads it."""
    kind, _, number = target.partition(":")
    if of_classes or number or kind == "class":
        return "against", "for"
    return {
        "negative": ("pushes left", "pushes right"),
        "magnitude": ("smaller angle", "larger angle"),
        "error": ("lowers error", "raises error"),
        "error-magnitude": ("better", "worse"),
    }.get(kind, ("pushes right", "pushes left"))


@lru_cache(maxsize=16)  # painted with every frame
def ramp(overlay: Overlay, width: int, height: int, signed: bool = False) -> Image:
    """The colours from nothing (signed: from -1) to full strength, (height, width, 3) uint8, read-only, as `overlay` paints them."""
    values = np.linspace(-1.0 if signed else 0.0, 1.0, width, dtype=np.float32)
    ground = np.full((height, width, 3), GREY, dtype=np.uint8)
    plain = replace(overlay, shown=True, brightness=1.0, outline=False)
    found = lay(ground, np.repeat(values[None], height, 0), None, plain)
    found.flags.writeable = False
    return found


def blend(
    image: Image,
    mask: NDArray[np.float32],
    rect: Rect | None = None,
    style: str = "paper",
    opacity: float = 1.0,
) -> Image:
    """What `lay` paints: a copy of `image` (H, W, 3 uint8 RGB) with `mask` (h, w) float32 laid over `rect` of it (default: all).

    style "paper": R = I + m, G = B = I - m, clamped (the authors' code), m scaled by `opacity` 0..1;
    where a signed mask (-1..1) is negative, in blue: B = I + |m|, R = G = I - |m|. style "heat": the mask through a colour map, as
    opaque as it is strong; a signed mask is red where positive and blue where negative.
    Raises ValueError for a style that does not exist.
    """
    if style not in STYLES:
        raise ValueError(f"overlay style {style!r} is not one of {', '.join(STYLES)}")
    out = image.copy()
    rect = rect or Rect(0, 0, image.shape[1], image.shape[0])
    region = out[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
    if region.size == 0:
        return out
    height, width = region.shape[:2]
    if mask.shape != (height, width):
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR).astype(
            np.float32, copy=False
        )
    region[:] = _paper(region, mask, opacity) if style == "paper" else _heat(region, mask, opacity)
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
