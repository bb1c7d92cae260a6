"""Pictures and tables on the disk, of which drives are made."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def encode(kind: str, rgb: np.ndarray = RGB) -> bytes:
    """rgb (H, W, 3) or (H, W) as a file of `kind`: png, jpg, ..."""
    ok, data = cv2.imencode("." + kind, rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert ok
    return data.tobytes()


def picture(path: Path, rgb: np.ndarray = RGB) -> Path:
    """Write it in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(path.suffix[1:], rgb))
    return path


def grey_picture(path: Path, level: int = 7) -> Path:
    return picture(path, np.full(RGB.shape, level, np.uint8))


def write_table(path: Path, header: str, rows: list[str], end: str = "\n", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([header, *rows]).encode(encoding))
    return path


def shade(k: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.full((*shape, 3), k, np.uint8)
