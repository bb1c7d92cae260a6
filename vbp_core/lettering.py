"""Text in a picture, without a window system."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vbp.drives.base import Image
from vbp.readable import clean

SUPERSAMPLED = 4


def write(image: Image, text: str, x: int, baseline: int, size: int, colour: tuple[int, int, int]) -> None:
    """Draw `text` into `image` (H, W, 3), its first letter at `x`, standing on row `baseline`; size in pixels.

    OpenCV 5 brings a typeface of its own. OpenCV 4 has only strokes, drawn at four times the size here and
    averaged, and only ASCII.
    """
    text = clean(text)  # half a character ends OpenCV 5 in a segmentation fault
    if hasattr(cv2, "FontFace"):
        cv2.putText(image, text, (x, baseline), colour, cv2.FontFace("sans"), size, 450)
        return
    _strokes(image, _ascii(text), x, baseline, size, colour)


def _strokes(image: Image, text: str, x: int, baseline: int, size: int, colour: tuple[int, int, int]) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, size * SUPERSAMPLED / 30
    thick = max(1, round(size * SUPERSAMPLED / 11))
    (width, height), below = cv2.getTextSize(text, font, scale, thick)
    ink: NDArray[np.uint8] = np.zeros((height + below + thick * 2, width + thick * 2), dtype=np.uint8)
    cv2.putText(ink, text, (thick, height + thick), font, scale, 255, thick, cv2.LINE_AA)
    small = (ink.shape[1] // SUPERSAMPLED, ink.shape[0] // SUPERSAMPLED)
    alpha = np.asarray(cv2.resize(ink, small, interpolation=cv2.INTER_AREA), dtype=np.float32) / 255
    top = max(0, baseline - (height + thick) // SUPERSAMPLED)
    part = image[top : top + alpha.shape[0], x : x + alpha.shape[1]]
    cover = alpha[: part.shape[0], : part.shape[1], None]
    part[:] = (part * (1 - cover) + np.asarray(colour) * cover + 0.5).astype(np.uint8)


def _ascii(text: str) -> str:
    plain = text.replace("°", " deg").replace("−", "-").replace("–", "-").replace("·", "|")
    return plain.encode("ascii", "replace").decode("ascii")
